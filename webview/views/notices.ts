/** Messages above the content: errors with what to do next, trust, what is missing. */
import { css, html, nothing, type TemplateResult } from 'lit';
import type { ErrorInfo } from '../../src/errors';
import { icons } from '../controls/icons';
import { strings } from '../strings';

export const noticeStyles = css`
  .notice {
    display: flex;
    gap: 8px;
    align-items: flex-start;
    padding: 8px 12px;
    border: 1px solid var(--line);
    border-left: 3px solid var(--dim);
    border-radius: 2px;
    overflow-wrap: anywhere;
  }
  .notice .text {
    flex: 1;
    min-width: 0;
  }
  /* Runtimes can be wordy: more of an error than this scrolls. */
  .notice.error .text {
    max-height: 9em;
    overflow-y: auto;
  }
  .notice .icon {
    margin-top: 1px;
  }
  .notice.error {
    border-left-color: var(--vscode-errorForeground);
    background: var(--vscode-inputValidation-errorBackground);
    color: var(--vscode-inputValidation-errorForeground, var(--fg));
  }
  .notice.warning {
    border-left-color: var(--warn);
  }
  .notice .code {
    font-family: var(--vscode-editor-font-family, monospace);
    font-size: 0.88em;
  }
  .blank {
    display: flex;
    flex-direction: column;
    gap: 10px;
    align-items: center;
    justify-content: center;
    padding: 48px 24px;
    text-align: center;
  }
  .blank p {
    max-width: 44em;
    color: var(--dim);
  }
`;

export function errorNotice(error: ErrorInfo, onDismiss: (() => void) | null): TemplateResult {
  return html`
    <div class="notice error" role="alert">
      ${icons.warning}
      <div class="text">
        <p><strong>${error.message}</strong></p>
        <p>${error.hint}</p>
        <p class="code">${error.code}</p>
      </div>
      ${
        onDismiss === null
          ? nothing
          : html`<button type="button" class="plain" aria-label=${strings.errors.dismiss} title=${strings.errors.dismiss}
              @click=${onDismiss}>${icons.close}</button>`
      }
    </div>
  `;
}

export function notice(kind: 'info' | 'warning', title: string, text: string): TemplateResult {
  return html`
    <div class="notice ${kind}" role="note">
      ${kind === 'warning' ? icons.warning : icons.info}
      <div class="text"><strong>${title}</strong> ${text}</div>
    </div>
  `;
}

/** A section with nothing in it yet. */
export function blank(title: string, text: string, action: TemplateResult | typeof nothing = nothing): TemplateResult {
  return html`<div class="blank"><h2>${title}</h2>${text === '' ? nothing : html`<p>${text}</p>`}${action}</div>`;
}
