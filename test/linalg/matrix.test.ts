import { Matrix } from 'ml-matrix';
import { describe, expect, it } from 'vitest';
import { gramMatrix } from '../../src/linalg/gram';
import { multiply, multiplyTransposed, transpose, transposedMultiply } from '../../src/linalg/matrix';
import { largestDifference, randomMatrix } from './matrices';

/** Sizes around the tile (4), the panel depth (256) and the transposing squares (32). */
const sizes = [
  [1, 1, 1],
  [3, 5, 2],
  [4, 8, 4],
  [7, 255, 9],
  [33, 256, 5],
  [6, 257, 65],
  [30, 600, 31],
];

describe('matrix products', () => {
  it.each(sizes)('multiplies %i × %i by %i columns as ml-matrix does', (rows, inner, cols) => {
    const [A, B] = [randomMatrix(rows, inner, 1), randomMatrix(inner, cols, 2)];
    const expected = Matrix.from1DArray(rows, inner, A)
      .mmul(Matrix.from1DArray(inner, cols, B))
      .to1DArray();
    // Sums of up to 600 products of size 1, in another order.
    const tolerance = 1e-12;
    expect(largestDifference(multiply(A, B, rows, inner, cols), expected)).toBeLessThan(tolerance);
    const At = transpose(A, rows, inner);
    const Bt = transpose(B, inner, cols);
    expect(largestDifference(multiplyTransposed(A, Bt, rows, inner, cols), expected)).toBeLessThan(tolerance);
    expect(largestDifference(transposedMultiply(At, B, rows, inner, cols), expected)).toBeLessThan(tolerance);
  });

  it('reads float32 and sums in double precision', () => {
    // 1 is lost beside 2^24 in single precision.
    const A = Float32Array.of(2 ** 24, 1, -(2 ** 24));
    expect(multiply(A, Float32Array.of(1, 1, 1), 1, 3, 1)).toEqual(Float64Array.of(1));
  });

  it('transposes', () => {
    const A = randomMatrix(70, 33);
    const At = transpose(A, 70, 33);
    expect(At[5 * 70 + 64]).toBe(A[64 * 33 + 5]);
    expect(transpose(At, 33, 70)).toEqual(A);
  });
});

describe('Gram matrix', () => {
  it.each([
    [5, 700],
    [700, 5],
    [64, 64],
    [37, 258],
  ])('of %i × %i is taken on the smaller side and symmetric', (rows, cols) => {
    const A = randomMatrix(rows, cols, 3);
    const M = Matrix.from1DArray(rows, cols, A);
    const expected = rows <= cols ? M.mmul(M.transpose()) : M.transpose().mmul(M);
    const G = gramMatrix(A, rows, cols);
    const n = Math.min(rows, cols);
    expect(G).toHaveLength(n * n);
    expect(largestDifference(G, expected.to1DArray())).toBeLessThan(1e-11);
    expect(transpose(G, n, n)).toEqual(G);
  });
});
