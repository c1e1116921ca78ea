/** In the results: how many weights of each layer a run left, and what setting the others to zero cost. */
import { html, type TemplateResult } from 'lit';
import type { SparsityReport } from '../../src/protocol/plan';
import { nonZeroShare, sparsityChart, sparsityHeight } from '../charts/sparsity';
import type { DataTable } from '../controls/dataTable';
import '../controls/figure';
import type { ChartSize, LegendItem } from '../controls/figure';
import { exact, factor, percent, points, real } from '../format';
import { strings } from '../strings';

const legend: readonly LegendItem[] = [{ label: strings.sparsity.left, part: 'kept', kind: 'area' }];

export function sparsityResult(report: SparsityReport): TemplateResult {
  const { layers } = report;
  const text = strings.sparsity;
  return html`
    <section class="wide sparsity">
      <h2>${text.heading}</h2>
      <p>${sparsitySentences(report)}</p>
      <p class="dim">${text.whatZerosDo[report.saved]}</p>
      <espalier-figure .heading=${text.chart} .name=${'sparsity-per-layer'} .headingHidden=${true}
        .description=${text.description(layers.length)} .legend=${legend} .heightFor=${() => sparsityHeight(layers.length)}
        .draw=${(size: ChartSize) => sparsityChart({ ...size, layers })} .table=${() => sparsityTable(report)}></espalier-figure>
    </section>
  `;
}

/** "4,437 of 266,200 weights are left: 60× fewer. What was set to zero had …" */
export function sparsitySentences({
  weights,
  nonZero,
  cut,
  decayExponent,
  accuracy,
  idleChannels,
}: SparsityReport): string {
  const text = strings.sparsity;
  const { trained, masked } = accuracy;
  return [
    text.total(exact(nonZero), exact(weights), factor(weights / Math.max(1, nonZero))),
    text.cut(`${real(100 * cut)} %`, decayExponent === null ? null : real(decayExponent)),
    trained === null || masked === null
      ? ''
      : text.accuracy(percent(trained), percent(masked), points(trained, masked)),
    idleChannels === undefined ? '' : text.idle(exact(idleChannels)),
  ]
    .filter(Boolean)
    .join(' ');
}

export function sparsityTable({ layers }: SparsityReport): DataTable {
  const { chart, columns, leftAlone } = strings.sparsity;
  return {
    caption: chart,
    columns: [
      { label: strings.layers.columns.name },
      { label: columns.weights, format: exact },
      { label: columns.nonZero, format: exact },
      { label: columns.sparsity, format: percent },
      { label: columns.note },
    ],
    rows: layers.map((layer) => [
      layer.layer,
      layer.weights,
      layer.nonZero,
      layer.weights === 0 ? null : 1 - nonZeroShare(layer),
      layer.pruned ? '' : leftAlone,
    ]),
  };
}
