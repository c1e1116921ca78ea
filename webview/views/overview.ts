/** The whole model in one picture: what each layer costs and what the plan leaves of it, in network order. */
import { css, html, type TemplateResult } from 'lit';
import { type BarItem, itemsPerBar, stackedBars } from '../charts/bars';
import '../controls/figure';
import type { DataTable } from '../controls/dataTable';
import type { ChartSize, LegendItem } from '../controls/figure';
import { icons } from '../controls/icons';
import { type PlanKind, planKind } from '../groups';
import type { LayerRow } from '../layers';
import { Memo } from '../memo';
import type { UiState } from '../persisted';
import type { Session } from '../session';
import { strings } from '../strings';
import { ImportanceMap } from './importanceMap';
import { formats, legend, metricLabel, overviewItem, overviewTable } from './overviewBars';
import { sensitivityMap } from './sensitivityMap';

export const overviewStyles = css`
  .overview {
    flex: none;
    padding: 6px 18px 8px;
    border-bottom: 1px solid var(--line);
  }
  .overview .tools {
    display: flex;
    flex: 1 1 auto;
    flex-wrap: wrap;
    gap: 2px 6px;
    min-width: 0;
    align-items: center;
  }
  .overview select {
    flex: 0 1 auto;
    width: auto;
  }
`;

/** Draws the overview; keeps its parts identical while nothing changes, so that typing in a filter does not redraw it. */
export class Overview {
  private readonly map = new ImportanceMap();
  private readonly items = new Memo<readonly BarItem[]>();
  private readonly drawing = new Memo<(size: ChartSize) => ReturnType<typeof stackedBars>>();
  private readonly table = new Memo<() => DataTable>();
  private readonly legend = new Memo<readonly LegendItem[]>();
  private readonly note = new Memo<(size: ChartSize) => string>();

  render(session: Session, rows: readonly LayerRow[]): TemplateResult {
    const { ui } = session;
    const macsKnown = rows.some(({ facts }) => facts.macs !== null);
    const { projection, settings } = session.state;
    const kind = planKind(projection, settings);
    const wanted = ui.value.overviewMetric;
    const isElsewhere = wanted === 'sensitivity' ? kind === 'bases' : wanted === 'importance' && kind === 'channels';
    const chosen = isElsewhere ? 'macs' : wanted;
    const open = ui.value.overviewOpen;
    if (chosen === 'importance' && open) {
      const map = this.map.render(session, rows, this.tools(session, chosen, macsKnown, kind));
      return html`<section class="overview">${map}</section>`;
    }
    // Nobody looks at the map: what it waits for need not come.
    session.spectra.wantLater([]);
    const ownTools = this.tools(session, chosen, macsKnown, kind);
    if (!open) return html`<section class="overview">${ownTools}</section>`;
    if (chosen === 'sensitivity')
      return html`<section class="overview">${sensitivityMap(session, rows, ownTools)}</section>`;
    const metric = chosen === 'importance' || (chosen === 'macs' && !macsKnown) ? 'params' : chosen;
    const items = this.items.get([rows, metric, kind], () => rows.map((row) => overviewItem(row, metric, kind)));
    const { selectedLayer } = session.state;
    const selected = selectedLayer === null ? null : rows.findIndex(({ facts }) => facts.name === selectedLayer);
    const format = formats[metric];
    const draw = this.drawing.get(
      [items, selected],
      () => (size: ChartSize) =>
        stackedBars({
          ...size,
          items,
          selected,
          format,
          describe: (item) =>
            item.cut > 0
              ? `${item.label}: ${format(item.kept + item.cut)} → ${format(item.kept)}`
              : `${item.label}: ${format(item.kept)}`,
          onPick: (index) => session.select(rows[index].facts.name),
        }),
    );
    const changed = items.filter((item) => item.cut > 0).length;
    const tools = this.tools(session, metric, macsKnown, kind);
    const note = this.note.get([items.length, metric, chosen], () => (size: ChartSize) => {
      const perBar = itemsPerBar(items.length, size);
      return [chosen !== metric ? strings.overview.noMacs : '', perBar > 1 ? strings.overview.merged(perBar) : '']
        .filter(Boolean)
        .join(' ');
    });
    return html`
      <section class="overview">
        <espalier-figure .heading=${metricLabel(metric, kind)} .name=${`${metric}-per-layer`} .height=${104}
          .headingHidden=${true} .description=${strings.overview.description(rows.length, changed)}
          .legend=${this.legend.get([metric, kind], () => legend(metric, kind))} .draw=${draw} .note=${note}
          .table=${this.table.get([rows, metric, kind], () => () => overviewTable(rows, metric, kind))}>${tools}</espalier-figure>
      </section>
    `;
  }

  private tools(
    { ui }: Session,
    metric: UiState['overviewMetric'],
    macsKnown: boolean,
    kind: PlanKind,
  ): TemplateResult {
    const ids = Object.keys(strings.overview.metrics) as UiState['overviewMetric'][];
    const hidden = { bases: 'sensitivity', channels: 'importance', both: '' }[kind];
    const { overviewOpen: open } = ui.value;
    const choose = (event: Event) =>
      ui.update({ overviewMetric: (event.target as HTMLSelectElement).value as UiState['overviewMetric'] });
    return html`
      <div class="tools" slot="tools">
        <button type="button" class="plain" aria-expanded=${open ? 'true' : 'false'} aria-label=${strings.overview.toggle}
          title=${strings.overview.toggle} @click=${() => ui.update({ overviewOpen: !open })}>${open ? icons.open : icons.folded}</button>
        <select aria-label=${strings.overview.metricLabel} @change=${choose}>
          ${ids
            .filter((id) => id !== hidden)
            .map(
              (id) =>
                html`<option value=${id} ?selected=${id === metric} ?disabled=${id === 'macs' && !macsKnown}>${metricLabel(id, kind)}</option>`,
            )}
        </select>
        <span class="dim small">${strings.overview.order}</span>
      </div>
    `;
  }
}
