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
export function withoutMeaning({
  epochs,
  loss,
  labelShare,
  features,
  optimizer,
}: TrainingSettings): ReadonlySet<string> {
  if (epochs === 0) return new Set([...allButEpochs, ...ofAugment]);
  const distils = loss === 'auto' || loss === 'distill';
  return new Set([
    ...(distils ? [] : ['temperature']),
    ...(loss === 'labels' ? ['labelShare'] : []),
    ...(loss === 'labels' || labelShare > 0 ? [] : ['labelSmoothing']),
    ...(features > 0 ? [] : ['featureLayers']),
    ...(optimizer === 'sgd' ? [] : ['momentum', 'nesterov']),
  ]);
}
