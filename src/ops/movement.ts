/**
 * Operators that move elements without changing them: the gradient moves them back, and adds up what was copied.
 * Source: the ONNX operator pages.
 */
import type { AxisSlice } from '../graph/builder';
import { attribute, int } from '../graph/graph';
import { toFloat64 } from '../tensor/tensor';
import { reshaped, sameAxes } from './coupling';
import { type AxisMatrix, axisOf, fromFront, type GradientBuilder, range, type Shape } from './gradient';
import * as couplings from './movementCouplings';
import type { OpDef } from './op';

const sameElements: OpDef = { gradient: ({ X, dY }, g) => [g.reshapeLike(dY, X)] };
export const Reshape: OpDef = { ...sameElements, ...couplings.reshape };
export const Flatten: OpDef = { ...sameElements, couplings: reshaped };
export const Squeeze: OpDef = { ...sameElements, ...couplings.squeeze };
export const Unsqueeze: OpDef = { ...sameElements, couplings: reshaped };

export const Transpose: OpDef = {
  ...couplings.transpose,
  gradient({ node, X, dY }, g) {
    const perm = attribute(node, 'perm', 'ints') ?? range(0, g.rank(X)).reverse();
    return [
      g.transpose(
        dY,
        perm.map((_, axis) => perm.indexOf(axis)),
      ),
    ];
  },
};

/** The mask says which elements were kept; those were scaled up to make up for the others. */
export const Dropout: OpDef = {
  couplings: sameAxes,
  settings: [1, 2],
  gradient(op, g) {
    const training = g.setting(op.node, 2)?.[0] ?? 0;
    if (!training) return [op.dY];
    const ratio = g.setting(op.node, 1)?.[0] ?? 0.5;
    return [g.mul(op.dY, g.mul(g.mask(op.output(1, 'bool'), g.typeOf(op.X)), 1 / (1 - ratio)))];
  },
};

/** The length of each part along an axis, as an int64 vector. */
function lengths(g: GradientBuilder, values: readonly string[], axis: number): string {
  const sizes = values.map((value) => g.shape(value)[axis]);
  if (sizes.every((size) => size !== null)) return g.ints(sizes);
  return g.concat(
    values.map((value, i) => (sizes[i] === null ? g.shapeOf(value, axis, axis + 1) : g.ints([sizes[i]]))),
    0,
  );
}

export const Concat: OpDef = {
  ...couplings.concat,
  gradient({ node, inputs, Y, dY }, g) {
    const axis = axisOf(node, g.rank(Y), 0);
    const types = inputs.map((input) => g.typeOf(input));
    return g.emitMany('Split', [dY, lengths(g, inputs, axis)], { axis: int(axis) }, types);
  },
};

export const Split: OpDef = {
  ...couplings.split,
  gradient: ({ node, X, outputs, dOutputs }, g) => [
    g.concat(
      outputs.map((output, i) => dOutputs[i] ?? g.zerosLike(output)),
      axisOf(node, g.rank(X), 0),
    ),
  ],
};

export const Slice: OpDef = {
  ...couplings.slice,
  settings: [1, 2, 3, 4],
  gradient({ node, X, Y, dY }, g) {
    const starts = g.setting(node, 1) ?? [];
    const ends = g.setting(node, 2) ?? [];
    const axes = g.setting(node, 3) ?? starts.map((_, i) => i);
    const steps = g.setting(node, 4) ?? starts.map(() => 1);
    const cuts = axes.flatMap((given, i): SpacedAxis[] => {
      const axis = fromFront(given, g.rank(X));
      const isWhole = starts[i] === 0 && steps[i] === 1 && g.shape(Y)[axis] === g.shape(X)[axis] && ends[i] > 2 ** 30;
      if (isWhole) return [];
      const [size, count] = [g.size(X, axis), g.size(Y, axis)];
      const first = Math.min(Math.max(fromFront(starts[i], size), 0), steps[i] > 0 ? size : size - 1);
      return [{ axis, size, count, step: steps[i], first }];
    });
    return [spaceOut(g, dY, g.shape(Y), cuts)];
  },
};

/** Where the elements of one axis go: `first`, `first + step`, … of an axis of `size`. */
interface SpacedAxis {
  readonly axis: number;
  readonly size: number;
  readonly count: number;
  readonly first: number;
  readonly step: number;
}

/** Puts elements of a value of the given shape apart, with zeros between and around them. */
function spaceOut(g: GradientBuilder, x: string, shape: Shape, axes: readonly SpacedAxis[]): string {
  const backwards = axes.filter(({ step }) => step < 0).map(({ axis }) => axis);
  let value = backwards.length ? g.reverse(x, backwards) : x;
  const before = shape.map(() => 0);
  const after = shape.map(() => 0);
  const crops: AxisSlice[] = [];
  for (const { axis, size, count, first, step } of axes) {
    const apart = Math.abs(step);
    const start = step < 0 ? first + (count - 1) * step : first;
    const rest = size - start - count * apart;
    if (rest < 0) crops.push({ axis, start: 0, end: size - start });
    before[axis] = start;
    after[axis] = Math.max(rest, 0);
  }
  value = g.slice(
    dilate(
      g,
      value,
      shape,
      axes.filter(({ step }) => Math.abs(step) > 1),
    ),
    crops,
  );
  return g.pad(value, before, after);
}

/** Follows every element of some axes by `step − 1` zeros. Concatenation does it several times as fast as Pad. */
function dilate(
  g: GradientBuilder,
  x: string,
  shape: Shape,
  gaps: readonly Pick<SpacedAxis, 'axis' | 'step'>[],
): string {
  let value = x;
  let sizes = shape;
  for (const { axis, step } of gaps) {
    const apart = Math.abs(step);
    const elements = g.unsqueeze(value, [axis + 1]);
    const zeros = g.unsqueeze(g.mul(value, 0), [axis + 1]);
    sizes = sizes.map((size, i) => (i === axis && size !== null ? size * apart : size));
    value = g.reshapeTo(g.concat([elements, ...new Array<string>(apart - 1).fill(zeros)], axis + 1), sizes);
  }
  return value;
}

/** Constant padding is cut off again; the other modes copy elements, whose gradients are added up. */
export const Pad: OpDef = {
  ...couplings.pad,
  settings: [1, 2, 3],
  gradient({ node, X, Y, dY }, g) {
    const rank = g.rank(X);
    const pads = g.setting(node, 1) as number[];
    const axes = (g.setting(node, 3) ?? range(0, rank)).map((axis) => fromFront(axis, rank));
    const padded = axes
      .map((axis, i) => ({ axis, before: pads[i], after: pads[i + axes.length] }))
      .filter(({ before, after }) => before !== 0 || after !== 0);
    const mode = attribute(node, 'mode', 'string') ?? 'constant';
    if (mode !== 'constant') {
      let value = dY;
      let shape = g.shape(Y);
      for (const { axis, before } of padded) {
        const size = g.size(X, axis);
        value = g.alongAxis(value, shape, axis, copies(mode, size, g.size(Y, axis), before));
        shape = shape.map((s, i) => (i === axis ? size : s));
      }
      return [value];
    }
    const cuts: AxisSlice[] = [];
    const before = new Array<number>(rank).fill(0);
    const after = new Array<number>(rank).fill(0);
    for (const pad of padded) {
      const { axis } = pad;
      if (pad.before > 0 || pad.after > 0) {
        const start = Math.max(pad.before, 0);
        cuts.push({ axis, start, end: g.size(Y, axis) - Math.max(pad.after, 0) });
      }
      before[axis] = Math.max(-pad.before, 0);
      after[axis] = Math.max(-pad.after, 0);
    }
    return [g.pad(g.slice(dY, cuts), before, after)];
  },
};

/** Adds to each of `size` elements the gradients of its copies in a padded axis. */
function copies(mode: string, size: number, padded: number, before: number): AxisMatrix {
  const values = new Float64Array(size * padded);
  for (let i = 0; i < padded; i++) values[sourceOf(mode, i - before, size) * padded + i] += 1;
  return { rows: size, cols: padded, values };
}

/** The element that padding puts at position i, which may lie outside. */
function sourceOf(mode: string, i: number, size: number): number {
  const modulo = (a: number, n: number): number => ((a % n) + n) % n;
  switch (mode) {
    case 'edge':
      return Math.min(Math.max(i, 0), size - 1);
    case 'wrap':
      return modulo(i, size);
    default: {
      // reflect: back and forth without repeating the ends.
      const period = Math.max(2 * (size - 1), 1);
      const at = modulo(i, period);
      return at < size ? at : period - at;
    }
  }
}

export const Expand: OpDef = { ...couplings.expand, gradient: ({ X, Y, dY }, g) => [g.sumTo(dY, g.shape(Y), X)] };

/** Every axis seen as [copies, size]: the copies are summed. */
export const Tile: OpDef = {
  ...couplings.tile,
  settings: [1],
  gradient({ node, X, dY }, g) {
    const repeats = g.setting(node, 1) as number[];
    const fine = g.shape(X).flatMap((size, axis) => [repeats[axis], size ?? -1]);
    const axes = repeats.flatMap((times, axis) => (times > 1 ? [2 * axis] : []));
    return [g.reshapeLike(g.reduceSum(g.reshape(dY, fine), axes), X)];
  },
};

/** A selection matrix may have this many elements; beyond, gradients are scattered. */
const SELECTION_ELEMENTS = 2 ** 16;

export const Gather: OpDef = {
  ...couplings.gather,
  gradient(op, g) {
    const { node, X, Y, dY } = op;
    const indices = op.inputs[1];
    const rank = g.rank(X);
    const axis = axisOf(node, rank, 0);
    const size = g.shape(X)[axis];
    const known = g.known(indices);
    if (known && size !== null) {
      const at = Array.from(toFloat64(known), (index) => fromFront(index, size));
      if (known.dims.length === 0) {
        const around = (count: number): number[] => range(0, rank).map((i) => (i === axis ? count : 0));
        return [g.pad(g.unsqueeze(dY, [axis]), around(at[0]), around(size - 1 - at[0]))];
      }
      if (known.dims.length === 1 && at.length * size <= SELECTION_ELEMENTS) {
        const values = new Float64Array(size * at.length);
        for (const [i, index] of at.entries()) values[index * at.length + i] = 1;
        return [g.alongAxis(dY, g.shape(Y), axis, { rows: size, cols: at.length, values })];
      }
    }
    // With the gathered axis in front, each index names a slice that its gradient is added to.
    const indexAxes = g.rank(indices);
    const front = [axis, ...range(0, axis), ...range(axis + 1, rank)];
    const updates = g.transpose(dY, [
      ...range(axis, axis + indexAxes),
      ...range(0, axis),
      ...range(axis + indexAxes, rank + indexAxes - 1),
    ]);
    const into = g.transpose(g.zerosLike(X), front);
    const sums = g.emit('ScatterND', [into, g.unsqueeze(indices, [-1]), updates], { reduction: addition });
    return [
      g.transpose(
        sums,
        front.map((_, i) => front.indexOf(i)),
      ),
    ];
  },
};

const addition = { kind: 'string', value: 'add' } as const;

export const GatherElements: OpDef = {
  gradient: ({ node, X, inputs, dY }, g) => [
    g.emit('ScatterElements', [g.zerosLike(X), inputs[1], dY], {
      axis: int(axisOf(node, g.rank(X), 0)),
      reduction: addition,
    }),
  ],
};

/** In mode DCR the two are each other's inverse; CRD has its channels before the block. */
export const DepthToSpace: OpDef = {
  ...couplings.depthToSpace,
  gradient({ node, X, dY }, g) {
    const block = attribute(node, 'blocksize', 'int') as number;
    if ((attribute(node, 'mode', 'string') ?? 'DCR') === 'DCR') {
      return [g.emit('SpaceToDepth', [dY], { blocksize: int(block) })];
    }
    const [C, H, W] = g.sizes(X, 1);
    const fine = g.reshape(dY, [-1, C / block ** 2, H, block, W, block]);
    return [g.reshape(g.transpose(fine, [0, 1, 3, 5, 2, 4]), [-1, C, H, W])];
  },
};

export const SpaceToDepth: OpDef = {
  ...couplings.spaceToDepth,
  gradient: ({ node, dY }, g) => [g.emit('DepthToSpace', [dY], { blocksize: node.attributes.get('blocksize') })],
};
