/** A model's runs as points of the chart, rows of the list and lines of the CSV. */
import type { RunSummary } from '../src/protocol/runs';
import type { ParetoPoint } from './charts/pareto';
import type { DataTable } from './controls/dataTable';
import { factor, percent, points } from './format';
import { methods } from './methods';
import { strings } from './strings';

/** Shape and colour by method: they stay when methods are added. */
const marks: Readonly<Record<string, number>> = {
  basis: 0,
  channel: 1,
  double: 2,
  resrep: 3,
  gsm: 4,
  'fine-tune': 5,
};

/** The kind of mark of a run's method, see charts/marks.ts. */
export function methodMark({ method }: Pick<RunSummary, 'method'>): number {
  return marks[method] ?? 0;
}

export function methodLabel({ method }: Pick<RunSummary, 'method'>): string {
  return methods.find(({ id }) => id === method)?.label ?? method;
}

/** Runs with both figures. */
export function paretoPoints(runs: readonly RunSummary[]): ParetoPoint[] {
  return runs.flatMap((run) =>
    run.macsShare === null || run.accuracy === null
      ? []
      : [
          {
            id: run.id,
            title: run.title,
            kind: methodMark(run),
            cost: run.macsShare,
            accuracy: run.accuracy,
            text: runFigures(run),
          },
        ],
  );
}

/** The original's accuracy as the newest run that measured it found it. */
export function originalAccuracy(runs: readonly RunSummary[]): number | null {
  return runs.find(({ accuracyBefore }) => accuracyBefore !== null)?.accuracyBefore ?? null;
}

/** "59.7 % of the MACs, accuracy 91.2 % (−0.51 points), 1.40× as fast"; what is unknown is left out. */
export function runFigures({ macsShare, accuracy, accuracyBefore, speedup }: RunSummary): string {
  const text = strings.runs;
  return [
    macsShare === null ? '' : text.macs(percent(macsShare)),
    accuracy === null
      ? ''
      : text.accuracyOf(percent(accuracy), accuracyBefore === null ? null : points(accuracyBefore, accuracy)),
    speedup === null ? '' : strings.tiles.faster(factor(speedup)),
  ]
    .filter(Boolean)
    .join(', ');
}

export type RunAction = 'open' | 'use' | 'save' | 'resume' | 'delete';

/** What can be done with a run, while `busy` says that one goes on. */
export function runActions({ state, canResume }: RunSummary, busy: boolean): RunAction[] {
  const isOver = state !== 'running' && state !== 'paused';
  return [
    ...(isOver && !busy && (state === 'done' || canResume) ? (['open'] as const) : []),
    'use',
    ...(state === 'done' ? (['save'] as const) : []),
    ...(canResume && isOver && !busy ? (['resume'] as const) : []),
    ...(isOver ? (['delete'] as const) : []),
  ];
}

export function runsTable(runs: readonly RunSummary[]): DataTable {
  const { columns, states } = strings.runs;
  return {
    caption: strings.runs.heading,
    columns: [
      { label: columns.run },
      { label: columns.method },
      { label: columns.state },
      { label: columns.macs, format: percent },
      { label: columns.params, format: percent },
      { label: columns.accuracy, format: percent },
      { label: columns.before, format: percent },
      { label: columns.speed, format: factor },
    ],
    rows: runs.map((run) => [
      run.title,
      methodLabel(run),
      states[run.state],
      run.macsShare,
      run.paramsShare,
      run.accuracy,
      run.accuracyBefore,
      run.speedup,
    ]),
  };
}
