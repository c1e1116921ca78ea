/** Training that goes with ResRep's presets: the published schedules, and one for a run of minutes. */
import type { z } from 'zod';
import { type ResRepOptions, type TrainingSettings, trainingSchema } from './recipe';

type TrainingWords = z.input<typeof trainingSchema>;

/** Batch, epochs and rates as released with the paper; without its doubled learning rate of biases. */
const PUBLISHED: TrainingWords = {
  loss: 'labels',
  lr: 0.01,
  schedule: 'cosine',
  warmup: 0,
  momentum: 0.9,
  nesterov: false,
  weightDecay: 1e-4,
  clip: 0,
  batchNorm: 'train',
};

export const resRepTrainings: Readonly<Record<ResRepOptions['schedule'], TrainingWords>> = {
  short: {
    loss: 'auto',
    lr: 0.01,
    schedule: 'cosine',
    warmup: 0,
    momentum: 0.9,
    nesterov: true,
    weightDecay: 1e-4,
    clip: 5,
    batchNorm: 'auto',
    epochs: 12,
    batch: 64,
  },
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
