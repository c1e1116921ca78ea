/** Statistics of BatchNormalization measured again, against what the batches themselves say. */
import { expect, test } from 'vitest';
import { type Tensor, toFloat32 } from '../../src/tensor/tensor';
import { estimateStatistics, withStored } from '../../src/train/normalization';
import { prepareModel } from '../../src/train/prepare';
import { metadataOf, runGraph } from '../support/graphs';
import { toyModel, toyStep } from '../support/training';

const metadata = metadataOf({ opset: 18 });

async function* batches(counts: readonly number[]) {
  for (const [i, count] of counts.entries()) yield toyStep(count, i);
}

/** Values [N, 5, 6, 6] that the normalization reads, channel by channel. */
async function channelsSeen(counts: readonly number[]): Promise<number[][]> {
  const graph = { ...toyModel(), outputs: [{ name: 'mapped', dtype: 'float32' as const, shape: null }] };
  const seen: number[][] = Array.from({ length: 5 }, () => []);
  for await (const { feeds } of batches(counts)) {
    const { mapped } = await runGraph(graph, { x: feeds.x });
    toFloat32(mapped).forEach((value, i) => {
      seen[Math.floor(i / 36) % 5].push(value);
    });
  }
  return seen;
}

test('are mean and variance of all that was seen, however it was batched', async () => {
  const counts = [16, 9, 1, 30];
  const inputs = (async function* () {
    for await (const { feeds, count } of batches(counts)) yield { feeds: { x: feeds.x }, count };
  })();
  const found = await estimateStatistics(toyModel(), metadata, inputs, { threads: 1 });
  expect([...found.keys()].sort()).toEqual(['bn.mean', 'bn.variance']);
  const seen = await channelsSeen(counts);
  for (const [c, values] of seen.entries()) {
    const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
    const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length;
    expect(toFloat32(found.get('bn.mean') as Tensor)[c]).toBeCloseTo(mean, 5);
    expect(toFloat32(found.get('bn.variance') as Tensor)[c]).toBeCloseTo(variance, 4);
  }
});

test('take the place of the stored ones in training and in what is written', async () => {
  const inputs = (async function* () {
    yield { feeds: { x: toyStep(64, 3).feeds.x }, count: 64 };
  })();
  const graph = toyModel();
  const statistics = await estimateStatistics(graph, metadata, inputs, { threads: 1 });
  const prepared = await prepareModel({ graph, metadata: metadataOf(), choice: 'all', statistics });
  const { x } = toyStep(4, 8).feeds;
  const [fresh, program] = await Promise.all([
    runGraph(withStored(graph, statistics), { x }),
    runGraph(prepared.inference(new Map()), { x }, prepared.metadata),
  ]);
  toFloat32(fresh.y).forEach((value, i) => {
    expect(value).toBeCloseTo(toFloat32(program.y)[i], 4);
  });
  expect(prepared.stored(new Map()).get('bn.mean')).toEqual(statistics.get('bn.mean'));
});

test('of a model without normalization are none', async () => {
  const inputs = (async function* () {
    yield { feeds: { x: toyStep(4, 3).feeds.x }, count: 4 };
  })();
  expect((await estimateStatistics(toyModel({ normalized: false }), metadata, inputs)).size).toBe(0);
});
