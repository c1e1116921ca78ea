/** `<espalier-editor>`: the model editor. Header, whole model, layers and the selected layer; the results after a run. */
import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import { dataTableStyles } from '../controls/dataTable';
import type { ChartExport } from '../controls/figure';
import { panelId, tabId, tabStyles, tabs } from '../controls/tabs';
import { type LayerRow, layerRows } from '../layers';
import { Memo } from '../memo';
import type { UiState } from '../persisted';
import { hasNoBases } from '../runnable';
import { type Session, SessionController } from '../session';
import { strings } from '../strings';
import { baseStyles, controlStyles } from '../styles';
import { header, headerStyles } from './header';
import './layerDetail';
import './layerTable';
import { compactionProgress, compactionStyles } from './compaction';
import { blank, errorNotice, notice, noticeStyles } from './notices';
import { Overview, overviewStyles } from './overview';
import { progressStyles, runButtons, runProgress } from './progress';
import { type Outcome, results, resultsStyles } from './results';
import { shapesForm, shapesFormStyles } from './shapesForm';
import './runs';
import { sensitivityStyles } from './sensitivityMap';
import { runCard, runCardStyles, trainingChart } from './trainingView';
import { undoKeys } from './undoKeys';

@customElement('espalier-editor')
export class EspalierEditor extends LitElement {
  static override styles = [
    baseStyles,
    controlStyles,
    tabStyles,
    dataTableStyles,
    headerStyles,
    noticeStyles,
    overviewStyles,
    progressStyles,
    resultsStyles,
    runCardStyles,
    compactionStyles,
    sensitivityStyles,
    shapesFormStyles,
    css`
      :host {
        display: block;
        height: 100%;
        container: editor / inline-size;
      }
      .page {
        display: flex;
        flex-direction: column;
        height: 100%;
        overflow-y: auto;
      }
      .messages:not(:empty) {
        display: grid;
        gap: 6px;
        flex: none;
        padding: 8px 18px;
        border-bottom: 1px solid var(--line);
      }
      .running {
        display: grid;
        grid-template-columns: minmax(0, 1fr) auto;
        gap: 16px;
        align-items: center;
      }
      .running .buttons {
        display: flex;
        flex-wrap: wrap;
        gap: 8px;
      }
      .page > .tabs {
        flex: none;
        padding: 4px 14px 0;
      }
      .layers {
        display: flex;
        flex: 1 0 auto;
        flex-direction: column;
        height: 0;
        min-height: max(420px, 60%);
      }
      .split {
        display: grid;
        flex: 1 1 auto;
        grid-template-columns: minmax(0, 1fr);
        min-height: 300px;
      }
      .split.two {
        grid-template-columns: minmax(0, 1.3fr) minmax(360px, 1fr);
      }
      .split > espalier-layer-detail {
        border-left: 1px solid var(--line);
        overflow-y: auto;
      }
      @container editor (max-width: 900px) {
        .layers {
          display: block;
          height: auto;
        }
        .split.two {
          display: block;
        }
        espalier-layer-table {
          height: 360px;
        }
        .split:not(.two) espalier-layer-table {
          height: 480px;
        }
        .split > espalier-layer-detail {
          border-left: none;
          border-top: 1px solid var(--line);
        }
      }
      .skeleton {
        display: grid;
        gap: 10px;
        padding: 18px;
      }
      .skeleton span {
        height: 20px;
        border-radius: 2px;
        background: var(--track);
        animation: pulse 1.6s ease-in-out infinite alternate;
      }
      @keyframes pulse {
        to {
          opacity: 0.4;
        }
      }
    `,
  ];

  @property({ attribute: false }) session!: Session;
  private readonly overview = new Overview();
  private readonly rowsMemo = new Memo<readonly LayerRow[]>();
  private lastRun: string | null = null;

  constructor() {
    super();
    new SessionController(this, () => this.session);
  }

  /** A run that finishes while one looks on shows its results. */
  protected override willUpdate(_changed: PropertyValues): void {
    const { run } = this.session.state;
    if (run.kind === 'running') this.lastRun = 'running';
    else if (run.kind === 'done' || run.kind === 'failed') {
      if (this.lastRun === 'running') this.session.ui.remember({ view: 'results' });
      this.lastRun = run.kind;
    }
  }

  override render(): TemplateResult {
    const { state, ui } = this.session;
    const { facts, run } = state;
    const outcome = run.kind === 'done' || run.kind === 'failed' ? run : null;
    const view = ui.value.view === 'results' && outcome === null ? 'layers' : ui.value.view;
    return html`
      <main class="page" @chart-export=${this.onExport} @open-detail=${this.onOpenDetail} @leave-detail=${this.onLeaveDetail}
        @keydown=${(event: KeyboardEvent) => undoKeys(this.session, event)}>
        ${header(state, facts === null || facts.shapesReason !== null ? nothing : shapesForm(this.session, facts), this.session.error !== null)}
        <div class="messages">${this.messages()}</div>
        ${
          facts !== null
            ? html`
                ${tabs({
                  name: 'view',
                  label: strings.views.label,
                  tabs: [
                    { id: 'layers', label: strings.views.layers },
                    { id: 'runs', label: strings.views.runs(state.runs.length) },
                    ...(outcome === null ? [] : [{ id: 'results', label: strings.views.results } as const]),
                  ],
                  chosen: view,
                  onChoose: (chosen) => ui.update({ view: chosen }),
                })}
                <div id=${panelId('view')} role="tabpanel" aria-labelledby=${tabId('view', view)} class=${view === 'layers' ? 'layers' : ''}>${this.content(view, outcome)}</div>`
            : html`<div class="layers">${this.layers()}</div>`
        }
      </main>
    `;
  }

  private content(view: UiState['view'], outcome: Outcome | null): TemplateResult {
    if (view === 'runs') return html`<espalier-runs .session=${this.session}></espalier-runs>`;
    return view === 'results' && outcome !== null ? results(this.session, outcome) : this.layers();
  }

  private messages(): unknown {
    const { state, error } = this.session;
    const { facts, run, projection } = state;
    return [
      error === null ? nothing : errorNotice(error, facts === null ? null : () => this.session.dismissError()),
      state.trusted ? nothing : notice('warning', strings.notices.untrusted, strings.notices.untrustedHint),
      run.kind === 'running' ? this.running(run) : nothing,
      run.kind === 'stopped' ? runCard(this.session, run) : nothing,
      facts === null || facts.shapesReason === null ? nothing : shapesForm(this.session, facts),
      projection?.shortfall == null ? nothing : notice('warning', strings.notices.shortfall, projection.shortfall),
      facts !== null && facts.layers.length > 0 && hasNoBases(state)
        ? notice('info', strings.notices.noBases, strings.notices.noBasesHint)
        : nothing,
    ].filter((part) => part !== nothing);
  }

  private running(run: Parameters<typeof runProgress>[0]): TemplateResult {
    const { curve } = this.session.state;
    const compaction = run.progress.training?.compaction;
    return html`
      <div class="running">${runProgress(run, { details: true })}<div class="buttons">${runButtons(this.session, run)}</div></div>
      ${curve === null ? nothing : trainingChart(this.session, curve)}
      ${compaction === undefined ? nothing : compactionProgress(compaction)}`;
  }

  private layers(): TemplateResult {
    const { facts, projection, settings, selectedLayer } = this.session.state;
    if (facts === null) return this.waiting();
    if (facts.layers.length === 0) return blank(strings.notices.noLayers, strings.notices.noLayersHint);
    const rows = this.rowsMemo.get([facts, projection, settings], () => layerRows(facts, projection, settings));
    const selected = rows.find((row) => row.facts.name === selectedLayer);
    return html`
      ${this.overview.render(this.session, rows)}
      <div class="split ${selected === undefined ? '' : 'two'}">
        <espalier-layer-table .session=${this.session} .rows=${rows}></espalier-layer-table>
        ${selected === undefined ? nothing : html`<espalier-layer-detail .session=${this.session} .row=${selected}></espalier-layer-detail>`}
      </div>
    `;
  }

  private waiting(): TemplateResult {
    // After an error there is nothing to wait for.
    if (this.session.error !== null) return html``;
    return html`
      <div class="skeleton" role="status" aria-label=${strings.loading.reading}>
        ${Array.from({ length: 8 }, () => html`<span></span>`)}
      </div>
    `;
  }

  private onExport(event: CustomEvent<ChartExport>): void {
    this.session.act('export', event.detail);
  }

  private onOpenDetail(): void {
    void this.renderRoot.querySelector('espalier-layer-detail')?.focusCut();
  }

  private onLeaveDetail(): void {
    this.renderRoot.querySelector('espalier-layer-table')?.focusGrid();
  }
}
