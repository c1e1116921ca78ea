/**
 * What the singular values of a layer's weight say about it: energy curve, effective and stable rank, condition, and the
 * edge of the noise bulk of a random matrix. Pure functions of the values.
 */
import { noiseShare } from '../linalg/svd';
import type { Spectrum } from '../protocol/facts';

/** Ranks strictly below this save multiply-accumulates and parameters: r·(k + c) < k·c. */
export function breakEvenRank(k: number, c: number): number {
  return (k * c) / (k + c);
}

/**
 * @param blockValues [blocks, min(rows, cols)], each block descending
 * @param rows,cols of one block
 */
export function spectrumOf(
  layer: string,
  blockValues: Float64Array,
  blocks: number,
  rows: number,
  cols: number,
): Spectrum {
  const singularValues = blocks === 1 ? blockValues : rootMeanSquare(blockValues, blocks);
  const [largest, smallest] = [singularValues[0], singularValues[singularValues.length - 1]];
  const energy = energyCurve(singularValues);
  const noiseFloor = noiseShare * largest;
  return {
    layer,
    singularValues,
    blockValues,
    blocks,
    energy,
    effectiveRank: effectiveRank(singularValues),
    stableRank: largest > 0 ? sumOfSquares(singularValues) / (largest * largest) : 0,
    condition: smallest > noiseFloor ? largest / smallest : Number.POSITIVE_INFINITY,
    marchenkoPasturEdge: marchenkoPasturEdge(singularValues, rows, cols),
    noiseFloor,
  };
}

/** Root mean square over the blocks at each index. */
function rootMeanSquare(blockValues: Float64Array, blocks: number): Float64Array {
  const rank = blockValues.length / blocks;
  const squares = new Float64Array(rank);
  for (let i = 0; i < blockValues.length; i++) squares[i % rank] += blockValues[i] * blockValues[i];
  return squares.map((sum) => Math.sqrt(sum / blocks));
}

/** All ones for a zero matrix: no rank loses anything. */
function energyCurve(values: Float64Array): Float64Array {
  const total = sumOfSquares(values);
  let sum = 0;
  return values.map((value) => {
    sum += value * value;
    return total > 0 ? sum / total : 1;
  });
}

/** exp(−Σ p·ln p) with p = σ/Σσ (Roy & Vetterli, 2007); 0 for a zero matrix. */
function effectiveRank(values: Float64Array): number {
  const total = values.reduce((sum, value) => sum + value, 0);
  if (total === 0) return 0;
  let entropy = 0;
  for (const value of values) if (value > 0) entropy -= (value / total) * Math.log(value / total);
  return Math.exp(entropy);
}

/**
 * The largest singular value that noise alone would have. A matrix [m, n], m ≤ n, of independent entries of deviation s
 * has singular values s·√n·y, where y² follows the Marchenko–Pastur law of ratio β = m/n; y ends at 1 + √β. The noise is
 * taken from the median: s·√n = median(σ) / √μ_β with μ_β the median of the law (Gavish & Donoho, 2014, section III.D), so
 *
 *     edge = median(σ) · (1 + √β) / √μ_β
 */
function marchenkoPasturEdge(values: Float64Array, rows: number, cols: number): number {
  const beta = Math.min(rows, cols) / Math.max(rows, cols);
  return (median(values) * (1 + Math.sqrt(beta))) / Math.sqrt(marchenkoPasturMedian(beta));
}

/**
 * Median of the Marchenko–Pastur law of ratio 0 < β ≤ 1 and variance 1, by bisection. With x = 1 + β − 2√β·cos θ, θ from
 * 0 to π, its density √((b − x)(x − a)) / (2πβx) has the integral
 *
 *     F(θ) = (p·θ + q·sin θ − 2(1 − β)·atan((1 + √β)/(1 − √β)·tan(θ/2))) / (2πβ),  p = 1 + β, q = 2√β
 */
export function marchenkoPasturMedian(beta: number): number {
  const root = Math.sqrt(beta);
  const share = (theta: number) => {
    // atan2 has the right limit where β = 1 divides by zero.
    const angle = Math.atan2((1 + root) * Math.sin(theta / 2), (1 - root) * Math.cos(theta / 2));
    return ((1 + beta) * theta + 2 * root * Math.sin(theta) - 2 * (1 - beta) * angle) / (2 * Math.PI * beta);
  };
  let [low, high] = [0, Math.PI];
  // Each step halves the interval; after 50 it is as narrow as doubles allow.
  for (let step = 0; step < 50; step++) {
    const middle = (low + high) / 2;
    if (share(middle) < 0.5) low = middle;
    else high = middle;
  }
  return 1 + beta - 2 * root * Math.cos((low + high) / 2);
}

/** Of values in descending order. */
function median(values: Float64Array): number {
  const half = Math.floor(values.length / 2);
  return values.length % 2 === 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

function sumOfSquares(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value * value, 0);
}
