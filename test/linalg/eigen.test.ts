import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { describe, expect, it } from 'vitest';
import { eigenDecomposition, eigenvalues } from '../../src/linalg/eigen';
import { multiply, multiplyTransposed } from '../../src/linalg/matrix';
import { largestDifference, orthonormalityError, orthonormalMatrix, symmetricMatrix } from './matrices';

/** A = Qᵀ·diag(values)·Q for random orthonormal Q. */
function withEigenvalues(values: readonly number[]): Float64Array {
  const n = values.length;
  const Q = orthonormalMatrix(n, n, 5);
  const scaled = Q.map((value, i) => value * values[Math.floor(i / n)]);
  const A = new Float64Array(n * n);
  for (let k = 0; k < n; k++)
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) A[i * n + j] += Q[k * n + i] * scaled[k * n + j];
  return A;
}

/** Checks both solvers: values to `tolerance` of the largest, vectors orthonormal, A·v = λ·v. */
function checkEigen(A: Float64Array, n: number, expected: ArrayLike<number>, tolerance = 1e-13 * n): void {
  const size = Math.max(...Array.from(expected, Math.abs), Number.MIN_VALUE);
  expect(largestDifference(eigenvalues(A, n), expected)).toBeLessThanOrEqual(tolerance * size);
  const { values, vectors } = eigenDecomposition(A, n);
  expect(largestDifference(values, expected)).toBeLessThanOrEqual(tolerance * size);
  expect(values).toEqual(values.slice().sort().reverse());
  expect(orthonormalityError(vectors, n, n)).toBeLessThan(1e-13 * n);
  const image = multiplyTransposed(vectors, A, n, n, n);
  const scaled = vectors.map((value, i) => value * values[Math.floor(i / n)]);
  expect(largestDifference(image, scaled)).toBeLessThanOrEqual(1e-13 * n * size);
}

describe('symmetric eigensolver', () => {
  it.each([1, 2, 3, 4, 5, 8, 9, 16, 31, 64, 65, 130])('agrees with ml-matrix on random matrices of order %i', (n) => {
    const A = symmetricMatrix(n, n);
    const oracle = new EigenvalueDecomposition(Matrix.from1DArray(n, n, A), { assumeSymmetric: true });
    checkEigen(
      A,
      n,
      oracle.realEigenvalues.sort((a, b) => b - a),
    );
  });

  it('gives the eigenvalues of a second difference in closed form', () => {
    const n = 40;
    const A = new Float64Array(n * n);
    for (let i = 0; i < n; i++) {
      A[i * n + i] = 2;
      if (i > 0) A[i * n + i - 1] = A[(i - 1) * n + i] = -1;
    }
    const expected = Array.from({ length: n }, (_, k) => 2 + 2 * Math.cos(((k + 1) * Math.PI) / (n + 1)));
    checkEigen(A, n, expected);
  });

  it('handles zero, identity and diagonal matrices', () => {
    checkEigen(new Float64Array(49), 7, new Float64Array(7));
    const identity = Float64Array.from({ length: 81 }, (_, i) => (i % 10 === 0 ? 1 : 0));
    checkEigen(identity, 9, new Float64Array(9).fill(1));
    const diagonal = Float64Array.from({ length: 25 }, (_, i) => (i % 6 === 0 ? i - 12 : 0));
    checkEigen(diagonal, 5, [12, 6, 0, -6, -12]);
  });

  it('handles repeated eigenvalues', () => {
    const values = [...new Array(10).fill(3), ...new Array(20).fill(1), ...new Array(10).fill(0)];
    checkEigen(withEigenvalues(values), 40, values);
  });

  it('handles eigenvalues graded over 30 decades', () => {
    const values = Array.from({ length: 31 }, (_, i) => 10 ** -i);
    checkEigen(withEigenvalues(values), 31, values);
  });

  it('handles a graded matrix, large elements first or last', () => {
    const n = 24;
    for (const sign of [-1, 1]) {
      const A = symmetricMatrix(n, 4);
      for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) A[i * n + j] *= 10 ** ((sign * (i + j)) / 2);
      const oracle = new EigenvalueDecomposition(Matrix.from1DArray(n, n, A), { assumeSymmetric: true });
      checkEigen(
        A,
        n,
        oracle.realEigenvalues.sort((a, b) => b - a),
      );
    }
  });

  it('handles elements near the limits of a double', () => {
    for (const factor of [1e-290, 1e300]) {
      const A = withEigenvalues([5, 2, 1, 0.5]).map((value) => value * factor);
      checkEigen(
        A,
        4,
        [5, 2, 1, 0.5].map((value) => value * factor),
      );
    }
  });

  it('handles blocks that are not joined', () => {
    const n = 12;
    const A = new Float64Array(n * n);
    const small = withEigenvalues([4, 2, 1]);
    for (let block = 0; block < n; block += 3)
      for (let i = 0; i < 3; i++) for (let j = 0; j < 3; j++) A[(block + i) * n + block + j] = small[i * 3 + j];
    checkEigen(A, n, [4, 4, 4, 4, 2, 2, 2, 2, 1, 1, 1, 1]);
  });

  it('keeps trace and Frobenius norm at order 300', () => {
    const n = 300;
    const A = symmetricMatrix(n, 9);
    const values = eigenvalues(A, n);
    const sum = (list: Float64Array) => list.reduce((total, value) => total + value, 0);
    const trace = sum(Float64Array.from({ length: n }, (_, i) => A[i * n + i]));
    expect(Math.abs(sum(values) - trace)).toBeLessThan(1e-10);
    const squares = sum(A.map((value) => value * value));
    expect(sum(values.map((value) => value * value)) / squares).toBeCloseTo(1, 12);
    const { vectors } = eigenDecomposition(A, n);
    const back = multiply(vectors, multiplyTransposed(A, vectors, n, n, n), n, n, n);
    for (let i = 0; i < n; i++) back[i * n + i] -= values[i];
    expect(largestDifference(back, new Float64Array(n * n))).toBeLessThan(1e-11);
  });

  it('reads the lower triangle only', () => {
    const A = symmetricMatrix(6, 2);
    const expected = eigenvalues(A, 6);
    for (let i = 0; i < 6; i++) for (let j = i + 1; j < 6; j++) A[i * 6 + j] = Number.NaN;
    expect(eigenvalues(A, 6)).toEqual(expected);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('declines a matrix that holds %d and says where', (found) => {
    const A = symmetricMatrix(5);
    A[3 * 5 + 1] = found;
    expect(() => eigenvalues(A, 5)).toThrow(/Row 3, column 1 of a 5 × 5 matrix/);
    expect(() => eigenDecomposition(A, 5)).toThrow(expect.objectContaining({ code: 'non-finite-matrix' }));
  });
});
