/** Gram matrices, the way from a weight to its singular values: the eigenvalues of M·Mᵀ are their squares. */
import { columnsOf, rowsOf } from './matrix';
import { type Block, ownInnerProducts } from './panels';

/**
 * Gram matrix on the smaller side: M·Mᵀ [rows, rows] if rows ≤ cols, else Mᵀ·M [cols, cols].
 * Products and sums are in double precision.
 *
 * @param block M, row-major [rows, cols]
 */
export function gramMatrix(block: Block, rows: number, cols: number): Float64Array {
  return rows <= cols ? gramOfRows(block, rows, cols) : ownInnerProducts(columnsOf(block, cols), rows);
}

/** M·Mᵀ [rows, rows], whichever side is smaller. */
export function gramOfRows(block: Block, rows: number, cols: number): Float64Array {
  return ownInnerProducts(rowsOf(block, rows, cols), cols);
}
