/** First-order importance against what the loss really does when a component is scaled. */
import { describe, expect, test } from 'vitest';
import { serializeGraph } from '../../src/formats/onnx/serialize';
import { type Graph, makeNode } from '../../src/graph/graph';
import { seededRandom } from '../../src/linalg/random';
import { createSession } from '../../src/runtime/session';
import { float32Tensor, int64Tensor, memoryTensor } from '../../src/tensor/tensor';
import { type Components, firstOrderScores, type LabelledFeeds } from '../../src/train/firstOrder';
import { metadataOf } from '../support/graphs';
import { toyModel } from '../support/training';

const metadata = metadataOf({ opset: 18 });
const images = 4;
const channels = 5;

function batch(): { x: Float32Array; labels: number[] } {
  const random = seededRandom(3);
  return { x: Float32Array.from({ length: images * 2 * 36 }, () => random.normal()), labels: [0, 2, 1, 1] };
}

const feedsOf = (x: Float32Array) => ({ x: float32Tensor(x, [x.length / 72, 2, 6, 6]) });

async function* once({ x, labels }: ReturnType<typeof batch>, labelled: boolean): AsyncGenerator<LabelledFeeds> {
  yield { feeds: feedsOf(x), labels: labelled ? int64Tensor(labels) : null };
}

/** The model with a matrix [C, C] and an offset [C] applied to 'mapped' before it goes on. */
function mixed(matrix: Float64Array, offset: Float64Array): Graph {
  const graph = toyModel();
  const M = memoryTensor('M', float32Tensor(Float32Array.from(matrix), [channels, channels, 1, 1]));
  const b = memoryTensor('b', float32Tensor(Float32Array.from(offset), [channels]));
  const nodes = graph.nodes.flatMap((node) =>
    node.outputs[0] === 'mapped'
      ? [{ ...node, outputs: ['raw'] }, makeNode('Conv', ['raw', 'M', 'b'], ['mapped'])]
      : [node],
  );
  return { ...graph, nodes, initializers: new Map([...graph.initializers, ['M', M], ['b', b]]) };
}

/** Cross-entropy of each image. */
async function losses(graph: Graph, { x, labels }: ReturnType<typeof batch>): Promise<number[]> {
  const session = await createSession(serializeGraph(graph, metadata), { threads: 1 });
  try {
    const { data, dims } = (await session.run(feedsOf(x))).y;
    return labels.map((label, n) => {
      const row = Array.from(data as Float32Array).slice(n * dims[1], (n + 1) * dims[1]);
      return Math.log(row.reduce((sum, z) => sum + Math.exp(z), 0)) - row[label];
    });
  } finally {
    await session.release();
  }
}

/** dLoss/ds of each image when component j of (mapped − mean) is multiplied by s, at s = 1. */
async function slopes(j: number, { into, out, mean }: Components): Promise<number[]> {
  const step = 2e-3;
  const scaled = (s: number): Graph => {
    const matrix = new Float64Array(channels * channels);
    const offset = new Float64Array(channels);
    for (let a = 0; a < channels; a++) {
      for (let b = 0; b < channels; b++) {
        const change = (s - 1) * out[j * channels + a] * into[j * channels + b];
        matrix[a * channels + b] = (a === b ? 1 : 0) + change;
        offset[a] -= change * mean[b];
      }
    }
    return mixed(matrix, offset);
  };
  const [more, less] = [await losses(scaled(1 + step), batch()), await losses(scaled(1 - step), batch())];
  return more.map((loss, n) => (loss - less[n]) / (2 * step));
}

/** An orthonormal basis under a metric, as the basis method has it. */
function rotated(): Components {
  const [c, s] = [Math.cos(0.7), Math.sin(0.7)];
  const metric = [1, 2, 0.5, 1.5, 1];
  const vectors = [
    [c, s, 0, 0, 0],
    [-s, c, 0, 0, 0],
    [0, 0, c, 0, s],
  ];
  return {
    count: 3,
    channels,
    into: Float64Array.from(vectors.flatMap((v) => v.map((x, i) => x * metric[i]))),
    out: Float64Array.from(vectors.flatMap((v) => v.map((x, i) => x / metric[i]))),
    mean: Float64Array.of(0.1, -0.2, 0.3, 0, 0.5),
  };
}

const identity: Components = {
  count: channels,
  channels,
  into: Float64Array.from({ length: channels * channels }, (_, i) => (i % (channels + 1) === 0 ? 1 : 0)),
  out: Float64Array.from({ length: channels * channels }, (_, i) => (i % (channels + 1) === 0 ? 1 : 0)),
  mean: new Float64Array(channels),
};

describe('the first-order change of the loss equals its slope', () => {
  test.each([
    { what: 'for channels', components: undefined, expected: identity },
    { what: 'for the vectors of a basis', components: rotated(), expected: rotated() },
  ])('$what', async ({ components, expected }) => {
    const values = [{ value: 'mapped', channelAxis: 1, components }];
    const scores = await firstOrderScores(toyModel(), metadata, values, once(batch(), true), {
      labelled: true,
      threads: 1,
    });
    const { fisher, taylor } = scores.get('mapped') as { fisher: Float64Array; taylor: Float64Array };
    expect(fisher).toHaveLength(expected.count);
    for (let j = 0; j < expected.count; j++) {
      const perImage = await slopes(j, expected);
      const mean = perImage.reduce((sum, slope) => sum + slope, 0) / images;
      const square = perImage.reduce((sum, slope) => sum + slope ** 2, 0) / images;
      // Float32 losses, and a few ReLUs that change sides within the step.
      expect(Math.abs(taylor[j] - mean ** 2)).toBeLessThan(0.01 * Math.max(...taylor));
      expect(Math.abs(fisher[j] - square)).toBeLessThan(0.01 * Math.max(...fisher));
    }
    expect(Math.max(...fisher)).toBeGreaterThan(1e-4);
  });
});

test('without labels the model’s own choice stands in', async () => {
  const values = [{ value: 'mapped', channelAxis: 1 }];
  const given = batch();
  const session = await createSession(serializeGraph(toyModel(), metadata), { threads: 1 });
  const { data } = (await session.run(feedsOf(given.x))).y;
  await session.release();
  const own = given.labels.map((_, n) => {
    const row = Array.from(data as Float32Array).slice(3 * n, 3 * n + 3);
    return row.indexOf(Math.max(...row));
  });
  const blind = await firstOrderScores(toyModel(), metadata, values, once(given, false), { labelled: false });
  const told = await firstOrderScores(toyModel(), metadata, values, once({ ...given, labels: own }, true), {
    labelled: true,
  });
  expect(Array.from(blind.get('mapped')?.fisher ?? [])).toEqual(Array.from(told.get('mapped')?.fisher ?? [1]));
});
