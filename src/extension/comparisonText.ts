/** A comparison of two models as Markdown. Names come from model files, so none of them may become markup. */
import path from 'node:path';
import type { ModelComparison } from '../protocol/engine';
import type { AccuracyFacts, LatencyFacts, ModelFacts } from '../protocol/facts';

type Whole = Pick<ModelFacts, 'path' | 'fileBytes' | 'totals' | 'opset' | 'nodeCount'>;
/** Of the models, only what is written. */
export type ComparedModels = Omit<ModelComparison, 'a' | 'b'> & { readonly a: Whole; readonly b: Whole };

const exact = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const rounded = new Intl.NumberFormat('en', { maximumSignificantDigits: 4 });

/** The comparison as Markdown. Unknown figures are a dash, and a change is stated only where both are known. */
export function comparisonMarkdown({ a, b, layers, outputDifference, latency, accuracy }: ComparedModels): string {
  const [nameA, nameB] = [path.basename(a.path), path.basename(b.path)];
  const whole = [
    ['File size (bytes)', amount(a.fileBytes), amount(b.fileBytes), change(a.fileBytes, b.fileBytes)],
    ['Parameters', amount(a.totals.params), amount(b.totals.params), change(a.totals.params, b.totals.params)],
    ['MACs', amount(a.totals.macs), amount(b.totals.macs), change(a.totals.macs, b.totals.macs)],
    ['Nodes', amount(a.nodeCount), amount(b.nodeCount), change(a.nodeCount, b.nodeCount)],
    ['Operator set', String(a.opset ?? '–'), String(b.opset ?? '–'), ''],
    ...(latency
      ? [['Latency (ms)', milliseconds(latency.a), milliseconds(latency.b), `${latency.speedup.toFixed(2)}× as fast`]]
      : []),
    ...(accuracy ? [['Accuracy', share(accuracy.a), share(accuracy.b), points(accuracy.a, accuracy.b)]] : []),
  ];
  const perLayer = withParts(layers).map((layer) => [
    code(layer.name),
    both(shapes(layer.a), shapes(layer.b)),
    counted(sum(layer.a, 'params'), sum(layer.b, 'params')),
    counted(sum(layer.a, 'macs'), sum(layer.b, 'macs')),
    layer.difference === null ? '–' : layer.difference === 0 ? 'equal' : layer.difference.toExponential(1),
  ]);
  const outputs =
    outputDifference === null
      ? 'The outputs of the two models can’t be compared.'
      : `On the same input, the outputs differ by at most ${rounded.format(outputDifference * 100)} % of the largest output.`;
  return [
    `# ${markdownText(nameA)} and ${markdownText(nameB)}`,
    '',
    ...table(['', markdownText(nameA), markdownText(nameB), 'Change'], whole),
    '',
    outputs,
    '',
    '## Layers',
    '',
    ...table(['Layer', 'Weight', 'Parameters', 'MACs', 'Weights differ by'], perLayer),
    '',
  ].join('\n');
}

type Weight = NonNullable<ModelComparison['layers'][number]['a']>;

/** A layer with everything that it consists of in either model. */
interface Line {
  readonly name: string;
  readonly a: readonly Weight[];
  readonly b: readonly Weight[];
  readonly difference: number | null;
}

/** Layers that one model has whole and the other in parts (`conv1` as `conv1.basis` and `conv1.scaling`) are one line. */
function withParts(layers: ModelComparison['layers']): Line[] {
  const isPart = (part: ModelComparison['layers'][number], side: 'a' | 'b') =>
    layers.some((whole) => whole[side] !== null && part[side] === null && part.name.startsWith(`${whole.name}.`));
  const partsOf = (name: string, side: 'a' | 'b') =>
    layers.filter((part) => part.name.startsWith(`${name}.`)).flatMap((part) => part[side] ?? []);
  return layers
    .filter((layer) => !isPart(layer, 'a') && !isPart(layer, 'b'))
    .map(({ name, a, b, difference }) => ({
      name,
      a: a ? [a] : partsOf(name, 'a'),
      b: b ? [b] : partsOf(name, 'b'),
      difference,
    }));
}

function shapes(weights: readonly Weight[]): string {
  return weights.length === 0 ? 'absent' : weights.map(({ shape }) => shape.join('×')).join(' and ');
}

/** null when there is nothing to count, or a count is unknown. */
function sum(weights: readonly Weight[], what: 'params' | 'macs'): number | null {
  if (weights.length === 0) return null;
  return weights.reduce<number | null>(
    (total, { [what]: value }) => (total === null || value === null ? null : total + value),
    0,
  );
}

function amount(value: number | null): string {
  if (value === null) return '–';
  if (value < 100_000) return exact.format(value);
  const [unit, size] = value < 1e6 ? ['k', 1e3] : value < 1e9 ? ['M', 1e6] : ['G', 1e9];
  return `${rounded.format(value / Number(size))} ${unit}`;
}

/** `−12.3 %`; nothing where one of them is not known. */
function change(a: number | null, b: number | null): string {
  if (a === null || b === null || a === 0) return '';
  if (a === b) return 'equal';
  const percent = (b / a - 1) * 100;
  return `${percent < 0 ? '−' : '+'}${rounded.format(Math.abs(Math.round(percent * 10) / 10))} %`;
}

/** Both counts with the change, in one cell; once when they are equal. */
function counted(a: number | null, b: number | null): string {
  if (a === null || b === null) return both(amount(a), amount(b));
  return a === b ? amount(a) : `${amount(a)} → ${amount(b)} (${change(a, b)})`;
}

function both(a: string, b: string): string {
  return a === b ? a : `${a} → ${b}`;
}

function milliseconds({ median, iqr }: LatencyFacts): string {
  return `${median.toPrecision(3)} (interquartile range ${iqr.toPrecision(2)})`;
}

function share({ accuracy, images }: AccuracyFacts): string {
  return accuracy === null ? '–' : `${(accuracy * 100).toFixed(2)} % of ${exact.format(images)} images`;
}

function points({ accuracy: a }: AccuracyFacts, { accuracy: b }: AccuracyFacts): string {
  if (a === null || b === null) return '';
  const difference = (b - a) * 100;
  return `${difference < 0 ? '−' : '+'}${Math.abs(difference).toFixed(2)} points`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, column) => (column === 0 ? '---' : '---:'))), ...rows.map(line)];
}

function markdownText(name: string): string {
  return name.replace(/[\\`*_{}[\]<>|#]/g, '\\$&');
}

function code(name: string): string {
  return `\`${name.replaceAll('`', "'").replaceAll('|', '\\|')}\``;
}
