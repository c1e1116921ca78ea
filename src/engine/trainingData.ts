/** A dataset as the training loop takes it: augmented batches, with labels where they are used. */
import { dataNeeded, tooFewImages } from '../errors';
import type { TrainingSettings } from '../protocol/recipe';
import { usesLabels } from '../settings/training';
import { float32Tensor, int64Tensor, type Tensor, toFloat32 } from '../tensor/tensor';
import type { TrainingData } from '../train/loop';
import { LABELS } from '../train/objective';
import type { PreparedModel } from '../train/prepare';
import type { FeedBatch, Inputs } from './inputs';
import type { ProgramRequest } from './trainingProgram';

export function imagesPerEpoch({ dataset }: Inputs, { images }: TrainingSettings): number {
  return Math.min(images ?? dataset.length, dataset.length);
}

/** Steps of an epoch when every image can be read. */
export function stepsPerEpoch(inputs: Inputs, training: TrainingSettings): number {
  const images = imagesPerEpoch(inputs, training);
  return inputs.fixedBatch ? Math.floor(images / inputs.fixedBatch) : Math.ceil(images / training.batch);
}

/** @throws UserError `too-few-images` when they do not fill one batch of a model with a fixed batch size */
export function dataOf(inputs: Inputs, settings: ProgramRequest['settings'], prepared: PreparedModel): TrainingData {
  const { training, seed } = settings;
  const images = imagesPerEpoch(inputs, training);
  const batch = inputs.fixedBatch ?? training.batch;
  const batchesPerEpoch = stepsPerEpoch(inputs, training);
  if (images === 0) throw dataNeeded({ what: 'training' });
  if (batchesPerEpoch === 0) throw tooFewImages({ path: inputs.dataset.path, found: images, expected: batch });
  const reads = new Set(prepared.graph.inputs.map(({ name }) => name));
  const augmentation = {
    crop: training.augment.crop ?? Math.round(Math.min(...inputs.imageSize) / 8),
    flip: training.augment.flip ?? inputs.facts.preprocessing.channels !== 'gray',
    mix: training.augment.mix,
  };
  return {
    batchesPerEpoch,
    async *batches(epoch, taken, signal) {
      const options = { epoch, seed, batch, images: training.images, taken, augmentation, signal };
      for await (const made of inputs.epoch(options)) {
        yield { feeds: feedsOf(made, usesLabels(settings), reads), count: made.count, taken: made.taken };
      }
    },
  };
}

/** Images as floats of single precision, and labels where they are used. */
function feedsOf(
  { feeds, labels }: FeedBatch,
  withLabels: boolean,
  reads: ReadonlySet<string>,
): Record<string, Tensor> {
  const given: Record<string, Tensor> = {};
  for (const [name, tensor] of Object.entries(feeds)) {
    if (!reads.has(name)) continue;
    given[name] = tensor.dtype === 'uint8' ? tensor : float32Tensor(toFloat32(tensor), tensor.dims);
  }
  if (withLabels && labels) given[LABELS] = int64Tensor(Array.from(labels));
  return given;
}
