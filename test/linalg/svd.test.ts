import { Matrix, SingularValueDecomposition } from 'ml-matrix';
import { describe, expect, it } from 'vitest';
import { transposedMultiply } from '../../src/linalg/matrix';
import { noiseShare, singularValues, thinSvd } from '../../src/linalg/svd';
import { largestDifference, matrixWithValues, orthonormalityError, randomMatrix } from './matrices';

function oracleValues(A: Float64Array, rows: number, cols: number): number[] {
  const options = { autoTranspose: true, computeLeftSingularVectors: false, computeRightSingularVectors: false };
  return new SingularValueDecomposition(Matrix.from1DArray(rows, cols, A), options).diagonal;
}

/** Σ_{j < rank} S_j U_j V_jᵀ */
function recompose(A: ReturnType<typeof thinSvd>, rank: number, rows: number, cols: number): Float64Array {
  const scaled = A.U.slice(0, rank * rows).map((value, i) => value * A.S[Math.floor(i / rows)]);
  return transposedMultiply(scaled, A.V.slice(0, rank * cols), rows, rank, cols);
}

const frobenius = (A: Float64Array) => Math.sqrt(A.reduce((sum, value) => sum + value * value, 0));

/** The laws every decomposition obeys; `values` are the expected singular values when known. */
function checkSvd(A: Float64Array, rows: number, cols: number, values?: readonly number[]): void {
  const rank = Math.min(rows, cols);
  const svd = thinSvd(A, rows, cols);
  expect([svd.U.length, svd.S.length, svd.V.length]).toEqual([rank * rows, rank, rank * cols]);
  expect(orthonormalityError(svd.U, rank, rows)).toBeLessThan(1e-12);
  expect(orthonormalityError(svd.V, rank, cols)).toBeLessThan(1e-12);
  expect(svd.S).toEqual(svd.S.slice().sort().reverse());
  expect(svd.S[rank - 1]).toBeGreaterThanOrEqual(0);
  const size = Math.max(svd.S[0], Number.MIN_VALUE);
  expect(largestDifference(recompose(svd, rank, rows, cols), A)).toBeLessThanOrEqual(1e-13 * rank * size);
  const spectrum = singularValues(A, rows, cols);
  const expected = values ?? oracleValues(A, rows, cols);
  expect(largestDifference(spectrum, expected)).toBeLessThanOrEqual(noiseShare * size);
  expect(largestDifference(svd.S, expected)).toBeLessThanOrEqual(1e-13 * rank * size);
}

describe('thin SVD and singular values', () => {
  it.each([
    [1, 1],
    [1, 9],
    [9, 1],
    [7, 5],
    [5, 7],
    [16, 144],
    [144, 16],
    [64, 64],
    [33, 300],
    [130, 70],
  ])('agree with ml-matrix on random %i × %i matrices', (rows, cols) => {
    checkSvd(randomMatrix(rows, cols, rows + cols), rows, cols);
  });

  it('handle a zero matrix', () => {
    checkSvd(new Float64Array(6 * 10), 6, 10, new Array(6).fill(0));
    checkSvd(new Float64Array(9), 3, 3, [0, 0, 0]);
  });

  it('handle equal singular values', () => {
    const values = new Array(12).fill(2);
    checkSvd(matrixWithValues(values, 12, 20), 12, 20, values);
  });

  it.each([
    ['wide', 20, 50],
    ['tall', 50, 20],
    ['square', 20, 20],
  ])('complete the bases of a %s matrix that lacks rank', (_, rows, cols) => {
    const values = [5, 3, 2, 1, 0.1, ...new Array(15).fill(0)];
    checkSvd(matrixWithValues(values, rows, cols), rows, cols, values);
  });

  it('handle duplicate and zero rows', () => {
    const A = randomMatrix(10, 30, 8);
    for (let k = 0; k < 30; k++) {
      A[3 * 30 + k] = A[7 * 30 + k];
      A[5 * 30 + k] = 0;
    }
    checkSvd(A, 10, 30);
  });

  it('resolve singular values over 15 decades', () => {
    const values = Array.from({ length: 31 }, (_, i) => 10 ** (-i / 2));
    const A = matrixWithValues(values, 31, 60);
    checkSvd(A, 31, 60, values);
  });

  it('handle weights of any float32 size', () => {
    for (const factor of [1e-38, 1e37]) {
      const values = [4, 2, 1, 0.5, 0.25].map((value) => value * factor);
      checkSvd(matrixWithValues(values, 5, 8), 5, 8, values);
    }
  });

  it('obey the Eckart–Young law: the error of rank r is the root of the squares left out', () => {
    const [rows, cols] = [24, 54];
    const A = randomMatrix(rows, cols, 12);
    const svd = thinSvd(A, rows, cols);
    const spectrum = singularValues(A, rows, cols);
    for (const rank of [0, 1, 5, 23, 24]) {
      const rest = recompose(svd, rank, rows, cols).map((value, i) => A[i] - value);
      const expected = Math.sqrt(spectrum.slice(rank).reduce((sum, value) => sum + value * value, 0));
      expect(Math.abs(frobenius(rest) - expected)).toBeLessThan(1e-11);
      // No other approximation of that rank is better: here the one by the first rows.
      const rows_ = A.map((value, i) => (i < rank * cols ? 0 : value));
      expect(frobenius(rest)).toBeLessThanOrEqual(frobenius(rows_) + 1e-11);
    }
  });

  it('read float32 weights', () => {
    const A = Float32Array.from(randomMatrix(8, 27, 3));
    checkSvd(Float64Array.from(A), 8, 27);
    expect(singularValues(A, 8, 27)).toEqual(singularValues(Float64Array.from(A), 8, 27));
  });

  it('decline weights that are not finite and say where', () => {
    const A = new Float32Array(4 * 6);
    A[2 * 6 + 5] = Number.NaN;
    expect(() => singularValues(A, 4, 6)).toThrow(/Row 2, column 5 of a 4 × 6 matrix is NaN/);
    expect(() => thinSvd(A, 4, 6)).toThrow(expect.objectContaining({ code: 'non-finite-matrix' }));
  });
});
