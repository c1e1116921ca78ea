/**
 * `<espalier-layer-detail>`: everything about the selected layer, with its spectrum and the cut that the user drags.
 * A drag projects as it goes (transient changes) and is one step for undo when it ends; Escape takes it back.
 */
import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import type { Spectrum } from '../../src/protocol/facts';
import type { LayerDetail } from '../../src/protocol/plan';
import { usesRanks } from '../../src/settings/methods';
import { importanceChart } from '../charts/importance';
import { rankAt, spectrumArea, spectrumChart } from '../charts/spectrum';
import { cutHandle, keyedRank } from '../controls/cutHandle';
import { type DataTable, dataTable, dataTableStyles } from '../controls/dataTable';
import '../controls/figure';
import type { ChartSize, LegendItem } from '../controls/figure';
import { icons } from '../controls/icons';
import { panelId, tabId, tabStyles, tabs } from '../controls/tabs';
import { exact, percent, real } from '../format';
import { isRemovable, type PlanKind, planKind } from '../groups';
import { isLockable, type LayerRow } from '../layers';
import type { UiState } from '../persisted';
import { type Session, SessionController } from '../session';
import { strings } from '../strings';
import { baseStyles, controlStyles } from '../styles';
import './channelDetail';
import { cutFacts, type Fact, layerFacts } from './layerFacts';
import { notice, noticeStyles } from './notices';

const spectrumLegend: readonly LegendItem[] = [
  { label: strings.charts.kept, part: 'kept', kind: 'area' },
  { label: strings.charts.cut, part: 'cut', kind: 'area' },
  { label: strings.charts.energy, part: 'energy', kind: 'line' },
  { label: strings.charts.breakEven, part: 'break-even', kind: 'line' },
  { label: strings.charts.edge, part: 'edge', kind: 'line' },
];
const noiseLegend: LegendItem = { label: strings.charts.noise, part: 'noise', kind: 'area' };
const importanceLegend: readonly LegendItem[] = [
  { label: strings.charts.kept, part: 'kept', kind: 'area' },
  { label: strings.charts.cut, part: 'cut', kind: 'area' },
  { label: strings.charts.threshold, part: 'threshold', kind: 'line' },
];

@customElement('espalier-layer-detail')
export class EspalierLayerDetail extends LitElement {
  static override styles = [
    baseStyles,
    controlStyles,
    tabStyles,
    dataTableStyles,
    noticeStyles,
    css`
      :host {
        display: block;
        min-width: 0;
        container: detail / inline-size;
      }
      .detail {
        padding: 10px 18px 16px;
      }
      .head {
        display: flex;
        flex-wrap: wrap;
        gap: 2px 6px;
        align-items: center;
      }
      .head h2 {
        flex: 1 1 90px;
        min-width: 0;
      }
      .facts {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(118px, 1fr));
        gap: 6px 14px;
        margin: 6px 0 8px;
      }
      .facts dt {
        color: var(--dim);
        font-size: 0.88em;
      }
      .facts dd {
        overflow-wrap: anywhere;
      }
      .about {
        margin-top: 14px;
        padding-top: 10px;
        border-top: 1px solid var(--line);
      }
      .notice {
        margin: 8px 0;
      }
      .tabline {
        display: flex;
        flex-wrap: wrap;
        gap: 0 12px;
        align-items: end;
        border-bottom: 1px solid var(--line);
      }
      .tabline > .tabs {
        flex: 1;
        flex-wrap: wrap;
        min-width: 0;
        margin-bottom: -1px;
      }
      .tabline select {
        width: auto;
        min-height: 22px;
        margin-bottom: 3px;
      }
      .panel {
        padding-top: 8px;
      }
      .table {
        max-height: 60vh;
        overflow: auto;
      }
      .waiting {
        display: grid;
        place-content: center;
        height: 260px;
        color: var(--dim);
        font-style: italic;
        text-align: center;
      }
    `,
  ];

  @property({ attribute: false }) session!: Session;
  @property({ attribute: false }) row!: LayerRow;
  /** Rank under the pointer or key while a drag is on. */
  @state() private dragged: number | null = null;
  /** Index of the value under the pointer. */
  @state() private hovered: number | null = null;
  private beforeDrag: LayerRow['override'] = null;

  constructor() {
    super();
    new SessionController(this, () => this.session);
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    const before = changed.get('row');
    if (before !== undefined && before.facts.name !== this.row.facts.name) {
      this.dragged = null;
      this.hovered = null;
    }
  }

  protected override updated(): void {
    const { facts } = this.row;
    if (facts.matrices !== null && this.kind !== 'channels' && this.session.state.projection !== null) {
      this.session.details.want(facts.name, this.session.state.projection);
    }
  }

  override render(): TemplateResult {
    const { facts, reason } = this.row;
    const { spectra, details } = this.session;
    const spectrum = facts.matrices === null ? 'none' : spectra.get(facts.name);
    const detail = details.get(facts.name);
    const known = typeof spectrum === 'string' ? null : spectrum;
    return html`
      <section class="detail" aria-label=${strings.detail.label(facts.name)} @keydown=${this.onKey}>
        ${this.head()}
        ${reason === '' ? nothing : notice('info', `${this.aboutReason()}:`, reason)}
        <dl class="facts number">${cutFacts(this.row, this.kind, known, this.rank).map(factEntry)}</dl>
        ${
          this.kind === 'bases' && (spectrum === 'none' || spectrum === 'failed')
            ? this.withoutSpectrum(spectrum)
            : this.views(spectrum, detail)
        }
        <h3 class="about">${strings.detail.facts}</h3>
        <dl class="facts number">${layerFacts(this.row, known).map(factEntry)}</dl>
      </section>
    `;
  }

  /** What the reason is a reason for. */
  private aboutReason(): string {
    const { facts, projection, group } = this.row;
    if (this.kind !== 'bases' && group?.projection.reason != null) return strings.groups.fullReason;
    return projection?.reason || facts.reason ? strings.detail.fullReason : strings.detail.macsReason;
  }

  /** Puts the focus on the cut, or on the detail's first control where nothing can be cut. */
  async focusCut(): Promise<void> {
    await this.updateComplete;
    const figure = this.renderRoot.querySelector('espalier-figure');
    await figure?.updateComplete;
    const handle = figure?.renderRoot.querySelector<SVGElement>('[role="slider"]');
    (handle ?? this.renderRoot.querySelector<HTMLElement>('button'))?.focus();
  }

  /** What the plan removes. */
  private get kind(): PlanKind {
    const { projection, settings } = this.session.state;
    return planKind(projection, settings);
  }

  private get rank(): number {
    const { rank, facts, projection } = this.row;
    // The rank of a layer that only loses channels is not cut: what is left of it is whole.
    const isCut = this.kind === 'bases' || projection?.action === 'factorize';
    return this.dragged ?? (isCut ? rank : facts.fullRank);
  }

  /** Whether the user may move this layer's cut. */
  private get movable(): boolean {
    const { facts, override } = this.row;
    const { settings } = this.session.state;
    const canMove = settings !== null && usesRanks(settings) && facts.reason === null && facts.fullRank > 1;
    return canMove && this.kind !== 'channels' && override?.keep !== true;
  }

  /** Lock and way back of the layer's bases, or of its group's channels. */
  private buttons(of: 'layer' | 'group', canLock: boolean): TemplateResult {
    const { facts, group } = this.row;
    const override = of === 'layer' ? this.row.override : (group?.override ?? null);
    const set = (own: { keep: true } | null) =>
      of === 'layer'
        ? this.session.override(facts.name, own)
        : this.session.overrideGroup(group?.projection.name ?? '', own);
    const locked = override?.keep === true;
    const text = of === 'layer' && this.kind === 'bases' ? strings.detail : strings.groups.buttons[of];
    return html`
      ${
        override === null || locked
          ? nothing
          : html`<button type="button" class="plain" title=${text.backTitle} @click=${() => set(null)}>${icons.reset}${text.back}</button>`
      }
      ${
        canLock
          ? html`<button type="button" class="plain" aria-pressed=${locked ? 'true' : 'false'}
              @click=${() => set(locked ? null : { keep: true })}>${locked ? icons.lock : icons.unlock}${locked ? text.unlock : text.lock}</button>`
          : nothing
      }`;
  }

  private head(): TemplateResult {
    const { facts, group } = this.row;
    const { kind } = this;
    const { settings } = this.session.state;
    const canLock = settings !== null && isLockable(this.row, settings);
    return html`
      <div class="head">
        <h2 class="ellipsis" title=${facts.name}>${facts.name}</h2>
        ${kind === 'bases' || group === null ? nothing : this.buttons('group', settings !== null && isRemovable(group.projection))}
        ${kind === 'channels' ? nothing : this.buttons('layer', canLock)}
        <button type="button" class="plain" aria-label=${strings.detail.close} title=${strings.detail.close}
          @click=${this.close}>${icons.close}</button>
      </div>
    `;
  }

  private views(
    found: Spectrum | 'none' | 'failed' | 'loading',
    detail: LayerDetail | { failure: string } | null,
  ): TemplateResult {
    const { ui } = this.session;
    const { kind } = this;
    const { scale } = ui.value;
    const spectrum = typeof found === 'string' ? null : found;
    const choice = kind === 'bases' ? ui.value.detailTab : ui.value.channelTab;
    const tab = kind === 'channels' && choice === 'importance' ? 'channels' : choice;
    const onChoose = (chosen: UiState['channelTab']) =>
      ui.update(chosen === 'channels' || kind !== 'bases' ? { channelTab: chosen } : { detailTab: chosen });
    const choose = (event: Event) =>
      ui.update({ scale: (event.target as HTMLSelectElement).value as UiState['scale'] });
    const ids: readonly UiState['channelTab'][] = ['channels', 'spectrum', 'importance', 'table'];
    const hidden: Readonly<Record<PlanKind, string>> = { bases: 'channels', channels: 'importance', both: '' };
    const tabList = ids.filter((id) => id !== hidden[kind]).map((id) => ({ id, label: strings.detail.tabs[id] }));
    return html`
      <div class="tabline">
        ${tabs({ name: 'detail', label: strings.detail.tabsLabel, tabs: tabList, chosen: tab, onChoose })}
        ${
          tab === 'table' || tab === 'channels'
            ? nothing
            : html`<select aria-label=${strings.detail.scale} @change=${choose}>
                ${(['log', 'linear'] as const).map((value) => html`<option value=${value} ?selected=${value === scale}>${strings.detail.scales[value]}</option>`)}
              </select>`
        }
      </div>
      <div class="panel" id=${panelId('detail')} role="tabpanel" aria-labelledby=${tabId('detail', tab)}>
        ${
          tab === 'channels'
            ? html`<espalier-channel-detail .session=${this.session} .row=${this.row}></espalier-channel-detail>`
            : found === 'none' || found === 'failed'
              ? this.withoutSpectrum(found)
              : spectrum === null
                ? html`<p class="waiting" role="status">${strings.loading.spectrum}</p>`
                : tab === 'spectrum'
                  ? this.spectrumFigure(spectrum)
                  : tab === 'importance'
                    ? this.importance(detail)
                    : html`<div class="table" tabindex="0" role="region" aria-label=${strings.detail.tabs.table}>${dataTable(this.table(spectrum, detail))}</div>`
        }
      </div>
    `;
  }

  private spectrumFigure(spectrum: Spectrum): TemplateResult {
    const { facts } = this.row;
    const { singularValues, energy, marchenkoPasturEdge: edge, noiseFloor } = spectrum;
    const full = singularValues.length;
    const kept = this.rank;
    const { scale } = this.session.ui.value;
    const draw = (size: ChartSize) => {
      const area = spectrumArea(size);
      const handle = this.movable
        ? cutHandle({
            area,
            full,
            rank: kept,
            label: strings.detail.cut,
            text: strings.detail.cutValue(kept, full, percent(energy[kept - 1] ?? 1)),
            onMove: (x, transient) => this.moveTo(rankAt(area, full, x), transient),
            onKey: (event) => this.onCutKey(event, full),
            onKeyEnd: () => this.endDrag(),
            onHover: (x) => {
              this.hovered =
                x === null ? null : Math.min(full, rankAt(area, full, x + (area.right - area.left) / full / 2));
            },
          })
        : nothing;
      return spectrumChart({
        ...size,
        singularValues,
        energy,
        kept,
        breakEven: facts.breakEvenRank,
        edge,
        noiseFloor,
        scale,
        handle,
      });
    };
    const note = () => {
      if (this.hovered !== null && this.dragged === null) {
        const i = this.hovered - 1;
        return strings.detail.hover(this.hovered, real(singularValues[i]), percent(energy[i]));
      }
      if (this.kind === 'channels') return strings.detail.wholeHelp;
      if (this.movable) return strings.detail.dragHelp;
      const { settings } = this.session.state;
      return settings === null || usesRanks(settings) ? strings.detail.fixedHelp : strings.detail.uncutHelp;
    };
    const hasNoise = singularValues[full - 1] <= noiseFloor;
    return html`<espalier-figure .heading=${strings.charts.spectrum(facts.name)} .headingHidden=${true}
      .name=${`${facts.name}-spectrum`} .height=${280} .interactive=${this.movable}
      .description=${strings.charts.spectrumDescription(kept, full, percent(energy[kept - 1] ?? 1))}
      .legend=${hasNoise ? [...spectrumLegend, noiseLegend] : spectrumLegend}
      .draw=${draw} .note=${note} .table=${() => this.table(spectrum, null)}></espalier-figure>`;
  }

  private importance(detail: LayerDetail | { failure: string } | null): TemplateResult {
    if (detail === null) return html`<p class="waiting" role="status">${strings.loading.importance}</p>`;
    if ('failure' in detail) return html`<p class="waiting" role="status">${detail.failure}</p>`;
    const { facts } = this.row;
    const { importance, threshold, basis } = detail;
    const kept = this.rank;
    const { scale } = this.session.ui.value;
    const source = strings.detail.importanceBasis[basis];
    const note =
      threshold === null ? strings.detail.noThreshold(source) : strings.detail.threshold(real(threshold), source);
    return html`<espalier-figure .heading=${strings.charts.importance(facts.name)} .headingHidden=${true}
      .name=${`${facts.name}-importance`} .height=${280}
      .description=${strings.charts.importanceDescription(kept, importance.length)} .legend=${importanceLegend}
      .draw=${(size: ChartSize) => importanceChart({ ...size, importance, kept, threshold, scale })}
      .note=${() => note} .table=${() => this.importanceTable(detail)}></espalier-figure>`;
  }

  private table(spectrum: Spectrum, detail: LayerDetail | { failure: string } | null): DataTable {
    const { table, tableCaption } = strings.detail;
    const importance = detail !== null && 'importance' in detail ? detail.importance : null;
    return {
      caption: tableCaption(this.row.facts.name),
      columns: [
        { label: table.index, format: exact },
        { label: table.value, format: real },
        { label: table.energy, format: percent },
        ...(importance === null ? [] : [{ label: table.importance, format: real }]),
        { label: table.state },
      ],
      rows: Array.from(spectrum.singularValues, (value, i) => [
        i + 1,
        value,
        spectrum.energy[i],
        ...(importance === null ? [] : [importance[i] ?? null]),
        i < this.rank ? table.kept : table.cut,
      ]),
    };
  }

  private importanceTable(detail: LayerDetail): DataTable {
    const { table, tableCaption } = strings.detail;
    return {
      caption: tableCaption(this.row.facts.name),
      columns: [
        { label: table.index, format: exact },
        { label: table.importance, format: real },
        { label: table.state },
      ],
      rows: Array.from(detail.importance, (value, i) => [i + 1, value, i < this.rank ? table.kept : table.cut]),
    };
  }

  private withoutSpectrum(why: 'none' | 'failed'): TemplateResult {
    if (why === 'none') return html`<p class="dim">${strings.detail.noMatrix}</p>`;
    const retry = () => this.session.spectra.retry(this.row.facts.name);
    return html`<p role="status">${strings.detail.spectrumFailed}
      <button type="button" class="link" @click=${retry}>${strings.detail.retry}</button></p>`;
  }

  private moveTo(rank: number, transient: boolean): void {
    if (this.dragged === null) this.beforeDrag = this.row.override;
    if (transient && rank === this.dragged) return;
    this.dragged = transient ? rank : null;
    this.session.override(this.row.facts.name, { rank }, transient);
  }

  private onCutKey(event: KeyboardEvent, full: number): void {
    const rank = keyedRank(event, this.row.override?.rank ?? this.rank, full);
    if (rank === null) return;
    event.preventDefault();
    event.stopPropagation();
    this.moveTo(rank, true);
  }

  /** The key was released or the focus went: the drag is done. */
  private endDrag(): void {
    if (this.dragged !== null) this.moveTo(this.dragged, false);
  }

  private onKey(event: KeyboardEvent): void {
    if (event.key !== 'Escape') return;
    event.preventDefault();
    if (this.dragged === null) {
      this.dispatchEvent(new CustomEvent('leave-detail', { bubbles: true, composed: true }));
      return;
    }
    this.dragged = null;
    const before = this.beforeDrag;
    if (before === null) this.session.override(this.row.facts.name, null);
    else {
      const { match: _, ...override } = before;
      this.session.override(this.row.facts.name, override);
    }
  }

  private close(): void {
    this.session.select(null);
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'espalier-layer-detail': EspalierLayerDetail;
  }
}

function factEntry({ label, value, title }: Fact): TemplateResult {
  return html`<div title=${title}><dt>${label}</dt><dd>${value}</dd></div>`;
}
