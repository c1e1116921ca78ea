/**
 * Looks of chart parts, by class. Kept is blue and filled, cut is orange and hollow or hatched, so that the two differ
 * without colour as well; lines differ by dash.
 */
import { css, unsafeCSS } from 'lit';
import { heatLevels } from './heatMap';

/** From hardly there to the full colour. */
const heatStyles = Array.from({ length: heatLevels }, (_, level) => {
  const opacity = 0.06 + 0.94 * (level / (heatLevels - 1));
  return `.chart .heat-${level} { fill: var(--kept); fill-opacity: ${opacity.toFixed(2)}; stroke: none; }`;
}).join('\n');

const markColors = ['--kept', '--cut', '--energy', '--edge', '--bad', '--warn'];
const markStyles = markColors.map((color, i) => `.chart .mark-${i} { fill: var(${color}); }`).join('\n');

export const chartStyles = css`
  ${unsafeCSS(heatStyles)} ${unsafeCSS(markStyles)}
  .chart .mark {
    cursor: pointer;
    outline: none;
  }
  .chart .mark path {
    stroke: var(--page);
    stroke-width: 1;
  }
  .chart .mark .hit {
    fill: transparent;
  }
  .chart .mark:focus-visible .hit {
    stroke: var(--focus);
    stroke-width: 2;
  }
  .chart .mark .current {
    fill: none;
    stroke: var(--fg);
    stroke-width: 1.5;
  }
  .chart .front {
    fill: none;
    stroke: var(--fg);
    stroke-width: 1.5;
    stroke-opacity: 0.7;
    stroke-dasharray: 6 3;
  }
  .chart .original,
  .chart .original-edge {
    fill: none;
    stroke: var(--fg);
    stroke-width: 2;
    pointer-events: none;
  }
  .chart .original-edge {
    stroke: var(--page);
    stroke-width: 5;
  }
  .chart .callout {
    pointer-events: none;
  }
  .chart .callout rect {
    fill: var(--vscode-editorHoverWidget-background, var(--page));
    stroke: var(--vscode-editorHoverWidget-border, var(--dim));
  }
  .chart .heat-waiting {
    fill: var(--track);
    fill-opacity: 0.5;
    stroke: none;
  }
  .chart .heat-cut,
  .chart .heat-cut-edge {
    fill: none;
    stroke: var(--cut);
    stroke-width: 2;
  }
  .chart .heat-cut.thin {
    stroke-width: 4;
  }
  .chart .heat-cut-edge {
    stroke: var(--page);
    stroke-width: 5;
  }
  .chart .on-heat {
    fill: var(--fg);
    paint-order: stroke;
    stroke: var(--page);
    stroke-width: 3;
    pointer-events: none;
  }
  .chart .crossed {
    fill: none;
    stroke: var(--cut);
    stroke-width: 1;
  }
  .chart .row {
    fill: transparent;
    stroke: none;
  }
  .chart .row:hover {
    stroke: var(--fg);
  }
  svg.chart {
    display: block;
    overflow: visible;
    font-family: var(--vscode-font-family);
  }
  .chart text {
    fill: var(--dim);
    font-size: 11px;
  }
  .chart text.strong {
    fill: var(--fg);
  }
  .chart text.middle {
    text-anchor: middle;
  }
  .chart text.end {
    text-anchor: end;
  }
  .chart .grid {
    stroke: var(--grid);
    stroke-width: 1;
    shape-rendering: crispEdges;
  }
  .chart .axis {
    stroke: var(--dim);
    stroke-width: 1;
    shape-rendering: crispEdges;
  }
  .chart .kept {
    fill: var(--kept);
  }
  .chart .cut {
    fill: var(--cut);
    fill-opacity: 0.35;
    stroke: var(--cut);
    stroke-width: 1;
  }
  .chart .cut.thin {
    stroke: none;
    fill-opacity: 0.75;
  }
  .chart .left-alone {
    fill: var(--dim);
    fill-opacity: 0.55;
  }
  .chart .line-kept,
  .chart .line-cut {
    fill: none;
    stroke: var(--kept);
    stroke-width: 2;
  }
  .chart .line-cut {
    stroke: var(--cut);
  }
  .chart .energy {
    fill: none;
    stroke: var(--energy);
    stroke-width: 1.5;
  }
  .chart .break-even {
    stroke: var(--fg);
    stroke-width: 1.5;
    stroke-dasharray: 2 3;
  }
  .chart .edge {
    stroke: var(--edge);
    stroke-width: 1.5;
    stroke-dasharray: 7 4;
  }
  .chart .threshold {
    stroke: var(--fg);
    stroke-width: 1;
    stroke-dasharray: 5 3;
  }
  .chart .noise {
    fill: var(--dim);
    fill-opacity: 0.16;
    stroke: none;
  }
  .chart .cut-area {
    fill: var(--cut);
    fill-opacity: 0.1;
    stroke: none;
  }
  .chart .selected {
    fill: none;
    stroke: var(--fg);
    stroke-width: 1.5;
  }
  .chart .before {
    fill: var(--dim);
    fill-opacity: 0.6;
  }
  .chart .handle {
    cursor: ew-resize;
    outline: none;
  }
  .chart .handle line {
    stroke: var(--cut);
    stroke-width: 2;
  }
  .chart .handle .grip {
    fill: var(--page);
    stroke: var(--cut);
    stroke-width: 1.5;
  }
  .chart .handle .hit {
    fill: transparent;
    stroke: none;
  }
  .chart .handle text {
    fill: var(--fg);
    font-weight: 600;
  }
  .chart .handle:focus-visible .grip,
  .chart .handle:focus-visible line {
    stroke: var(--focus);
    stroke-width: 3;
  }
  .chart .clickable {
    cursor: pointer;
  }
  .chart .cell {
    stroke: var(--grid);
    stroke-width: 0.5;
  }
  .chart .cell.right {
    fill: var(--kept);
    stroke: var(--fg);
    stroke-width: 1;
  }
  .chart .cell.wrong {
    fill: var(--cut);
  }
  .chart .loss,
  .chart .loss-plain,
  .chart .accuracy,
  .chart .rate {
    fill: none;
    stroke: var(--kept);
    stroke-width: 2;
  }
  .chart .loss-plain {
    stroke-width: 1;
    stroke-opacity: 0.6;
  }
  .chart .accuracy {
    stroke: var(--energy);
  }
  .chart .rate {
    stroke: var(--edge);
    stroke-dasharray: 5 3;
  }
  .chart .epoch {
    stroke: var(--dim);
    stroke-opacity: 0.6;
    stroke-dasharray: 1 4;
  }
  .sparkline {
    display: block;
  }
  .sparkline .curve {
    fill: none;
    stroke: currentColor;
    stroke-width: 1.2;
    opacity: 0.85;
  }
  .sparkline .area {
    fill: var(--kept);
    fill-opacity: 0.3;
    stroke: none;
  }
  .sparkline .mark {
    stroke: var(--cut);
    stroke-width: 1.5;
  }
`;
