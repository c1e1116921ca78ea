/** Numbers of a finished run as tables. */
import type { AccuracyFacts } from '../../src/protocol/facts';
import type { BeforeAfter, RunResult } from '../../src/protocol/plan';
import { topConfusions } from '../charts/confusion';
import type { DataTable } from '../controls/dataTable';
import { bytes, change, count, exact, factor, milliseconds, percent, points, real } from '../format';
import { strings } from '../strings';

/** One line of the before/after table. */
export interface ResultLine {
  readonly label: string;
  readonly before: string;
  readonly after: string;
  readonly change: string;
  /** Spread or interval of either side, '' for none. */
  readonly notes: readonly [string, string];
  /** Plain numbers for the CSV; null when not measured. */
  readonly values: readonly [number | null, number | null];
}

export function resultLines({ before, after }: Pick<RunResult, 'before' | 'after'>): readonly ResultLine[] {
  const text = strings.results;
  const line = (label: string, pick: (side: BeforeAfter) => number | null, show: (value: number | null) => string) => {
    const values = [pick(before), pick(after)] as const;
    return {
      label,
      before: show(values[0]),
      after: show(values[1]),
      change: change(...values),
      notes: ['', ''] as const,
      values,
    };
  };
  const twice = (value: number | null) => (value === null ? null : 2 * value);
  const lines: ResultLine[] = [
    line(text.params, (side) => side.params, count),
    line(text.macs, (side) => side.macs, count),
    line(text.flops, (side) => twice(side.macs), count),
    line(text.bytes, (side) => side.bytes, bytes),
    line(text.file, (side) => side.fileBytes, bytes),
  ];
  if (before.accuracy !== null || after.accuracy !== null)
    lines.push(...accuracyLines(before.accuracy, after.accuracy));
  if (before.latency !== null && after.latency !== null) {
    const spread = (side: BeforeAfter) => (side.latency === null ? '' : text.iqr(milliseconds(side.latency.iqr)));
    const latency = line(text.latency, (side) => side.latency?.median ?? null, milliseconds);
    lines.push({ ...latency, notes: [spread(before), spread(after)] });
  }
  return lines;
}

function accuracyLines(before: AccuracyFacts | null, after: AccuracyFacts | null): ResultLine[] {
  const text = strings.results;
  const share = (label: string, pick: (facts: AccuracyFacts) => number | null): ResultLine | null => {
    const values = [before === null ? null : pick(before), after === null ? null : pick(after)] as const;
    if (values[0] === null && values[1] === null) return null;
    const difference = values[0] === null || values[1] === null ? '–' : points(values[0], values[1]);
    return {
      label,
      before: percent(values[0]),
      after: percent(values[1]),
      change: difference,
      notes: ['', ''],
      values,
    };
  };
  const interval = (facts: AccuracyFacts | null) =>
    facts?.confidence == null ? '' : text.interval(percent(facts.confidence[0]), percent(facts.confidence[1]));
  const accuracy = share(text.accuracy, (facts) => facts.accuracy);
  const loss = [before?.loss ?? null, after?.loss ?? null] as const;
  return [
    accuracy === null ? null : { ...accuracy, notes: [interval(before), interval(after)] as const },
    share(text.top5, (facts) => facts.top5),
    loss[0] === null && loss[1] === null
      ? null
      : {
          label: text.loss,
          before: real(loss[0]),
          after: real(loss[1]),
          change: change(...loss),
          notes: ['', ''] as const,
          values: loss,
        },
  ].filter((line) => line !== null);
}

/** For the clipboard: plain numbers. */
export function resultTable(result: RunResult): DataTable {
  const text = strings.results;
  return {
    caption: text.heading,
    columns: [{ label: text.measure }, { label: text.before, format: exact }, { label: text.after, format: exact }],
    rows: resultLines(result).map(({ label, values }) => [label, ...values]),
  };
}

/** "1.60× as fast with 54.1 % of the MACs." */
export function speedSentence({ speedup, before, after }: RunResult): string {
  if (speedup === null) return strings.results.notMeasured;
  if (before.macs === null || after.macs === null || before.macs === 0) {
    return strings.results.speedOnly(factor(speedup));
  }
  return strings.results.speed(factor(speedup), percent(after.macs / before.macs));
}

/** What the run did to each layer. Channels and ranks only where they were cut: the rest is as it was. */
export function layersTable({ layers }: Pick<RunResult, 'layers'>): DataTable {
  const text = strings.results;
  const hasChannels = layers.some(({ channels }) => channels !== undefined);
  const hasRanks = layers.some(({ action }) => action === 'factorize');
  return {
    caption: text.layers,
    columns: [
      { label: strings.layers.columns.name },
      { label: text.action },
      ...(hasChannels ? [{ label: text.channels, format: exact }] : []),
      ...(hasRanks ? [{ label: text.rank, format: exact }] : []),
      { label: text.params, format: exact },
      { label: text.reason },
    ],
    rows: layers.map(({ layer, action, channels, rank, params, reason }) => [
      layer,
      text.actions[action],
      ...(hasChannels ? [channels ?? null] : []),
      ...(hasRanks ? [action === 'factorize' ? rank : null] : []),
      params,
      reason ?? '',
    ]),
  };
}

export function latencyTable(result: RunResult): DataTable {
  const { before, after } = strings.results;
  return {
    caption: strings.results.layerLatency,
    columns: [
      { label: strings.layers.columns.name },
      { label: before, format: milliseconds },
      { label: after, format: milliseconds },
    ],
    rows: result.layerLatency.map(({ layer, before: was, after: is }) => [layer, was, is]),
  };
}

const shownConfusions = 10;

export function confusionTable(facts: AccuracyFacts): DataTable {
  const text = strings.results;
  return {
    caption: text.topConfusions,
    columns: [
      { label: text.actual },
      { label: text.predicted },
      { label: text.imagesColumn, format: exact },
      { label: text.shareColumn, format: percent },
    ],
    rows: topConfusions(facts.classes, facts.confusion, shownConfusions).map((entry) => [
      entry.actual,
      entry.predicted,
      entry.images,
      entry.share,
    ]),
  };
}

/** The whole matrix, for the heat map's table. */
export function confusionMatrixTable({ classes, confusion }: AccuracyFacts): DataTable {
  return {
    caption: strings.results.confusion,
    columns: [{ label: strings.results.actual }, ...classes.map((label) => ({ label, format: exact }))],
    rows: classes.map((actual, row) => [
      actual,
      ...classes.map((_, column) => confusion[row * classes.length + column]),
    ]),
  };
}
