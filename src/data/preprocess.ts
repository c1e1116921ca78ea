/**
 * From a decoded image to the model's input: resize, centre crop, channel order, then (x · scale − mean) / std.
 * Mean and std are in the model's channel order. With a crop, resizing keeps the aspect ratio and covers the given
 * size (the usual "short side to 256, crop 224"); without one it takes exactly the given size.
 */
import { imageSizesDiffer, preprocessingInvalid } from '../errors';
import type { Preprocessing } from '../protocol/facts';
import type { DecodedImage, DecodeSize } from './dataset';
import { resizeBilinear } from './resize';

export interface Preprocessor {
  readonly preprocessing: Preprocessing;
  /** For a dataset's `read`: image files are shrunk while they are decoded. */
  readonly decodeSize: DecodeSize | null;
  /** Channels of the model's input: 1 or 3. */
  readonly channels: number;
  /** Resizes and crops. */
  fit(image: DecodedImage, name: string): FittedImage;
  /** Writes a fitted image as C·H·W floats in the model's layout, from `offset` on. */
  write(fitted: FittedImage, out: Float32Array, offset: number): void;
}

/** A window of an image: what the crop leaves. */
export interface FittedImage {
  readonly image: DecodedImage;
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/** @throws UserError `preprocessing-invalid` */
export function makePreprocessor(preprocessing: Preprocessing): Preprocessor {
  const { resize, crop, layout, scale } = preprocessing;
  const channels = preprocessing.channels === 'gray' ? 1 : 3;
  const mean = perChannel('mean', preprocessing.mean, channels);
  const std = perChannel('std', preprocessing.std, channels);
  if (std.includes(0)) throw preprocessingInvalid({ found: 'a std of 0', expected: 'another number' });
  if (resize && crop && (crop[0] > resize[0] || crop[1] > resize[1]))
    throw preprocessingInvalid({
      found: `crop ${crop.join('×')} of ${resize.join('×')}`,
      expected: 'a crop that fits',
    });
  const gains = std.map((s) => scale / s);
  const offsets = mean.map((m, c) => -m / std[c]);
  const tables = gains.map((gain, c) => Float32Array.from({ length: 256 }, (_, byte) => byte * gain + offsets[c]));

  const fit = (image: DecodedImage, name: string): FittedImage => {
    const [h, w] = resize ? resizedSize(image, resize, crop !== null) : [image.height, image.width];
    const resized = resizeBilinear(image, h, w);
    const [height, width] = crop ?? [h, w];
    if (height > h || width > w)
      throw imageSizesDiffer({ name, found: `${h}×${w}`, expected: `at least the crop's ${height}×${width}` });
    const sized = channels === 1 && resized.channels >= 3 ? luminance(resized) : resized;
    return { image: sized, top: Math.round((h - height) / 2), left: Math.round((w - width) / 2), height, width };
  };

  const write = ({ image, top, left, height, width }: FittedImage, out: Float32Array, offset: number): void => {
    const planar = image.layout === 'CHW';
    const step = planar ? 1 : image.channels;
    const plane = planar ? image.height * image.width : 1;
    const outStep = layout === 'NCHW' ? 1 : channels;
    const outPlane = layout === 'NCHW' ? height * width : 1;
    // An uncropped image is one long row.
    const whole = width === image.width;
    const rows = whole ? 1 : height;
    const columns = whole ? height * width : width;
    for (let c = 0; c < channels; c++) {
      const channel = image.channels < 3 ? 0 : preprocessing.channels === 'BGR' ? 2 - c : c;
      for (let y = 0; y < rows; y++) {
        const from = channel * plane + ((top + y) * image.width + left) * step;
        const to = offset + c * outPlane + y * columns * outStep;
        if (image.data instanceof Uint8Array) copyBytes(image.data, from, step, tables[c], out, to, outStep, columns);
        else copyFloats(image.data, from, step, gains[c], offsets[c], out, to, outStep, columns);
      }
    }
  };

  const decodeSize: DecodeSize | null = resize && {
    height: resize[0],
    width: resize[1],
    fit: crop ? 'outside' : 'fill',
  };
  return { preprocessing, decodeSize, channels, fit, write };
}

function copyBytes(
  data: Uint8Array,
  from: number,
  step: number,
  table: Float32Array,
  out: Float32Array,
  to: number,
  outStep: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) out[to + i * outStep] = table[data[from + i * step]];
}

function copyFloats(
  data: Float32Array,
  from: number,
  step: number,
  gain: number,
  offset: number,
  out: Float32Array,
  to: number,
  outStep: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) out[to + i * outStep] = data[from + i * step] * gain + offset;
}

function perChannel(what: string, values: readonly number[], channels: number): number[] {
  if (values.length !== 1 && values.length !== channels)
    throw preprocessingInvalid({ found: `${values.length} numbers for ${what}`, expected: `1 or ${channels}` });
  return Array.from({ length: channels }, (_, c) => values[values.length === 1 ? 0 : c]);
}

/** The size that covers the target and keeps the aspect ratio, or the target itself. */
function resizedSize(
  image: DecodedImage,
  [height, width]: readonly [number, number],
  cover: boolean,
): [number, number] {
  // An image file comes in its final size already; its rounding must not be judged again.
  const covers = (image.height === height && image.width >= width) || (image.width === width && image.height >= height);
  if (!cover) return [height, width];
  if (covers) return [image.height, image.width];
  const factor = Math.max(height / image.height, width / image.width);
  return [Math.max(height, Math.round(image.height * factor)), Math.max(width, Math.round(image.width * factor))];
}

/** ITU-R BT.601 luma, the "L" of Pillow. */
function luminance({ data, channels, height, width, layout }: DecodedImage): DecodedImage {
  const pixels = height * width;
  const step = layout === 'CHW' ? 1 : channels;
  const plane = layout === 'CHW' ? pixels : 1;
  const gray = data instanceof Uint8Array ? new Uint8Array(pixels) : new Float32Array(pixels);
  const half = data instanceof Uint8Array ? 0.5 : 0; // Rounds, as a byte array cuts the fraction off.
  for (let i = 0; i < pixels; i++) {
    const at = i * step;
    gray[i] = 0.299 * data[at] + 0.587 * data[at + plane] + 0.114 * data[at + 2 * plane] + half;
  }
  return { data: gray, channels: 1, height, width, layout: 'CHW' };
}
