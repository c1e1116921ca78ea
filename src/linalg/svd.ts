/**
 * Singular values and the thin singular value decomposition, by way of the Gram matrix on the smaller side.
 * Squaring costs digits: alone, it leaves singular values below about √ε = 1.5e-8 of the largest to rounding. That is
 * enough for spectra. The decomposition goes on with what is left of the matrix after the large values are taken out,
 * level by level, so that both bases are orthonormal to rounding, also for matrices that lack rank.
 */
import { nonFiniteMatrix } from '../errors';
import { eigenDecomposition, eigenvalues } from './eigen';
import { gramMatrix, gramOfRows } from './gram';
import { multiply, multiplyTransposed, transpose } from './matrix';
import type { Block } from './panels';
import { seededRandom } from './random';

/** M = Σ_j S[j]·U_j·V_jᵀ with r = min(rows, cols) terms. */
export interface Svd {
  /** Left singular vectors as rows: [r, rows], orthonormal. */
  readonly U: Float64Array;
  /** Singular values, descending. */
  readonly S: Float64Array;
  /** Right singular vectors as rows: [r, cols], orthonormal. */
  readonly V: Float64Array;
}

/** Singular values below this share of the largest are rounding noise of {@link singularValues}. */
export const noiseShare = 4 * Math.sqrt(Number.EPSILON);

/**
 * All min(rows, cols) singular values, descending, to an absolute error of about 1e-8 of the largest (much less for
 * values that are not tiny).
 * @param block M, row-major [rows, cols]
 * @throws UserError `non-finite-matrix`
 */
export function singularValues(block: Block, rows: number, cols: number): Float64Array {
  requireFinite(block, rows, cols);
  const squares = eigenvalues(gramMatrix(block, rows, cols), Math.min(rows, cols));
  return squares.map((square) => Math.sqrt(Math.max(square, 0)));
}

/**
 * Singular values of several matrices of one size that lie one after the other.
 * @param data [blocks, rows, cols]
 * @returns [blocks, min(rows, cols)], each block descending
 * @throws UserError `non-finite-matrix`
 */
export function blockSingularValues(data: Block, blocks: number, rows: number, cols: number): Float64Array {
  const rank = Math.min(rows, cols);
  const size = rows * cols;
  const values = new Float64Array(blocks * rank);
  for (let block = 0; block < blocks; block++) {
    values.set(singularValues(data.subarray(block * size, (block + 1) * size), rows, cols), block * rank);
  }
  return values;
}

/**
 * Thin singular value decomposition. Where M lacks rank, the bases are completed by vectors of singular value 0.
 * The signs of a pair U_j, V_j are arbitrary.
 * @param block M, row-major [rows, cols]
 * @throws UserError `non-finite-matrix`
 */
export function thinSvd(block: Block, rows: number, cols: number): Svd {
  requireFinite(block, rows, cols);
  const isWide = rows <= cols;
  const [rank, length] = isWide ? [rows, cols] : [cols, rows];
  const S = new Float64Array(rank);
  const near = new Float64Array(rank * rank);
  const far = new Float64Array(rank * length);

  // Invariant: M (or Mᵀ) = Σ_{done} near_jᵀ·S_j·far_j + directionsᵀ·images, all rows of near and directions orthonormal.
  let images: Block = isWide ? block : transpose(block, rows, cols);
  let directions: Float64Array | null = null;
  let isCompleting = false;
  for (let done = 0; done < rank; ) {
    const count = rank - done;
    if (done > 0) images = withoutRowsOf(far, done, images, count, length);
    // What is left is small against what is done: its own eigenvectors are free of the rounding of large values.
    const { vectors: turn } = eigenDecomposition(gramOfRows(images, count, length), count);
    const turned = multiply(turn, images, count, count, length);
    const lengths = Array.from({ length: count }, (_, row) => norm(turned, row * length, length));
    if (!isCompleting && lengths[0] <= rank * Number.EPSILON * S[0]) {
      isCompleting = true;
      images = normalNumbers(count * length);
      continue;
    }
    directions = directions ? multiply(turn, directions, count, count, rank) : turn;
    const level = lengths.findIndex((size) => size < lengths[0] * levelShare);
    const taken = level < 0 ? count : level;
    near.set(directions.subarray(0, taken * rank), done * rank);
    far.set(orthonormalRows(turned, lengths, taken, length), done * length);
    if (!isCompleting) S.set(lengths.slice(0, taken), done);
    images = turned.subarray(taken * length);
    directions = directions.slice(taken * rank);
    done += taken;
  }
  // Close values may come out of order by their rounding.
  for (let j = 1; j < rank; j++) S[j] = Math.min(S[j], S[j - 1]);
  return isWide ? { U: near, S, V: far } : { U: far, S, V: near };
}

/** Values of one level span at most this share, so that their images are orthogonal to 1e-6 before correction. */
const levelShare = 1e-4;

/**
 * The first `count` rows, of the given lengths and nearly orthogonal, as orthonormal rows. With G the Gram matrix of the
 * normalized rows, 3/2·I − G/2 is G^(−1/2) up to the square of what G misses from I.
 */
function orthonormalRows(rows: Float64Array, lengths: readonly number[], count: number, length: number): Float64Array {
  const unit = rows.slice(0, count * length);
  for (let i = 0; i < unit.length; i++) unit[i] /= lengths[Math.floor(i / length)];
  const correction = gramOfRows(unit, count, length);
  for (let i = 0; i < correction.length; i++) correction[i] *= -0.5;
  for (let i = 0; i < count; i++) correction[i * count + i] += 1.5;
  return multiply(correction, unit, count, count, length);
}

/** What is left of the rows outside the span of the first `done` orthonormal rows of `basis`; twice is enough. */
function withoutRowsOf(basis: Float64Array, done: number, rows: Block, count: number, length: number): Float64Array {
  const rest = Float64Array.from(rows);
  for (let pass = 0; pass < 2; pass++) {
    const shares = multiplyTransposed(rest, basis, count, length, done);
    const inside = multiply(shares, basis, count, done, length);
    for (let i = 0; i < rest.length; i++) rest[i] -= inside[i];
  }
  return rest;
}

function norm(data: Float64Array, start: number, count: number): number {
  let squares = 0;
  for (let k = start; k < start + count; k++) squares += data[k] * data[k];
  return Math.sqrt(squares);
}

/** Directions for the completion of a basis: any will do, always the same. */
function normalNumbers(count: number): Float64Array {
  const random = seededRandom(1);
  return Float64Array.from({ length: count }, () => random.normal());
}

function requireFinite(block: Block, rows: number, cols: number): void {
  const place = block.subarray(0, rows * cols).findIndex((value) => !Number.isFinite(value));
  if (place < 0) return;
  throw nonFiniteMatrix({ row: Math.floor(place / cols), col: place % cols, rows, cols, found: block[place] });
}
