/**
 * Symmetric positive definite systems by Cholesky's factorization A = L·Lᵀ, row by row, as ridge least squares needs them.
 */
import { nonFiniteMatrix, notPositiveDefinite } from '../errors';

/**
 * The lower triangular factor L [n, n] of A; above the diagonal it is zero.
 * @param A symmetric positive definite [n, n]; only the lower triangle is read
 * @throws UserError `not-positive-definite` when a pivot is not above rounding noise, `non-finite-matrix`
 */
export function choleskyFactor(A: Float64Array, n: number): Float64Array {
  const L = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      const rest = A[i * n + j] - rowProduct(L, i * n, j * n, j);
      if (!Number.isFinite(rest)) throw nonFiniteMatrix({ row: i, col: j, rows: n, cols: n, found: A[i * n + j] });
      if (j < i) {
        L[i * n + j] = rest / L[j * n + j];
        continue;
      }
      // A pivot this small against its diagonal element is what cancellation leaves of zero.
      if (rest <= n * Number.EPSILON * A[i * n + i]) throw notPositiveDefinite({ row: i, order: n, pivot: rest });
      L[i * n + i] = Math.sqrt(rest);
    }
  }
  return L;
}

/**
 * Solves A·X = B.
 * @param A symmetric positive definite [n, n]; only the lower triangle is read
 * @param B [n, columns], row-major
 * @returns X [n, columns]
 * @throws UserError `not-positive-definite`, `non-finite-matrix`
 */
export function solveSpd(A: Float64Array, n: number, B: Float64Array, columns: number): Float64Array {
  const L = choleskyFactor(A, n);
  const X = B.slice(0, n * columns);
  // L·Y = B, then Lᵀ·X = Y; whole rows of X at a time, so that memory is read in order.
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) addRow(X, i * columns, -L[i * n + j], j * columns, columns);
    scaleRow(X, i * columns, 1 / L[i * n + i], columns);
  }
  for (let i = n - 1; i >= 0; i--) {
    scaleRow(X, i * columns, 1 / L[i * n + i], columns);
    for (let j = 0; j < i; j++) addRow(X, j * columns, -L[i * n + j], i * columns, columns);
  }
  return X;
}

/** Inner product of `count` elements from two places of an array; four sums, as one alone would wait for itself. */
function rowProduct(data: Float64Array, a: number, b: number, count: number): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  let k = 0;
  for (; k + 3 < count; k += 4) {
    s0 += data[a + k] * data[b + k];
    s1 += data[a + k + 1] * data[b + k + 1];
    s2 += data[a + k + 2] * data[b + k + 2];
    s3 += data[a + k + 3] * data[b + k + 3];
  }
  for (; k < count; k++) s0 += data[a + k] * data[b + k];
  return s0 + s1 + (s2 + s3);
}

function addRow(data: Float64Array, to: number, factor: number, from: number, count: number): void {
  for (let k = 0; k < count; k++) data[to + k] += factor * data[from + k];
}

function scaleRow(data: Float64Array, row: number, factor: number, count: number): void {
  for (let k = 0; k < count; k++) data[row + k] *= factor;
}
