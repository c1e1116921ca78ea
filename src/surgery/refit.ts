/**
 * Least-squares refit of a layer: the asymmetric reconstruction of Zhang et al., *Accelerating Very Deep Convolutional
 * Networks for Classification and Detection*, 2016. With Z its input in the pruned network and Y the original layer's
 * output in the original network, the weights B and the bias b that bring B·Z + b closest to Y, per block. The ridge term
 * pulls towards the weights that are there and not towards zero,
 * B = B₀ + Cov(Y − B₀Z, Z)·(Cov(Z) + λI)⁻¹ and b = E[Y] − B·E[Z]: so the error never grows, and what the images say
 * nothing about stays as it was.
 */
import type { CrossMoments } from '../analysis/moments';
import { UserError } from '../errors';
import { solveSpd } from '../linalg/cholesky';
import { multiply } from '../linalg/matrix';
import type { Factors } from './factorize';

/** Z comes in single precision: its covariance has rounding noise of this share of the mean square in each element. */
const NOISE = 1e-6;

/**
 * @param factors what is there: `B` is where the fit starts from
 * @param outputs per block
 * @param ridge λ relative to the mean diagonal of Cov(Z)
 */
export function refit(
  factors: Factors,
  moments: CrossMoments,
  blocks: number,
  outputs: number,
  ridge: number,
): Factors {
  const { rank, B: start } = factors;
  const width = blocks * rank;
  const { covarianceZ, crossYZ, meanY, meanZ } = moments;
  const B = start.slice();
  const bias = meanY.slice();
  for (let b = 0; b < blocks; b++) {
    const S = new Float64Array(rank * rank);
    let [variance, square] = [0, 0];
    for (let i = 0; i < rank; i++) {
      const from = (b * rank + i) * width + b * rank;
      S.set(covarianceZ.subarray(from, from + rank), i * rank);
      variance += S[i * rank + i];
      square += meanZ[b * rank + i] ** 2;
    }
    // Right-hand side: Cov(Z, Y − B₀Z) of this block, [rank, outputs].
    const right = new Float64Array(rank * outputs);
    const given = multiply(start.subarray(b * outputs * rank, (b + 1) * outputs * rank), S, outputs, rank, rank);
    for (let o = 0; o < outputs; o++) {
      const row = (b * outputs + o) * width + b * rank;
      for (let j = 0; j < rank; j++) right[j * outputs + o] = crossYZ[row + j] - given[o * rank + j];
    }
    const lambda = Math.max(ridge * variance, NOISE * Math.sqrt(rank) * (variance + square)) / rank;
    const X = solved(S, rank, right, outputs, lambda);
    for (let o = 0; o < outputs; o++) {
      const row = b * outputs + o;
      for (let j = 0; j < rank; j++) {
        B[row * rank + j] += X[j * outputs + o];
        bias[row] -= B[row * rank + j] * meanZ[b * rank + j];
      }
    }
  }
  return { ...factors, B, bias };
}

/** (S + λI)⁻¹·right; with a larger λ where rounding has left more than that of negative variances. */
function solved(S: Float64Array, rank: number, right: Float64Array, columns: number, lambda: number): Float64Array {
  // Nothing is there: the weights stay, and the bias alone is fitted.
  if (!(lambda > 0)) return new Float64Array(right.length);
  const ridged = S.slice();
  for (let i = 0; i < rank; i++) ridged[i * rank + i] += lambda;
  try {
    return solveSpd(ridged, rank, right, columns);
  } catch (error) {
    if (!(error instanceof UserError) || error.code !== 'not-positive-definite') throw error;
    return solved(S, rank, right, columns, 10 * lambda);
  }
}
