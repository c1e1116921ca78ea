import { expect, test } from 'vitest';
import { cached } from '../../src/data/cache';
import type { Dataset, DecodedImage } from '../../src/data/dataset';

/** Images of one pixel whose value is their number; number 3 can't be read. Counts what is read. */
function counting(length: number, side = 1): { dataset: Dataset; reads: number[] } {
  const reads: number[] = [];
  const image = (index: number): DecodedImage => ({
    data: new Uint8Array(side * side).fill(index),
    channels: 1,
    height: side,
    width: side,
    layout: 'CHW',
  });
  const dataset: Dataset = {
    kind: 'numpy',
    path: '/images.npz',
    length,
    labelled: true,
    classes: ['a', 'b'],
    labels: Int32Array.from({ length }, (_, i) => i % 2),
    imageShape: [1, side, side],
    values: 'bytes',
    encoded: false,
    preprocessing: null,
    warnings: [],
    nameOf: String,
    async read(indices) {
      const wanted = Array.from(indices);
      reads.push(...wanted);
      const good = wanted.filter((index) => index !== 3);
      return {
        images: good.map(image),
        labels: Int32Array.from(good, (index) => index % 2),
        skipped: wanted.includes(3) ? [{ index: 3, name: '3', reason: 'damaged' }] : [],
      };
    },
    close: async () => {},
  };
  return { dataset, reads };
}

test('every image is read once and answered in the order asked for', async () => {
  const { dataset, reads } = counting(10);
  const quick = cached(dataset, null);
  await quick.read([4, 1, 7]);
  const again = await quick.read([7, 2, 4, 1]);
  expect(reads).toEqual([4, 1, 7, 2]);
  expect(again.images.map(({ data }) => data[0])).toEqual([7, 2, 4, 1]);
  expect(Array.from(again.labels ?? [])).toEqual([1, 0, 0, 1]);
});

test('an image that can’t be read is reported, and does not shift its neighbours', async () => {
  const quick = cached(counting(10).dataset, null);
  for (let round = 0; round < 2; round++) {
    const found = await quick.read([2, 3, 5]);
    expect(found.images.map(({ data }) => data[0])).toEqual([2, 5]);
    expect(Array.from(found.labels ?? [])).toEqual([0, 1]);
    expect(found.skipped.map(({ index }) => index)).toEqual([3]);
  }
});

test('data that is too large is left where it is', () => {
  const { dataset } = counting(10_000_000, 100);
  expect(cached(dataset, null)).toBe(dataset);
  expect(cached(dataset, [4, 4])).not.toBe(dataset);
});
