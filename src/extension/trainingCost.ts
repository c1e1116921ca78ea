/** Which settings an estimate of the training time depends on. */
import { isDeepStrictEqual } from 'node:util';
import type { PruneSettings } from '../protocol/recipe';
import type { TrainingEstimate } from '../protocol/view';
import { epochsAfterCut } from '../settings/rounds';

/** Choices that a training step takes as long with as without. */
const FREE = ['epochs', 'lr', 'schedule', 'milestones', 'warmup', 'momentum', 'nesterov', 'weightDecay'] as const;

/**
 * What is known of the training time after a change of the settings. More epochs take longer in proportion, unless there are
 * others that stay as many.
 */
export function estimateAfter(
  estimate: TrainingEstimate,
  before: PruneSettings,
  after: PruneSettings,
): TrainingEstimate {
  if (!isDeepStrictEqual(costly(before), costly(after))) return { kind: 'unknown' };
  // What was said of the training as a whole holds no longer.
  const isSame = isDeepStrictEqual(before.training, after.training);
  const [from, to] = [before, after].map(({ training }) => training?.epochs ?? 0);
  if (from === to) return isSame ? estimate : withoutWarning(estimate);
  if (estimate.kind !== 'known' || from === 0 || to === 0) return { kind: 'unknown' };
  if (after.transfer !== undefined || epochsAfterCut(after) > 0) return { kind: 'unknown' };
  const { warning, ...time } = estimate.time;
  const steps = (time.steps / from) * to;
  return { kind: 'known', time: { ...time, steps, seconds: steps * time.secondsPerStep } };
}

function withoutWarning(estimate: TrainingEstimate): TrainingEstimate {
  if (estimate.kind !== 'known') return estimate;
  const { warning, ...time } = estimate.time;
  return { ...estimate, time };
}

function costly({ training, ...others }: PruneSettings): unknown {
  // Without one of their own, this method has the training of its schedule and a new classifier its own.
  if (!training) return others.method === 'resrep' || others.transfer ? others : null;
  const rest: Record<string, unknown> = { ...training };
  for (const key of FREE) delete rest[key];
  return { ...others, training: rest };
}
