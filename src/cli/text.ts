/** What the commands print for people. */
import type { ModelComparison } from '../protocol/engine';
import type { AccuracyFacts, LatencyFacts, LayerFacts, ModelFacts, Spectrum } from '../protocol/facts';
import type {
  BeforeAfter,
  GroupProjection,
  Projection,
  RunResult,
  SparsityReport,
  TrainingReport,
  TrainingTime,
} from '../protocol/plan';

/** 40552320 → "40.55 M". */
export function count(value: number | null): string {
  if (value === null) return 'unknown';
  for (const [unit, size] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const) {
    if (Math.abs(value) >= size) return `${(value / size).toFixed(2)} ${unit}`;
  }
  return String(value);
}

export function bytes(value: number): string {
  return value >= 1e6
    ? `${(value / 1e6).toFixed(2)} MB`
    : value >= 1e3
      ? `${(value / 1e3).toFixed(1)} kB`
      : `${value} B`;
}

const percent = (share: number): string => `${(share * 100).toFixed(2)} %`;

/** Columns padded to their widest cell; numbers right-aligned. */
export function table(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string {
  const widths = header.map((title, c) => Math.max(title.length, ...rows.map((row) => (row[c] ?? '').length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, c) => (right.includes(c) ? cell.padStart(widths[c] as number) : cell.padEnd(widths[c] as number)))
      .join('  ')
      .trimEnd();
  return [line(header), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

/** 1×3×?×?: a free dimension without a name is a question mark. */
function sizes(shape: readonly (number | string)[] | null): string {
  return shape ? shape.map((size) => size || '?').join('×') || 'scalar' : 'unknown';
}

export function inspectText(facts: ModelFacts, spectra: readonly Spectrum[] | null): string {
  const bySpectrum = new Map(spectra?.map((spectrum) => [spectrum.layer, spectrum]));
  const head = [
    `${facts.path}`,
    `ONNX, opset ${facts.opset ?? 'none'}, IR ${facts.irVersion}${facts.producer ? `, ${facts.producer}` : ''}, ${facts.nodeCount} nodes, ${bytes(facts.fileBytes)}`,
    ...facts.inputs.map((port) => `input   ${port.name}  ${port.dtype ?? '?'} ${sizes(port.shape)}`),
    ...facts.outputs.map((port) => `output  ${port.name}  ${port.dtype ?? '?'} ${sizes(port.shape)}`),
    `${count(facts.totals.params)} parameters, ${count(facts.totals.macs)} MACs (${count(facts.totals.macs === null ? null : 2 * facts.totals.macs)} FLOPs, 2×MACs), weights ${bytes(facts.totals.bytes)}`,
    ...(facts.shapesReason ? [`Shapes: ${facts.shapesReason}`] : []),
    ...facts.notes,
  ];
  const rows = facts.layers.map((layer) => {
    const spectrum = bySpectrum.get(layer.name);
    return [
      layer.name,
      layer.opType,
      layer.weight.shape.join('×'),
      layer.outputShape?.join('×') ?? '?',
      count(layer.params),
      count(layer.macs),
      String(layer.fullRank),
      ...(spectra
        ? [
            spectrum ? spectrum.effectiveRank.toFixed(1) : '',
            spectrum ? spectrum.stableRank.toFixed(1) : '',
            spectrum ? (spectrum.singularValues[0]?.toPrecision(4) ?? '') : '',
          ]
        : []),
      layer.reason ?? layer.macsReason ?? '',
    ];
  });
  const header = [
    'layer',
    'operator',
    'weight',
    'output',
    'params',
    'MACs',
    'rank',
    ...(spectra ? ['eff. rank', 'stable rank', 'σ₁'] : []),
    'left alone because',
  ];
  return `${head.join('\n')}\n\n${table(header, rows, spectra ? [4, 5, 6, 7, 8, 9] : [4, 5, 6])}\n`;
}

function accuracyText(accuracy: AccuracyFacts | null): string {
  if (accuracy?.accuracy == null || !accuracy.confidence) return '';
  return `${percent(accuracy.accuracy)} (95 %: ${percent(accuracy.confidence[0])} to ${percent(accuracy.confidence[1])})`;
}

function latencyText(latency: LatencyFacts | null): string {
  return latency
    ? `${latency.median.toFixed(3)} ms (IQR ${latency.iqr.toFixed(3)}, ${latency.device}, ${latency.threads} threads, batch ${latency.batch})`
    : '';
}

export function evaluateText(
  accuracy: AccuracyFacts,
  latency: LatencyFacts | null,
  warnings: readonly string[],
): string {
  const lines = [
    `images         ${accuracy.images}`,
    `preprocessing  ${accuracy.preprocessing}`,
    ...(accuracy.accuracy === null ? [] : [`accuracy       ${accuracyText(accuracy)}`]),
    ...(accuracy.top5 === null ? [] : [`top-5          ${percent(accuracy.top5)}`]),
    ...(accuracy.loss === null ? [] : [`loss           ${accuracy.loss.toFixed(4)}`]),
    ...(latency ? [`latency        ${latencyText(latency)}`] : []),
    ...(accuracy.skipped.count
      ? [`skipped        ${accuracy.skipped.count}: ${accuracy.skipped.names.join(', ')}`]
      : []),
    ...[...warnings, ...(accuracy.warning ? [accuracy.warning] : [])].map((warning) => `warning: ${warning}`),
  ];
  const worst = topConfusions(accuracy);
  if (worst.length) lines.push('', table(['actual', 'predicted', 'images'], worst, [2]));
  return `${lines.join('\n')}\n`;
}

/** The five commonest mistakes. */
function topConfusions({ confusion, classes }: AccuracyFacts): string[][] {
  const size = Math.round(Math.sqrt(confusion.length));
  const name = (index: number): string => classes[index] ?? String(index);
  return Array.from(confusion, (images, i) => ({ images, actual: Math.floor(i / size), predicted: i % size }))
    .filter(({ images, actual, predicted }) => images > 0 && actual !== predicted)
    .sort((a, b) => b.images - a.images)
    .slice(0, 5)
    .map(({ images, actual, predicted }) => [name(actual), name(predicted), String(images)]);
}

const change = (before: number | null, after: number | null): string =>
  before && after !== null ? `${((after / before - 1) * 100).toFixed(1)} %` : '';

export function projectionText(
  { layers, groups, before, after, shortfall, assumed, unmatched }: Projection,
  facts: readonly LayerFacts[],
): string {
  const rows = layers.map((layer, i) => [
    layer.layer,
    layer.action,
    `${layer.rank} / ${facts[i]?.fullRank ?? '?'}`,
    ...(groups ? [layer.channels === undefined ? '' : String(layer.channels)] : []),
    count(layer.params),
    count(layer.macs),
    layer.action === 'keep' ? '' : percent(layer.error),
    layer.reason ?? '',
  ]);
  const totals = [
    `parameters  ${count(before.params)} → ${count(after.params)}  ${change(before.params, after.params)}`,
    `MACs        ${count(before.macs)} → ${count(after.macs)}  ${change(before.macs, after.macs)}`,
    `weights     ${bytes(before.bytes)} → ${bytes(after.bytes)}  ${change(before.bytes, after.bytes)}`,
    ...(assumed ? [assumed] : []),
    ...(shortfall ? [shortfall] : []),
    ...(unmatched ?? []).map((glob) => `No layer matches '${glob}'.`),
  ];
  const columns = ['layer', 'action', 'rank', ...(groups ? ['channels'] : []), 'params', 'MACs', 'error', 'reason'];
  const numbers = columns.flatMap((_, c) => (c > 1 && c < columns.length - 1 ? [c] : []));
  const tables = [...(groups ? [groupsTable(groups)] : []), table(columns, rows, numbers)];
  return `${[...tables, totals.join('\n')].join('\n\n')}\n`;
}

/** Groups of coupled channels: how many are kept, of which layers, and why none goes. */
function groupsTable(groups: readonly GroupProjection[]): string {
  const mark = { producer: '', follower: ' (follows)', consumer: ' (reads)' } as const;
  const rows = groups.map(({ name, kept, channels, members, reason }) => [
    name,
    `${kept} / ${channels}`,
    reason ?? '',
    members.map(({ layer, role }) => `${layer}${mark[role]}`).join(', '),
  ]);
  return table(['group', 'channels', 'reason', 'layers'], rows, [1]);
}

export function runText(run: RunResult, saved: { model: string; recipe: string }): string {
  const row = (name: string, of: (side: BeforeAfter) => string, difference: string): string[] => [
    name,
    of(run.before),
    of(run.after),
    difference,
  ];
  const { before, after } = run;
  const rows = [
    row('parameters', (side) => count(side.params), change(before.params, after.params)),
    row('MACs', (side) => count(side.macs), change(before.macs, after.macs)),
    row('weights', (side) => bytes(side.bytes), change(before.bytes, after.bytes)),
    row('file', (side) => bytes(side.fileBytes), change(before.fileBytes, after.fileBytes)),
    row('accuracy', (side) => accuracyText(side.accuracy), points(before, after)),
    row('loss', (side) => side.accuracy?.loss?.toFixed(4) ?? '', ''),
    row('latency', (side) => latencyText(side.latency), run.speedup ? `${run.speedup.toFixed(2)}× as fast` : ''),
  ].filter((cells) => cells[1] || cells[2]);
  const checks = run.verification.map((check) => `${check.passed ? '✓' : '✗'} ${check.name}: ${check.detail}`);
  const notes = [
    ...(run.training ? trainingLines(run.training) : []),
    ...(run.sparsity ? sparsityLines(run.sparsity) : []),
    ...(run.speedupNote ? [run.speedupNote] : []),
    ...run.warnings.map((warning) => `warning: ${warning}`),
  ];
  return [
    table(['', 'before', 'after', 'change'], rows),
    '',
    ...checks,
    '',
    ...notes,
    `Saved ${saved.model} and ${saved.recipe} after ${run.seconds.toFixed(1)} s.`,
    '',
  ].join('\n');
}

/** How few weights are left, in all and in each layer, and what setting the others to zero cost. */
function sparsityLines({
  weights,
  nonZero,
  cut,
  decayExponent,
  accuracy,
  saved,
  idleChannels,
  layers,
}: SparsityReport): string[] {
  const rows = layers.map((layer) => [
    layer.layer,
    count(layer.weights),
    String(layer.nonZero),
    layer.weights ? percent(1 - layer.nonZero / layer.weights) : '',
    layer.pruned ? '' : 'left alone',
  ]);
  return [
    `${nonZero} of ${weights} weights are not zero: ${(weights / Math.max(1, nonZero)).toFixed(1)} times fewer.`,
    `What was set to zero had ${(100 * cut).toPrecision(3)} % of the weights' norm${decayExponent === null ? '' : ` (decay E = ${decayExponent.toFixed(1)})`}.`,
    ...(accuracy.trained === null || accuracy.masked === null
      ? []
      : [`Accuracy ${percent(accuracy.trained)} before weights were set to zero, ${percent(accuracy.masked)} after.`]),
    saved === 'compact'
      ? `${idleChannels ?? 0} channels in which no weight was left are gone: smaller and faster by that much; the other zeros are held like any other number.`
      : saved === 'sparse'
        ? 'The file holds only what is not zero; a runtime makes the weights dense when it loads them, so the model is no faster.'
        : 'Zeros make neither the file smaller nor the model faster by themselves: the file holds them like any other number.',
    '',
    table(['layer', 'weights', 'not zero', 'sparsity', ''], rows, [1, 2, 3]),
    '',
  ];
}

export function trainingTimeText({ seconds, steps, secondsPerStep, trainedParams, warning }: TrainingTime): string {
  return `${warning ? `warning: ${warning}\n` : ''}training ${count(trainedParams)} parameters takes about ${duration(seconds)}: ${steps} steps of ${(1000 * secondsPerStep).toFixed(0)} ms\n`;
}

const duration = (seconds: number): string =>
  seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} minutes`;

function trainingLines({ epochs, untrained, seconds, imagesPerSecond, trainedParams }: TrainingReport): string[] {
  const rows = epochs.map(({ loss, accuracy }, i) => [
    String(i + 1),
    loss.toFixed(4),
    accuracy === null ? '' : percent(accuracy),
  ]);
  const before = untrained === null ? '' : `, from an accuracy of ${percent(untrained)} before`;
  return [
    `Trained ${count(trainedParams)} parameters for ${seconds.toFixed(0)} s (${imagesPerSecond.toFixed(0)} images/s)${before}:`,
    table(['epoch', 'loss', 'right in training'], rows, [0, 1, 2]),
    '',
  ];
}

function points(before: BeforeAfter, after: BeforeAfter): string {
  const [a, b] = [before.accuracy?.accuracy, after.accuracy?.accuracy];
  return a != null && b != null ? `${((b - a) * 100).toFixed(2)} points` : '';
}

export function compareText(comparison: ModelComparison): string {
  const { a, b } = comparison;
  const rows = comparison.layers.map((layer) => [
    layer.name,
    layer.a?.shape.join('×') ?? '',
    layer.b?.shape.join('×') ?? '',
    layer.a ? count(layer.a.macs) : '',
    layer.b ? count(layer.b.macs) : '',
    layer.difference === null ? '' : layer.difference.toExponential(1),
  ]);
  const lines = [
    `a  ${a.path}: ${count(a.totals.params)} parameters, ${count(a.totals.macs)} MACs, ${bytes(a.fileBytes)}`,
    `b  ${b.path}: ${count(b.totals.params)} parameters, ${count(b.totals.macs)} MACs, ${bytes(b.fileBytes)}`,
    ...(comparison.latency
      ? [
          `latency  ${latencyText(comparison.latency.a)} against ${latencyText(comparison.latency.b)}: b is ${comparison.latency.speedup.toFixed(2)}× as fast`,
        ]
      : []),
    ...(comparison.outputDifference === null
      ? []
      : [
          `outputs differ by at most ${comparison.outputDifference.toExponential(1)} of the largest value on a made-up input`,
        ]),
    ...(comparison.accuracy
      ? [`accuracy  ${accuracyText(comparison.accuracy.a)} against ${accuracyText(comparison.accuracy.b)}`]
      : []),
  ];
  return `${lines.join('\n')}\n\n${table(['layer', 'a', 'b', 'MACs a', 'MACs b', 'weight difference'], rows, [3, 4, 5])}\n`;
}
