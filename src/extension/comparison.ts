/**
 * Two models side by side, as a virtual Markdown document: VS Code's own preview shows it, so it can be searched,
 * copied and read aloud like any text. The document's address names both files, so a reload can make it again.
 */
import path from 'node:path';
import * as vscode from 'vscode';
import { errorInfo } from '../errors';
import type { ModelComparison } from '../protocol/engine';
import type { AccuracyFacts, LatencyFacts } from '../protocol/facts';
import type { EngineRequester, RequestOptions } from '../protocol/rpc';

const scheme = 'espalier-compare';

export class Comparisons implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly texts = new Map<string, string>();
  private readonly registration: vscode.Disposable;

  constructor(private readonly engine: EngineRequester) {
    this.registration = vscode.workspace.registerTextDocumentContentProvider(scheme, this);
  }

  /**
   * Compares two models and shows the result.
   *
   * @param data a dataset both are evaluated on; without one, accuracy is left out
   * @returns the address of the document
   */
  async show(a: string, b: string, data: string | undefined, options: RequestOptions): Promise<vscode.Uri> {
    const uri = vscode.Uri.from({
      scheme,
      path: `/${path.basename(a)} and ${path.basename(b)}.md`,
      query: JSON.stringify({ a, b, data }),
    });
    this.texts.set(uri.toString(), await this.text({ a, b, data }, options));
    await vscode.commands.executeCommand('markdown.showPreview', uri);
    return uri;
  }

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    const known = this.texts.get(uri.toString());
    if (known) return known;
    try {
      return await this.text(JSON.parse(uri.query) as { a: string; b: string; data?: string }, {});
    } catch (error) {
      const { message, hint } = errorInfo(error);
      return `# ${path.posix.basename(uri.path, '.md')}\n\n${message}\n\n${hint}\n`;
    }
  }

  dispose(): void {
    this.registration.dispose();
  }

  private async text(models: { a: string; b: string; data?: string }, options: RequestOptions): Promise<string> {
    return comparisonMarkdown(await this.engine.request('compare', models, options));
  }
}

const count = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 4 });
const percent = new Intl.NumberFormat('en', { style: 'percent', maximumFractionDigits: 1, signDisplay: 'exceptZero' });

/** The comparison as Markdown. Unknown figures are a dash, and a change is stated only where both are known. */
export function comparisonMarkdown({
  a,
  b,
  layers,
  outputDifference,
  latency,
  accuracy,
}: Omit<ModelComparison, 'b' | 'a'> & {
  a: Pick<ModelComparison['a'], 'path' | 'fileBytes' | 'totals' | 'opset' | 'nodeCount'>;
  b: Pick<ModelComparison['b'], 'path' | 'fileBytes' | 'totals' | 'opset' | 'nodeCount'>;
}): string {
  const [nameA, nameB] = [path.basename(a.path), path.basename(b.path)];
  const whole = [
    ['File size (bytes)', ...figures(a.fileBytes, b.fileBytes)],
    ['Parameters', ...figures(a.totals.params, b.totals.params)],
    ['MACs', ...figures(a.totals.macs, b.totals.macs)],
    ['Nodes', ...figures(a.nodeCount, b.nodeCount)],
    ['Operator set', String(a.opset ?? '–'), String(b.opset ?? '–'), ''],
    ...(latency
      ? [['Latency (ms)', milliseconds(latency.a), milliseconds(latency.b), `${latency.speedup.toFixed(2)}× as fast`]]
      : []),
    ...(accuracy ? [['Accuracy', share(accuracy.a), share(accuracy.b), points(accuracy.a, accuracy.b)]] : []),
  ];
  const perLayer = layers.map((layer) => [
    code(layer.name),
    layer.a ? layer.a.shape.join('×') : 'absent',
    layer.b ? layer.b.shape.join('×') : 'absent',
    ...figures(layer.a?.params ?? null, layer.b?.params ?? null),
    ...figures(layer.a?.macs ?? null, layer.b?.macs ?? null),
    layer.difference === null ? '–' : layer.difference === 0 ? 'equal' : layer.difference.toExponential(1),
  ]);
  const outputs =
    outputDifference === null
      ? 'The outputs of the two models can’t be compared.'
      : `On the same input, the outputs differ by at most ${percent.format(outputDifference).replace('+', '')} of the largest output.`;
  return [
    `# ${markdownText(nameA)} and ${markdownText(nameB)}`,
    '',
    ...table(['', markdownText(nameA), markdownText(nameB), 'Change'], whole),
    '',
    outputs,
    '',
    '## Layers',
    '',
    ...table(
      [
        'Layer',
        'Weight',
        'Weight, second',
        'Parameters',
        'second',
        'change',
        'MACs',
        'second',
        'change',
        'Weights differ by',
      ],
      perLayer,
    ),
    '',
  ].join('\n');
}

function figures(a: number | null, b: number | null): [string, string, string] {
  const text = (value: number | null) =>
    value === null ? '–' : value < 100_000 ? count.format(value) : short.format(value);
  const change = a === null || b === null || a === 0 ? '' : a === b ? 'equal' : percent.format(b / a - 1);
  return [text(a), text(b), change];
}

function milliseconds({ median, iqr }: LatencyFacts): string {
  return `${median.toPrecision(3)} ± ${(iqr / 2).toPrecision(2)}`;
}

function share({ accuracy, images }: AccuracyFacts): string {
  return accuracy === null ? '–' : `${(accuracy * 100).toFixed(2)} % of ${count.format(images)} images`;
}

function points({ accuracy: a }: AccuracyFacts, { accuracy: b }: AccuracyFacts): string {
  if (a === null || b === null) return '';
  const difference = (b - a) * 100;
  return `${difference > 0 ? '+' : ''}${difference.toFixed(2)} points`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, column) => (column === 0 ? '---' : '---:'))), ...rows.map(line)];
}

/** Names come from the model file: they must not become markup. */
function markdownText(name: string): string {
  return name.replace(/[\\`*_{}[\]<>|#]/g, '\\$&');
}

function code(name: string): string {
  return `\`${name.replaceAll('`', "'").replaceAll('|', '\\|')}\``;
}
