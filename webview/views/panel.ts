/** `<espalier-panel>`: the side panel. What to prune and how, the projection, and the run. */
import { css, html, LitElement, nothing, type TemplateResult } from 'lit';
import { customElement, property } from 'lit/decorators.js';
import type { PruneSettings } from '../../src/protocol/recipe';
import type { SessionState } from '../../src/protocol/view';
import '@vscode-elements/elements/dist/vscode-button/index.js';
import { hasTarget } from '../../src/settings/methods';
import { fieldStyles } from '../controls/fields';
import { icons } from '../controls/icons';
import { styleVars } from '../controls/styleVars';
import { elapsed } from '../format';
import { whyNotRun } from '../runnable';
import { type Session, SessionController } from '../session';
import { strings } from '../strings';
import { baseStyles, controlStyles } from '../styles';
import { isCurrentPlan, tiles } from '../tiles';
import { modelLine } from './header';
import { errorNotice, notice, noticeStyles } from './notices';
import { dataSection } from './panelData';
import { machineSection, methodSection, optionsSection } from './panelMethod';
import { panelTrainingStyles, trainingSection } from './panelTraining';
import { progressStyles, runButtons, runProgress } from './progress';
import { undoKeys } from './undoKeys';

type SectionId = keyof typeof strings.panel.sections;

@customElement('espalier-panel')
export class EspalierPanel extends LitElement {
  static override styles = [
    baseStyles,
    controlStyles,
    fieldStyles,
    noticeStyles,
    progressStyles,
    panelTrainingStyles,
    css`
      :host {
        display: block;
        height: 100%;
      }
      .panel {
        display: flex;
        flex-direction: column;
        height: 100%;
      }
      .scroll {
        flex: 1 1 auto;
        min-height: 0;
        overflow-y: auto;
      }
      /* Too low for a foot of its own: everything scrolls. */
      @media (max-height: 560px) {
        .panel {
          display: block;
          overflow-y: auto;
        }
        .panel > .scroll {
          overflow: visible;
        }
      }
      .model {
        display: flex;
        gap: 4px;
        align-items: center;
        padding: 8px 12px 8px 20px;
      }
      .model > div {
        flex: 1;
        min-width: 0;
      }
      .section {
        border-top: 1px solid var(--line);
      }
      .section > summary {
        padding: 5px 10px 5px 8px;
        font-size: 0.85em;
        font-weight: 700;
        letter-spacing: 0.03em;
        text-transform: uppercase;
      }
      .section > .body {
        padding: 0 20px 14px;
      }
      .section > .body > .field:first-child {
        margin-top: 4px;
      }
      .pair {
        display: grid;
        grid-template-columns: minmax(0, 1fr) minmax(0, 1fr);
        gap: 0 10px;
      }
      .target {
        display: grid;
        grid-template-columns: minmax(0, 1fr) 86px;
        gap: 6px;
      }
      .target .unit {
        position: relative;
      }
      .line {
        display: flex;
        flex-wrap: wrap;
        gap: 4px 8px;
        align-items: center;
        margin-top: 6px;
      }
      .part {
        margin-top: 14px;
      }
      .path {
        overflow-wrap: anywhere;
      }
      .foot {
        display: grid;
        gap: 8px;
        flex: none;
        padding: 10px 20px 14px;
        border-top: 1px solid var(--line);
        background: var(--page);
      }
      .foot vscode-button {
        width: 100%;
      }
      .buttons {
        display: grid;
        grid-auto-columns: minmax(0, 1fr);
        grid-auto-flow: column;
        gap: 8px;
      }
      .summary {
        display: grid;
        gap: 4px;
      }
      .summary .entry {
        display: flex;
        flex-wrap: wrap;
        gap: 0 8px;
        align-items: baseline;
      }
      .summary dt {
        flex: 1 1 auto;
        color: var(--dim);
      }
      .summary .change {
        min-width: 6.5ch;
        margin-left: auto;
        text-align: right;
      }
      .summary .bar {
        flex: 0 0 100%;
      }
      .messages:not(:empty) {
        display: grid;
        gap: 6px;
        padding: 8px 12px;
      }
      .messages .notice {
        padding: 6px 8px;
      }
      .preprocessing {
        margin-top: 10px;
      }
    `,
  ];

  @property({ attribute: false }) session!: Session;

  constructor() {
    super();
    new SessionController(this, () => this.session);
  }

  override render(): TemplateResult {
    const { session } = this;
    const { state, error } = session;
    if (!session.connected && error === null) return html`<p class="blank dim">${strings.loading.connecting}</p>`;
    if (state.title === null) {
      return html`<main class="scroll">
        ${error === null ? nothing : html`<div class="messages">${errorNotice(error, () => session.dismissError())}</div>`}
        ${this.empty()}
      </main>`;
    }
    const { settings } = state;
    return html`
      <main class="panel" @keydown=${this.onKey}>
        <div class="scroll">
          ${this.model()}
          <div class="messages">${this.messages()}</div>
          ${settings === null ? html`<p class="blank dim">${strings.loading.reading}</p>` : this.sections(settings)}
        </div>
        ${settings === null ? nothing : html`<div class="foot">${this.summary()} ${this.actions()}</div>`}
      </main>
    `;
  }

  private empty(): TemplateResult {
    return html`
      <div class="blank">
        <h1>${strings.panel.empty}</h1>
        <p>${strings.panel.emptyHint}</p>
        <vscode-button @click=${() => this.session.act('openModel', {})}>${strings.panel.open}</vscode-button>
        <p class="small">${strings.panel.emptyTip}</p>
      </div>`;
  }

  private model(): TemplateResult {
    const { title, facts, canUndo, canRedo } = this.session.state;
    const button = (method: 'undo' | 'redo', enabled: boolean) => html`
      <button type="button" class="plain" aria-label=${strings.run[method]} title=${strings.run[method]} ?disabled=${!enabled}
        @click=${() => this.session.act(method, {})}>${icons[method]}</button>`;
    return html`
      <div class="model">
        <div>
          <h1 class="ellipsis" title=${facts?.path ?? ''}>${title}</h1>
          <p class="dim small">${facts === null ? strings.loading.reading : modelLine(facts)}</p>
        </div>
        ${button('undo', canUndo)} ${button('redo', canRedo)}
      </div>
    `;
  }

  private messages(): unknown {
    const { session } = this;
    const { trusted, projection, run } = session.state;
    return [
      session.error === null ? nothing : errorNotice(session.error, () => session.dismissError()),
      trusted ? nothing : notice('warning', strings.notices.untrusted, strings.notices.untrustedHint),
      run.kind === 'failed' ? errorNotice(run.error, null) : nothing,
      projection?.shortfall == null ? nothing : notice('warning', strings.notices.shortfall, projection.shortfall),
    ].filter((part) => part !== nothing);
  }

  private sections(settings: PruneSettings): TemplateResult {
    const { session } = this;
    return html`
      <form aria-label=${strings.panel.form} @submit=${(event: Event) => event.preventDefault()}>
        ${this.section('method', methodSection(session, settings))}
        ${this.section('data', dataSection(session, settings))}
        ${this.section('options', optionsSection(session, settings))}
        ${this.section('training', trainingSection(session, settings))}
        ${this.section('machine', machineSection(session, settings))}
      </form>
    `;
  }

  private section(id: SectionId, body: TemplateResult): TemplateResult {
    const { ui } = this.session;
    const folded = ui.value.folded.includes(id);
    const toggle = (event: Event) => {
      const { open } = event.target as HTMLDetailsElement;
      if (open !== folded) return;
      const others = ui.value.folded.filter((other) => other !== id);
      ui.update({ folded: open ? others : [...others, id] });
    };
    return html`
      <details class="section" ?open=${!folded} @toggle=${toggle}>
        <summary>${strings.panel.sections[id]}</summary>
        <div class="body">${body}</div>
      </details>
    `;
  }

  private summary(): TemplateResult | typeof nothing {
    const { state } = this.session;
    if (state.projection === null) return nothing;
    const shown = tiles(state).filter(({ id, after }) => id !== 'flops' && after !== null);
    return html`
      <section aria-label=${strings.panel.projection}>
        <dl class="summary number">
          ${shown.map(
            ({ id, short, before, after, share, note, title }) => html`
              <div class="entry" data-tile=${id} title=${title}>
                <dt>${short}</dt>
                <dd>${after === before ? before : html`<span class="dim">${before} →</span> ${after}`}</dd>
                <dd class="change">${note.split(' · ')[0]}</dd>
                ${share === null ? nothing : html`<dd class="bar" aria-hidden="true"><span ${styleVars({ '--share': String(share) })}></span></dd>`}
              </div>`,
          )}
        </dl>
        ${summaryNotes(state).map((note) => html`<p class="dim small">${note}</p>`)}
      </section>
    `;
  }

  private actions(): TemplateResult {
    const { session } = this;
    const { run, trusted } = session.state;
    if (run.kind === 'running') {
      return html`
        ${runProgress(run, { details: true })}
        <div class="buttons">${runButtons(session, run)}</div>`;
    }
    const problem = whyNotRun(session.state);
    const done = run.kind === 'done';
    return html`
      ${done ? html`<p class="small" role="status">${strings.run.done(elapsed(run.result.seconds), run.result.device)} ${run.savedAs === null ? '' : strings.run.savedAs(run.savedAs)}</p>` : nothing}
      <vscode-button ?disabled=${problem !== ''} ?secondary=${done && run.savedAs === null} title=${problem} @click=${() => session.act('run', {})}>${strings.run.run}</vscode-button>
      <vscode-button ?disabled=${!done || !trusted} ?secondary=${!done || run.savedAs !== null} title=${done ? '' : strings.run.whyNot.noRun} @click=${() => session.act('save', {})}>${strings.run.save}</vscode-button>
      ${problem === '' ? nothing : html`<p class="dim small">${problem}</p>`}
    `;
  }

  private onKey(event: KeyboardEvent): void {
    undoKeys(this.session, event);
  }
}

/** What the figures of a plan rest on. */
function summaryNotes(state: SessionState): readonly string[] {
  const { projection, settings, run } = state;
  if (projection === null) return [];
  // The figures are those of the run then.
  const assumed = run.kind === 'done' && isCurrentPlan(run, state) ? undefined : projection.assumed;
  const isOfBases = projection.groups === undefined && settings !== null && hasTarget(settings);
  return [isOfBases ? strings.panel.projectionBasis[projection.basis] : '', assumed ?? ''].filter(Boolean);
}
