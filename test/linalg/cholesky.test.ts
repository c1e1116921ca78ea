import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import { describe, expect, it } from 'vitest';
import { choleskyFactor, solveSpd } from '../../src/linalg/cholesky';
import { gramMatrix } from '../../src/linalg/gram';
import { multiply } from '../../src/linalg/matrix';
import { largestDifference, randomMatrix } from './matrices';

describe('Cholesky factorization', () => {
  it.each([1, 2, 5, 33, 64])('solves systems of order %i with many right-hand sides', (n) => {
    const A = gramMatrix(randomMatrix(n, 2 * n, n), n, 2 * n);
    const X = randomMatrix(n, 7, 2);
    const B = multiply(A, X, n, n, 7);
    expect(largestDifference(solveSpd(A, n, B, 7), X)).toBeLessThan(1e-10);
  });

  it('agrees with ml-matrix', () => {
    const A = gramMatrix(randomMatrix(20, 50, 4), 20, 50);
    const L = choleskyFactor(A, 20);
    const oracle = new CholeskyDecomposition(Matrix.from1DArray(20, 20, A)).lowerTriangularMatrix.to1DArray();
    expect(largestDifference(L, oracle)).toBeLessThan(1e-12);
  });

  it('declines a singular matrix, which a ridge makes solvable', () => {
    const n = 12;
    // Rank 5: Aᵀ·A of 5 rows.
    const rows = randomMatrix(5, n, 6);
    const A = new Float64Array(n * n);
    for (let k = 0; k < 5; k++)
      for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) A[i * n + j] += rows[k * n + i] * rows[k * n + j];
    expect(() => solveSpd(A, n, new Float64Array(n), 1)).toThrow(
      expect.objectContaining({ code: 'not-positive-definite' }),
    );
    for (let i = 0; i < n; i++) A[i * n + i] += 1e-3;
    const X = solveSpd(
      A,
      n,
      Float64Array.from({ length: n }, (_, i) => i),
      1,
    );
    expect(
      largestDifference(
        multiply(A, X, n, n, 1),
        Array.from({ length: n }, (_, i) => i),
      ),
    ).toBeLessThan(1e-8);
  });

  it('declines indefinite and non-finite matrices', () => {
    expect(() => choleskyFactor(Float64Array.of(1, 2, 2, 1), 2)).toThrow(/pivot 1 is -3/);
    expect(() => choleskyFactor(Float64Array.of(1, 0, Number.NaN, 1), 2)).toThrow(
      expect.objectContaining({ code: 'non-finite-matrix' }),
    );
  });

  it('leaves its arguments alone', () => {
    const A = Float64Array.of(4, 2, 2, 3);
    const B = Float64Array.of(1, 2);
    solveSpd(A, 2, B, 1);
    expect(A).toEqual(Float64Array.of(4, 2, 2, 3));
    expect(B).toEqual(Float64Array.of(1, 2));
  });
});
