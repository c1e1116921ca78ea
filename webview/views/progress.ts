/** A run under way: what it does, how far it is and how long it has taken. */
import { css, html, type TemplateResult } from 'lit';
import type { RunState } from '../../src/protocol/view';
import '@vscode-elements/elements/dist/vscode-progress-bar/index.js';
import '../controls/elapsed';
import { progressPercent } from '../format';
import { strings } from '../strings';

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
`;

export function runProgress(run: Extract<RunState, { kind: 'running' }>): TemplateResult {
  const { fraction, message } = run.progress;
  return html`
    <div class="progress">
      <span class="ellipsis" role="status" title=${message}>${message}</span>
      <span class="amount">${fraction === null ? '' : `${progressPercent(fraction)} · `}<espalier-elapsed .since=${run.startedAt}></espalier-elapsed></span>
      <vscode-progress-bar aria-label=${strings.run.progress} .value=${fraction === null ? undefined : fraction * 100}
        ?indeterminate=${fraction === null}></vscode-progress-bar>
    </div>
  `;
}
