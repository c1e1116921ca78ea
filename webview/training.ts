/** The settings' training: what it starts from, and which of its options mean something. */
import type { PruneSettings, TrainingSettings } from '../src/protocol/recipe';
import { trainingSchema } from './methods';
import { standardValues } from './options';

/** The settings' training, or what it starts from when the recipe has none. */
export function trainingOf(settings: PruneSettings): TrainingSettings {
  return settings.training ?? (standardValues(trainingSchema) as TrainingSettings);
}

const allButEpochs = Object.keys(trainingSchema.properties).filter((key) => key !== 'epochs');
const ofAugment = Object.keys(trainingSchema.properties.augment?.properties ?? {}).map((key) => `augment.${key}`);

/** Options that change nothing, given the others. */
export function withoutMeaning(
  { epochs, loss, labelShare, features, optimizer, schedule }: TrainingSettings,
  method: PruneSettings['method'],
): ReadonlySet<string> {
  if (epochs === 0) return new Set([...allButEpochs, ...ofAugment]);
  // This method has an optimizer of its own, learns from labels by itself and prunes in one round.
  const isSparse = method === 'gsm';
  const distils = (loss === 'auto' && !isSparse) || loss === 'distill';
  const isSgd = optimizer === 'sgd' && !isSparse;
  return new Set([
    ...(distils ? [] : ['temperature']),
    ...(loss === 'labels' ? ['labelShare'] : []),
    ...(loss === 'labels' || labelShare > 0 ? [] : ['labelSmoothing']),
    ...(features > 0 ? [] : ['featureLayers']),
    ...(isSgd ? [] : ['momentum', 'nesterov']),
    ...(isSparse ? ['optimizer', 'weightDecay', 'rounds'] : []),
    ...(schedule === 'step' ? [] : ['milestones']),
  ]);
}
