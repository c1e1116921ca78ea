/** Matrices for the tests of this room: random ones, and the degenerate kinds that break naive algorithms. */
import { transposedMultiply } from '../../src/linalg/matrix';
import { seededRandom } from '../../src/linalg/random';
import { thinSvd } from '../../src/linalg/svd';

export function randomMatrix(rows: number, cols: number, seed = 1): Float64Array {
  const random = seededRandom(seed);
  return Float64Array.from({ length: rows * cols }, () => random.normal());
}

/** Symmetric with random elements. */
export function symmetricMatrix(n: number, seed = 1): Float64Array {
  const A = randomMatrix(n, n, seed);
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) A[i * n + j] = A[j * n + i];
  return A;
}

/** Rows are orthonormal [count, length]. */
export function orthonormalMatrix(count: number, length: number, seed = 1): Float64Array {
  return thinSvd(randomMatrix(count, length, seed), count, length).V;
}

/** A [rows, cols] matrix with these singular values (or, with `left` = `right`, eigenvalues) and random bases. */
export function matrixWithValues(values: readonly number[], rows: number, cols: number, seed = 1): Float64Array {
  const left = orthonormalMatrix(values.length, rows, seed);
  const right = orthonormalMatrix(values.length, cols, seed + 1);
  const scaled = left.map((value, i) => value * values[Math.floor(i / rows)]);
  return transposedMultiply(scaled, right, rows, values.length, cols);
}

/** Largest |a − b|. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`${a.length} values against ${b.length}`);
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i] - b[i]));
  return largest;
}

/** Largest deviation of the rows' inner products from the identity. */
export function orthonormalityError(rows: Float64Array, count: number, length: number): number {
  let largest = 0;
  for (let i = 0; i < count; i++) {
    for (let j = 0; j <= i; j++) {
      let product = i === j ? -1 : 0;
      for (let k = 0; k < length; k++) product += rows[i * length + k] * rows[j * length + k];
      largest = Math.max(largest, Math.abs(product));
    }
  }
  return largest;
}
