/** Products and transposes of dense row-major matrices; results are new arrays in double precision. */
import { type Block, innerProducts, type Lines } from './panels';

/** A·B for A [rows, inner] and B [inner, cols]. */
export function multiply(A: Block, B: Block, rows: number, inner: number, cols: number): Float64Array {
  return innerProducts(rowsOf(A, rows, inner), columnsOf(B, cols), inner);
}

/** A·Bᵀ for A [rows, inner] and B [cols, inner]. */
export function multiplyTransposed(A: Block, B: Block, rows: number, inner: number, cols: number): Float64Array {
  return innerProducts(rowsOf(A, rows, inner), rowsOf(B, cols, inner), inner);
}

/** Aᵀ·B for A [inner, rows] and B [inner, cols]. */
export function transposedMultiply(A: Block, B: Block, rows: number, inner: number, cols: number): Float64Array {
  return innerProducts(columnsOf(A, rows), columnsOf(B, cols), inner);
}

/** Aᵀ [cols, rows] of A [rows, cols]. */
export function transpose(A: Block, rows: number, cols: number): Float64Array {
  const result = new Float64Array(rows * cols);
  // In squares, so that both sides stay in cache.
  const side = 32;
  for (let top = 0; top < rows; top += side) {
    const bottom = Math.min(top + side, rows);
    for (let left = 0; left < cols; left += side) {
      const right = Math.min(left + side, cols);
      for (let i = top; i < bottom; i++) for (let j = left; j < right; j++) result[j * rows + i] = A[i * cols + j];
    }
  }
  return result;
}

export function rowsOf(data: Block, rows: number, cols: number): Lines {
  return { data, count: rows, lineStride: cols, elementStride: 1 };
}

export function columnsOf(data: Block, cols: number): Lines {
  return { data, count: cols, lineStride: 1, elementStride: cols };
}
