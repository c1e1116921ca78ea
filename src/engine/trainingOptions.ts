/** What a recipe's training options stand for. */
import type { PruneSettings, TrainingSettings } from '../protocol/recipe';
import { resRepTraining } from '../protocol/resrep';
import { adamW, type Optimizer, sgd } from '../train/optimizers';
import { constant, cosine, type Schedule, steps, withWarmup } from '../train/schedules';

/** The training that the settings ask for; null when they ask for none. */
export function trainingOf({ method, training, resrep }: PruneSettings): TrainingSettings | null {
  if (method === 'resrep') return resRepTraining(resrep.schedule, training);
  return training && training.epochs > 0 ? training : null;
}

/** Statistics of weights that were drawn at random are worth nothing. */
export function batchNormOf({ batchNorm, initial }: TrainingSettings): 'frozen' | 'reestimate' | 'train' {
  if (batchNorm !== 'auto') return batchNorm;
  return initial === 'random' ? 'train' : 'frozen';
}

export function optimizerOf({ optimizer, momentum, nesterov }: TrainingSettings): Optimizer {
  return optimizer === 'adamw' ? adamW() : sgd({ momentum, nesterov });
}

export function scheduleOf({ schedule, milestones, warmup }: TrainingSettings): Schedule {
  const base = { cosine, constant, step: steps(milestones, 0.1) }[schedule];
  return warmup > 0 ? withWarmup(warmup, base) : base;
}
