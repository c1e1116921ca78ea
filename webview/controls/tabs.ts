/** A row of tabs (WAI-ARIA tabs pattern: arrows move and choose). The panel belongs to the caller, see `panelId`. */
import { css, html, type TemplateResult } from 'lit';

export interface Tab<T extends string> {
  readonly id: T;
  readonly label: string;
}

export const tabStyles = css`
  .tabs {
    display: flex;
    gap: 4px;
    border-bottom: 1px solid var(--line);
  }
  .tabs button {
    padding: 4px 8px;
    color: var(--vscode-panelTitle-inactiveForeground, var(--dim));
    background: none;
    border: none;
    border-bottom: 1px solid transparent;
    margin-bottom: -1px;
    font: inherit;
    cursor: pointer;
  }
  .tabs button:hover {
    color: var(--fg);
  }
  .tabs button[aria-selected='true'] {
    color: var(--vscode-panelTitle-activeForeground, var(--fg));
    border-bottom-color: var(--vscode-contrastActiveBorder, var(--vscode-panelTitle-activeBorder, var(--fg)));
    box-shadow: inset 0 -2px var(--vscode-contrastActiveBorder, transparent);
  }
`;

/** For the panel's `id`; its `aria-labelledby` is `tabId(name, chosen)`. */
export const panelId = (name: string) => `${name}-panel`;
export const tabId = (name: string, tab: string) => `${name}-tab-${tab}`;

export function tabs<T extends string>(options: {
  /** Unique within the shadow root. */
  readonly name: string;
  readonly label: string;
  readonly tabs: readonly Tab<T>[];
  readonly chosen: T;
  readonly onChoose: (tab: T) => void;
}): TemplateResult {
  const { name, chosen, onChoose } = options;
  const move = (event: KeyboardEvent) => {
    const last = options.tabs.length - 1;
    const index = options.tabs.findIndex((tab) => tab.id === chosen);
    const next = {
      ArrowRight: index === last ? 0 : index + 1,
      ArrowLeft: index === 0 ? last : index - 1,
      Home: 0,
      End: last,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    onChoose(options.tabs[next].id);
    (event.currentTarget as HTMLElement).querySelectorAll('button')[next].focus();
  };
  return html`
    <div class="tabs" role="tablist" aria-label=${options.label} @keydown=${move}>
      ${options.tabs.map(
        (tab) => html`<button type="button" role="tab" id=${tabId(name, tab.id)} aria-controls=${panelId(name)}
          aria-selected=${tab.id === chosen ? 'true' : 'false'} tabindex=${tab.id === chosen ? 0 : -1}
          @click=${() => onChoose(tab.id)}>${tab.label}</button>`,
      )}
    </div>
  `;
}
