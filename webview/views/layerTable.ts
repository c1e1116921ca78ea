/**
 * `<espalier-layer-table>`: one row per layer. Only the rows on screen exist in the document (plus the selected one,
 * which may hold the focus), so 20,000 layers scroll like twenty. The grid itself has the focus; arrows move the
 * selection (WAI-ARIA grid with `aria-activedescendant`), Tab goes into the selected row's controls.
 */
import { html, LitElement, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { live } from 'lit/directives/live.js';
import { repeat } from 'lit/directives/repeat.js';
import { usesLocks, usesRanks } from '../../src/settings/methods';
import { sparkline } from '../charts/sparkline';
import { chartStyles } from '../charts/styles';
import { icons } from '../controls/icons';
import { styleVars } from '../controls/styleVars';
import { count, exact, percent, shape } from '../format';
import { askedChannels, type GroupRow, gives, isRemovable, type PlanKind, planKind } from '../groups';
import { isLockable, keptShare, type LayerRow, nextSort, operatorCounts, type SortColumn, shownRows } from '../layers';
import { Memo } from '../memo';
import { type Session, SessionController } from '../session';
import { strings } from '../strings';
import { baseStyles, controlStyles } from '../styles';
import { groupChip, groupChipStyles } from './groupChip';
import { headHeight, layerTableStyles, rowHeight } from './layerTableStyles';
import { blank, noticeStyles } from './notices';

/** Rows drawn beyond either edge, so that a quick scroll meets no gap. */
const overscan = 8;
/** Characters at the end of a long name that are always shown. */
const nameTail = 10;
const sparklineSize = { width: 68, height: 20 };

interface Column {
  readonly id: keyof typeof strings.layers.columns;
  readonly sort: SortColumn | null;
  readonly right?: boolean;
}

const allColumns: readonly Column[] = [
  { id: 'name', sort: 'name' },
  { id: 'opType', sort: 'opType' },
  { id: 'weight', sort: 'weight' },
  { id: 'output', sort: 'output' },
  { id: 'params', sort: 'params', right: true },
  { id: 'macs', sort: 'macs', right: true },
  { id: 'spectrum', sort: null },
  { id: 'group', sort: 'group' },
  { id: 'channels', sort: 'channels', right: true },
  { id: 'rank', sort: 'rank', right: true },
  { id: 'kept', sort: 'kept' },
  { id: 'lock', sort: 'locked' },
  { id: 'reason', sort: 'reason' },
];

const absent: Readonly<Record<PlanKind, readonly Column['id'][]>> = {
  bases: ['group', 'channels'],
  channels: ['spectrum', 'rank'],
  both: ['spectrum'],
};
const columnsOf = (kind: PlanKind, hasLocks: boolean) =>
  allColumns.filter(({ id }) => !absent[kind].includes(id) && (id !== 'lock' || hasLocks));

@customElement('espalier-layer-table')
export class EspalierLayerTable extends LitElement {
  static override styles = [baseStyles, controlStyles, chartStyles, noticeStyles, groupChipStyles, layerTableStyles];

  @property({ attribute: false }) session!: Session;
  @property({ attribute: false }) rows: readonly LayerRow[] = [];
  @state() private offset = 0;
  @state() private viewHeight = 0;
  /** Layer under the pointer, where groups are shown. */
  @state() private hovered: string | null = null;
  private restored = false;
  private readonly shownMemo = new Memo<readonly LayerRow[]>();
  private readonly largestMemo = new Memo<number>();
  private readonly operatorsMemo = new Memo<ReturnType<typeof operatorCounts>>();
  /** Rows as last sorted; kept while a drag is on, so that the row under the pointer stays there. */
  private order: readonly LayerRow[] = [];
  private readonly observer = new ResizeObserver(([entry]) => {
    this.viewHeight = entry.contentRect.height;
  });

  constructor() {
    super();
    new SessionController(this, () => this.session);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.grid !== null) this.observer.observe(this.grid);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.observer.disconnect();
    this.restored = false;
  }

  protected override firstUpdated(_changed: PropertyValues): void {
    if (this.grid !== null) this.observer.observe(this.grid);
  }

  protected override updated(_changed: PropertyValues): void {
    const grid = this.grid;
    if (grid === null) return;
    if (!this.restored && this.rows.length > 0) {
      this.restored = true;
      grid.scrollTop = this.session.ui.value.scrollTop;
      this.offset = grid.scrollTop;
    }
    this.requestSpectra();
  }

  override render(): TemplateResult {
    const { ui } = this.session;
    const shown = this.shownRows();
    const { selectedLayer, facts, projection, settings } = this.session.state;
    const kind = planKind(projection, settings);
    const hasLocks = kind !== 'bases' || settings === null || usesLocks(settings);
    const coupled = kind === 'bases' ? null : this.coupledTo(this.hovered ?? selectedLayer);
    const active = selectedLayer === null ? -1 : shown.findIndex(({ facts: layer }) => layer.name === selectedLayer);
    const [first, last] = this.visibleRange(shown.length);
    const drawn = Array.from({ length: last - first }, (_, i) => first + i);
    if (active >= 0 && active < first) drawn.unshift(active);
    if (active >= last) drawn.push(active);
    const operators = facts === null ? [] : this.operatorsMemo.get([facts], () => operatorCounts(facts));
    return html`
      <div class="tools" role="search">
        <input type="search" aria-label=${strings.layers.filter} placeholder=${strings.layers.filterPlaceholder}
          .value=${live(ui.value.filter)} @input=${this.onFilter} @keydown=${this.onFilterKey} />
        <select aria-label=${strings.layers.operator} @change=${this.onOperator}>
          <option value="" ?selected=${ui.value.operator === ''}>${strings.layers.allOperators(this.rows.length)}</option>
          ${operators.map(
            ([name, amount]) =>
              html`<option value=${name} ?selected=${ui.value.operator === name}>${strings.layers.operatorOption(name, amount)}</option>`,
          )}
        </select>
        <span class="shown number" role="status">${strings.layers.shown(shown.length, this.rows.length)}</span>
      </div>
      <div class="grid ${kind} ${hasLocks ? '' : 'unlocked'}" role="grid" tabindex="0" aria-label=${strings.layers.grid} aria-describedby="hint"
        aria-rowcount=${shown.length + 1} aria-activedescendant=${active >= 0 ? `row-${shown[active].index}` : nothing}
        @scroll=${this.onScroll} @keydown=${this.onKey} @pointerover=${this.onPointer} @pointerleave=${this.onPointer}>
        <div role="rowgroup">
          <div class="head" role="row" aria-rowindex="1">${columnsOf(kind, hasLocks).map((column) => this.heading(column))}</div>
        </div>
        <div class="rows" role="rowgroup" ${styleVars({ height: `${shown.length * rowHeight}px` })}>
          ${repeat(
            drawn,
            (position) => shown[position].facts.name,
            (position) => this.row(shown[position], position, { kind, hasLocks, coupled, active: position === active }),
          )}
        </div>
        ${shown.length === 0 ? this.noMatch() : nothing}
      </div>
      <p id="hint" class="visually-hidden">${strings.layers.rowHint}</p>
    `;
  }

  /** Moves the keyboard's focus into the table. */
  focusGrid(): void {
    this.grid?.focus();
  }

  private get grid(): HTMLElement | null {
    return this.renderRoot.querySelector<HTMLElement>('.grid');
  }

  private shownRows(): readonly LayerRow[] {
    const { filter, operator, sort } = this.session.ui.value;
    if (this.session.dragging && this.order.length > 0) {
      return this.order.map((row) => this.rows[row.index] ?? row);
    }
    this.order = this.shownMemo.get([this.rows, filter, operator, sort], () =>
      shownRows(this.rows, { text: filter, operator }, sort),
    );
    return this.order;
  }

  /** First row to draw and the one after the last. */
  private visibleRange(length: number): readonly [number, number] {
    const first = Math.max(0, Math.floor(this.offset / rowHeight) - overscan);
    const last = Math.ceil((this.offset + this.viewHeight) / rowHeight) + overscan;
    return [Math.min(first, length), Math.min(length, last)];
  }

  /** The selected layer first, then what is on screen, then the rows just beyond. */
  private requestSpectra(): void {
    const shown = this.shownRows();
    const [first, last] = this.visibleRange(shown.length);
    const onScreen = shown.slice(
      Math.floor(this.offset / rowHeight),
      Math.ceil((this.offset + this.viewHeight - headHeight) / rowHeight),
    );
    const selected = this.rows.filter(({ facts }) => facts.name === this.session.state.selectedLayer);
    const wanted = [...selected, ...onScreen, ...shown.slice(first, last)];
    const names = wanted.filter(({ facts }) => facts.matrices !== null).map(({ facts }) => facts.name);
    this.session.spectra.want([...new Set(names)]);
  }

  private heading({ id, sort, right }: Column): TemplateResult {
    const label = strings.layers.columns[id];
    const order = this.session.ui.value.sort;
    const sorted = sort !== null && order?.column === sort ? (order.descending ? 'descending' : 'ascending') : 'none';
    const name = id === 'lock' ? html`<span class="visually-hidden">${label}</span>${icons.lock}` : label;
    const arrow = sorted === 'none' ? nothing : sorted === 'descending' ? icons.down : icons.up;
    return html`
      <div role="columnheader" class="${cellClass(id)} ${right ? 'right' : ''}" aria-sort=${sort === null ? nothing : sorted}>
        ${
          sort === null
            ? html`<span class="dim small">${name}</span>`
            : html`<button type="button" title=${strings.layers.sortBy(label)}
                @click=${() => this.session.ui.update({ sort: nextSort(order, sort) })}>${name}${arrow}</button>`
        }
      </div>
    `;
  }

  /** The group of a layer's channels. */
  private coupledTo(layer: string | null): GroupRow | null {
    return layer === null ? null : (this.rows.find(({ facts }) => facts.name === layer)?.group ?? null);
  }

  private row(
    row: LayerRow,
    position: number,
    place: { kind: PlanKind; hasLocks: boolean; coupled: GroupRow | null; active: boolean },
  ): TemplateResult {
    const { facts } = row;
    const { kind, hasLocks, coupled, active } = place;
    const full = facts.fullRank;
    const override = kind === 'bases' ? row.override : (row.group?.override ?? null);
    const reason = row.reason || (override === null ? '' : strings.layers.byHand);
    const role = coupled?.roles.get(facts.name);
    const highlight = role === undefined ? '' : gives(role) ? 'coupled' : 'reads';
    return html`
      <div class="row ${highlight}" role="row" id=${`row-${row.index}`} data-layer=${facts.name} aria-rowindex=${position + 2}
        aria-selected=${active ? 'true' : 'false'} @click=${() => this.session.select(facts.name)}
        ${styleVars({ top: `${position * rowHeight}px` })}>
        <div role="rowheader" class="name ellipsis" title=${facts.name}>${layerName(facts.name)}</div>
        <div role="gridcell" class="opType ellipsis">${facts.opType}</div>
        <div role="gridcell" class="weight ellipsis dim" title=${`${facts.weight.name}, ${facts.weight.dtype}`}>${shape(facts.weight.shape)}</div>
        <div role="gridcell" class="output ellipsis dim">${shape(facts.outputShape)}</div>
        <div role="gridcell" class="params right" title=${exact(facts.params)}>${count(facts.params)}</div>
        <div role="gridcell" class="macs right" title=${row.macsShare === null ? (facts.macsReason ?? '') : strings.layers.share(percent(row.macsShare))}>
          ${count(facts.macs)}
          ${facts.macs === null ? nothing : this.macsBar(facts.macs, row.projection?.macs ?? facts.macs)}
        </div>
        ${
          kind === 'bases'
            ? html`
                <div role="gridcell" class="spectrum">${this.spectrum(row)}</div>
                <div role="gridcell" class="rank right" title=${reason}>${full === 0 ? nothing : keptOf(row.rank, full)}</div>
                <div role="gridcell" class="keptColumn">${full === 0 ? nothing : this.ratio(row, active)}</div>
                ${hasLocks ? html`<div role="gridcell" class="lock">${isLockable(row, this.session.state.settings) ? this.lock(row, active) : nothing}</div>` : nothing}`
            : this.channelCells(row, kind, active)
        }
        <div role="gridcell" class="reason ellipsis" title=${reason}>${reason}</div>
      </div>
    `;
  }

  /** Length: share of the most expensive layer. What the plan cuts is set off. */
  private macsBar(now: number, after: number): TemplateResult {
    const largest = this.largestMemo.get([this.rows], () =>
      this.rows.reduce((most, { facts }) => Math.max(most, facts.macs ?? 0), 1),
    );
    const share = { '--share': String(Math.min(now, after) / largest), '--whole': String(now / largest) };
    return html`<span class="bar" aria-hidden="true" ${styleVars(share)}><i></i><span></span></span>`;
  }

  private spectrum(row: LayerRow): TemplateResult | typeof nothing {
    if (row.facts.matrices === null) return nothing;
    const spectrum = this.session.spectra.get(row.facts.name);
    if (spectrum === 'loading') return html`<span class="waiting" title=${strings.loading.spectrum}></span>`;
    if (spectrum === 'failed') return html`<span title=${strings.layers.spectrumFailed}>${icons.warning}</span>`;
    if (spectrum === 'none') return html`<span class="dim small">${strings.layers.noSpectrum}</span>`;
    const { width, height } = sparklineSize;
    return html`<svg class="sparkline" width=${width} height=${height} role="img"
      aria-label=${strings.layers.spectrumOf(row.facts.name)}>${sparkline({ width, height, values: spectrum.singularValues, kept: row.rank })}</svg>`;
  }

  private ratio(row: LayerRow, active: boolean): TemplateResult {
    const { facts, override } = row;
    const full = facts.fullRank;
    const asked =
      override?.rank ?? (override?.ratio === undefined ? row.rank : Math.max(1, Math.round(override.ratio * full)));
    const { settings } = this.session.state;
    const fixed =
      facts.reason !== null || full < 2 || override?.keep === true || settings === null || !usesRanks(settings);
    const amount = html`<span class="amount" aria-hidden="true">${Math.round(keptShare(row) * 100)}%</span>`;
    if (fixed) {
      return html`<span class="kept"><span class="bar" aria-hidden="true"><span ${styleVars({ '--share': String(keptShare(row)) })}></span></span>${amount}</span>`;
    }
    const set = (event: Event, transient: boolean) => {
      const rank = Number((event.target as HTMLInputElement).value);
      this.session.override(facts.name, { rank }, transient);
    };
    return html`<span class="kept">
      <input type="range" min="1" max=${full} step="1" tabindex=${active ? 0 : -1} aria-label=${strings.layers.keptOf(facts.name)}
        aria-valuetext=${strings.layers.rankOf(asked, full)} .value=${live(String(asked))}
        @input=${(event: Event) => set(event, true)} @change=${(event: Event) => set(event, false)} />${amount}</span>`;
  }

  /** What a plan of channels does to a layer; its group is what can be adjusted. */
  private channelCells({ facts, group, projection, rank }: LayerRow, kind: PlanKind, active: boolean): TemplateResult {
    const bases =
      kind === 'channels'
        ? nothing
        : html`<div role="gridcell" class="rank right">${projection?.action === 'factorize' ? exact(rank) : html`<span class="of">–</span>`}</div>`;
    return html`
      <div role="gridcell" class="group">${group === null ? nothing : groupChip(group, facts.name)}</div>
      <div role="gridcell" class="channels right">${group === null ? nothing : keptOf(group.projection.kept, group.projection.channels)}</div>
      ${bases}
      <div role="gridcell" class="keptColumn">${group === null ? nothing : this.groupRatio(group, facts.name, active)}</div>
      <div role="gridcell" class="lock">${group === null || !isRemovable(group.projection) ? nothing : this.groupLock(group, facts.name, active)}</div>`;
  }

  private groupRatio(group: GroupRow, layer: string, active: boolean): TemplateResult {
    const { name, channels, kept } = group.projection;
    const share = kept / channels;
    const amount = html`<span class="amount" aria-hidden="true">${Math.round(share * 100)}%</span>`;
    if (!isRemovable(group.projection) || group.override?.keep || this.session.state.settings === null) {
      return html`<span class="kept"><span class="bar" aria-hidden="true"><span ${styleVars({ '--share': String(share) })}></span></span>${amount}</span>`;
    }
    const asked = askedChannels(group);
    const set = (event: Event, transient: boolean) => {
      const ratio = Number((event.target as HTMLInputElement).value) / channels;
      this.session.overrideGroup(name, { ratio }, transient);
    };
    return html`<span class="kept">
      <input type="range" min="1" max=${channels} step="1" tabindex=${active ? 0 : -1} aria-label=${strings.groups.keptOf(name, layer)}
        aria-valuetext=${strings.layers.rankOf(asked, channels)} .value=${live(String(asked))}
        @input=${(event: Event) => set(event, true)} @change=${(event: Event) => set(event, false)} />${amount}</span>`;
  }

  private groupLock({ projection: { name }, override }: GroupRow, layer: string, active: boolean): TemplateResult {
    const locked = override?.keep === true;
    return html`<button type="button" class="plain" aria-pressed=${locked ? 'true' : 'false'} tabindex=${active ? 0 : -1}
      aria-label=${strings.groups.lock(name, layer)} title=${locked ? strings.groups.unlockTitle : strings.groups.lockTitle}
      ?disabled=${this.session.state.settings === null}
      @click=${() => this.session.overrideGroup(name, locked ? null : { keep: true })}>${locked ? icons.lock : icons.unlock}</button>`;
  }

  private lock(row: LayerRow, active: boolean): TemplateResult {
    const locked = row.override?.keep === true;
    return html`<button type="button" class="plain" aria-pressed=${locked ? 'true' : 'false'} tabindex=${active ? 0 : -1}
      aria-label=${strings.layers.lock(row.facts.name)} title=${locked ? strings.layers.unlockTitle : strings.layers.lockTitle}
      ?disabled=${this.session.state.settings === null}
      @click=${() => this.session.override(row.facts.name, locked ? null : { keep: true })}>${locked ? icons.lock : icons.unlock}</button>`;
  }

  private noMatch(): TemplateResult {
    const clear = () => this.session.ui.update({ filter: '', operator: '' });
    return blank(
      strings.notices.noMatch,
      '',
      html`<button type="button" class="link" @click=${clear}>${strings.notices.clearFilter}</button>`,
    );
  }

  private onFilter(event: Event): void {
    this.session.ui.update({ filter: (event.target as HTMLInputElement).value });
    this.toTop();
  }

  private onFilterKey(event: KeyboardEvent): void {
    if (event.key !== 'ArrowDown') return;
    event.preventDefault();
    this.focusGrid();
    if (this.session.state.selectedLayer === null) this.move(0);
  }

  private onOperator(event: Event): void {
    this.session.ui.update({ operator: (event.target as HTMLSelectElement).value });
    this.toTop();
  }

  private toTop(): void {
    if (this.grid !== null) this.grid.scrollTop = 0;
  }

  private onPointer(event: PointerEvent): void {
    const row = event.type === 'pointerleave' ? null : (event.target as Element).closest<HTMLElement>('.row');
    this.hovered = row?.dataset.layer ?? null;
  }

  private onScroll(event: Event): void {
    this.offset = (event.target as HTMLElement).scrollTop;
    this.session.ui.remember({ scrollTop: this.offset });
  }

  private onKey(event: KeyboardEvent): void {
    // Keys pressed in a row's slider or button are theirs.
    if (event.target !== event.currentTarget) return;
    const shown = this.shownRows();
    const { selectedLayer } = this.session.state;
    const active = shown.findIndex(({ facts }) => facts.name === selectedLayer);
    const page = Math.max(1, Math.floor((this.viewHeight - headHeight) / rowHeight) - 1);
    if (event.key === 'Enter' && active >= 0) {
      event.preventDefault();
      this.dispatchEvent(new CustomEvent('open-detail', { bubbles: true, composed: true }));
      return;
    }
    const next: Readonly<Record<string, number>> = {
      ArrowDown: active + 1,
      ArrowUp: active < 0 ? shown.length - 1 : active - 1,
      PageDown: active + page,
      PageUp: active - page,
      Home: 0,
      End: shown.length - 1,
    };
    if (next[event.key] === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.move(next[event.key]);
  }

  /** Selects the row at a position and brings it into view. */
  private move(position: number): void {
    const shown = this.shownRows();
    if (shown.length === 0) return;
    const target = Math.min(shown.length - 1, Math.max(0, position));
    this.session.select(shown[target].facts.name);
    const grid = this.grid;
    if (grid === null) return;
    const top = target * rowHeight;
    const visible = this.viewHeight - headHeight;
    if (top < grid.scrollTop) grid.scrollTop = top;
    else if (top + rowHeight > grid.scrollTop + visible) grid.scrollTop = top + rowHeight - visible;
  }
}

/** Long names differ at their end: the middle gives way, and the whole text is still there to read and find. */
function layerName(name: string): string | TemplateResult {
  if (name.length <= nameTail + 4) return name;
  return html`<span class="start ellipsis">${name.slice(0, -nameTail)}</span><span class="end">${name.slice(-nameTail)}</span>`;
}

const keptOf = (kept: number, all: number) => html`${exact(kept)}<span class="of"> / ${exact(all)}</span>`;

declare global {
  interface HTMLElementTagNameMap {
    'espalier-layer-table': EspalierLayerTable;
  }
}

/** The slider's column has its own class, since `.kept` names the kept part of charts. */
function cellClass(id: Column['id']): string {
  return id === 'kept' ? 'keptColumn' : id;
}
