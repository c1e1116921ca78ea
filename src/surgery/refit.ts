/**
 * Least-squares refit of a layer (asymmetric reconstruction; Zhang et al., 2016; algorithms 8): with Z its input in the
 * pruned network and Y the original layer's output in the original network, the weights B and the bias b that bring
 * B·Z + b closest to Y, per block. The ridge term pulls towards the weights that are there and not towards zero,
 * B = B₀ + Cov(Y − B₀Z, Z)·(Cov(Z) + λI)⁻¹ and b = E[Y] − B·E[Z]: so the error never grows, and what the images say
 * nothing about stays as it was.
 */
import type { CrossMoments } from '../analysis/moments';
import { solveSpd } from '../linalg/cholesky';
import type { Factors } from './factorize';

/** Z comes in single precision: variances below this share of the mean square are rounding noise. */
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
    for (let o = 0; o < outputs; o++) {
      const row = b * outputs + o;
      for (let j = 0; j < rank; j++) {
        let rest = crossYZ[row * width + b * rank + j];
        for (let i = 0; i < rank; i++) rest -= start[row * rank + i] * S[i * rank + j];
        right[j * outputs + o] = rest;
      }
    }
    const lambda = Math.max(ridge * variance, NOISE * (variance + square)) / rank;
    // Nothing varies: the weights stay, and the bias alone is fitted.
    const X =
      lambda > 0 ? solveSpd(withDiagonal(S, rank, lambda), rank, right, outputs) : new Float64Array(right.length);
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

function withDiagonal(S: Float64Array, rank: number, added: number): Float64Array {
  const sum = S.slice();
  for (let i = 0; i < rank; i++) sum[i * rank + i] += added;
  return sum;
}
