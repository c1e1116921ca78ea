/**
 * Looks shared by all elements. Colours come from VS Code's theme variables only; the short names below are set once on
 * the document (`documentStyles`) and inherited into every shadow root.
 */
import { css } from 'lit';

/** For the document itself. High contrast themes draw borders where others rely on shades. */
export const documentStyles = css`
  :root {
    --fg: var(--vscode-foreground);
    --dim: var(--vscode-descriptionForeground);
    --page: var(--vscode-editor-background);
    --line: var(--vscode-panel-border, var(--vscode-widget-border, transparent));
    --grid: color-mix(in srgb, var(--vscode-foreground) 14%, transparent);
    --kept: var(--vscode-charts-blue);
    /* The themes' orange is translucent, and high contrast themes have none. */
    --cut: rgb(from var(--vscode-charts-orange, var(--vscode-charts-red)) r g b / 1);
    --energy: var(--vscode-charts-green);
    --edge: var(--vscode-charts-purple);
    --bad: var(--vscode-errorForeground);
    --warn: var(--vscode-editorWarning-foreground);
    --track: color-mix(in srgb, var(--vscode-foreground) 16%, transparent);
    --focus: var(--vscode-focusBorder);
    --contrast-line: var(--vscode-contrastBorder, transparent);
    --selection: var(--vscode-list-activeSelectionBackground);
    --selection-fg: var(--vscode-list-activeSelectionForeground);
    --hover: var(--vscode-list-hoverBackground);
  }
  :root:has(body.vscode-high-contrast, body.vscode-high-contrast-light) {
    --line: var(--vscode-contrastBorder);
    --grid: color-mix(in srgb, var(--vscode-foreground) 35%, transparent);
    --track: color-mix(in srgb, var(--vscode-foreground) 30%, transparent);
    --selection: transparent;
    --selection-fg: var(--vscode-foreground);
    --hover: transparent;
  }
  body[data-view='panel'] {
    --page: var(--vscode-sideBar-background);
    --line: var(--vscode-sideBarSectionHeader-border, var(--vscode-panel-border, transparent));
  }
  html,
  body {
    height: 100%;
    margin: 0;
    padding: 0;
    overflow: hidden;
  }
`;

/** For every element with a shadow root. */
export const baseStyles = css`
  :host {
    color: var(--fg);
    font-family: var(--vscode-font-family);
    font-size: var(--vscode-font-size, 13px);
    line-height: 1.4;
  }
  :host([hidden]) {
    display: none;
  }
  *,
  *::before,
  *::after {
    box-sizing: border-box;
  }
  h1,
  h2,
  h3,
  p,
  ul,
  dl,
  dd,
  figure {
    margin: 0;
    padding: 0;
  }
  h1 {
    font-size: 1.2em;
    font-weight: 600;
  }
  h2,
  h3 {
    font-size: 1em;
    font-weight: 600;
  }
  ul {
    list-style: none;
  }
  .dim {
    color: var(--dim);
  }
  .small {
    font-size: 0.88em;
  }
  .number {
    font-variant-numeric: tabular-nums;
  }
  .nowrap {
    white-space: nowrap;
  }
  .ellipsis {
    overflow: hidden;
    text-overflow: ellipsis;
    white-space: nowrap;
  }
  .visually-hidden {
    position: absolute;
    width: 1px;
    height: 1px;
    margin: -1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
  .bar {
    position: relative;
    display: block;
    height: 4px;
    border-radius: 2px;
    background: var(--track);
    overflow: hidden;
  }
  .bar > span {
    position: absolute;
    inset: 0 auto 0 0;
    width: calc(var(--share) * 100%);
    background: var(--kept);
  }
  .icon {
    width: 16px;
    height: 16px;
    flex: none;
    fill: none;
    stroke: currentColor;
    stroke-width: 1.3;
    stroke-linecap: round;
    stroke-linejoin: round;
    vertical-align: text-bottom;
  }
  a {
    color: var(--vscode-textLink-foreground);
  }
  :focus-visible {
    outline: 1px solid var(--focus);
    outline-offset: -1px;
  }
  @media (prefers-reduced-motion: reduce) {
    * {
      animation: none !important;
      transition: none !important;
    }
  }
`;

/** Native form controls dressed as VS Code's. */
export const controlStyles = css`
  input[type='text'],
  input[type='number'],
  input[type='search'],
  select,
  textarea {
    width: 100%;
    min-width: 0;
    min-height: 26px;
    padding: 3px 6px;
    color: var(--vscode-input-foreground);
    background: var(--vscode-input-background);
    border: 1px solid var(--vscode-settings-textInputBorder, var(--vscode-input-border, var(--contrast-line)));
    border-radius: 2px;
    font: inherit;
  }
  select {
    color: var(--vscode-dropdown-foreground);
    background: var(--vscode-dropdown-background);
    border-color: var(--vscode-dropdown-border, var(--contrast-line));
  }
  textarea {
    display: block;
    resize: vertical;
  }
  input:disabled,
  select:disabled {
    opacity: 0.6;
  }
  input::placeholder,
  textarea::placeholder {
    color: var(--vscode-input-placeholderForeground);
    opacity: 1;
  }
  input:focus-visible,
  select:focus-visible,
  textarea:focus-visible {
    outline: 1px solid var(--focus);
    outline-offset: -1px;
  }
  input[aria-invalid='true'],
  textarea[aria-invalid='true'] {
    border-color: var(--vscode-inputValidation-errorBorder);
    outline-color: var(--vscode-inputValidation-errorBorder);
  }
  input[type='range'] {
    width: 100%;
    min-width: 0;
    height: 20px;
    margin: 0;
    accent-color: var(--kept);
    cursor: pointer;
  }
  input[type='range']:disabled {
    cursor: default;
  }
  .plain {
    display: inline-flex;
    align-items: center;
    gap: 4px;
    padding: 2px 4px;
    color: inherit;
    background: none;
    border: 1px solid transparent;
    border-radius: 3px;
    font: inherit;
    cursor: pointer;
  }
  .plain:hover:enabled {
    background: var(--vscode-toolbar-hoverBackground);
    border-color: var(--contrast-line);
  }
  .plain:disabled {
    opacity: 0.5;
    cursor: default;
  }
  .link {
    padding: 0 2px;
    color: var(--vscode-textLink-foreground);
    background: none;
    border: none;
    font: inherit;
    cursor: pointer;
  }
  .link:hover {
    text-decoration: underline;
  }
  summary {
    cursor: pointer;
  }
`;
