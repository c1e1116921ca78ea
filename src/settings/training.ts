/** What the options of a training come to with the others, for the engine and the form alike. */
import type { PruneSettings, TrainingSettings } from '../protocol/recipe';
import { trainsSparsely } from './methods';
import { epochsAfterCut } from './rounds';

/** Settings with the training they ask for. */
export type TrainedSettings = Pick<PruneSettings, 'method' | 'transfer'> & { readonly training: TrainingSettings };

/** What a training learns from. A model that learns classes of its own has no teacher. */
export function lossOf({ method, transfer, training }: TrainedSettings): 'labels' | 'distill' | 'match' {
  if (training.loss !== 'auto') return training.loss;
  return method === 'fine-tune' || method === 'gsm' || transfer ? 'labels' : 'distill';
}

export function usesLabels(settings: TrainedSettings): boolean {
  return lossOf(settings) === 'labels' || settings.training.labelShare > 0;
}

export function learnsFromOriginal(settings: TrainedSettings): boolean {
  return lossOf(settings) !== 'labels' || settings.training.features > 0;
}

/** Whether any part of a run trains with the training's own optimizer: methods that have another train otherwise after it. */
export function usesOptimizer(settings: PruneSettings): boolean {
  if (settings.transfer !== undefined || epochsAfterCut(settings) > 0) return true;
  return settings.method !== 'resrep' && !trainsSparsely(settings);
}
