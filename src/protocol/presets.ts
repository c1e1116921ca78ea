/** Settings that belong together, by name: published ones, and what gives something useful in less time. */
import type { RecipeInput, ResRepOptions } from './recipe';
import { resRepTrainings } from './resrep';

export interface Preset {
  readonly name: string;
  /** For people: where the settings come from, and what they suit. */
  readonly description: string;
  readonly settings: Pick<RecipeInput, 'method' | 'gsm' | 'resrep' | 'training'>;
  /** Options of the method that a preset leaves to its schedule: one chosen before goes. */
  readonly leftOut?: readonly string[];
}

/** Named in every preset, so that nothing of another one stays. */
const PLAIN = { loss: 'auto', clip: 5, batchNorm: 'auto' } as const;
/** Of the published trainings, which clip nothing and keep normalization's statistics up to date. */
const PUBLISHED = { loss: 'labels', clip: 0, batchNorm: 'train' } as const;

const resRep = (schedule: ResRepOptions['schedule']): Pick<Preset, 'settings' | 'leftOut'> => ({
  settings: {
    method: 'resrep',
    resrep: { schedule, momentum: 0.99, epochsAfter: 0 },
    training: resRepTrainings[schedule],
  },
  leftOut: ['lambda', 'maskedLambda', 'warmupSteps', 'interval', 'rowsPerRefresh'],
});

export const presets: readonly Preset[] = [
  {
    name: 'gsm-lenet',
    description: 'As published for LeNet on MNIST (GSM, 2019): 280 epochs of 234 steps; keeps a sixtieth.',
    settings: {
      method: 'gsm',
      gsm: { keep: 1 / 60, momentum: 0.99, weightDecay: 5e-4, nesterov: false, epochsAfter: 0 },
      training: {
        ...PUBLISHED,
        epochs: 280,
        lr: 0.01,
        schedule: 'step',
        milestones: [4 / 7, 5 / 7, 6 / 7],
        warmup: 1170,
        batch: 256,
      },
    },
  },
  {
    name: 'gsm-cifar',
    description: 'As published for ResNet-56 on CIFAR-10 (GSM, 2019): 600 epochs of 781 steps; keeps a tenth.',
    settings: {
      method: 'gsm',
      gsm: { keep: 0.1, momentum: 0.98, weightDecay: 1e-4, nesterov: false, epochsAfter: 0 },
      training: {
        ...PUBLISHED,
        epochs: 600,
        lr: 0.005,
        schedule: 'step',
        milestones: [2 / 3, 5 / 6],
        warmup: 3905,
        batch: 64,
      },
    },
  },
  {
    name: 'gsm-short',
    description:
      'A stronger decay in larger batches, and some epochs with the zeros kept: for a first look at what a model can lose, from 20,000 images on.',
    settings: {
      method: 'gsm',
      gsm: { keep: 0.1, momentum: 0.99, weightDecay: 1e-3, nesterov: false, epochsAfter: 5 },
      training: { ...PLAIN, epochs: 48, lr: 0.03, schedule: 'step', milestones: [0.75, 0.9], warmup: 300, batch: 256 },
    },
  },
  {
    name: 'resrep-short',
    description: 'ResRep in 12 epochs: masking and its strength follow from the number of steps.',
    ...resRep('short'),
  },
  {
    name: 'resrep-cifar',
    description: 'As published for ResNet-56 on CIFAR-10 (ResRep, 2021): 480 epochs of 781 steps.',
    ...resRep('cifar'),
  },
  {
    name: 'resrep-imagenet',
    description: 'As published for ResNet-50 on ImageNet (ResRep, 2021): 180 epochs in batches of 256.',
    ...resRep('imagenet'),
  },
];
