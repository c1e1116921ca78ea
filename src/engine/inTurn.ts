/** Trainings of one run, one after the other, as one to whoever looks on. */
import type { TrainingProgress } from '../protocol/plan';

/** Epochs of the same run before and after a training. */
export interface Neighbours {
  readonly before: number;
  readonly after: number;
  /** Time for an epoch that comes after, against one of this training; 1 unless given. */
  readonly cost?: number;
}

/** Progress of a training as part of the whole: one curve whose steps go on. */
export function amongAll(now: TrainingProgress, { before, after, cost = 1 }: Neighbours): TrainingProgress {
  const perEpoch = now.steps / now.epochs;
  return {
    ...now,
    step: now.step + before * perEpoch,
    steps: now.steps + (before + after) * perEpoch,
    epoch: now.epoch + before,
    epochs: now.epochs + before + after,
    secondsLeft: secondsLeft(now, cost * after * perEpoch),
  };
}

/** With so many more steps as long as these. */
function secondsLeft({ secondsLeft: left, steps, step }: TrainingProgress, more: number): number | null {
  if (left === null || more === 0) return left;
  // A training that is at its end says nothing of the pace.
  return step < steps ? left * (1 + more / (steps - step)) : null;
}
