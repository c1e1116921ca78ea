/**
 * Couplings of the operators that move elements: where each position of an output comes from, and what sizes and
 * positions the node itself states. Source: the ONNX operator pages.
 */
import { attribute } from '../graph/graph';
import {
  broadcast,
  type CoupledNode,
  type CouplingRule,
  type Dims,
  has,
  input,
  namedAxes,
  newSetting,
  output,
  type ResizedNode,
  type ResizeRule,
  reshaped,
  setting,
  type Tie,
  ties,
} from './coupling';
import { axisOf, fromFront, range } from './gradient';
import type { OpDef } from './op';

type Couplings = Pick<OpDef, 'couplings' | 'resized'>;

const UNKNOWN = 'what it takes depends on the data';

/** An axis that keeps its size and moves with the same axis of the first input. */
const alike = (op: CoupledNode, axis: number): Tie => ({
  units: op.inputs[0][axis],
  places: [input(0, axis), ...op.outputs.map((_, i) => output(i, axis))],
});

/** −1 is worked out from the other sizes; 0 copies the input's. */
export const reshape: Couplings = {
  couplings: reshaped,
  resized(op) {
    const shape = setting(op, 1, 'shape');
    if (!shape) return UNKNOWN;
    const copies = attribute(op.node, 'allowzero', 'int') !== 1;
    const [X] = op.newInputs;
    const sizes = op.newOutputs[0].map((size, axis) => {
      const stated = shape[axis];
      return stated === -1 || (stated === 0 && copies && X[axis] === size) ? null : size;
    });
    return newSetting(op, 1, 'shape', sizes);
  },
};

export const squeeze: Couplings = {
  couplings: reshaped,
  resized(op) {
    const isNarrow = op.newInputs[0].some((size, axis) => size === 1 && op.inputs[0][axis] > 1);
    return isNarrow && !setting(op, 1, 'axes') ? 'it would also take away an axis with a single channel left' : {};
  },
};

export const transpose: Couplings = {
  couplings(op) {
    const perm = attribute(op.node, 'perm', 'ints') ?? range(0, op.inputs[0].length).reverse();
    return ties(
      op,
      perm.map((from, to) => ({ units: op.inputs[0][from], places: [input(0, from), output(0, to)] })),
    );
  },
};

export const concat: Couplings = {
  couplings(op) {
    const [Y] = op.outputs;
    const joined = axisOf(op.node, Y.length, 0);
    const all = Y.flatMap((units, axis): Tie[] => {
      if (axis !== joined) return [{ units, places: [...op.inputs.map((_, i) => input(i, axis)), output(0, axis)] }];
      let first = 0;
      return op.inputs.map((X, i) => {
        const places = [input(i, axis), output(0, axis, { first })];
        first += X[axis];
        return { units: X[axis], places };
      });
    });
    // A part of one position is a unit that nothing can be removed from.
    return ties(op, all);
  },
};

export const split: Couplings = {
  couplings(op) {
    const [X] = op.inputs;
    const axis = axisOf(op.node, X.length, 0);
    const sizes = partSizes(op, axis);
    if (!sizes) return UNKNOWN;
    const along = range(0, X.length).flatMap((other) => (other === axis ? [] : [alike(op, other)]));
    let first = 0;
    const across = sizes.map((units, i): Tie => {
      const places = [input(0, axis, { first }), output(i, axis)];
      first += units;
      return { units, places };
    });
    return ties(op, [...along, ...across]);
  },
  resized(op) {
    const axis = axisOf(op.node, op.inputs[0].length, 0);
    const old = partSizes(op, axis);
    if (!old) return UNKNOWN;
    const kept = op.kept('input', 0, axis);
    let first = 0;
    const sizes = old.map((size) => {
      const [from, to] = [first, (first += size)];
      return kept.filter((at) => at >= from && at < to).length;
    });
    if (attribute(op.node, 'split', 'ints') || has(op, 'input', 1)) return newSetting(op, 1, 'split', sizes);
    if (new Set(sizes).size === 1) return {};
    return op.opset >= 13
      ? { inputs: { 1: sizes }, attributes: { num_outputs: null } }
      : { attributes: { split: sizes } };
  },
};

/** Sizes of the parts; also of those that nobody reads. */
function partSizes(op: CoupledNode, axis: number): readonly number[] | undefined {
  if (attribute(op.node, 'split', 'ints') || has(op, 'input', 1)) return setting(op, 1, 'split');
  const total = op.inputs[0][axis];
  const count = op.node.outputs.length;
  const each = Math.ceil(total / count);
  return range(0, count).map((i) => Math.min(each, total - i * each));
}

interface Cut {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
  /** Whether the end is the end of the axis, however long it is. */
  readonly isOpen: boolean;
}

function cutsOf(op: CoupledNode): Cut[] | undefined {
  const [X] = op.inputs;
  const [starts, ends] = [setting(op, 1, 'starts'), setting(op, 2, 'ends')];
  const axes = namedAxes(op, 3, X.length) ?? (has(op, 'input', 3) ? undefined : starts?.map((_, i) => i));
  const steps = has(op, 'input', 4) ? op.numbers(4) : starts?.map(() => 1);
  if (!starts || !ends || !axes || !steps) return undefined;
  return axes.map((axis, i) => {
    const size = X[axis];
    const within = (at: number): number => Math.min(Math.max(fromFront(at, size), 0), size);
    return { axis, start: within(starts[i]), end: within(ends[i]), step: steps[i], isOpen: ends[i] >= size };
  });
}

/** Sliced axes lose positions when they are cut out in one piece. */
export const slice: Couplings = {
  couplings(op) {
    const cuts = cutsOf(op);
    if (!cuts) return UNKNOWN;
    const all = op.inputs[0].flatMap((units, axis): Tie[] => {
      const cut = cuts.find((found) => found.axis === axis);
      if (!cut) return [alike(op, axis)];
      if (cut.step !== 1 || op.outputs[0][axis] !== Math.max(cut.end - cut.start, 0)) return [];
      return [{ units, places: [input(0, axis), output(0, axis, { first: -cut.start })] }];
    });
    return ties(op, all);
  },
  resized(op) {
    const cuts = cutsOf(op);
    if (!cuts) return UNKNOWN;
    const moved = cuts.map(({ axis, start, end, isOpen }) => {
      const kept = op.kept('input', 0, axis);
      if (kept.length === op.inputs[0][axis]) return { start: null, end: null };
      const before = (at: number): number => kept.filter((position) => position < at).length;
      return { start: before(start), end: isOpen ? null : before(end) };
    });
    const [starts, ends] = [
      newSetting(
        op,
        1,
        'starts',
        moved.map(({ start }) => start),
      ),
      newSetting(
        op,
        2,
        'ends',
        moved.map(({ end }) => end),
      ),
    ];
    return {
      attributes: { ...starts.attributes, ...ends.attributes },
      inputs: { ...starts.inputs, ...ends.inputs },
    };
  },
};

function padsOf(op: CoupledNode): { axis: number; before: number; after: number; at: number }[] | undefined {
  const rank = op.inputs[0].length;
  const pads = setting(op, 1, 'pads');
  const axes = has(op, 'input', 3) ? namedAxes(op, 3, rank) : range(0, rank);
  if (!pads || !axes) return undefined;
  return axes.map((axis, at) => ({ axis, before: pads[at], after: pads[at + axes.length], at }));
}

/** Padding is made of units of its own: they can go with the channels that they are added to. */
export const pad: Couplings = {
  couplings(op) {
    const pads = padsOf(op);
    if (!pads) return UNKNOWN;
    const isConstant = (attribute(op.node, 'mode', 'string') ?? 'constant') === 'constant';
    const all = op.inputs[0].flatMap((units, axis): Tie[] => {
      const { before, after } = pads.find((found) => found.axis === axis) ?? { before: 0, after: 0 };
      if (before === 0 && after === 0) return [alike(op, axis)];
      if (!isConstant || before < 0 || after < 0) return [];
      return [
        // Of a single unit, too: it is no part of the input.
        ...single(before, output(0, axis)),
        { units, places: [input(0, axis), output(0, axis, { first: before })] },
        ...single(after, output(0, axis, { first: before + units })),
      ];
    });
    return all;
  },
  resized(op) {
    const pads = padsOf(op);
    if (!pads) return UNKNOWN;
    const amounts = new Array<number | null>(2 * pads.length).fill(null);
    for (const { axis, before, at } of pads) {
      const kept = op.kept('output', 0, axis);
      const end = before + op.inputs[0][axis];
      if (kept.length === op.outputs[0][axis]) continue;
      amounts[at] = kept.filter((position) => position < before).length;
      amounts[at + pads.length] = kept.filter((position) => position >= end).length;
    }
    return newSetting(op, 1, 'pads', amounts);
  },
};

const single = (units: number, place: Tie['places'][number]): Tie[] => (units > 0 ? [{ units, places: [place] }] : []);

/** Sizes of an output that are stated one by one. */
function statedSizes(op: ResizedNode, index: number): ReturnType<ResizeRule> {
  const stated = op.numbers(index);
  if (!stated) return UNKNOWN;
  const sizes = op.newOutputs[0];
  const [X = []] = op.newInputs;
  // A size of 1 that broadcasts may stand for an axis that has kept its positions.
  const missing = sizes.length - stated.length;
  return {
    inputs: {
      [index]: stated.map((size, i) => {
        const axis = i + missing;
        return size === 1 && X[axis - (sizes.length - X.length)] === sizes[axis] ? null : sizes[axis];
      }),
    },
  };
}

export const expand: Couplings = {
  couplings: (op) => broadcast({ ...op, inputs: [op.inputs[0]] }),
  resized: (op) => statedSizes(op, 1),
};

export const constantOfShape: Couplings = {
  couplings: (op) => op.outputs[0].map((units, axis) => ({ units, places: [output(0, axis)] })),
  resized(op) {
    return op.numbers(0) ? { inputs: { 0: op.newOutputs[0] } } : UNKNOWN;
  },
};

export const tile: Couplings = {
  couplings(op) {
    const repeats = op.numbers(1);
    if (!repeats) return UNKNOWN;
    return ties(
      op,
      op.inputs[0].map((units, axis) => ({
        units,
        places: [input(0, axis), output(0, axis, { outer: repeats[axis] })],
      })),
    );
  },
};

/** Known indices are counted anew; unknown ones keep the axis whole. */
export const gather: Couplings = {
  couplings(op) {
    const [X, indices] = op.inputs;
    const axis = axisOf(op.node, X.length, 0);
    const all = X.flatMap((units, at): Tie[] => {
      if (at < axis) return [{ units, places: [input(0, at), output(0, at)] }];
      if (at > axis) return [{ units, places: [input(0, at), output(0, at - 1 + indices.length)] }];
      const taken = indices.length === 1 ? op.numbers(1) : undefined;
      if (!taken) return [];
      const unitOf = Int32Array.from(taken, (index) => fromFront(index, units));
      return [{ units, places: [input(0, axis), output(0, axis, { unitOf })] }];
    });
    // The axes of the indices, where they are data: one entry more or less is one output position more or less.
    const ofIndices = indices.map((units, at) => ({ units, places: [input(1, at), output(0, axis + at)] }));
    return ties(op, op.numbers(1) ? all : [...all, ...ofIndices]);
  },
  resized(op) {
    const [X, indices] = op.inputs;
    const axis = axisOf(op.node, X.length, 0);
    const kept = op.kept('input', 0, axis);
    if (kept.length === X[axis] || indices.length !== 1) return {};
    const taken = op.numbers(1);
    if (!taken) return UNKNOWN;
    const places = new Map(kept.map((position, i) => [position, i]));
    return { inputs: { 1: taken.flatMap((index) => places.get(fromFront(index, X[axis])) ?? []) } };
  },
};

/** DCR has the block before the channels, CRD behind them. */
export const depthToSpace: Couplings = {
  couplings(op) {
    const [[batch], [, units]] = [op.inputs[0], op.outputs[0]];
    const block = blockOf(op) ** 2;
    const isBlockFirst = (attribute(op.node, 'mode', 'string') ?? 'DCR') === 'DCR';
    return ties(op, [
      { units: batch, places: [input(0, 0), output(0, 0)] },
      { units, places: [input(0, 1, isBlockFirst ? { outer: block } : { inner: block }), output(0, 1)] },
    ]);
  },
};

export const spaceToDepth: Couplings = {
  couplings(op) {
    const [[batch, units]] = op.inputs as [Dims];
    return ties(op, [
      { units: batch, places: [input(0, 0), output(0, 0)] },
      { units, places: [input(0, 1), output(0, 1, { outer: blockOf(op) ** 2 })] },
    ]);
  },
};

const blockOf = ({ node }: CoupledNode): number => attribute(node, 'blocksize', 'int') ?? 1;

/** Positions of an axis are scaled, summed up, sorted or the like: the other axes go through. */
export const exceptAxis =
  (otherwise: number): CouplingRule =>
  (op) => {
    const axis = axisOf(op.node, op.inputs[0].length, otherwise);
    return ties(
      op,
      op.inputs[0].flatMap((_, at) => (at === axis ? [] : [alike(op, at)])),
    );
  };
