/** A run under way: what it does, how far it is and how long it has taken. */
import { css, html, nothing, type TemplateResult } from 'lit';
import type { TrainingProgress } from '../../src/protocol/plan';
import type { RunState } from '../../src/protocol/view';
import '@vscode-elements/elements/dist/vscode-progress-bar/index.js';
import '@vscode-elements/elements/dist/vscode-button/index.js';
import '../controls/elapsed';
import { count, duration, percent, progressPercent } from '../format';
import type { Session } from '../session';
import { strings } from '../strings';

type Running = Extract<RunState, { kind: 'running' }>;

export const progressStyles = css`
  .progress {
    display: grid;
    grid-template-columns: minmax(0, 1fr) auto;
    gap: 2px 12px;
    align-items: center;
  }
  .progress vscode-progress-bar {
    grid-column: 1 / -1;
  }
  .progress .amount {
    color: var(--dim);
    font-variant-numeric: tabular-nums;
    white-space: nowrap;
  }
  .progress .training {
    grid-column: 1 / -1;
    color: var(--dim);
  }
`;

/** @param details whether epoch, speed and time left of a training are shown as well */
export function runProgress(run: Running, { details = false } = {}): TemplateResult {
  const { fraction, training } = run.progress;
  const message = run.paused ? pausedMessage(run, details) : run.progress.message;
  return html`
    <div class="progress">
      <span class="ellipsis" role="status" title=${message}>${message}</span>
      <span class="amount">${fraction === null ? '' : `${progressPercent(fraction)} · `}<espalier-elapsed .since=${run.startedAt}></espalier-elapsed></span>
      <vscode-progress-bar aria-label=${strings.run.progress} .value=${fraction === null ? undefined : fraction * 100}
        ?indeterminate=${fraction === null}></vscode-progress-bar>
      ${details && training !== undefined ? html`<p class="training number">${trainingLine(training, run.paused)}</p>` : nothing}
    </div>
  `;
}

/** Where a training was paused stands in its details. */
function pausedMessage({ progress: { message, training } }: Running, details: boolean): string {
  return details && training !== undefined ? strings.run.paused : strings.run.pausedAt(message);
}

/** "Epoch 2 of 10 · step 170 of 1,570 · 1,240 images/s · 4 min left" */
function trainingLine(
  { epoch, epochs, step, steps, imagesPerSecond, secondsLeft, cut }: TrainingProgress,
  paused: boolean,
) {
  const text = strings.run;
  return [
    text.epoch(epoch, epochs),
    text.step(step, steps),
    ...(cut === undefined ? [] : [text.cut(percent(cut))]),
    ...(paused ? [] : [text.speed(count(imagesPerSecond))]),
    ...(paused || secondsLeft === null ? [] : [text.timeLeft(duration(secondsLeft))]),
  ].join(' · ');
}

/** Pause (while training) and cancel. */
export function runButtons(session: Session, run: Running): TemplateResult {
  const pause = () => session.act('pause', { paused: !run.paused });
  const cancel = () => session.act('cancel', {});
  return html`
    ${run.progress.training === undefined && !run.paused ? nothing : html`<vscode-button ?secondary=${!run.paused} @click=${pause}>${run.paused ? strings.run.goOn : strings.run.pause}</vscode-button>`}
    <vscode-button secondary @click=${cancel}>${strings.run.cancel}</vscode-button>`;
}
