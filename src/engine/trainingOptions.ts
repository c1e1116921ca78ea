/** What a recipe's training options stand for. */
import type { PruneSettings, TrainingSettings } from '../protocol/recipe';
import { adamW, type Optimizer, sgd } from '../train/optimizers';
import { constant, cosine, type Schedule, steps, withWarmup } from '../train/schedules';

/** A model that learns classes of its own has no teacher. */
export function withLoss({ method, transfer }: PruneSettings, training: TrainingSettings): TrainingSettings {
  if (training.loss !== 'auto') return training;
  return { ...training, loss: method === 'fine-tune' || method === 'gsm' || transfer ? 'labels' : 'distill' };
}

/** Statistics of weights that were drawn at random are worth nothing. */
export function batchNormOf({ batchNorm, initial }: TrainingSettings): 'frozen' | 'reestimate' | 'train' {
  if (batchNorm !== 'auto') return batchNorm;
  return initial === 'random' ? 'train' : 'frozen';
}

export function lossOf({ loss }: TrainingSettings): 'labels' | 'distill' | 'match' {
  return loss === 'auto' ? 'distill' : loss;
}

export function usesLabels(training: TrainingSettings): boolean {
  return lossOf(training) === 'labels' || training.labelShare > 0;
}

export function learnsFromOriginal(training: TrainingSettings): boolean {
  return lossOf(training) !== 'labels' || training.features > 0;
}

export function optimizerOf({ optimizer, momentum, nesterov }: TrainingSettings): Optimizer {
  return optimizer === 'adamw' ? adamW() : sgd({ momentum, nesterov });
}

export function scheduleOf({ schedule, milestones, warmup }: TrainingSettings): Schedule {
  const base = { cosine, constant, step: steps(milestones, 0.1) }[schedule];
  return warmup > 0 ? withWarmup(warmup, base) : base;
}
