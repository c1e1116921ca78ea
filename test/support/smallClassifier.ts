/** A small image classifier and images it classifies, written to files: what a run needs, made in a moment. */
import fs from 'node:fs';
import path from 'node:path';
import { type Graph, int, ints, makeNode } from '../../src/graph/graph';
import { seededRandom } from '../../src/linalg/random';
import { elementCount } from '../../src/tensor/dtype';
import { fromFloat, type Tensor, toFloat64 } from '../../src/tensor/tensor';
import { metadataOf, randomTensor, runGraph } from './graphs';
import { makeGraph, modelBytes, temporaryFolder, value } from './onnxBuilder';

const SIDE = 32;
const PIXELS = SIDE * SIDE;
export const CLASSES = 10;
/** ImageNet's, one of those the product tries by itself. */
const MEAN = [0.485, 0.456, 0.406];
const STD = [0.229, 0.224, 0.225];

/** Three convolutions, two with BatchNormalization behind them, and a classifier. */
export function smallClassifier(dtype: 'float32' | 'float16' = 'float32'): Graph {
  const weight = (seed: number, ...dims: number[]): Tensor =>
    randomTensor(dims, seed, dtype, Math.sqrt(2 / elementCount(dims.slice(1))));
  const constant = (value: number, count: number): Tensor =>
    fromFloat(new Float64Array(count).fill(value), dtype, [count]);
  const norm = (name: string, count: number, seed: number): Record<string, Tensor> => ({
    [`${name}.weight`]: constant(1, count),
    [`${name}.bias`]: randomTensor([count], seed, dtype, 0.3),
    [`${name}.mean`]: constant(0, count),
    [`${name}.var`]: constant(1, count),
  });
  const parts = (name: string): string[] => ['weight', 'bias', 'mean', 'var'].map((part) => `${name}.${part}`);
  const pads = ints([1, 1, 1, 1]);
  return makeGraph({
    nodes: [
      makeNode('Conv', ['image', 'stem.weight'], ['c0'], { pads, strides: ints([2, 2]) }),
      makeNode('BatchNormalization', ['c0', ...parts('bn0')], ['n0']),
      makeNode('Relu', ['n0'], ['a0']),
      makeNode('Conv', ['a0', 'middle.weight'], ['c1'], { pads }),
      makeNode('BatchNormalization', ['c1', ...parts('bn1')], ['n1']),
      makeNode('Relu', ['n1'], ['a1']),
      makeNode('Conv', ['a1', 'last.weight', 'last.bias'], ['c2'], { pads, strides: ints([2, 2]) }),
      makeNode('Relu', ['c2'], ['a2']),
      makeNode('GlobalAveragePool', ['a2'], ['p']),
      makeNode('Flatten', ['p'], ['f']),
      makeNode('Gemm', ['f', 'head.weight', 'head.bias'], ['logits'], { transB: int(1) }),
    ],
    inputs: [value('image', ['N', 3, SIDE, SIDE], dtype)],
    outputs: [value('logits', ['N', CLASSES], dtype)],
    initializers: {
      'stem.weight': weight(1, 32, 3, 3, 3),
      ...norm('bn0', 32, 11),
      'middle.weight': weight(2, 32, 32, 3, 3),
      ...norm('bn1', 32, 12),
      'last.weight': weight(3, 64, 32, 3, 3),
      'last.bias': randomTensor([64], 13, dtype, 0.3),
      'head.weight': weight(4, CLASSES, 64),
      'head.bias': randomTensor([CLASSES], 14, dtype, 0.1),
    },
  });
}

/** Images of coloured waves, [count, 3, 32, 32], 0 to 255. */
function images(count: number): Uint8Array {
  const random = seededRandom(7);
  const out = new Uint8Array(count * 3 * PIXELS);
  for (let image = 0; image < count; image++) {
    for (let channel = 0; channel < 3; channel++) {
      const [level, strength, x, y, phase] = Array.from({ length: 5 }, () => random.uniform());
      for (let i = 0; i < PIXELS; i++) {
        const angle = (x * (i % SIDE) + y * Math.floor(i / SIDE)) * 0.8 + 6.3 * phase;
        const noise = 10 * random.normal();
        const pixel = 60 + 130 * level + 60 * strength * Math.sin(angle) + noise;
        out[(image * 3 + channel) * PIXELS + i] = Math.max(0, Math.min(255, Math.round(pixel)));
      }
    }
  }
  return out;
}

export interface SmallTask {
  readonly folder: string;
  readonly model: string;
  /** CIFAR records whose labels are what the model says. */
  readonly data: string;
  /** An empty folder for candidates. */
  readonly storage: string;
}

/** Writes the classifier and images labelled by it. */
export async function smallTask(count = 120, dtype: 'float32' | 'float16' = 'float32'): Promise<SmallTask> {
  const graph = smallClassifier(dtype);
  const pixels = images(count);
  const values = Float64Array.from(pixels, (pixel, i) => {
    const channel = Math.floor(i / PIXELS) % 3;
    return (pixel / 255 - MEAN[channel]) / STD[channel];
  });
  const { logits } = await runGraph(graph, { image: fromFloat(values, dtype, [count, 3, SIDE, SIDE]) }, metadataOf());
  const scores = toFloat64(logits);
  const record = 3 * PIXELS + 1;
  const bytes = new Uint8Array(count * record);
  for (let i = 0; i < count; i++) {
    const row = scores.subarray(i * CLASSES, (i + 1) * CLASSES);
    bytes[i * record] = row.indexOf(Math.max(...row));
    bytes.set(pixels.subarray(i * 3 * PIXELS, (i + 1) * 3 * PIXELS), i * record + 1);
  }
  const folder = temporaryFolder();
  const place = (name: string, content: Uint8Array): string => {
    fs.writeFileSync(path.join(folder, name), content);
    return path.join(folder, name);
  };
  const storage = path.join(folder, 'storage');
  fs.mkdirSync(storage);
  return { folder, model: place('model.onnx', modelBytes(graph)), data: place('data.bin', bytes), storage };
}
