/**
 * Matrix products in double precision: operands are copied ("packed") into panels of 4 lines, 256 deep, so that the tile
 * kernel reads memory in order and both panels stay in the first-level cache (Goto & van de Geijn, 2008).
 */
import { type Kernels, workspaceFor } from './wasm/kernels';

/** Real numbers, row-major. */
export type Block = Float32Array | Float64Array;

/** A matrix seen as lines (the kept index) of elements (the summed index) at any distances in an array. */
export interface Lines {
  readonly data: Block;
  readonly count: number;
  /** Distance between the same element of neighbouring lines, in array elements. */
  readonly lineStride: number;
  /** Distance between neighbouring elements of a line. */
  readonly elementStride: number;
}

const tileSize = 4;
/** Elements of a panel's lines. */
const panelDepth = 256;
/** Lines of the right side that stay in the second-level cache while all lines of the left side pass by. */
const groupSize = 64;
const panelDoubles = tileSize * panelDepth;
const doubleBytes = Float64Array.BYTES_PER_ELEMENT;

/**
 * All inner products of the lines of one matrix with those of another.
 * @returns left.count × right.count, row-major: element [i, j] = Σ_k left[i, k]·right[j, k]
 */
export function innerProducts(left: Lines, right: Lines, depth: number): Float64Array {
  const [rows, cols] = [padded(left.count), padded(right.count)];
  const space = workspaceFor(rows * panelDepth, cols * panelDepth, rows * cols);
  const [leftPanels, rightPanels] = [space.doubles(rows * panelDepth), space.doubles(cols * panelDepth)];
  const out = space.doubles(rows * cols);
  for (let start = 0; start < depth; start += panelDepth) {
    const end = Math.min(start + panelDepth, depth);
    const bytes = pack(left, start, end, leftPanels);
    pack(right, start, end, rightPanels);
    addProducts(space.kernels, leftPanels, rightPanels, bytes, out, rows, cols, false);
  }
  return unpadded(out, cols, left.count, right.count);
}

/** The inner products of the lines of one matrix with each other: symmetric, and only half is computed. */
export function ownInnerProducts(lines: Lines, depth: number): Float64Array {
  const { count } = lines;
  const order = padded(count);
  const space = workspaceFor(order * panelDepth, order * order);
  const [panels, out] = [space.doubles(order * panelDepth), space.doubles(order * order)];
  for (let start = 0; start < depth; start += panelDepth) {
    const bytes = pack(lines, start, Math.min(start + panelDepth, depth), panels);
    addProducts(space.kernels, panels, panels, bytes, out, order, order, true);
  }
  return mirrored(unpadded(out, order, count, count), count);
}

/** Adds the products of packed lines to `out` [rows, cols]; with `isLower`, only tiles on and below the diagonal. */
function addProducts(
  kernels: Kernels,
  left: Float64Array,
  right: Float64Array,
  panelBytes: number,
  out: Float64Array,
  rows: number,
  cols: number,
  isLower: boolean,
): void {
  for (let group = 0; group < cols; group += groupSize) {
    const groupEnd = Math.min(group + groupSize, cols);
    for (let i = isLower ? group : 0; i < rows; i += tileSize) {
      const leftPanel = panelAddress(left, i);
      const end = isLower ? Math.min(groupEnd, i + tileSize) : groupEnd;
      for (let j = group; j < end; j += tileSize) {
        const address = out.byteOffset + (i * cols + j) * doubleBytes;
        kernels.tile(leftPanel, leftPanel + panelBytes, panelAddress(right, j), address, cols * doubleBytes);
      }
    }
  }
}

/** Copies the lower triangle over the upper one, in squares, so that both sides stay in cache. */
function mirrored(matrix: Float64Array, order: number): Float64Array {
  const side = 32;
  for (let top = 0; top < order; top += side) {
    for (let left = 0; left <= top; left += side) {
      for (let i = top; i < Math.min(top + side, order); i++) {
        const end = Math.min(left + side, i);
        for (let j = left; j < end; j++) matrix[j * order + i] = matrix[i * order + j];
      }
    }
  }
  return matrix;
}

/** Copies elements `start` to `end` of every line; lines beyond the last stay zero. Returns the bytes of a panel in use. */
function pack(
  { data, count, lineStride, elementStride }: Lines,
  start: number,
  end: number,
  panels: Float64Array,
): number {
  const depth = end - start;
  for (let first = 0; first < count; first += tileSize) {
    const panel = first * panelDepth;
    const lanes = Math.min(tileSize, count - first);
    for (let lane = 0; lane < lanes; lane++) {
      let from = (first + lane) * lineStride + start * elementStride;
      let to = panel + lane;
      for (let k = 0; k < depth; k++, from += elementStride, to += tileSize) panels[to] = data[from];
    }
  }
  return depth * tileSize * doubleBytes;
}

function panelAddress(panels: Float64Array, line: number): number {
  return panels.byteOffset + (line / tileSize) * panelDoubles * doubleBytes;
}

function padded(count: number): number {
  return Math.ceil(count / tileSize) * tileSize;
}

function unpadded(source: Float64Array, stride: number, rows: number, cols: number): Float64Array {
  const result = new Float64Array(rows * cols);
  for (let i = 0; i < rows; i++) result.set(source.subarray(i * stride, i * stride + cols), i * cols);
  return result;
}
