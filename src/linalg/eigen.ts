/**
 * Eigenvalues and eigenvectors of symmetric matrices: Householder reduction to tridiagonal form, from the last row up,
 * then implicit QL iteration with Wilkinson's shift (Wilkinson, 1965; Golub & Van Loan, section 8.3).
 * Each reduction step makes one pass over the matrix: the rank-two update of the step before and the product with the
 * new Householder vector together. Eigenvalues have an absolute error of a few ε‖A‖.
 */
import { nonFiniteMatrix } from '../errors';
import { type Workspace, workspaceFor } from './wasm/kernels';

export interface EigenDecomposition {
  /** Descending. */
  readonly values: Float64Array;
  /** Row j is the eigenvector of values[j]; [n, n], orthonormal. */
  readonly vectors: Float64Array;
}

const doubleBytes = Float64Array.BYTES_PER_ELEMENT;
const maximumSweeps = 60;

/**
 * Eigenvalues of a symmetric matrix, descending.
 * @param A [n, n], row-major; only the lower triangle is read
 * @throws UserError `non-finite-matrix`
 */
export function eigenvalues(A: Float64Array, n: number): Float64Array {
  const { scale, ...band } = tridiagonalize(A, n, false);
  iterate(band.diagonal, band.coupling, n);
  return band.diagonal
    .slice(0, n)
    .sort()
    .reverse()
    .map((value) => value * scale);
}

/**
 * Eigenvalues and eigenvectors of a symmetric matrix.
 * @param A [n, n], row-major; only the lower triangle is read
 * @throws UserError `non-finite-matrix`
 */
export function eigenDecomposition(A: Float64Array, n: number): EigenDecomposition {
  const { scale, diagonal, coupling, space, matrix, stride } = tridiagonalize(A, n, true);
  const basis = accumulateReflectors(space, matrix, n, stride);
  const rotations = space.doubles(2 * n);
  iterate(diagonal, coupling, n, rotations, (upper, count) => {
    const bottom = basis.byteOffset + (upper + count) * stride * doubleBytes;
    const rotationsEnd = rotations.byteOffset + count * 2 * doubleBytes;
    const strideBytes = stride * doubleBytes;
    space.kernels.rotate(bottom, bottom + strideBytes, strideBytes, rotations.byteOffset, rotationsEnd);
  });
  const order = Array.from({ length: n }, (_, index) => index).sort((a, b) => diagonal[b] - diagonal[a]);
  const vectors = new Float64Array(n * n);
  for (const [place, row] of order.entries()) vectors.set(basis.subarray(row * stride, row * stride + n), place * n);
  return { values: Float64Array.from(order, (row) => diagonal[row] * scale), vectors };
}

interface Tridiagonal {
  /** Diagonal [n] and, from index 1, the elements beside it: coupling[k] joins k − 1 and k. */
  readonly diagonal: Float64Array;
  readonly coupling: Float64Array;
  /** The matrix was divided by this power of two. */
  readonly scale: number;
  readonly space: Workspace;
  /**
   * Below the diagonal, row k holds the vector u (k elements) of the reflector I − u·uᵀ that freed it. All else is zero.
   */
  readonly matrix: Float64Array;
  readonly stride: number;
}

function tridiagonalize(A: Float64Array, n: number, leavesRoomForVectors: boolean): Tridiagonal {
  const scale = powerOfTwoAbove(largestElement(A, n));
  const evenRows = n + (n % 2);
  // A multiple of 8 for the rotations, odd in cache lines so that the elements of a column fall into different sets.
  const stride = (Math.ceil(n / 8) | 1) * 8;
  const rowDoubles = evenRows * stride;
  const vectorRoom = leavesRoomForVectors ? [basisRows(n) * stride, 2 * n] : [];
  const space = workspaceFor(rowDoubles, n, n, evenRows, evenRows, evenRows, evenRows, ...vectorRoom);
  const matrix = space.doubles(rowDoubles);
  const [diagonal, coupling] = [space.doubles(n), space.doubles(n)];
  for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) matrix[i * stride + j] = A[i * n + j] / scale;

  // The update left over from the step before is A −= v·pᵀ + p·vᵀ; the next reflector is I − u·uᵀ.
  let [v, p, u, product] = [evenRows, evenRows, evenRows, evenRows].map((count) => space.doubles(count));
  for (let k = n - 1; k >= 0; k--) {
    const row = matrix.subarray(k * stride, k * stride + k + 1);
    for (let j = 0; j <= k; j++) row[j] -= v[k] * p[j] + p[k] * v[j];
    diagonal[k] = row[k];
    row[k] = 0;
    u.fill(0);
    coupling[k] = reflector(row, k);
    u.set(row.subarray(0, k));
    v[k] = p[k] = 0;
    const end = matrix.byteOffset + (k + (k % 2)) * stride * doubleBytes;
    space.kernels.updateMultiply(
      matrix.byteOffset,
      end,
      stride * doubleBytes,
      v.byteOffset,
      p.byteOffset,
      u.byteOffset,
      product.byteOffset,
    );
    // (I − u·uᵀ) A (I − u·uᵀ) = A − u·pᵀ − p·uᵀ with p = A·u − ½ (uᵀ·A·u) u
    let half = 0;
    for (let j = 0; j < k; j++) half += u[j] * product[j];
    half /= 2;
    for (let j = 0; j < k; j++) product[j] -= half * u[j];
    [v, p, u, product] = [u, product, v, p];
  }
  return { diagonal, coupling, scale, space, matrix, stride };
}

/**
 * Replaces the first `count` elements x by the vector u for which (I − u·uᵀ) x is zero but for its last element.
 * @returns that last element
 */
function reflector(x: Float64Array, count: number): number {
  let squares = 0;
  for (let j = 0; j < count - 1; j++) squares += x[j] * x[j];
  const last = count > 0 ? x[count - 1] : 0;
  // The matrix has elements around 1: what is smaller than this is zero, and squares close to underflow are not exact.
  if (squares < 1e-290) {
    x.fill(0, 0, count);
    return last;
  }
  const result = last > 0 ? -Math.sqrt(squares + last * last) : Math.sqrt(squares + last * last);
  // With w = x − result·e: I − 2 w·wᵀ / ‖w‖², and ‖w‖² / 2 = result² − last·result.
  const factor = 1 / Math.sqrt(result * (result - last));
  x[count - 1] = last - result;
  for (let j = 0; j < count; j++) x[j] *= factor;
  return result;
}

/** Rows of Qᵀ, where A = Q·T·Qᵀ: four rows of the identity at a time, through all reflectors that reach them. */
function accumulateReflectors(space: Workspace, matrix: Float64Array, n: number, stride: number): Float64Array {
  const basis = space.doubles(basisRows(n) * stride);
  for (let i = 0; i < n; i++) basis[i * stride + i] = 1;
  for (let i = 0; i < n; i += 4) {
    const rows = basis.byteOffset + i * stride * doubleBytes;
    for (let k = i + 1; k < n; k++) {
      const u = matrix.byteOffset + k * stride * doubleBytes;
      space.kernels.reflect(rows, stride * doubleBytes, u, (k + (k % 2)) * doubleBytes);
    }
  }
  return basis;
}

/** Reflections run on four rows at a time. */
function basisRows(n: number): number {
  return Math.ceil(n / 4) * 4;
}

/**
 * Turns a tridiagonal matrix, of elements around 1, into its unsorted eigenvalues in `diagonal`; `coupling` is used up.
 * Each sweep rotates neighbouring rows upwards: with `rotations`, cosine and sine of each are written there, and
 * `onSweep(upper, count)` is told that rows upper to upper + count took part.
 */
function iterate(
  diagonal: Float64Array,
  coupling: Float64Array,
  n: number,
  rotations?: Float64Array,
  onSweep?: (upper: number, count: number) => void,
): void {
  for (let top = 0; top < n; top++) {
    for (let sweep = 0; ; sweep++) {
      let bottom = top;
      while (bottom < n - 1 && !isNegligible(diagonal, coupling, bottom + 1)) bottom++;
      if (bottom === top) break;
      if (sweep === maximumSweeps) throw new Error(`QL iteration did not converge at ${top} of ${n}`);

      const difference = (diagonal[top + 1] - diagonal[top]) / (2 * coupling[top + 1]);
      const root = Math.sqrt(difference * difference + 1);
      const shift = diagonal[top] - coupling[top + 1] / (difference + (difference < 0 ? -root : root));
      // `bulge` is the element to be rotated away, `lead` the shifted diagonal element it is rotated into.
      let lead = diagonal[bottom] - shift;
      let [cosine, sine, moved] = [1, 1, 0];
      let i = bottom - 1;
      for (; i >= top; i--) {
        const bulge = sine * coupling[i + 1];
        const rest = cosine * coupling[i + 1];
        const length = Math.sqrt(bulge * bulge + lead * lead);
        if (i + 2 < n) coupling[i + 2] = length;
        if (length === 0) break;
        sine = bulge / length;
        cosine = lead / length;
        const kept = diagonal[i + 1] - moved;
        const mixed = (diagonal[i] - kept) * sine + 2 * cosine * rest;
        moved = sine * mixed;
        diagonal[i + 1] = kept + moved;
        lead = cosine * mixed - rest;
        if (rotations) {
          rotations[2 * (bottom - 1 - i)] = cosine;
          rotations[2 * (bottom - 1 - i) + 1] = sine;
        }
      }
      diagonal[i + 1] -= moved;
      // After a full sweep the last rotation leaves its result beside the top; a sweep cut short split the matrix at i + 1.
      if (i < top) coupling[top + 1] = lead;
      if (bottom + 1 < n) coupling[bottom + 1] = 0;
      const count = bottom - 1 - i;
      if (count > 0) onSweep?.(i + 1, count);
    }
  }
}

/** Whether the elements that join k − 1 and k are so small that dropping them changes eigenvalues by rounding only. */
function isNegligible(diagonal: Float64Array, coupling: Float64Array, k: number): boolean {
  const size = Math.abs(coupling[k]);
  const floor = Number.EPSILON * Number.EPSILON;
  return size <= Number.EPSILON * Math.sqrt(Math.abs(diagonal[k - 1] * diagonal[k])) || size <= floor;
}

function largestElement(A: Float64Array, n: number): number {
  let largest = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      const size = Math.abs(A[i * n + j]);
      if (!(size <= Number.MAX_VALUE)) throw nonFiniteMatrix({ row: i, col: j, rows: n, cols: n, found: A[i * n + j] });
      if (size > largest) largest = size;
    }
  }
  return largest;
}

/** A power of two p with p / 2 < value ≤ p up to rounding; 1 for 0. */
function powerOfTwoAbove(value: number): number {
  return value === 0 ? 1 : 2 ** Math.ceil(Math.log2(value));
}
