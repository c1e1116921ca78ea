/** The whole model in one picture: what each layer costs and what the plan leaves of it, in network order. */
import { css, html, type TemplateResult } from 'lit';
import { type BarItem, itemsPerBar, stackedBars } from '../charts/bars';
import '../controls/figure';
import type { DataTable } from '../controls/dataTable';
import type { ChartSize, LegendItem } from '../controls/figure';
import { icons } from '../controls/icons';
import { bytes, count, exact, percent, real } from '../format';
import type { LayerRow } from '../layers';
import { Memo } from '../memo';
import type { UiState } from '../persisted';
import type { Session } from '../session';
import { strings } from '../strings';
import { ImportanceMap } from './importanceMap';

/** What the overview shows as bars, one per layer. */
export type OverviewMetric = Exclude<UiState['overviewMetric'], 'importance'>;

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

const formats: Readonly<Record<OverviewMetric, (value: number) => string>> = {
  macs: count,
  params: count,
  bytes,
  rank: percent,
};

/** One layer's bar: what stays, what goes, and where factorizing would stop paying. */
export function overviewItem({ facts, projection, rank }: LayerRow, metric: OverviewMetric): BarItem {
  const changeable = facts.reason === null;
  if (metric === 'rank') {
    const full = facts.fullRank || 1;
    const kept = facts.fullRank === 0 ? 1 : rank / full;
    const breakEven = facts.breakEvenRank === null || !changeable ? null : Math.min(1, facts.breakEvenRank / full);
    return { label: facts.name, kept, cut: 1 - kept, mark: breakEven, changeable };
  }
  const now = facts[metric] ?? 0;
  const after = projection?.[metric] ?? now;
  return { label: facts.name, kept: Math.min(now, after), cut: Math.max(0, now - after), mark: null, changeable };
}

const legend = (metric: OverviewMetric): readonly LegendItem[] => [
  { label: strings.overview.kept, part: 'kept', kind: 'area' },
  { label: strings.overview.cut, part: 'cut', kind: 'area' },
  { label: strings.overview.leftAlone, part: 'left-alone', kind: 'area' },
  ...(metric === 'rank' ? [{ label: strings.overview.breakEven, part: 'break-even', kind: 'line' } as const] : []),
];

function overviewTable(rows: readonly LayerRow[], metric: OverviewMetric): DataTable {
  const { table, metrics } = strings.overview;
  const rank = metric === 'rank';
  return {
    caption: metrics[metric],
    columns: [
      { label: table.layer },
      { label: table.before, format: rank ? exact : formats[metric] },
      { label: table.after, format: rank ? exact : formats[metric] },
      ...(rank ? [{ label: table.breakEven, format: real }] : []),
    ],
    rows: rows.map(({ facts, projection, rank: kept }) =>
      rank
        ? [facts.name, facts.fullRank, kept, facts.breakEvenRank]
        : [facts.name, facts[metric], projection?.[metric] ?? facts[metric]],
    ),
  };
}

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
    const chosen = ui.value.overviewMetric;
    const open = ui.value.overviewOpen;
    if (chosen === 'importance' && open) {
      const map = this.map.render(session, rows, this.tools(session, chosen, macsKnown));
      return html`<section class="overview">${map}</section>`;
    }
    // Nobody looks at the map: what it waits for need not come.
    session.spectra.wantLater([]);
    if (!open) return html`<section class="overview">${this.tools(session, chosen, macsKnown)}</section>`;
    const metric = chosen === 'importance' || (chosen === 'macs' && !macsKnown) ? 'params' : chosen;
    const items = this.items.get([rows, metric], () => rows.map((row) => overviewItem(row, metric)));
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
    const tools = this.tools(session, metric, macsKnown);
    const note = this.note.get([items.length, metric, chosen], () => (size: ChartSize) => {
      const perBar = itemsPerBar(items.length, size);
      return [chosen !== metric ? strings.overview.noMacs : '', perBar > 1 ? strings.overview.merged(perBar) : '']
        .filter(Boolean)
        .join(' ');
    });
    return html`
      <section class="overview">
        <espalier-figure .heading=${strings.overview.metrics[metric]} .name=${`${metric}-per-layer`} .height=${104}
          .headingHidden=${true} .description=${strings.overview.description(rows.length, changed)}
          .legend=${this.legend.get([metric], () => legend(metric))} .draw=${draw} .note=${note}
          .table=${this.table.get([rows, metric], () => () => overviewTable(rows, metric))}>${tools}</espalier-figure>
      </section>
    `;
  }

  private tools({ ui }: Session, metric: UiState['overviewMetric'], macsKnown: boolean): TemplateResult {
    const { overviewOpen: open } = ui.value;
    const choose = (event: Event) =>
      ui.update({ overviewMetric: (event.target as HTMLSelectElement).value as UiState['overviewMetric'] });
    return html`
      <div class="tools" slot="tools">
        <button type="button" class="plain" aria-expanded=${open ? 'true' : 'false'} aria-label=${strings.overview.toggle}
          title=${strings.overview.toggle} @click=${() => ui.update({ overviewOpen: !open })}>${open ? icons.open : icons.folded}</button>
        <select aria-label=${strings.overview.metricLabel} @change=${choose}>
          ${Object.entries(strings.overview.metrics).map(
            ([value, label]) =>
              html`<option value=${value} ?selected=${value === metric} ?disabled=${value === 'macs' && !macsKnown}>${label}</option>`,
          )}
        </select>
        <span class="dim small">${strings.overview.order}</span>
      </div>
    `;
  }
}
