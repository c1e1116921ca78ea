/** The training of the run on screen: its chart, what it did for the accuracy, and the card of one that was stopped. */
import { css, html, nothing, type TemplateResult } from 'lit';
import type { RunResult } from '../../src/protocol/plan';
import type { TrainingCurve } from '../../src/protocol/runs';
import type { RunState } from '../../src/protocol/view';
import '@vscode-elements/elements/dist/vscode-button/index.js';
import '../controls/trainingChart';
import { icons } from '../controls/icons';
import type { Session } from '../session';
import { strings } from '../strings';
import { trainingSentences } from './trainingSentences';

export const runCardStyles = css`
  .run-card {
    display: grid;
    gap: 10px;
  }
  .run-card .line {
    display: grid;
    grid-template-columns: 16px minmax(0, 1fr) auto;
    gap: 4px 8px;
    align-items: center;
  }
  .run-card .buttons {
    display: flex;
    flex-wrap: wrap;
    gap: 8px;
  }
  @container editor (max-width: 560px) {
    .run-card .buttons {
      grid-column: 2 / -1;
    }
  }
`;

export function trainingChart(session: Session, curve: TrainingCurve): TemplateResult {
  const change = ({ detail }: CustomEvent<'log' | 'linear'>) => session.ui.update({ lossScale: detail });
  return html`<espalier-training-chart .curve=${curve} .lossScale=${session.ui.value.lossScale} @scale-change=${change}></espalier-training-chart>`;
}

/** A training that was stopped: go on from its checkpoint, or forget it. */
export function runCard(session: Session, run: Extract<RunState, { kind: 'stopped' }>): TemplateResult {
  const { curve, trusted } = session.state;
  const { runId: id } = run;
  return html`
    <section class="run-card" aria-label=${strings.run.stopped}>
      <div class="line">
        ${icons.info}
        <div><strong>${strings.run.stopped}</strong> ${run.message}</div>
        <div class="buttons">
          <vscode-button ?disabled=${!trusted} @click=${() => session.act('resumeRun', { id })}>${strings.run.resume}</vscode-button>
          <vscode-button secondary @click=${() => session.act('deleteRun', { id })}>${strings.run.discard}</vscode-button>
        </div>
      </div>
      ${curve === null ? nothing : trainingChart(session, curve)}
    </section>
  `;
}

/** In the results: what training gave. */
export function trainingResult(session: Session, result: RunResult): TemplateResult | typeof nothing {
  const { curve } = session.state;
  const { training } = result;
  if (training === undefined && curve === null) return nothing;
  return html`
    <section class="wide">
      <h2>${strings.curve.heading}</h2>
      ${training === undefined ? nothing : html`<p>${trainingSentences(result)}</p>`}
      ${curve === null ? nothing : trainingChart(session, curve)}
    </section>
  `;
}
