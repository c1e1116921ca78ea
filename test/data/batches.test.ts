import { describe, expect, it } from 'vitest';
import { type Batch, type BatchOptions, batches, chooseIndices } from '../../src/data/batches';
import { type Dataset, SkipLog } from '../../src/data/dataset';
import { openDataset } from '../../src/data/open';
import type { Preprocessing } from '../../src/protocol/facts';
import { hasShared, sharedFile } from '../support/shared';
import { cifarRecord, idxBytes, plain, put, scratch } from './scratch';

const plainly: Preprocessing = {
  resize: null,
  crop: null,
  scale: 1,
  mean: [0],
  std: [1],
  layout: 'NCHW',
  channels: 'gray',
};

/** Ten 1×2 images; image i holds [i, 100 + i] and has label i. */
async function tenImages(): Promise<Dataset> {
  const folder = await scratch();
  const pixels = Buffer.from(Array.from({ length: 20 }, (_, i) => (i % 2) * 100 + (i >> 1)));
  await put(folder, 'x-labels-idx1-ubyte', idxBytes([10], Buffer.from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])));
  return openDataset(await put(folder, 'x-images-idx3-ubyte', idxBytes([10, 1, 2], pixels)));
}

async function collect(dataset: Dataset, options: Partial<BatchOptions> = {}): Promise<Batch[]> {
  const made: Batch[] = [];
  for await (const batch of batches(dataset, { preprocessing: plainly, batch: 4, ...options })) made.push(batch);
  return made;
}

const labelsOf = (made: Batch[]) => made.map(({ labels }) => [...labels!]);

describe('batches', () => {
  it('hold images and labels in step, the last one short', async () => {
    const dataset = await tenImages();
    const made = await collect(dataset);
    expect(labelsOf(made)).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
    ]);
    expect(made.map(({ dims }) => dims)).toEqual([
      [4, 1, 1, 2],
      [4, 1, 1, 2],
      [2, 1, 1, 2],
    ]);
    expect(made.flatMap(({ images }) => [...images])).toEqual(
      Array.from({ length: 20 }, (_, i) => (i % 2) * 100 + (i >> 1)),
    );
    await dataset.close();
  });

  it('come in NHWC with three channels', async () => {
    const dataset = await tenImages();
    const [first] = await collect(dataset, {
      preprocessing: { ...plainly, layout: 'NHWC', channels: 'RGB' },
      batch: 2,
    });
    expect(first.dims).toEqual([2, 1, 2, 3]);
    expect([...first.images]).toEqual([0, 0, 0, 100, 100, 100, 1, 1, 1, 101, 101, 101]);
    await dataset.close();
  });

  it('shuffle by the seed alone, with any prefetch', async () => {
    const dataset = await tenImages();
    const order = async (options: Partial<BatchOptions>) =>
      labelsOf(await collect(dataset, { shuffle: true, ...options })).flat();
    const first = await order({ seed: 7 });
    expect(first).not.toEqual([...first].sort());
    expect([...first].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(await order({ seed: 7, prefetch: 0, batch: 3 })).toEqual(first);
    expect(await order({ seed: 7, prefetch: 5, batch: 1 })).toEqual(first);
    expect(await order({ seed: 8 })).not.toEqual(first);
    await dataset.close();
  });

  it('take a limited number chosen with the seed, in order unless shuffled', async () => {
    const chosen = (options: object) => [...chooseIndices({ length: 1000 }, options)];
    const some = chosen({ limit: 20, seed: 3 });
    expect(some).toEqual([...some].sort((a, b) => a - b));
    expect(some.at(-1)).toBeGreaterThan(500);
    expect(chosen({ limit: 20, seed: 4 })).not.toEqual(some);
    const shuffled = chosen({ limit: 20, seed: 3, shuffle: true });
    expect([...shuffled].sort((a, b) => a - b)).toEqual(some);
    expect(chosen({ indices: [5, 3, 9] })).toEqual([5, 3, 9]);
    expect(chosen({ limit: 5000 })).toHaveLength(1000);
  });

  it('are full although images are skipped, which are counted and named', async () => {
    const folder = await scratch();
    for (let i = 0; i < 6; i++)
      await put(folder, `${i}.png`, i % 3 === 1 ? 'damaged' : await plain([i, i, i], 'png', [1, 1]));
    const dataset = await openDataset(folder);
    const skips = new SkipLog();
    const made = await collect(dataset, { batch: 2, skips });
    expect(made.map(({ images, labels }) => [[...images], labels])).toEqual([
      [[0, 2], null],
      [[3, 5], null],
    ]);
    expect(skips.count).toBe(2);
    expect(skips.names.map((name) => name.slice(0, 6))).toEqual(['1.png:', '4.png:']);
  });

  it('fail when no image can be read, or sizes differ', async () => {
    const folder = await scratch();
    await put(folder, 'a.png', 'damaged');
    await expect(openDataset(folder).then((d) => collect(d))).rejects.toMatchObject({ code: 'no-readable-images' });
    await put(folder, 'b.png', await plain([1, 1, 1], 'png', [4, 4]));
    await put(folder, 'c.png', await plain([1, 1, 1], 'png', [5, 4]));
    await expect(openDataset(folder).then((d) => collect(d))).rejects.toMatchObject({ code: 'image-sizes-differ' });
    const resized = await collect(await openDataset(folder), { preprocessing: { ...plainly, resize: [3, 2] } });
    expect(resized.map(({ dims }) => dims)).toEqual([[2, 1, 3, 2]]);
  });

  it('stop at once when cancelled or left', async () => {
    const dataset = await tenImages();
    const stop = new AbortController();
    const seen: number[] = [];
    const run = async () => {
      for await (const { count } of batches(dataset, { preprocessing: plainly, batch: 2, signal: stop.signal })) {
        seen.push(count);
        stop.abort();
      }
    };
    await expect(run()).rejects.toMatchObject({ code: 'cancelled' });
    expect(seen).toEqual([2]);
    for await (const { count } of batches(dataset, { preprocessing: plainly, batch: 1, prefetch: 4 })) {
      expect(count).toBe(1);
      break;
    }
    // Nothing reads any more: closing right away is safe.
    await dataset.close();
  });

  it('leave out records of no class', async () => {
    const folder = await scratch();
    await put(folder, 'classes.txt', 'a\nb');
    const file = await put(
      folder,
      'x.bin',
      Buffer.concat([cifarRecord([9], 1), cifarRecord([1], 2), cifarRecord([0], 3)]),
    );
    const dataset = await openDataset(file);
    const skips = new SkipLog();
    expect(labelsOf(await collect(dataset, { skips }))).toEqual([[1, 0]]);
    expect(skips.count).toBe(1);
    await dataset.close();
  });
});

it.skipIf(!hasShared)('reads every image of a real set once', async () => {
  const dataset = await openDataset(sharedFile('data/cifar10/test_batch.bin'));
  let sum = 0;
  let count = 0;
  const perClass = new Array(10).fill(0);
  for await (const { images, labels } of batches(dataset, {
    preprocessing: { ...plainly, channels: 'RGB' },
    batch: 250,
    shuffle: true,
  })) {
    for (const value of images) sum += value;
    for (const label of labels!) perClass[label] += 1;
    count += labels!.length;
  }
  await dataset.close();
  expect(count).toBe(10_000);
  expect(perClass).toEqual(new Array(10).fill(1000));
  // The mean pixel of the CIFAR-10 test set.
  expect(sum / count / 3072).toBeCloseTo(121.53, 1);
});
