/** A ResRep training: multiply-accumulates now against the target, masked rows per layer, and the norms of all rows. */
import { css, html, type TemplateResult } from 'lit';
import type { CompactionProgress, CompactionReport } from '../../src/protocol/plan';
import { budgetChart, budgetHeight } from '../charts/budget';
import { type HeatRow, heatCells, heatLevels, heatMap, heatMapHeight } from '../charts/heatMap';
import type { DataTable } from '../controls/dataTable';
import '../controls/figure';
import type { ChartSize, LegendItem } from '../controls/figure';
import { count, exact, percent, real } from '../format';
import { strings } from '../strings';

export const compactionStyles = css`
  .compaction {
    display: grid;
    gap: 8px;
    min-width: 0;
  }
`;

const text = strings.compaction;

/** While it goes on. */
export function compactionProgress(now: CompactionProgress): TemplateResult {
  return html`
    <section class="compaction" aria-label=${text.heading}>
      <p>${progressSentences(now)}</p>
      <p class="dim">${text.dip}</p>
      ${charts(now)}
    </section>`;
}

/** In the results. */
export function compactionResult(report: CompactionReport): TemplateResult {
  return html`
    <section class="wide compaction">
      <h2>${text.heading}</h2>
      <p>${resultSentences(report)}</p>
      ${charts(report)}
    </section>`;
}

export function progressSentences({ masked, macs, target, whole, reached }: CompactionProgress): string {
  const now = text.now(exact(masked), percent(macs / whole), percent(target / whole));
  return [now, reached === null ? text.notYet : text.reached(exact(reached))].join(' ');
}

export function resultSentences({ cut, vanished, largest, reached, macs, whole, masked }: CompactionReport): string {
  return [
    text.cut(exact(cut), percent(macs / whole)),
    vanished === masked ? text.allVanished(exact(vanished)) : text.largest(exact(vanished), real(largest)),
    cut > masked ? text.more(exact(cut - masked)) : '',
    reached === null ? text.neverReached : text.metAt(exact(reached)),
  ]
    .filter(Boolean)
    .join(' ');
}

/** Norms lie between 0 and about 1: equal steps of the norm itself. */
export function normLevel(norm: number): number {
  return Math.max(0, Math.min(heatLevels - 1, Math.round(norm * (heatLevels - 1))));
}

const budgetLegend: readonly LegendItem[] = [
  { label: text.left, part: 'kept', kind: 'area' },
  { label: text.maskedPart, part: 'cut', kind: 'area' },
  { label: text.target, part: 'break-even', kind: 'line' },
];

const heatLegend: readonly LegendItem[] = [
  ...[0, 0.5, 1].map((norm): LegendItem => ({ label: real(norm), part: `heat-${normLevel(norm)}`, kind: 'area' })),
  { label: text.maskedMark, part: 'heat-cut', kind: 'line' },
];

function charts({ layers, macs, target, whole }: CompactionProgress): TemplateResult {
  const rows = layers.map(({ layer, rows: all, masked, norms }): HeatRow => {
    const falling = Float64Array.from(norms).sort().reverse();
    return { label: layer, cells: norms.length ? heatCells(falling) : null, kept: 1 - masked / all };
  });
  const describe = ({ label }: HeatRow): string => {
    const found = layers.find(({ layer }) => layer === label);
    return found ? text.row(label, exact(found.masked), exact(found.rows)) : label;
  };
  return html`
    <espalier-figure .heading=${text.budget} .name=${'macs-against-target'} .description=${text.budgetDescription(percent(macs / whole), percent(target / whole))}
      .legend=${budgetLegend} .heightFor=${() => budgetHeight}
      .draw=${(size: ChartSize) => budgetChart({ ...size, now: macs, target, whole, label: text.targetMacs(count(target)) })} .table=${() => budgetTable(macs, target, whole)}></espalier-figure>
    <espalier-figure .heading=${text.norms} .name=${'row-norms'} .description=${text.description(layers.length)}
      .legend=${heatLegend} .heightFor=${() => heatMapHeight(rows.length)}
      .draw=${(size: ChartSize) => heatMap({ ...size, rows, selected: null, describe, levelOf: normLevel, ends: text.ends })}
      .table=${() => normTable(layers)}></espalier-figure>`;
}

function budgetTable(macs: number, target: number, whole: number): DataTable {
  return {
    caption: text.budget,
    columns: [{ label: text.columns.what }, { label: text.columns.macs, format: exact }],
    rows: [
      [text.left, macs],
      [text.target, target],
      [text.whole, whole],
    ],
  };
}

export function normTable(layers: CompactionProgress['layers']): DataTable {
  const { columns } = text;
  return {
    caption: text.norms,
    columns: [
      { label: columns.layer },
      { label: columns.rows, format: exact },
      { label: columns.masked, format: exact },
      { label: columns.smallest, format: real },
      { label: columns.largest, format: real },
    ],
    rows: layers.map(({ layer, rows, masked, norms }) => [
      layer,
      rows,
      masked,
      norms.length ? Math.min(...norms) : null,
      norms.length ? Math.max(...norms) : null,
    ]),
  };
}
