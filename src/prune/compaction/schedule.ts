/**
 * When rows are masked and how strongly they are pulled to zero. With no gradient of the loss left, the norm of a row
 * falls by rate·λ/(1 − momentum) per step once momentum has built up; a schedule must leave the last row that is masked enough steps to reach zero.
 */
import type { ResRepOptions } from '../../protocol/recipe';

/** Sum of those falls that the last masked row needs: from a norm of 1, with room for what momentum carries on. */
export const NEEDED_REACH = 1.5;
/** What the preset for short runs aims at: rows that come later than expected need it, too. */
const SHORT_REACH = 3;
/** Rows cost more and less than those of an even cut: a short run masks faster than that would need. */
const SHORT_SPEED = 1.3;
/** Parts of a short run: before the first mask, and until the target should be met. */
const SHORT_WARMUP = 0.1;
const SHORT_MASKED = 0.35;
/** Refreshes of the masks in a short run. */
const SHORT_REFRESHES = 60;
/** λ of every row in a short run: ten times the published one for a hundredth of the steps. */
const SHORT_LAMBDA = 1e-3;
const PUBLISHED = { lambda: 1e-4, epochsBefore: 5, interval: 200, rowsPerRefresh: 4 };

export interface CompactionSchedule {
  /** Strength of the lasso of rows that learn, and of masked ones. */
  readonly lambda: number;
  readonly maskedLambda: number;
  readonly momentum: number;
  /** Steps before the first mask, and from one refresh to the next. */
  readonly warmupSteps: number;
  readonly interval: number;
  readonly rowsPerRefresh: number;
  /** Step by which the target is met, if rows go as evenly as they may. */
  readonly expectedEnd: number;
  /** Sum of the falls after that step. */
  readonly reach: number;
}

export interface ScheduledRun {
  readonly steps: number;
  readonly stepsPerEpoch: number;
  /** Rows that the target takes, as far as is known before. */
  readonly rows: number;
  /** Learning rate of a step, from 0. */
  rate(step: number): number;
}

export function compactionSchedule(options: ResRepOptions, run: ScheduledRun): CompactionSchedule {
  const { momentum, schedule } = options;
  const isShort = schedule === 'short';
  const warmupSteps =
    options.warmupSteps ??
    (isShort ? Math.round(SHORT_WARMUP * run.steps) : PUBLISHED.epochsBefore * run.stepsPerEpoch);
  const window = Math.max(1, Math.round(SHORT_MASKED * run.steps) - warmupSteps);
  const interval =
    options.interval ?? (isShort ? Math.max(1, Math.round(window / SHORT_REFRESHES)) : PUBLISHED.interval);
  const rowsPerRefresh =
    options.rowsPerRefresh ??
    (isShort
      ? Math.max(1, Math.ceil((SHORT_SPEED * run.rows) / Math.max(1, Math.floor(window / interval))))
      : PUBLISHED.rowsPerRefresh);
  const refreshes = Math.max(1, Math.ceil(run.rows / rowsPerRefresh));
  const expectedEnd = warmupSteps + (refreshes - 1) * interval;
  const lambda = options.lambda ?? (isShort ? SHORT_LAMBDA : PUBLISHED.lambda);
  const perLambda = reachFrom({ ...run, lambda: 1, momentum }, Math.min(expectedEnd, run.steps));
  const scaled = isShort && options.lambda === undefined && perLambda > 0 ? SHORT_REACH / perLambda : lambda;
  const maskedLambda = options.maskedLambda ?? Math.max(lambda, scaled);
  return {
    lambda,
    maskedLambda,
    momentum,
    warmupSteps,
    interval,
    rowsPerRefresh,
    expectedEnd,
    reach: perLambda * maskedLambda,
  };
}

type FallingRun = Pick<ScheduledRun, 'steps' | 'rate'> & { readonly lambda: number; readonly momentum: number };

/**
 * How far a row falls that is masked at a step: Σ rate·λ·(1 − momentumᵏ)/(1 − momentum) over the steps that are left, as
 * momentum takes k of them to build up.
 *
 * @param note is told the same of every step from there to the end, the last first
 */
export function reachFrom(
  { steps, rate, lambda, momentum }: FallingRun,
  from: number,
  note?: (step: number, reach: number) => void,
): number {
  let [whole, missing, reach] = [0, 0, 0];
  for (let t = steps - 1; t >= from; t--) {
    const now = rate(t);
    whole += now;
    missing = momentum * (missing + now);
    reach = (lambda * (whole - missing)) / (1 - momentum);
    note?.(t, reach);
  }
  return reach;
}

/** How far a row falls that is masked at a step, for every step and the end. */
export function reachOf(run: FallingRun): Float64Array {
  const all = new Float64Array(run.steps + 1);
  reachFrom(run, 0, (step, reach) => {
    all[step] = reach;
  });
  return all;
}
