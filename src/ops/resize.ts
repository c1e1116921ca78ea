/**
 * Resize maps each axis linearly: every output element is a weighted sum of input elements, so the gradient applies
 * the transposed matrix of weights along each axis.
 * Source: the ONNX operator page of Resize and its reference implementation; coordinates are rounded to float32 as
 * runtimes do, since nearest neighbours hang on the last bit.
 */
import { noGradient } from '../errors';
import { attribute, type GraphNode, nodeLabel } from '../graph/graph';
import { alongAxes, type ResizeRule } from './coupling';
import { type AxisMatrix, fromFront, type GradientBuilder, range } from './gradient';
import type { OpDef } from './op';

/** Sizes, where they are stated rather than scales. */
const resized: ResizeRule = (op) => {
  const sizes = op.numbers(3);
  if (!sizes?.length) return {};
  const rank = op.inputs[0].length;
  const axes = attribute(op.node, 'axes', 'ints')?.map((axis) => fromFront(axis, rank)) ?? range(0, rank);
  return { inputs: { 3: axes.map((axis) => op.newOutputs[0][axis]) } };
};

export const Resize: OpDef = {
  settings: [1, 2, 3],
  // Axes that keep their size are copied.
  couplings: (op) => alongAxes(op, (axis) => op.inputs[0][axis] === op.outputs[0][axis]),
  resized,
  gradient({ node, X, Y, dY }, g) {
    const rank = g.rank(X);
    const axes = (attribute(node, 'axes', 'ints') ?? range(0, rank)).map((axis) => fromFront(axis, rank));
    const scales = scalesOf(node, g);
    let value = dY;
    let shape = g.shape(Y);
    for (const [i, axis] of axes.entries()) {
      if (g.shape(X)[axis] === null && g.shape(Y)[axis] === null && (scales?.[i] ?? 1) === 1) continue;
      const [size, resized] = [g.size(X, axis), g.size(Y, axis)];
      const scale = scales?.[i] ?? resized / size;
      if (size === resized && scale === 1) continue;
      value = g.alongAxis(value, shape, axis, transposed(weights(node, size, resized, scale)));
      shape = shape.map((s, at) => (at === axis ? size : s));
    }
    return [value];
  },
};

/** Resize in its first form. */
export const Upsample: OpDef = { settings: [1], couplings: Resize.couplings };

/** Scales of the resized axes when the node has them; sizes stand for scales of their own otherwise. */
function scalesOf(node: GraphNode, g: GradientBuilder): number[] | undefined {
  const scales = g.setting(node, 2);
  return scales?.length ? scales.map(Math.fround) : undefined;
}

function transposed({ rows, cols, values }: AxisMatrix): AxisMatrix {
  return {
    rows: cols,
    cols: rows,
    values: Float64Array.from(values, (_, i) => values[(i % rows) * cols + Math.floor(i / rows)]),
  };
}

/** The interpolation matrix of one axis: [resized, size]. */
function weights(node: GraphNode, size: number, resized: number, scale: number): AxisMatrix {
  const mode = attribute(node, 'mode', 'string') ?? 'nearest';
  if (attribute(node, 'antialias', 'int') === 1 && scale < 1) throw unsupported(node, 'antialias');
  const values = new Float64Array(resized * size);
  const put = (row: number, at: number, weight: number): void => {
    values[row * size + Math.min(Math.max(at, 0), size - 1)] += weight;
  };
  for (let i = 0; i < resized; i++) {
    const x = coordinate(node, i, size, resized, scale);
    if (mode === 'nearest') {
      put(i, nearest(node, x), 1);
    } else if (mode === 'linear') {
      const clamped = Math.min(Math.max(x, 0), size - 1);
      const low = Math.floor(clamped);
      put(i, low, 1 - (clamped - low));
      put(i, low + 1, clamped - low);
    } else {
      for (const [at, weight] of cubic(node, x, size)) put(i, at, weight);
    }
  }
  return { rows: resized, cols: size, values };
}

/** Where output element i lies on the input's axis. */
function coordinate(node: GraphNode, i: number, size: number, resized: number, scale: number): number {
  const f = Math.fround;
  const transformation = attribute(node, 'coordinate_transformation_mode', 'string') ?? 'half_pixel';
  switch (transformation) {
    case 'half_pixel':
      return f(f(f(i + 0.5) / scale) - 0.5);
    case 'half_pixel_symmetric': {
      const adjustment = resized / (scale * size);
      const center = size / 2;
      return f(center * (1 - adjustment) + f(f(f(i + 0.5) / scale) - 0.5));
    }
    case 'pytorch_half_pixel':
      return resized > 1 ? f(f(f(i + 0.5) / scale) - 0.5) : 0;
    case 'align_corners':
      return resized === 1 ? 0 : f(f(i * (size - 1)) / (resized - 1));
    case 'asymmetric':
      return f(i / scale);
    default:
      throw unsupported(node, transformation);
  }
}

function nearest(node: GraphNode, x: number): number {
  switch (attribute(node, 'nearest_mode', 'string') ?? 'round_prefer_floor') {
    case 'floor':
      return Math.floor(x);
    case 'ceil':
      return Math.ceil(x);
    case 'round_prefer_ceil':
      return Math.floor(x + 0.5);
    default:
      return Math.ceil(x - 0.5);
  }
}

/** Keys' cubic convolution over four neighbours (Keys, 1981). */
function cubic(node: GraphNode, x: number, size: number): [number, number][] {
  const a = attribute(node, 'cubic_coeff_a', 'float') ?? -0.75;
  const low = Math.floor(x);
  const near = (d: number): number => ((a + 2) * d - (a + 3)) * d * d + 1;
  const far = (d: number): number => ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
  const t = x - low;
  const all: [number, number][] = [
    [low - 1, far(t + 1)],
    [low, near(t)],
    [low + 1, near(1 - t)],
    [low + 2, far(2 - t)],
  ];
  if (attribute(node, 'exclude_outside', 'int') !== 1) return all;
  const inside = all.filter(([at]) => at >= 0 && at < size);
  const total = inside.reduce((sum, [, weight]) => sum + weight, 0);
  return inside.map(([at, weight]) => [at, weight / total]);
}

function unsupported(node: GraphNode, what: string): Error {
  return noGradient({ opType: `Resize (${what})`, node: nodeLabel(node) });
}
