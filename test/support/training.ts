/** A small classifier and a problem it can learn, for tests of training. */
import { float, type Graph, int, ints, makeNode } from '../../src/graph/graph';
import { type Random, seededRandom } from '../../src/linalg/random';
import { float32Tensor, int64Tensor, memoryTensor, type TensorRef } from '../../src/tensor/tensor';
import type { TrainingBatch, TrainingData } from '../../src/train/loop';
import { LABELS, objectiveOf } from '../../src/train/objective';
import { sgd } from '../../src/train/optimizers';
import { type ModelToTrain, type PreparedModel, prepareModel } from '../../src/train/prepare';
import { buildProgram, type TrainingProgram } from '../../src/train/program';
import type { ProgramSpec } from '../../src/train/trainingGraph';
import { metadataOf } from './graphs';

const side = 6;
export const toyClasses = 3;

/**
 * x [N, 2, 6, 6] → convA 3×3 (4) → convB 1×1 (5) → bn → ReLU → average → Gemm → y [N, 3].
 * convA and convB are the halves of a factorized layer; the value between them is `inner`.
 */
export function toyModel({ normalized = true, seed = 5 } = {}): Graph {
  const random = seededRandom(seed);
  const initializers = new Map<string, TensorRef>();
  const store = (name: string, dims: readonly number[], make: () => number): string => {
    const count = dims.reduce((product, n) => product * n, 1);
    initializers.set(name, memoryTensor(name, float32Tensor(Float32Array.from({ length: count }, make), dims)));
    return name;
  };
  const weight = (name: string, dims: readonly number[]): string =>
    store(name, dims, () => random.normal() * Math.sqrt(2 / dims.slice(1).reduce((product, n) => product * n, 1)));
  const bn = normalized
    ? [
        makeNode(
          'BatchNormalization',
          [
            'mapped',
            store('bn.weight', [5], () => 1 + 0.2 * random.normal()),
            store('bn.bias', [5], () => 0.2 * random.normal()),
            store('bn.mean', [5], () => 0.1 * random.normal()),
            store('bn.variance', [5], () => 0.5 + random.uniform()),
          ],
          ['normal'],
          { epsilon: float(1e-3) },
        ),
      ]
    : [];
  return {
    name: 'toy',
    inputs: [{ name: 'x', dtype: 'float32', shape: ['N', 2, side, side] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['N', toyClasses] }],
    valueInfo: [],
    nodes: [
      makeNode('Conv', ['x', weight('convA.weight', [4, 2, 3, 3])], ['inner'], { pads: ints([1, 1, 1, 1]) }),
      makeNode('Conv', ['inner', weight('convB.weight', [5, 4, 1, 1]), store('convB.bias', [5], () => 0)], ['mapped'], {
        group: int(1),
      }),
      ...bn,
      makeNode('Relu', [normalized ? 'normal' : 'mapped'], ['active']),
      makeNode('GlobalAveragePool', ['active'], ['pooled']),
      makeNode('Flatten', ['pooled'], ['flat'], { axis: int(1) }),
      makeNode(
        'Gemm',
        ['flat', weight('head.weight', [toyClasses, 5]), store('head.bias', [toyClasses], () => 0)],
        ['y'],
        {
          transB: int(1),
        },
      ),
    ],
    initializers,
  };
}

/** Images of noise in which a class shows by which of two channels has an edge, or none. */
function toyImage(label: number, random: Random): Float32Array {
  const image = Float32Array.from({ length: 2 * side * side }, () => 0.3 * random.normal());
  if (label < 2) {
    const column = random.index(side - 1);
    for (let y = 0; y < side; y++) {
      image[label * side * side + y * side + column] += 2;
      image[label * side * side + y * side + column + 1] -= 2;
    }
  }
  return image;
}

export function toyBatch(count: number, seed: number): { x: Float32Array; labels: number[] } {
  const random = seededRandom(seed);
  const labels = Array.from({ length: count }, () => random.index(toyClasses));
  const x = new Float32Array(count * 2 * side * side);
  labels.forEach((label, i) => {
    x.set(toyImage(label, random), i * 2 * side * side);
  });
  return { x, labels };
}

/** Batches that follow from the epoch and their place in it. Every epoch ends with a smaller batch. */
export function toyData({ batchesPerEpoch = 10, batch = 16, withLabels = true } = {}): TrainingData {
  return {
    batchesPerEpoch,
    async *batches(epoch, taken): AsyncGenerator<TrainingBatch> {
      for (let i = Math.ceil(taken / batch); i < batchesPerEpoch; i++) {
        const count = i === batchesPerEpoch - 1 ? batch - 5 : batch;
        yield toyStep(count, 1000 * epoch + i, withLabels, i * batch + count);
      }
    },
  };
}

export function toyStep(count: number, seed: number, withLabels = true, taken = count): TrainingBatch {
  const { x, labels } = toyBatch(count, seed);
  return {
    feeds: {
      x: float32Tensor(x, [count, 2, side, side]),
      ...(withLabels ? { [LABELS]: int64Tensor(labels) } : {}),
    },
    count,
    taken,
  };
}

export interface Toy {
  readonly prepared: PreparedModel;
  readonly program: TrainingProgram;
}

/** A program that trains the toy with labels; one thread, so that sums have one order. */
export async function toyProgram(
  model: Partial<ModelToTrain> = {},
  spec: Partial<Omit<ProgramSpec, 'graph' | 'metadata' | 'trainables'>> = {},
): Promise<Toy> {
  const prepared = await prepareModel({
    graph: toyModel(),
    metadata: metadataOf(),
    choice: 'all',
    inners: ['inner'],
    ...model,
  });
  const program = await buildProgram({
    objective: objectiveOf(prepared, {
      loss: model.teacher ? 'distill' : 'labels',
      labelShare: 0,
      temperature: 4,
      features: 0,
      labelSmoothing: 0,
    }),
    optimizer: sgd({ momentum: 0.9, nesterov: true }),
    clip: 5,
    session: { threads: 1 },
    ...spec,
    graph: prepared.graph,
    metadata: prepared.metadata,
    trainables: prepared.trainables,
    tracked: prepared.tracked,
  });
  return { prepared, program };
}
