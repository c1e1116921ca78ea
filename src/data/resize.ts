/**
 * Bilinear resizing of arrays. Where an image shrinks, the triangle filter widens with it, so that every pixel
 * counts: the `antialias` of torchvision and the BILINEAR of Pillow. Rows and columns are filtered one after the
 * other in floats and rounded once.
 */
import type { DecodedImage } from './dataset';

/** Taps of one output position: weights of the inputs `first`, `first` + 1, …, summing to 1. */
interface Taps {
  readonly first: number;
  readonly weights: Float64Array;
}

/** Resizes to exactly height × width. Bytes stay bytes, floats stay floats. */
export function resizeBilinear(image: DecodedImage, height: number, width: number): DecodedImage {
  if (image.height === height && image.width === width) return image;
  const planes = image.layout === 'CHW' ? image.channels : 1;
  const inner = image.layout === 'CHW' ? 1 : image.channels;
  const data =
    image.data instanceof Uint8Array
      ? new Uint8Array(image.channels * height * width)
      : new Float32Array(image.channels * height * width);
  const horizontal = tapsFor(image.width, width);
  const vertical = tapsFor(image.height, height);
  const narrowed = new Float32Array(image.height * width * inner);
  const inputPlane = image.height * image.width * inner;
  const outputPlane = height * width * inner;
  for (let plane = 0; plane < planes; plane++) {
    const input = image.data.subarray(plane * inputPlane, (plane + 1) * inputPlane);
    for (let y = 0; y < image.height; y++)
      filter(input, y * image.width * inner, inner, inner, narrowed, y * width * inner, inner, horizontal, false);
    // A column of the narrowed image has `width · inner` neighbours that are filtered alike.
    const output = data.subarray(plane * outputPlane, (plane + 1) * outputPlane);
    filter(narrowed, 0, width * inner, width * inner, output, 0, width * inner, vertical, data instanceof Uint8Array);
  }
  return { data, channels: image.channels, height, width, layout: image.layout };
}

/**
 * Filters along one axis: `lanes` neighbouring elements are handled alike, positions on the axis lie `step` apart in
 * the input and `outputStep` apart in the output.
 */
function filter(
  input: Uint8Array | Float32Array,
  inputStart: number,
  lanes: number,
  step: number,
  output: Uint8Array | Float32Array,
  outputStart: number,
  outputStep: number,
  taps: readonly Taps[],
  round: boolean,
): void {
  const half = round ? 0.5 : 0;
  taps.forEach(({ first, weights }, position) => {
    const to = outputStart + position * outputStep;
    const from = inputStart + first * step;
    for (let lane = 0; lane < lanes; lane++) {
      let sum = half; // A byte array cuts the fraction off, so that a half more rounds.
      for (let k = 0; k < weights.length; k++) sum += weights[k] * input[from + k * step + lane];
      output[to + lane] = sum;
    }
  });
}

function tapsFor(input: number, output: number): Taps[] {
  const scale = input / output;
  const reach = Math.max(1, scale);
  return Array.from({ length: output }, (_, position) => {
    const centre = (position + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - reach + 0.5));
    const end = Math.min(input, Math.floor(centre + reach + 0.5));
    const weights = Float64Array.from({ length: end - first }, (_, k) =>
      Math.max(0, 1 - Math.abs((first + k + 0.5 - centre) / reach)),
    );
    const total = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((w) => w / total) };
  });
}
