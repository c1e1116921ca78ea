import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { DecodedImage } from '../../src/data/dataset';
import { decodeImage } from '../../src/data/decode';
import { makePreprocessor } from '../../src/data/preprocess';
import { resizeBilinear } from '../../src/data/resize';
import type { Preprocessing } from '../../src/protocol/facts';
import { hasShared, sharedFile } from '../support/shared';
import { picture } from './scratch';

const plainly: Preprocessing = {
  resize: null,
  crop: null,
  scale: 1,
  mean: [0],
  std: [1],
  layout: 'NCHW',
  channels: 'RGB',
};

/** 2×2 with R = 1…4, G = 11…14, B = 21…24. */
const planar: DecodedImage = {
  data: Uint8Array.of(1, 2, 3, 4, 11, 12, 13, 14, 21, 22, 23, 24),
  channels: 3,
  height: 2,
  width: 2,
  layout: 'CHW',
};
const interleaved: DecodedImage = {
  ...planar,
  data: Uint8Array.of(1, 11, 21, 2, 12, 22, 3, 13, 23, 4, 14, 24),
  layout: 'HWC',
};
const gray: DecodedImage = { data: Uint8Array.of(5, 6, 7, 8), channels: 1, height: 2, width: 2, layout: 'CHW' };

function processed(image: DecodedImage, preprocessing: Partial<Preprocessing>): number[] {
  const preprocessor = makePreprocessor({ ...plainly, ...preprocessing });
  const fitted = preprocessor.fit(image, 'x');
  const out = new Float32Array(preprocessor.channels * fitted.height * fitted.width + 2).fill(-9);
  preprocessor.write(fitted, out, 1);
  expect([out[0], out[out.length - 1]]).toEqual([-9, -9]);
  return Array.from(out.subarray(1, -1), (v) => Math.round(v * 1e4) / 1e4);
}

describe('layout and channels', () => {
  const nchw = [1, 2, 3, 4, 11, 12, 13, 14, 21, 22, 23, 24];
  const nhwc = [1, 11, 21, 2, 12, 22, 3, 13, 23, 4, 14, 24];
  it.each([
    ['planar to NCHW', planar, {}, nchw],
    ['interleaved to NCHW', interleaved, {}, nchw],
    ['planar to NHWC', planar, { layout: 'NHWC' }, nhwc],
    ['interleaved to NHWC', interleaved, { layout: 'NHWC' }, nhwc],
    ['to BGR', interleaved, { channels: 'BGR' }, [21, 22, 23, 24, 11, 12, 13, 14, 1, 2, 3, 4]],
    ['to gray by luma', interleaved, { channels: 'gray' }, [9, 10, 11, 12]],
    ['planar to gray', planar, { channels: 'gray' }, [9, 10, 11, 12]],
    ['gray to RGB', gray, {}, [5, 6, 7, 8, 5, 6, 7, 8, 5, 6, 7, 8]],
    ['gray as it is', gray, { channels: 'gray' }, [5, 6, 7, 8]],
  ] as const)('%s', (_, image, preprocessing, expected) => {
    expect(processed(image, preprocessing)).toEqual(expected);
  });

  it('drops a fourth channel', () => {
    const data = Uint8Array.of(1, 2, 3, 99, 4, 5, 6, 99);
    expect(processed({ data, channels: 4, height: 1, width: 2, layout: 'HWC' }, {})).toEqual([1, 4, 2, 5, 3, 6]);
  });
});

describe('numbers', () => {
  it('scales, subtracts the mean and divides by the std, per channel of the model', () => {
    const each = { scale: 0.5, mean: [1, 2, 3], std: [2, 4, 5] };
    const of = (x: number, c: number) => Math.round(((x * 0.5 - each.mean[c]) / each.std[c]) * 1e4) / 1e4;
    expect(processed(planar, each)).toEqual([...planar.data].map((x, i) => of(x, Math.floor(i / 4))));
    expect(processed(planar, { ...each, channels: 'BGR' }).slice(0, 4)).toEqual([21, 22, 23, 24].map((x) => of(x, 0)));
  });

  it('treats floats and bytes alike', () => {
    const floats = { ...interleaved, data: Float32Array.from(interleaved.data) };
    const each = { scale: 1 / 255, mean: [0.4], std: [0.2], channels: 'BGR' } as const;
    expect(processed(floats, each)).toEqual(processed(interleaved, each));
  });

  it.each([
    [{ std: [1, 0, 1] }, 'a std of 0'],
    [{ mean: [1, 2] }, '2 numbers for mean'],
    [{ channels: 'gray', mean: [1, 2, 3] }, '3 numbers for mean'],
    [{ resize: [8, 8], crop: [9, 8] }, 'crop 9×8 of 8×8'],
  ] as const)('refuses %o', (preprocessing, found) => {
    expect(() => makePreprocessor({ ...plainly, ...preprocessing })).toThrow(found);
  });
});

describe('size', () => {
  const ramp = (height: number, width: number, seed = 11): DecodedImage => ({
    data: Float32Array.from({ length: height * width }, (_, i) => (i * 37 + seed) % 256),
    channels: 1,
    height,
    width,
    layout: 'CHW',
  });

  // From torch.nn.functional.interpolate(mode='bilinear', antialias=True), PyTorch 2.
  it.each([
    [
      [5, 7],
      [3, 2],
      [70.7973, 175.7741, 75.5116, 180.4884, 80.2259, 185.2026],
    ],
    [
      [2, 3],
      [4, 5],
      [
        11, 25.8, 48, 70.2, 85, 38.75, 53.55, 75.75, 97.95, 112.75, 94.25, 109.05, 131.25, 153.45, 168.25, 122, 136.8,
        159, 181.2, 196,
      ],
    ],
    [
      [6, 6],
      [3, 3],
      [91.5102, 83.7857, 145.2857, 176.4286, 106.5, 89.1429, 147.7143, 181.7857, 102.2245],
    ],
  ] as const)('resizes %o to %o as PyTorch does', ([h, w], [height, width], expected) => {
    const { data } = resizeBilinear(ramp(h, w), height, width);
    expect(data.length).toBe(expected.length);
    expected.forEach((value, i) => {
      expect(data[i]).toBeCloseTo(value, 3);
    });
  });

  it('resizes channels alike in both layouts and rounds bytes', () => {
    const pixels = Uint8Array.from({ length: 3 * 6 * 5 }, (_, i) => (i * 91) % 256);
    const chw = resizeBilinear({ data: pixels, channels: 3, height: 6, width: 5, layout: 'CHW' }, 4, 3);
    const turned = Uint8Array.from({ length: 90 }, (_, i) => pixels[(i % 3) * 30 + Math.floor(i / 3)]);
    const hwc = resizeBilinear({ data: turned, channels: 3, height: 6, width: 5, layout: 'HWC' }, 4, 3);
    expect([...hwc.data]).toEqual(Array.from(hwc.data, (_, i) => chw.data[(i % 3) * 12 + Math.floor(i / 3)]));
    const exact = resizeBilinear(
      { data: Float32Array.from(pixels), channels: 3, height: 6, width: 5, layout: 'CHW' },
      4,
      3,
    );
    expect([...chw.data]).toEqual(Array.from(exact.data, Math.round));
  });

  it.each([
    [
      [40, 60],
      [16, 16],
    ],
    [
      [37, 50],
      [32, 32],
    ],
    [
      [40, 60],
      [80, 90],
    ],
    [
      [20, 60],
      [30, 30],
    ],
  ] as const)('gives files of %o in %o the pixels that arrays get', async ([h, w], [height, width]) => {
    const smooth = Uint8Array.from({ length: h * w * 3 }, (_, i) => {
      const [y, x] = [Math.floor(i / 3 / w), Math.floor(i / 3) % w];
      return 128 + 100 * Math.sin(y / 9 + (i % 3)) * Math.cos(x / 7);
    });
    const file = await picture(smooth, [h, w, 3]);
    const preprocessor = makePreprocessor({ ...plainly, resize: [height, width] });
    const { image } = preprocessor.fit(await decodeImage(file, preprocessor.decodeSize), 'x');
    const own = resizeBilinear(await decodeImage(file), height, width);
    expect(image).toMatchObject({ height, width, layout: 'HWC' });
    // libvips computes with fewer bits and mirrors less at the border; the rest is rounding.
    const differences = Array.from(image.data, (v, i) => Math.abs(v - own.data[i]));
    expect(Math.max(...differences)).toBeLessThanOrEqual(3);
    expect(differences.reduce((a, b) => a + b, 0) / differences.length).toBeLessThan(0.5);
  });

  it('cuts the centre, and keeps the aspect ratio when it resizes for that', async () => {
    const columns: DecodedImage = {
      data: Uint8Array.from({ length: 4 * 8 }, (_, i) => i % 8),
      channels: 1,
      height: 4,
      width: 8,
      layout: 'CHW',
    };
    expect(processed(columns, { crop: [2, 2], channels: 'gray' })).toEqual([3, 4, 3, 4]);
    expect(processed(columns, { resize: [4, 4], crop: [4, 4], channels: 'gray' }).slice(0, 4)).toEqual([2, 3, 4, 5]);
    expect(processed(columns, { resize: [4, 4], channels: 'gray' })[0]).toBeLessThan(1.1);
    const file = await sharp({ create: { width: 300, height: 200, channels: 3, background: '#123' } })
      .png()
      .toBuffer();
    const preprocessor = makePreprocessor({ ...plainly, resize: [64, 64], crop: [56, 56] });
    const decoded = await decodeImage(file, preprocessor.decodeSize);
    expect([decoded.height, decoded.width]).toEqual([64, 96]);
    expect(preprocessor.fit(decoded, 'x')).toMatchObject({ top: 4, left: 20, height: 56, width: 56 });
    const stored = { ...decoded, data: new Uint8Array(200 * 300 * 3), height: 200, width: 300 };
    expect(preprocessor.fit(stored, 'x').image).toMatchObject({ height: 64, width: 96 });
  });

  it('refuses a crop that the image does not fill', () => {
    expect(() => processed(planar, { crop: [3, 2] })).toThrow("Image 'x' is 2×2 after preprocessing");
  });
});

it.skipIf(!hasShared)('gives the same numbers as the formula on real images', async () => {
  const bytes = (await readFile(sharedFile('data/cifar10/test_batch.bin'))).subarray(1, 3073);
  const mean = [0.485, 0.456, 0.406];
  const std = [0.229, 0.224, 0.225];
  const preprocessor = makePreprocessor({ ...plainly, scale: 1 / 255, mean, std });
  const image: DecodedImage = { data: bytes, channels: 3, height: 32, width: 32, layout: 'CHW' };
  const out = new Float32Array(3072);
  preprocessor.write(preprocessor.fit(image, 'x'), out, 0);
  out.forEach((value, i) => {
    const c = Math.floor(i / 1024);
    expect(value).toBeCloseTo((bytes[i] / 255 - mean[c]) / std[c], 5);
  });
});
