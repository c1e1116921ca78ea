/**
 * Least-squares refit of the second layer (asymmetric reconstruction; Zhang et al., 2016; algorithms 8): with Z the
 * first layer's output in the pruned network and Y the original layer's output in the original network,
 * B = Cov(Y,Z)·(Cov(Z) + λI)⁻¹ and b = E[Y] − B·E[Z], per block.
 */
import type { CrossMoments } from '../analysis/moments';
import { solveSpd } from '../linalg/cholesky';
import type { Factors } from './factorize';

/** @param ridge λ relative to the mean diagonal of Cov(Z) */
export function refit(
  factors: Factors,
  moments: CrossMoments,
  blocks: number,
  outputs: number,
  ridge: number,
): Factors {
  const { rank } = factors;
  const width = blocks * rank;
  const B = new Float64Array(blocks * outputs * rank);
  const bias = moments.meanY.slice();
  for (let b = 0; b < blocks; b++) {
    const S = new Float64Array(rank * rank);
    let trace = 0;
    for (let i = 0; i < rank; i++) {
      for (let j = 0; j < rank; j++)
        S[i * rank + j] = moments.covarianceZ[(b * rank + i) * width + b * rank + j] as number;
      trace += S[i * rank + i] as number;
    }
    const lambda = (ridge * trace) / rank + Number.MIN_VALUE;
    for (let i = 0; i < rank; i++) S[i * rank + i] = (S[i * rank + i] as number) + lambda;
    // Right-hand side: Cov(Z, Y) of this block, [rank, outputs].
    const right = new Float64Array(rank * outputs);
    for (let o = 0; o < outputs; o++) {
      for (let j = 0; j < rank; j++)
        right[j * outputs + o] = moments.crossYZ[(b * outputs + o) * width + b * rank + j] as number;
    }
    const X = solveSpd(S, rank, right, outputs);
    for (let o = 0; o < outputs; o++) {
      const row = b * outputs + o;
      for (let j = 0; j < rank; j++) {
        const value = X[j * outputs + o] as number;
        B[row * rank + j] = value;
        bias[row] = (bias[row] as number) - value * (moments.meanZ[b * rank + j] as number);
      }
    }
  }
  return { ...factors, B, bias };
}
