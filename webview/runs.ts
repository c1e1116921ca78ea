/** A model's runs as points of the chart, rows of the list and lines of the CSV. */
import type { RunSummary } from '../src/protocol/runs';
import type { ParetoPoint } from './charts/pareto';
import type { DataTable } from './controls/dataTable';
import { factor, percent, points } from './format';
import { methods } from './methods';
import { strings } from './strings';

/** The place of its method among those on offer: its shape and colour. */
export function methodIndex({ method }: Pick<RunSummary, 'method'>): number {
  return Math.max(
    0,
    methods.findIndex(({ id }) => id === method),
  );
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
            kind: methodIndex(run),
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
      methods[methodIndex(run)]?.label ?? run.method,
      states[run.state],
      run.macsShare,
      run.paramsShare,
      run.accuracy,
      run.accuracyBefore,
      run.speedup,
    ]),
  };
}
