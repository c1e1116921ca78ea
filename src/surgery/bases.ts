/**
 * Orthonormal bases of a layer's outputs, and the two factors they give (docs/basis.md).
 *
 * A metric d weighs output channels (the BatchNormalization behind the layer): the basis is orthonormal for d∘y.
 * With V the kept basis vectors as columns and D = diag(d): A = Vᵀ·D·W and B = D⁻¹·V, so B·A projects the outputs.
 */
import { eigenDecomposition } from '../linalg/eigen';
import { gramOfRows } from '../linalg/gram';
import { multiply, multiplyTransposed } from '../linalg/matrix';
import { thinSvd } from '../linalg/svd';
import type { Factors } from './factorize';
import type { LayerMatrix } from './layerMatrix';

/** A basis of each block's outputs, best vectors first. */
export interface OutputBasis {
  /** Number of vectors per block: min(outputs, inputs). */
  readonly size: number;
  /** blocks × size × outputs: each row is a unit vector. */
  readonly vectors: Float64Array;
  /** Summed over the blocks: squared error of dropping the j-th vector of each. Never increasing. */
  readonly energy: Float64Array;
  /** Weight of each output, blocks × outputs; all positive. */
  readonly metric: Float64Array;
}

/** Channels that BatchNormalization scales to (almost) nothing still need a positive weight. */
const LEAST_METRIC = 1e-4;

/** |scale| kept away from zero, or ones without a scale. */
export function outputMetric(scale: Float64Array | null, outputs: number): Float64Array {
  if (!scale || scale.length !== outputs) return new Float64Array(outputs).fill(1);
  let largest = 0;
  for (const s of scale) largest = Math.max(largest, Math.abs(s));
  return scale.map((s) => Math.max(Math.abs(s), LEAST_METRIC * (largest || 1)));
}

/** The basis of the weights alone: left singular vectors of D·W; energies are squared singular values. */
export function weightBasis(matrix: LayerMatrix, metric: Float64Array): OutputBasis {
  const { blocks, outputs, inputs } = matrix;
  const size = Math.min(outputs, inputs);
  const vectors = new Float64Array(blocks * size * outputs);
  const energy = new Float64Array(size);
  for (let b = 0; b < blocks; b++) {
    const { left, values } = leftSingular(matrix, metric, b);
    vectors.set(left, b * size * outputs);
    for (let j = 0; j < size; j++) energy[j] = (energy[j] as number) + (values[j] as number) ** 2;
  }
  return { size, vectors, energy, metric };
}

/**
 * The basis of the activations: eigenvectors of D·Cov(Y)·D. Dropping a vector costs its eigenvalue in squared output
 * error, exactly, on the calibration data. The search stays inside the weight's column space.
 * @param covariance Cov(Y) of all outputs, (blocks·outputs)²
 */
export function activationBasis(matrix: LayerMatrix, covariance: Float64Array, metric: Float64Array): OutputBasis {
  const { blocks, outputs, inputs } = matrix;
  const size = Math.min(outputs, inputs);
  const vectors = new Float64Array(blocks * size * outputs);
  const energy = new Float64Array(size);
  const total = blocks * outputs;
  for (let b = 0; b < blocks; b++) {
    const weighted = new Float64Array(outputs * outputs);
    for (let i = 0; i < outputs; i++) {
      const o = b * outputs + i;
      for (let j = 0; j < outputs; j++) {
        const p = b * outputs + j;
        weighted[i * outputs + j] =
          (metric[o] as number) * (covariance[o * total + p] as number) * (metric[p] as number);
      }
    }
    const found =
      size < outputs
        ? withinSpan(weighted, leftSingular(matrix, metric, b).left, size, outputs)
        : eigenDecomposition(weighted, outputs);
    vectors.set(found.vectors.subarray(0, size * outputs), b * size * outputs);
    for (let j = 0; j < size; j++) energy[j] = (energy[j] as number) + Math.max(0, found.values[j] as number);
  }
  return { size, vectors, energy, metric };
}

/**
 * The directions of a basis's vectors: what each takes of the outputs y, and what it gives back of their gradient.
 * Vectors of all blocks, block after block.
 */
export function componentsOf(
  { size, vectors, metric }: OutputBasis,
  blocks: number,
  mean: Float64Array,
): { count: number; channels: number; into: Float64Array; out: Float64Array; mean: Float64Array } {
  const channels = metric.length;
  const outputs = channels / blocks;
  const count = blocks * size;
  const into = new Float64Array(count * channels);
  const out = new Float64Array(count * channels);
  for (let b = 0; b < blocks; b++) {
    for (let j = 0; j < size; j++) {
      const row = (b * size + j) * channels + b * outputs;
      for (let i = 0; i < outputs; i++) {
        const v = vectors[(b * size + j) * outputs + i];
        into[row + i] = v * metric[b * outputs + i];
        out[row + i] = v / metric[b * outputs + i];
      }
    }
  }
  return { count, channels, into, out, mean };
}

/** Some of the vectors of a basis of so many blocks, in the order given. */
export function chosenFrom(basis: OutputBasis, kept: readonly number[], blocks: number): OutputBasis {
  const outputs = basis.metric.length / blocks;
  const vectors = new Float64Array(blocks * kept.length * outputs);
  for (let b = 0; b < blocks; b++) {
    for (const [i, j] of kept.entries()) {
      const from = (b * basis.size + j) * outputs;
      vectors.set(basis.vectors.subarray(from, from + outputs), (b * kept.length + i) * outputs);
    }
  }
  return { ...basis, size: kept.length, vectors, energy: Float64Array.from(kept, (j) => basis.energy[j]) };
}

/** Eigenvectors of Q·S·Qᵀ for orthonormal rows Q [size, n], as rows in the large space. */
function withinSpan(
  S: Float64Array,
  Q: Float64Array,
  size: number,
  n: number,
): { values: Float64Array; vectors: Float64Array } {
  const small = multiplyTransposed(multiply(Q, S, size, n, n), Q, size, n, size);
  const { values, vectors } = eigenDecomposition(small, size);
  return { values, vectors: multiply(vectors, Q, size, size, n) };
}

/** Left singular vectors (as rows) and singular values of one block of D·W. */
function leftSingular({ outputs, inputs, values }: LayerMatrix, metric: Float64Array, block: number) {
  const weighted = new Float64Array(outputs * inputs);
  for (let o = 0; o < outputs; o++) {
    const d = metric[block * outputs + o] as number;
    const from = (block * outputs + o) * inputs;
    for (let i = 0; i < inputs; i++) weighted[o * inputs + i] = d * (values[from + i] as number);
  }
  if (outputs > inputs) {
    const { U, S } = thinSvd(weighted, outputs, inputs);
    return { left: U, values: S };
  }
  // All directions of the outputs are in the basis, so the Gram matrix is enough, at a third of the time.
  const { values: squares, vectors } = eigenDecomposition(gramOfRows(weighted, outputs, inputs), outputs);
  return { left: vectors, values: squares.map((square) => Math.sqrt(Math.max(square, 0))) };
}

/**
 * The factors of a layer at a rank.
 * @param mean mean output of each channel with its bias, on calibration data: what is cut is replaced by its mean
 * @param bias the layer's own bias as it acts; null (with a mean) keeps it
 */
export function factorsOf(
  matrix: LayerMatrix,
  basis: OutputBasis,
  rank: number,
  mean: Float64Array | null = null,
  bias: Float64Array | null = null,
): Factors {
  const { blocks, outputs, inputs, values } = matrix;
  const A = new Float64Array(blocks * rank * inputs);
  const B = new Float64Array(blocks * outputs * rank);
  for (let b = 0; b < blocks; b++) {
    const weighted = new Float64Array(rank * outputs);
    for (let j = 0; j < rank; j++) {
      const v = (b * basis.size + j) * outputs;
      for (let i = 0; i < outputs; i++) {
        const o = b * outputs + i;
        weighted[j * outputs + i] = (basis.vectors[v + i] as number) * (basis.metric[o] as number);
        B[o * rank + j] = (basis.vectors[v + i] as number) / (basis.metric[o] as number);
      }
    }
    const block = values.subarray(b * outputs * inputs, (b + 1) * outputs * inputs);
    A.set(multiply(weighted, block, rank, outputs, inputs), b * rank * inputs);
  }
  balance(A, B, blocks, outputs, inputs, rank);
  return { rank, A, B, bias: mean && bias ? correctedBias(matrix, basis, rank, mean, bias) : null };
}

/** Gives A's filters unit length and moves the length into B: the basis is orthonormal, the second layer rescales. */
function balance(
  A: Float64Array,
  B: Float64Array,
  blocks: number,
  outputs: number,
  inputs: number,
  rank: number,
): void {
  for (let b = 0; b < blocks; b++) {
    for (let j = 0; j < rank; j++) {
      const row = (b * rank + j) * inputs;
      const length = Math.sqrt(dot(A, row, A, row, inputs));
      if (!(length > 0)) continue;
      for (let k = 0; k < inputs; k++) A[row + k] = (A[row + k] as number) / length;
      for (let i = 0; i < outputs; i++) {
        const at = (b * outputs + i) * rank + j;
        B[at] = (B[at] as number) * length;
      }
    }
  }
}

/** b + (I − P)(μ − b) with P = D⁻¹·V·Vᵀ·D: what the dropped vectors carried on average is kept. */
function correctedBias(
  { blocks, outputs }: LayerMatrix,
  basis: OutputBasis,
  rank: number,
  mean: Float64Array,
  bias: Float64Array,
): Float64Array {
  const out = mean.slice();
  for (let b = 0; b < blocks; b++) {
    const start = b * outputs;
    for (let j = 0; j < rank; j++) {
      const v = (b * basis.size + j) * outputs;
      let along = 0;
      for (let i = 0; i < outputs; i++) {
        const o = start + i;
        along +=
          (basis.vectors[v + i] as number) * (basis.metric[o] as number) * ((mean[o] as number) - (bias[o] as number));
      }
      for (let i = 0; i < outputs; i++) {
        const o = start + i;
        out[o] = (out[o] as number) - (along * (basis.vectors[v + i] as number)) / (basis.metric[o] as number);
      }
    }
  }
  return out;
}

function dot(a: Float64Array, at: number, b: Float64Array, bt: number, n: number): number {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += (a[at + i] as number) * (b[bt + i] as number);
  return sum;
}
