/** Looks of the layer table. Columns go, least important first, as the table gets narrow; the detail has them all. */
import { css } from 'lit';

/** Pixels; the virtual rows are placed by these. */
export const rowHeight = 27;
export const headHeight = 28;

export const layerTableStyles = css`
  :host {
    display: flex;
    flex-direction: column;
    min-width: 0;
    min-height: 0;
    container: layers / inline-size;
  }
  .tools {
    display: flex;
    flex: none;
    gap: 8px;
    align-items: center;
    padding: 6px 10px 6px 18px;
  }
  .tools input {
    flex: 1 1 200px;
    max-width: 420px;
  }
  .tools select {
    flex: 0 1 160px;
  }
  .tools .shown {
    margin-left: auto;
    color: var(--dim);
    white-space: nowrap;
  }
  .grid {
    position: relative;
    flex: 1 1 auto;
    min-height: 0;
    overflow: auto;
    border-top: 1px solid var(--line);
    outline-offset: -1px;
    contain: strict;
  }
  .rows {
    position: relative;
  }
  .head,
  .row {
    display: grid;
    grid-template-columns: var(--columns);
    column-gap: 12px;
    align-items: center;
    min-width: 0;
    padding: 0 10px 0 18px;
  }
  .head,
  .row {
    --columns: minmax(110px, 3fr) minmax(52px, 1fr) minmax(96px, 1.4fr) minmax(92px, 1.2fr) 60px 92px
      var(--middle) 96px var(--lock) minmax(60px, 3fr);
  }
  /* What the plan does: spectrum and rank, group and channels, or group, channels and rank. */
  .grid {
    --lock: 24px;
    --amount: 84px;
    --middle: 68px var(--amount);
  }
  .grid.unlocked {
    --lock: ;
  }
  .grid.channels {
    --middle: minmax(84px, 1.5fr) var(--amount);
  }
  .grid.both {
    --middle: minmax(84px, 1.5fr) var(--amount) 48px;
  }
  .row.coupled,
  .row.reads {
    background: color-mix(in srgb, var(--kept) 12%, transparent);
  }
  .row.coupled::before,
  .row.reads::before {
    position: absolute;
    inset: 0 auto 0 0;
    width: 4px;
    content: '';
    background: var(--kept);
  }
  .row.reads {
    background: none;
  }
  .row.reads::before {
    background: repeating-linear-gradient(var(--kept) 0 3px, transparent 3px 6px);
  }
  .row.coupled .chip {
    border-color: var(--fg);
  }
  .head {
    position: sticky;
    top: 0;
    z-index: 2;
    height: ${headHeight}px;
    background: var(--page);
    border-bottom: 1px solid var(--line);
  }
  .head button {
    display: inline-flex;
    gap: 2px;
    align-items: center;
    max-width: 100%;
    padding: 2px 0;
    color: var(--dim);
    background: none;
    border: none;
    font: inherit;
    font-size: 0.92em;
    cursor: pointer;
  }
  .head button:hover {
    color: var(--fg);
  }
  .head .icon {
    width: 12px;
    height: 12px;
  }
  .row {
    position: absolute;
    left: 0;
    right: 0;
    height: ${rowHeight}px;
    border-bottom: 1px solid color-mix(in srgb, var(--line) 55%, transparent);
    font-variant-numeric: tabular-nums;
    cursor: default;
  }
  .row:hover {
    background: var(--hover);
  }
  .row[aria-selected='true'] {
    --dim: var(--selection-fg);
    color: var(--selection-fg);
    background: var(--selection);
    outline: 1px solid var(--vscode-contrastActiveBorder, transparent);
    outline-offset: -1px;
  }
  .grid:focus-visible .row[aria-selected='true'] {
    outline: 1px solid var(--vscode-list-focusOutline, var(--focus));
  }
  .head > *,
  .row > * {
    min-width: 0;
  }
  .row > .name:has(.start) {
    display: flex;
    white-space: pre;
  }
  .name > .start {
    white-space: pre;
  }
  .name > .end {
    flex: none;
  }
  .right {
    text-align: right;
  }
  .head .right {
    display: flex;
    justify-content: flex-end;
  }
  .macs .bar {
    margin-top: 1px;
    height: 3px;
    background: none;
  }
  .macs .bar > i {
    position: absolute;
    inset: 0 auto 0 0;
    width: calc(var(--whole) * 100%);
    background: var(--cut);
    opacity: 0.75;
  }
  .rank .of,
  .channels .of {
    color: var(--dim);
  }
  .row svg.sparkline {
    color: var(--dim);
  }
  .waiting {
    display: block;
    height: 2px;
    width: 40px;
    background: var(--track);
  }
  .kept {
    display: grid;
    grid-template-columns: minmax(0, 1fr) 4.2ch;
    gap: 4px;
    align-items: center;
  }
  .kept .amount {
    font-size: 0.88em;
    text-align: right;
  }
  .row input[type='range'] {
    height: 16px;
  }
  .row .plain {
    padding: 2px;
  }
  .row .plain[aria-pressed='false'] {
    opacity: 0.65;
  }
  .reason {
    color: var(--dim);
  }
  @container layers (max-width: 1040px) {
    .head,
    .row {
      --columns: minmax(110px, 3fr) minmax(84px, 1.4fr) 60px 92px var(--middle) 96px var(--lock) minmax(60px, 3fr);
    }
    .opType,
    .output {
      display: none !important;
    }
  }
  @container layers (max-width: 880px) {
    .grid {
      --amount: 78px;
    }
    .head,
    .row {
      --columns: minmax(110px, 5fr) minmax(104px, 1.2fr) 74px var(--middle) 92px var(--lock) minmax(40px, 2.4fr);
    }
    .params {
      display: none !important;
    }
  }
  @container layers (max-width: 740px) {
    .head,
    .row {
      --columns: minmax(90px, 3fr) minmax(100px, 1fr) 74px var(--middle) 92px var(--lock);
    }
    .reason {
      display: none !important;
    }
  }
  @container layers (max-width: 640px) {
    .grid {
      --amount: 74px;
    }
    .grid.channels,
    .grid.both {
      --middle: 48px var(--amount);
    }
    .chipName,
    .grid.both .rank {
      display: none !important;
    }
    .head,
    .row {
      --columns: minmax(90px, 3fr) 76px var(--middle) 88px var(--lock);
      column-gap: 8px;
      padding-left: 10px;
    }
    .weight {
      display: none !important;
    }
    .tools {
      flex-wrap: wrap;
      padding-left: 10px;
    }
  }
  @container layers (max-width: 430px) {
    .grid {
      --amount: 60px;
      --middle: 64px var(--amount);
    }
    .head,
    .row {
      --columns: minmax(40px, 3fr) var(--middle) var(--lock);
    }
    .macs,
    .head .keptColumn,
    .row .keptColumn {
      display: none !important;
    }
  }
`;
