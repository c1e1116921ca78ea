/**
 * Trains the sample's network from random weights with Espalier's own trainer, on images drawn for it step by step: none
 * is seen twice, and none is among the workspace's. The seeds give the same network on every run on one machine;
 * another machine rounds its sums in another order, and ends in other last digits.
 */
import { augmenter } from '../src/data/augment';
import { makePreprocessor } from '../src/data/preprocess';
import type { Graph } from '../src/graph/graph';
import { seededRandom } from '../src/linalg/random';
import type { TrainingProgress } from '../src/protocol/plan';
import { float32Tensor, int64Tensor } from '../src/tensor/tensor';
import type { TrainingRecord } from '../src/train/checkpoint';
import { initialize } from '../src/train/initialize';
import { type TrainingData, train } from '../src/train/loop';
import { LABELS, objectiveOf } from '../src/train/objective';
import { sgd } from '../src/train/optimizers';
import { prepareModel, withTrained } from '../src/train/prepare';
import { buildProgram } from '../src/train/program';
import { cosine, withWarmup } from '../src/train/schedules';
import { metadata } from './builder';
import { channels, drawFigure, figures, side } from './draw';
import { sampleNetwork } from './network';

/** What the network expects of its images. */
export const preprocessing = {
  scale: 1 / 255,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
  layout: 'NCHW' as const,
  channels: 'RGB' as const,
};

const seeds = { weights: 3, images: 1000 };
const batch = 64;
const batchesPerEpoch = 25;
const epochs = 10;
/** What the trainer does to colour images of this size by default: a network that has not seen it must learn it first. */
const augmentation = { crop: side / 8, flip: true };

export interface SampleTraining {
  readonly graph: Graph;
  readonly record: TrainingRecord;
}

/**
 * @param signal stops the training between two steps
 * @throws UserError `cancelled`
 */
export async function trainSample(
  onProgress?: (progress: TrainingProgress) => void,
  signal?: AbortSignal,
): Promise<SampleTraining> {
  const graph = initialize(sampleNetwork(), { seed: seeds.weights });
  const prepared = await prepareModel({ graph, metadata, choice: 'all', trainsStatistics: true });
  const program = await buildProgram({
    graph: prepared.graph,
    metadata: prepared.metadata,
    trainables: prepared.trainables,
    tracked: prepared.tracked,
    objective: objectiveOf(prepared, {
      loss: 'labels',
      labelShare: 0,
      temperature: 1,
      features: 0,
      labelSmoothing: 0,
    }),
    optimizer: sgd({ momentum: 0.9, nesterov: true }),
    weightDecay: 5e-4,
    clip: 5,
    // Sums of one thread have one order.
    session: { threads: 1 },
  });
  try {
    const record = await train(program, {
      data: drawings,
      epochs,
      rate: 0.05,
      schedule: withWarmup(10, cosine),
      onProgress,
      signal,
    });
    return { graph: withTrained(graph, prepared.stored(program.tensors())), record };
  } finally {
    await program.release();
  }
}

/** As many of each figure in every batch; an epoch is only how often the mean loss is noted. */
const drawings: TrainingData = {
  batchesPerEpoch,
  async *batches(epoch) {
    const random = seededRandom(seeds.images + epoch);
    const whole = { ...preprocessing, resize: null, crop: null };
    const preprocessor = makePreprocessor(whole);
    const augment = augmenter(augmentation, whole, seeds.images, epoch);
    const elements = channels * side * side;
    for (let i = 0; i < batchesPerEpoch; i++) {
      const pixels = new Float32Array(batch * elements);
      const labels = Array.from({ length: batch }, (_, image) => image % figures.length);
      for (const [image, label] of labels.entries()) {
        const data = drawFigure(figures[label], random);
        const drawn = { data, channels, height: side, width: side, layout: 'HWC' } as const;
        preprocessor.write(preprocessor.fit(drawn, figures[label]), pixels, image * elements);
        // Half of each figure's images are left as they are.
        if (Math.floor(image / figures.length) % 2 === 1) {
          const place = pixels.subarray(image * elements, (image + 1) * elements);
          augment?.(place, [channels, side, side], i * batch + image);
        }
      }
      yield {
        feeds: { images: float32Tensor(pixels, [batch, channels, side, side]), [LABELS]: int64Tensor(labels) },
        count: batch,
        taken: (i + 1) * batch,
      };
    }
  },
};
