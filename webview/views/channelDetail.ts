/** `<espalier-channel-detail>`: the group of the selected layer. Importance of its channels, its members, its cost. */
import { css, html, LitElement, nothing, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { GroupDetail } from '../../src/protocol/plan';
import { channelOrder, channelsChart } from '../charts/channels';
import { chartStyles } from '../charts/styles';
import type { DataTable } from '../controls/dataTable';
import '../controls/figure';
import type { ChartSize, LegendItem } from '../controls/figure';
import { count, exact, percent, real } from '../format';
import type { GroupRow, Role } from '../groups';
import type { LayerRow } from '../layers';
import { roundedKept } from '../rounding';
import { type Session, SessionController } from '../session';
import { strings } from '../strings';
import { baseStyles, controlStyles } from '../styles';
import { groupChipStyles, groupMark } from './groupChip';
import { notice, noticeStyles } from './notices';

const legend: readonly LegendItem[] = [
  { label: strings.charts.kept, part: 'kept', kind: 'area' },
  { label: strings.charts.cut, part: 'cut', kind: 'area' },
];

function roundingText(group: GroupRow, multiple: number): string {
  const rounded = roundedKept(group, multiple);
  if (rounded === null) return '';
  return rounded.from === null
    ? strings.groups.inMultiples(multiple)
    : strings.groups.roundedUp(rounded.from, multiple);
}

@customElement('espalier-channel-detail')
export class EspalierChannelDetail extends LitElement {
  static override styles = [
    baseStyles,
    controlStyles,
    chartStyles,
    noticeStyles,
    groupChipStyles,
    css`
      :host {
        display: block;
        min-width: 0;
      }
      .tools {
        display: flex;
        flex-wrap: wrap;
        gap: 4px 12px;
        align-items: center;
      }
      .tools select {
        width: auto;
        min-height: 22px;
      }
      .tools label {
        display: inline-flex;
        gap: 4px;
        align-items: center;
      }
      .kept {
        margin-bottom: 6px;
      }
      .kept > svg {
        display: inline-block;
        vertical-align: middle;
      }
      h3 {
        margin-top: 12px;
      }
      .members {
        columns: 190px;
        column-gap: 16px;
      }
      .members li {
        display: flex;
        gap: 6px;
        break-inside: avoid;
        align-items: baseline;
      }
      .members .link {
        min-width: 0;
        padding: 0;
        overflow-wrap: anywhere;
        text-align: left;
      }
      .members .link[aria-current] {
        color: inherit;
        font-weight: 600;
        cursor: default;
      }
      .members .dim {
        flex: none;
      }
      .notice {
        margin: 8px 0;
      }
      .waiting {
        display: grid;
        place-content: center;
        height: 220px;
        color: var(--dim);
        font-style: italic;
      }
    `,
  ];

  @property({ attribute: false }) session!: Session;
  @property({ attribute: false }) row!: LayerRow;

  constructor() {
    super();
    new SessionController(this, () => this.session);
  }

  protected override updated(): void {
    const { group } = this.row;
    const { projection } = this.session.state;
    if (group !== null && projection !== null) this.session.groups.want(group.projection.name, projection);
  }

  override render(): TemplateResult {
    const { group } = this.row;
    if (group === null) return html`<p class="dim">${strings.groups.none}</p>`;
    const { projection } = group;
    const { inexact } = projection;
    return html`
      <p class="kept number">${groupMark(group)} ${strings.groups.heading(group.index + 1, projection.name)}: ${this.keptText(group)}</p>
      ${this.importance(group)}
      ${inexact === null ? nothing : notice('info', `${strings.groups.inexact}:`, strings.groups.inexactText(inexact))}
      <p class="number">${strings.groups.cost(count(projection.perChannel.macs), count(projection.perChannel.params))}</p>
      <h3>${strings.groups.members}</h3>
      <ul class="members">${[...group.roles].map(([layer, role]) => this.member(layer, role))}</ul>
    `;
  }

  private keptText(group: GroupRow): string {
    const { kept, channels } = group.projection;
    const rounding = roundingText(group, this.session.state.settings?.multiple ?? 1);
    return `${strings.groups.keptText(kept, channels, percent(kept / channels))}${rounding === '' ? '.' : `: ${rounding}.`}`;
  }

  private importance(group: GroupRow): TemplateResult {
    const { name } = group.projection;
    const detail = this.session.groups.get(name);
    if (detail === null) return html`<p class="waiting" role="status">${strings.loading.importance}</p>`;
    if ('failure' in detail) return html`<p class="waiting" role="status">${detail.failure}</p>`;
    if (detail.importance.length === 0) return html`<p class="dim">${strings.groups.noScores}</p>`;
    const { channelsSorted: sorted, scale } = this.session.ui.value;
    const { importance, kept } = detail;
    const stays = kept.reduce((sum, value) => sum + value, 0);
    return html`<espalier-figure .heading=${strings.groups.chart(name)} .headingHidden=${true} .name=${`${name}-channels`} .height=${240}
      .description=${strings.groups.description(stays, kept.length)} .legend=${legend}
      .draw=${(size: ChartSize) => channelsChart({ ...size, importance, kept, sorted, scale })}
      .note=${() => (detail.criterion === null ? '' : strings.groups.criterion(detail.criterion))}
      .table=${() => channelTable(detail, sorted)}>${this.tools(sorted, scale)}</espalier-figure>`;
  }

  private tools(sorted: boolean, scale: 'log' | 'linear'): TemplateResult {
    const { ui } = this.session;
    return html`<div class="tools" slot="tools">
      <label><input type="checkbox" .checked=${sorted}
        @change=${(event: Event) => ui.update({ channelsSorted: (event.target as HTMLInputElement).checked })} />${strings.groups.sorted}</label>
      <select aria-label=${strings.detail.scale} @change=${(event: Event) => ui.update({ scale: (event.target as HTMLSelectElement).value as 'log' | 'linear' })}>
        ${(['log', 'linear'] as const).map((value) => html`<option value=${value} ?selected=${value === scale}>${strings.detail.scales[value]}</option>`)}
      </select></div>`;
  }

  private member(layer: string, role: Role): TemplateResult {
    const isShown = layer === this.row.facts.name;
    return html`<li><button type="button" class="link" aria-current=${isShown ? 'true' : nothing}
      @click=${() => this.session.select(layer)}>${layer}</button> <span class="dim small">${strings.groups.roles[role]}</span></li>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'espalier-channel-detail': EspalierChannelDetail;
  }
}

function channelTable({ group, importance, kept }: GroupDetail, sorted: boolean): DataTable {
  const { table } = strings.detail;
  return {
    caption: strings.groups.chart(group),
    columns: [
      { label: strings.groups.channel, format: exact },
      { label: table.importance, format: real },
      { label: table.state },
    ],
    rows: channelOrder({ importance, sorted }).map((i) => [
      i + 1,
      importance[i],
      kept[i] === 1 ? table.kept : table.cut,
    ]),
  };
}
