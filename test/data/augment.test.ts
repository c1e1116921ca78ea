import { describe, expect, test } from 'vitest';
import { augmenter, epochOrder, mixImages } from '../../src/data/augment';
import type { Preprocessing } from '../../src/protocol/facts';

const [height, width] = [4, 5];
const plain: Preprocessing = {
  resize: null,
  crop: null,
  scale: 1,
  mean: [10, 20],
  std: [2, 4],
  layout: 'NCHW',
  channels: 'RGB',
};
const shape = [2, height, width] as const;

/** Value 100·channel + 10·row + column. */
function numbered(layout: 'NCHW' | 'NHWC'): Float32Array {
  const image = new Float32Array(2 * height * width);
  for (let c = 0; c < 2; c++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const at = layout === 'NCHW' ? (c * height + y) * width + x : (y * width + x) * 2 + c;
        image[at] = 100 * c + 10 * y + x;
      }
    }
  }
  return image;
}

/** The same image through one augmenter, read as [channel][row][column]. */
function changed(layout: 'NCHW' | 'NHWC', index: number, { crop = 2, flip = true, seed = 1, epoch = 0 } = {}) {
  const image = numbered(layout);
  augmenter({ crop, flip }, { ...plain, layout }, seed, epoch)?.(image, shape, index);
  return Array.from({ length: 2 }, (_, c) =>
    Array.from({ length: height }, (_, y) =>
      Array.from(
        { length: width },
        (_, x) => image[layout === 'NCHW' ? (c * height + y) * width + x : (y * width + x) * 2 + c],
      ),
    ),
  );
}

/** Where the window lies and whether it is mirrored, by comparison with all possibilities; null when none fits. */
function windowOf(image: number[][][], crop: number): { top: number; left: number; mirrored: boolean } | null {
  for (const mirrored of [false, true]) {
    for (let top = -crop; top <= crop; top++) {
      for (let left = -crop; left <= crop; left++) {
        const fits = image.every((plane, c) =>
          plane.every((row, y) =>
            row.every((value, x) => {
              const [sy, sx] = [y + top, (mirrored ? width - 1 - x : x) + left];
              const inside = sy >= 0 && sy < height && sx >= 0 && sx < width;
              return value === (inside ? 100 * c + 10 * sy + sx : [-5, -5][c]);
            }),
          ),
        );
        if (fits) return { top, left, mirrored };
      }
    }
  }
  return null;
}

describe.each(['NCHW', 'NHWC'] as const)('%s', (layout) => {
  test('every image is a window of the padded one, mirrored or not, black outside', () => {
    const windows = Array.from({ length: 200 }, (_, index) => windowOf(changed(layout, index), 2));
    expect(windows).not.toContain(null);
    expect(new Set(windows.map((w) => w?.top))).toEqual(new Set([-2, -1, 0, 1, 2]));
    expect(new Set(windows.map((w) => w?.left))).toEqual(new Set([-2, -1, 0, 1, 2]));
    const mirrored = windows.filter((w) => w?.mirrored).length;
    expect(mirrored).toBeGreaterThan(70);
    expect(mirrored).toBeLessThan(130);
  });
});

test('both layouts change alike', () => {
  for (let index = 0; index < 20; index++) expect(changed('NHWC', index)).toEqual(changed('NCHW', index));
});

test('what happens depends on seed, epoch and image alone', () => {
  expect(changed('NCHW', 7)).toEqual(changed('NCHW', 7));
  const variants = [0, 1, 2, 3, 4, 5, 6, 7];
  const kinds = (make: (i: number) => number[][][]): number => new Set(variants.map((i) => String(make(i)))).size;
  expect(kinds((index) => changed('NCHW', index))).toBeGreaterThan(4);
  expect(kinds((epoch) => changed('NCHW', 7, { epoch }))).toBeGreaterThan(4);
  expect(kinds((seed) => changed('NCHW', 7, { seed }))).toBeGreaterThan(4);
});

test('mirrors nothing unless asked to', () => {
  for (let index = 0; index < 50; index++) {
    expect(windowOf(changed('NCHW', index, { flip: false }), 2)?.mirrored).toBe(false);
  }
});

test('is nothing when there is nothing to do', () => {
  expect(augmenter({ crop: 0, flip: false }, plain, 1, 0)).toBeUndefined();
});

describe('mixed images', () => {
  const count = 16;
  const size = 3;
  /** Image i is all i. */
  const batch = (): Float32Array => Float32Array.from({ length: count * size }, (_, i) => Math.floor(i / size));
  const mixed = (seed = 1, epoch = 0, number = 16): Float32Array => {
    const images = batch();
    mixImages(images, count, seed, epoch, number);
    return images;
  };

  test('lie between their image and another', () => {
    const images = mixed();
    for (let i = 0; i < count; i++) {
      const pixels = images.subarray(i * size, (i + 1) * size);
      expect(new Set(pixels).size).toBe(1);
      expect(pixels[0]).toBeGreaterThanOrEqual(0);
      expect(pixels[0]).toBeLessThanOrEqual(count - 1);
    }
    expect([...images].filter((pixel, i) => pixel !== batch()[i]).length).toBeGreaterThan((count * size) / 2);
  });

  test('follow from seed, epoch and batch alone', () => {
    expect(mixed()).toEqual(mixed());
    for (const other of [mixed(2), mixed(1, 1), mixed(1, 0, 32)]) expect(other).not.toEqual(mixed());
  });

  test('of a batch of one are that one', () => {
    const images = Float32Array.of(1, 2, 3);
    mixImages(images, 1, 1, 0, 1);
    expect(images).toEqual(Float32Array.of(1, 2, 3));
  });
});

test('every epoch has all images in an order of its own', () => {
  const images = Uint32Array.from([5, 9, 2, 7, 1, 8, 30, 4]);
  const orders = [0, 1, 2].map((epoch) => epochOrder(images, 3, epoch));
  for (const order of orders) expect([...order].sort()).toEqual([...images].sort());
  expect(new Set(orders.map(String)).size).toBe(3);
  expect(epochOrder(images, 3, 1)).toEqual(orders[1]);
  expect(Array.from(images)).toEqual([5, 9, 2, 7, 1, 8, 30, 4]);
});
