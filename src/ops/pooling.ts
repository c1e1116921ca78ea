/**
 * Pooling. Average pooling is linear along each axis; maximum pooling sends each gradient to the first largest
 * element of its window, as PyTorch does. Source: the ONNX operator pages.
 */
import { attribute } from '../graph/graph';
import { elementCount } from '../tensor/dtype';
import { leadingAxes } from './coupling';
import { type AxisMatrix, type GradientBuilder, range } from './gradient';
import type { OpDef } from './op';
import { gather, patches, spatial, type Window, windowOf } from './window';

/** Each element spreads evenly over the window it is the mean of. */
export const AveragePool: OpDef = {
  couplings: leadingAxes,
  gradient({ node, X, Y, dY }, g) {
    const kernel = attribute(node, 'kernel_shape', 'ints') as readonly number[];
    const window = windowOf(node, kernel, spatial(g, X), spatial(g, Y));
    const countsPadding = attribute(node, 'count_include_pad', 'int') === 1;
    const padsAfter = (attribute(node, 'pads', 'ints') ?? []).slice(kernel.length);
    let value = dY;
    let shape = g.shape(Y);
    for (const i of range(0, kernel.length)) {
      const reachable = countsPadding
        ? window.input[i] + Math.max(padsAfter[i] ?? window.after[i], 0)
        : window.input[i];
      value = g.alongAxis(value, shape, i + 2, meanMatrix(window, i, countsPadding, reachable));
      shape = shape.map((size, axis) => (axis === i + 2 ? window.input[i] : size));
    }
    return [value];
  },
};

/**
 * Along one axis, what each input element gets from each window: 1/(elements that count), since the count of a window
 * is the product of its counts along the axes. [input, output]
 * @param end positions from here on never count
 */
function meanMatrix(window: Window, i: number, countsPadding: boolean, end: number): AxisMatrix {
  const [rows, cols] = [window.input[i], window.output[i]];
  const values = new Float64Array(rows * cols);
  for (let o = 0; o < cols; o++) {
    const positions = range(0, window.kernel[i]).map(
      (k) => o * window.strides[i] - window.before[i] + k * window.dilations[i],
    );
    const counted = positions.filter((at) => at < end && (countsPadding || at >= 0)).length;
    for (const at of positions) if (at >= 0 && at < rows) values[at * cols + o] += 1 / counted;
  }
  return { rows, cols, values };
}

export const GlobalAveragePool: OpDef = {
  couplings: leadingAxes,
  gradient({ X, Y, dY }, g) {
    const mean = g.mul(dY, 1 / elementCount(spatial(g, X)));
    return [g.expandLike(mean, g.shape(Y), X)];
  },
};

export const MaxPool: OpDef = {
  // Indices count through all channels.
  couplings: (op) => (op.node.outputs[1] ? 'it also gives the places of the largest elements' : leadingAxes(op)),
  gradient({ node, X, Y, dY }, g) {
    const kernel = attribute(node, 'kernel_shape', 'ints') as readonly number[];
    const window = windowOf(node, kernel, spatial(g, X), spatial(g, Y));
    // Padding must never be the largest.
    const pads = window.after.map((count) => Math.max(count, 0));
    const padded = g.pad(X, [0, 0, ...window.before], [0, 0, ...pads], LOWEST);
    const bare = { ...window, before: pads.map(() => 0), after: pads.map(() => 0) };
    const seen = patches(
      g,
      g.reshape(padded, [-1, 1, ...window.input.map((n, i) => n + window.before[i] + pads[i])]),
      1,
      bare,
    );
    const largest = firstLargest(g, seen, elementCount(kernel), kernel.length);
    const columns = g.mul(largest, g.reshape(dY, [-1, 1, ...window.output]));
    return [g.reshapeLike(gather(g, columns, window), X)];
  },
};

/** Below every float32, also when read as float64. */
const LOWEST = -3.4028234663852886e38;

/** 1 at the first largest entry along axis 1, else 0. @param values [B, count, ...] */
function firstLargest(g: GradientBuilder, values: string, count: number, spatialAxes: number): string {
  const at = g.argMax(values, 1);
  const each = g.constant({
    dtype: 'int64',
    dims: [1, count, ...range(0, spatialAxes).map(() => 1)],
    data: BigInt64Array.from(range(0, count), BigInt),
  });
  return g.mask(g.equal(at, each), g.typeOf(values));
}

export const GlobalMaxPool: OpDef = {
  couplings: leadingAxes,
  gradient({ X, dY }, g) {
    const count = elementCount(spatial(g, X));
    const largest = firstLargest(g, g.reshape(X, [-1, count]), count, 0);
    return [g.reshapeLike(g.mul(largest, g.reshape(dY, [-1, 1])), X)];
  },
};

export const LpPool: OpDef = { couplings: leadingAxes };
export const GlobalLpPool: OpDef = { couplings: leadingAxes };
