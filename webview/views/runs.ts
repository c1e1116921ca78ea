/** `<espalier-runs>`: this model's runs, as accuracy against cost and as a list with what can be done with each. */
import { css, html, LitElement, nothing, type TemplateResult } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import type { RunSummary } from '../../src/protocol/runs';
import { markPath } from '../charts/marks';
import { paretoChart } from '../charts/pareto';
import '../controls/figure';
import type { ChartSize, LegendItem } from '../controls/figure';
import { icons } from '../controls/icons';
import { dateTime, elapsed, factor, percent, points } from '../format';
import {
  methodLabel,
  methodMark,
  originalAccuracy,
  paretoPoints,
  type RunAction,
  runActions,
  runsTable,
} from '../runs';
import { type Session, SessionController } from '../session';
import { strings } from '../strings';
import { baseStyles, controlStyles } from '../styles';
import { blank, noticeStyles } from './notices';

const requests = {
  open: 'openRun',
  use: 'useRunSettings',
  save: 'saveRun',
  resume: 'resumeRun',
  delete: 'deleteRun',
} as const satisfies Record<RunAction, string>;

@customElement('espalier-runs')
export class EspalierRuns extends LitElement {
  static override styles = [
    baseStyles,
    controlStyles,
    noticeStyles,
    css`
      :host {
        display: block;
        padding: 14px 18px 24px;
        container: runs / inline-size;
      }
      table {
        width: 100%;
        margin-top: 16px;
        border-collapse: collapse;
        font-variant-numeric: tabular-nums;
      }
      th,
      td {
        padding: 5px 10px 5px 0;
        border-bottom: 1px solid var(--line);
        font-weight: 400;
        text-align: left;
        vertical-align: top;
      }
      thead th {
        color: var(--dim);
        font-size: 0.92em;
      }
      tbody th {
        overflow-wrap: anywhere;
      }
      .right {
        text-align: right;
        white-space: nowrap;
      }
      tr[aria-current] th strong::before {
        content: '▸ ';
      }
      .actions {
        display: flex;
        flex-wrap: wrap;
        gap: 2px 8px;
        justify-content: flex-end;
      }
      .state {
        display: block;
        overflow-wrap: anywhere;
      }
      .failed {
        color: var(--bad);
      }
      @container runs (max-width: 760px) {
        .wide {
          display: none;
        }
      }
      @container runs (max-width: 420px) {
        .medium {
          display: none;
        }
      }
    `,
  ];

  @property({ attribute: false }) session!: Session;
  /** The run pointed at or focused. */
  @state() private active: string | null = null;

  constructor() {
    super();
    new SessionController(this, () => this.session);
  }

  override render(): TemplateResult {
    const { runs } = this.session.state;
    if (runs.length === 0) return blank(strings.runs.none, strings.runs.noneHint);
    return html`
      ${this.chart(runs)}
      <table>
        <caption class="visually-hidden">${strings.runs.heading}</caption>
        <thead><tr>
          <th scope="col">${strings.runs.columns.run}</th>
          <th scope="col" class="right">${strings.runs.columns.macs}</th>
          <th scope="col" class="right wide">${strings.runs.columns.params}</th>
          <th scope="col" class="right">${strings.runs.columns.accuracy}</th>
          <th scope="col" class="right medium">${strings.runs.columns.speed}</th>
          <th scope="col" class="right">${strings.runs.columns.actions}</th>
        </tr></thead>
        <tbody>${runs.map((run) => this.row(run))}</tbody>
      </table>
    `;
  }

  private chart(runs: readonly RunSummary[]): TemplateResult {
    const { active } = this;
    const shown = paretoPoints(runs);
    if (shown.length === 0) return html`<p class="dim">${strings.runs.noPoints}</p>`;
    const original = originalAccuracy(runs);
    const draw = (size: ChartSize) =>
      paretoChart({
        ...size,
        points: shown,
        original,
        current: this.current(),
        active,
        onOpen: (id) => void this.do('open', id),
        onActive: (id) => {
          this.active = id;
        },
        onKey: (event, id) => this.move(event, id),
      });
    return html`
      <espalier-figure interactive .heading=${strings.runs.chart} .name=${'runs'} .height=${300} .legend=${legend(runs, original !== null)}
        .description=${strings.runs.description(shown.length)} .draw=${draw} .table=${() => runsTable(runs)}
        .note=${() => (shown.length < runs.length ? strings.runs.withoutFigures(runs.length - shown.length) : '')}></espalier-figure>`;
  }

  private row(run: RunSummary): TemplateResult {
    const { run: now, trusted } = this.session.state;
    const text = strings.runs;
    const isCurrent = run.id === this.current();
    const change =
      run.accuracy === null || run.accuracyBefore === null ? null : points(run.accuracyBefore, run.accuracy);
    return html`
      <tr aria-current=${isCurrent ? 'true' : nothing}>
        <th scope="row">
          <strong>${run.title}</strong>
          <span class="state small dim">${run.state === 'failed' ? html`<span class="failed">${icons.cross}</span> ` : nothing}${[text.states[run.state], dateTime(run.startedAt), run.seconds === null ? '' : elapsed(run.seconds), run.message ?? '', run.savedAs === null ? '' : strings.run.savedAs(run.savedAs)].filter(Boolean).join(' · ')}</span>
        </th>
        <td class="right">${percent(run.macsShare)}</td>
        <td class="right wide">${percent(run.paramsShare)}</td>
        <td class="right">${percent(run.accuracy)}${change === null ? nothing : html`<span class="state small dim medium">${change}</span>`}</td>
        <td class="right medium">${factor(run.speedup)}</td>
        <td><div class="actions">${runActions(run, now.kind === 'running').map((action) => this.action(run, action, trusted))}</div></td>
      </tr>
    `;
  }

  private action({ id, title }: RunSummary, action: RunAction, trusted: boolean): TemplateResult {
    const label = strings.runs.actions[action];
    const needsTrust = action === 'save' || action === 'resume';
    return html`<button type="button" class="link" aria-label=${`${label}: ${title}`} ?disabled=${needsTrust && !trusted}
      @click=${() => this.do(action, id)}>${label}</button>`;
  }

  /** What is opened is looked at. */
  private async do(action: RunAction, id: string): Promise<void> {
    const done = await this.session.act(requests[action], { id });
    if (done && action === 'open') this.session.ui.update({ view: 'results' });
  }

  private current(): string | null {
    const { run } = this.session.state;
    return 'runId' in run ? run.runId : null;
  }

  /** Arrows go from mark to mark, cheapest first. */
  private move(event: KeyboardEvent, id: string): void {
    const order = paretoPoints(this.session.state.runs).sort((a, b) => a.cost - b.cost || a.accuracy - b.accuracy);
    const at = order.findIndex((point) => point.id === id);
    const next: Readonly<Record<string, number>> = {
      ArrowLeft: at - 1,
      ArrowDown: at - 1,
      ArrowRight: at + 1,
      ArrowUp: at + 1,
      Home: 0,
      End: order.length - 1,
    };
    const wanted = order[next[event.key] ?? -1];
    if (wanted === undefined) return;
    event.preventDefault();
    const figure = this.renderRoot.querySelector('espalier-figure');
    figure?.renderRoot.querySelector<SVGElement>(`[data-run="${CSS.escape(wanted.id)}"]`)?.focus();
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'espalier-runs': EspalierRuns;
  }
}

function legend(runs: readonly RunSummary[], hasOriginal: boolean): readonly LegendItem[] {
  const shown = new Set(paretoPoints(runs).map(({ id }) => id));
  const labels = new Map(runs.filter(({ id }) => shown.has(id)).map((run) => [methodMark(run), methodLabel(run)]));
  return [
    ...[...labels]
      .sort(([a], [b]) => a - b)
      .map(([kind, label]): LegendItem => ({ label, part: `mark-${kind}`, kind: 'mark', d: markPath(kind, 7, 5, 4) })),
    { label: strings.runs.front, part: 'front', kind: 'line' },
    ...(hasOriginal
      ? [{ label: strings.runs.original, part: 'original', kind: 'mark', d: 'M3 1L11 9M11 1L3 9' } as const]
      : []),
  ];
}
