/** Training that goes with ResRep's presets: the published schedules, and one for a run of minutes. */
import type { z } from 'zod';
import { type ResRepOptions, type TrainingSettings, trainingSchema } from './recipe';

type TrainingWords = z.input<typeof trainingSchema>;

/** Batch, epochs and rates as released with the paper; without its doubled learning rate of biases. */
const PUBLISHED: TrainingWords = {
  loss: 'labels',
  lr: 0.01,
  nesterov: false,
  weightDecay: 1e-4,
  clip: 0,
  batchNorm: 'train',
};

export const resRepTrainings: Readonly<Record<ResRepOptions['schedule'], TrainingWords>> = {
  short: { epochs: 12, batch: 64, lr: 0.01, weightDecay: 1e-4 },
  cifar: { ...PUBLISHED, epochs: 480, batch: 64 },
  imagenet: { ...PUBLISHED, epochs: 180, batch: 256 },
};

/** ResRep prunes by training: settings that ask for none get that of the preset. */
export function resRepTraining(
  schedule: ResRepOptions['schedule'],
  given: TrainingSettings | undefined,
): TrainingSettings {
  if (given && given.epochs > 0) return given;
  const words = resRepTrainings[schedule];
  return given ? { ...given, epochs: words.epochs as number } : trainingSchema.parse(words);
}
