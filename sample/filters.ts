/**
 * Filters of a 3×3 convolution made from what a network so far computes on labelled images, in closed form.
 *
 * Half of what they are is data, half chance: some are the ridge regression of "this image shows class c, seen in
 * field f" on the patches there; the others are random mixtures of the patches' leading principal components,
 * whitened (compare PCANet: Chan et al., 2015). All together are brought to a low rank and a little noise is added: a
 * spectrum that falls off like those of trained layers, on purpose, since the network is there to be pruned.
 */
import { solveSpd } from '../src/linalg/cholesky';
import { eigenDecomposition } from '../src/linalg/eigen';
import { gramMatrix } from '../src/linalg/gram';
import { multiply } from '../src/linalg/matrix';
import type { Random } from '../src/linalg/random';
import { thinSvd } from '../src/linalg/svd';
import type { Images, NetworkBuilder } from './builder';

export const kernel = 3;
const taps = kernel * kernel;

export interface FilterPlan {
  readonly channels: number;
  /** Rank of the filters as a matrix, but for the noise; also the number of components that are mixed. */
  readonly rank: number;
  /** Images are divided into this many by this many fields; 0: no filters are fitted to labels. */
  readonly fields: number;
}

interface Patches {
  /** [count, width], centred; a row is channels · 3 · 3, as Conv orders weights. */
  readonly rows: Float32Array;
  readonly count: number;
  readonly width: number;
  /** Which image each patch is from, and where it lies in it, 0 to 1 (excluded). */
  readonly image: Uint32Array;
  readonly y: Float64Array;
  readonly x: Float64Array;
}

const patchesPerImage = 6;
/** Ridge term, as against the mean diagonal of the patches' moments. */
const ridge = 1e-3;
/** Standard deviation of the noise in a filter, as against the filter's own. */
const noise = 0.02;

/** @returns filters [channels, width], and the width */
export async function makeFilters(
  net: NetworkBuilder,
  images: Images,
  labels: Int32Array,
  classCount: number,
  plan: FilterPlan,
  random: Random,
): Promise<{ filters: Float32Array; width: number }> {
  const patches = await samplePatches(net, images, random);
  const { count, width } = patches;
  const moments = gramMatrix(patches.rows, count, width);
  const fitted = fittedFilters(patches, moments, labels, classCount, plan.fields);
  const mixedCount = plan.channels - fitted.length / width;
  const mixed = mixedFilters(moments, count, width, mixedCount, plan.rank, random);
  const filters = new Float64Array(plan.channels * width);
  filters.set(unitRows(fitted, width));
  filters.set(unitRows(mixed, width), fitted.length);
  const low = unitRows(ofRank(filters, plan.channels, width, plan.rank), width);
  return { filters: Float32Array.from(low, (value) => value + (noise / Math.sqrt(width)) * random.normal()), width };
}

async function samplePatches(net: NetworkBuilder, images: Images, random: Random): Promise<Patches> {
  const count = images.dims[0] * patchesPerImage;
  const [image, y, x] = [new Uint32Array(count), new Float64Array(count), new Float64Array(count)];
  let rows = new Float32Array(0);
  let width = 0;
  let patch = 0;
  await net.run(images, (data, [n, c, h, w], first) => {
    width = c * taps;
    if (first === 0) rows = new Float32Array(count * width);
    for (let i = 0; i < n * patchesPerImage; i++, patch++) {
      const local = Math.floor(i / patchesPerImage);
      const [top, left] = [random.index(h - kernel + 1), random.index(w - kernel + 1)];
      image[patch] = first + local;
      y[patch] = top / (h - kernel + 1);
      x[patch] = left / (w - kernel + 1);
      for (let k = 0; k < width; k++) {
        const row = (local * c + Math.floor(k / taps)) * h + top + Math.floor((k % taps) / kernel);
        rows[patch * width + k] = data[row * w + left + (k % kernel)];
      }
    }
  });
  const mean = new Float64Array(width);
  rows.forEach((value, i) => {
    mean[i % width] += value / count;
  });
  return { rows: rows.map((value, i) => value - mean[i % width]), count, width, image, y, x };
}

/** One filter per class and field: (XᵀX + ridge)⁻¹ XᵀT with T = 1 where class and field are seen, less the mean of the field. */
function fittedFilters(
  { rows, count, width, image, y, x }: Patches,
  moments: Float64Array,
  labels: Int32Array,
  classCount: number,
  fields: number,
): Float64Array {
  const targets = classCount * fields * fields;
  if (targets === 0) return new Float64Array(0);
  const products = new Float64Array(width * targets);
  for (let patch = 0; patch < count; patch++) {
    const field = Math.floor(y[patch] * fields) * fields + Math.floor(x[patch] * fields);
    const label = labels[image[patch]];
    for (let k = 0; k < width; k++) {
      const value = rows[patch * width + k];
      const at = k * targets + field * classCount;
      for (let c = 0; c < classCount; c++) products[at + c] -= value / classCount;
      products[at + label] += value;
    }
  }
  const solution = solveSpd(withRidge(moments, width, ridge), width, products, targets);
  return Float64Array.from(
    { length: targets * width },
    (_, i) => solution[(i % width) * targets + Math.floor(i / width)],
  );
}

function mixedFilters(
  moments: Float64Array,
  count: number,
  width: number,
  channels: number,
  components: number,
  random: Random,
): Float64Array {
  if (channels <= 0) return new Float64Array(0);
  const { values, vectors } = eigenDecomposition(moments, width);
  const used = Math.min(components, width);
  const mixture = Float64Array.from({ length: channels * used }, (_, i) => {
    const component = i % used;
    const deviation = Math.sqrt((values[component] + 1e-3 * values[0]) / count);
    return random.normal() / deviation;
  });
  return multiply(mixture, vectors, channels, used, width);
}

/** The best approximation of a matrix of that rank. */
function ofRank(matrix: Float64Array, rows: number, cols: number, rank: number): Float64Array {
  const { U, S, V } = thinSvd(matrix, rows, cols);
  const used = Math.min(rank, S.length);
  const scaled = Float64Array.from(
    { length: rows * used },
    (_, i) => U[(i % used) * rows + Math.floor(i / used)] * S[i % used],
  );
  return multiply(scaled, V, rows, used, cols);
}

/** A copy of [n, n] with a share of its mean diagonal added to the diagonal. */
export function withRidge(moments: Float64Array, n: number, share: number): Float64Array {
  const copy = moments.slice();
  let trace = 0;
  for (let i = 0; i < n; i++) trace += moments[i * n + i];
  for (let i = 0; i < n; i++) copy[i * n + i] += (share * trace) / n;
  return copy;
}

/** Rows scaled to length 1; BatchNormalization sets the scale that counts. */
function unitRows(matrix: Float64Array, width: number): Float64Array {
  const scaled = new Float64Array(matrix.length);
  for (let start = 0; start < matrix.length; start += width) {
    const row = matrix.subarray(start, start + width);
    const length = Math.sqrt(row.reduce((sum, v) => sum + v * v, 0));
    scaled.set(
      row.map((v) => v / length),
      start,
    );
  }
  return scaled;
}
