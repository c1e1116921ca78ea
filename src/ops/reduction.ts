/**
 * Reductions over axes. The axes are an input that must be stored in the model; without them, all axes are reduced
 * (or none, when the node says so). Source: the ONNX operator pages, from opset 18 on.
 */
import { attribute, int } from '../graph/graph';
import { alongAxes, type CoupledNode, type CouplingRule, input, namedAxes, output, type Tie, ties } from './coupling';
import { fromFront, type GradientBuilder, type NodeGradient, range, type Shape } from './gradient';
import type { OpDef } from './op';

function reducedAxes({ node, X }: NodeGradient, g: GradientBuilder): number[] {
  const rank = g.rank(X);
  const axes = g.setting(node, 1) ?? [];
  if (axes.length) return axes.map((axis) => fromFront(axis, rank));
  return attribute(node, 'noop_with_empty_axes', 'int') === 1 ? [] : range(0, rank);
}

/** Axes that are reduced end here; what their units have in common is said by `across`. */
const reduces =
  (across: Tie['across']): CouplingRule =>
  (op) => {
    const rank = op.inputs[0].length;
    const axes = axesOfReduction(op);
    if (!axes) return 'its axes depend on the data';
    const keeps = attribute(op.node, 'keepdims', 'int') !== 0;
    let removed = 0;
    const all = op.inputs[0].map((units, axis): Tie => {
      if (!axes.includes(axis)) return { units, places: [input(0, axis), output(0, axis - removed)] };
      if (!keeps) removed++;
      return { units, places: [input(0, axis)], across };
    });
    return ties(op, rank === 0 ? [] : all);
  };

function axesOfReduction(op: CoupledNode): number[] | undefined {
  const rank = op.inputs[0].length;
  const axes = namedAxes(op, 1, rank);
  if (axes?.length) return axes;
  if (!axes && op.node.inputs[1]) return undefined;
  return attribute(op.node, 'noop_with_empty_axes', 'int') === 1 ? [] : range(0, rank);
}

/** A value of the output's shape with the reduced axes kept as size 1, and that shape. */
function kept(op: NodeGradient, g: GradientBuilder, axes: readonly number[]): (value: string) => string {
  const keeps = attribute(op.node, 'keepdims', 'int') !== 0;
  const rest = g.shape(op.X).map((size, axis) => (axes.includes(axis) ? 1 : size));
  if (keeps || axes.length === 0) return (value) => value;
  return rest.filter((size) => size === null).length > 1
    ? (value) => g.unsqueeze(value, axes)
    : (value) =>
        g.reshape(
          value,
          rest.map((size) => size ?? -1),
        );
}

function spread(op: NodeGradient, g: GradientBuilder, axes: readonly number[], value: string): string {
  const shape: Shape = g.shape(op.X).map((size, axis) => (axes.includes(axis) ? 1 : size));
  return g.expandLike(value, shape, op.X);
}

/** How many elements each output element is made of. */
function counted(op: NodeGradient, g: GradientBuilder, axes: readonly number[]): number | string {
  const sizes = axes.map((axis) => g.shape(op.X)[axis]);
  if (!sizes.includes(null)) return (sizes as number[]).reduce((product, size) => product * size, 1);
  const type = g.typeOf(op.X);
  return g.div(g.sizeOf(op.X, type), g.sizeOf(op.Y, type));
}

/** An operator whose gradient is dY, spread over what was reduced, times a factor. */
const scaled = (
  across: Tie['across'],
  factor: (op: NodeGradient & { kept(value: string): string }, g: GradientBuilder) => string,
): OpDef => ({
  couplings: reduces(across),
  gradient(op, g) {
    const axes = reducedAxes(op, g);
    const keep = kept(op, g, axes);
    return [g.mul(keep(op.dY), factor({ ...op, kept: keep }, g))];
  },
});

export const ReduceSum: OpDef = {
  couplings: reduces('sum'),
  gradient(op, g) {
    const axes = reducedAxes(op, g);
    return [spread(op, g, axes, kept(op, g, axes)(op.dY))];
  },
};

export const ReduceMean: OpDef = {
  couplings: reduces('statistics'),
  gradient(op, g) {
    const axes = reducedAxes(op, g);
    return [spread(op, g, axes, kept(op, g, axes)(g.div(op.dY, counted(op, g, axes))))];
  },
};

/** The largest (or smallest) elements share the gradient evenly, as in PyTorch's amax and amin. */
const extreme: OpDef = {
  couplings: reduces('statistics'),
  gradient(op, g) {
    const axes = reducedAxes(op, g);
    const keep = kept(op, g, axes);
    const hits = g.mask(g.equal(op.X, keep(op.Y)), g.typeOf(op.X));
    return [g.mul(hits, g.div(keep(op.dY), g.reduceSum(hits, axes)))];
  },
};
export const ReduceMax: OpDef = extreme;
export const ReduceMin: OpDef = extreme;

/** |x| */
export const ReduceL1: OpDef = scaled('sum', ({ X }, g) => g.sign(X));
/** y = √Σx²: x/y, and 0 where y is 0 */
export const ReduceL2: OpDef = scaled('sum', ({ X, Y, kept }, g) => {
  const norm = kept(Y);
  return g.div(X, g.add(norm, g.mask(g.equal(norm, 0), g.typeOf(Y))));
});
/** x² */
export const ReduceSumSquare: OpDef = scaled('sum', ({ X }, g) => g.mul(X, 2));
/** ln Σ exp x: exp(x − y) */
export const ReduceLogSumExp: OpDef = scaled('statistics', ({ X, Y, kept }, g) => g.exp(g.sub(X, kept(Y))));

/** Along one axis, every element reaches the sums from its own place on: the gradient is summed from the other side. */
export const CumSum: OpDef = {
  settings: [1],
  couplings(op) {
    const axis = op.numbers(1)?.[0];
    if (axis === undefined) return 'its axis depends on the data';
    return alongAxes(op, (at) => at !== fromFront(axis, op.inputs[0].length));
  },
  gradient: ({ node, dY }, g) => [
    g.emit('CumSum', [dY, node.inputs[1]], {
      exclusive: node.attributes.get('exclusive'),
      reverse: int(attribute(node, 'reverse', 'int') === 1 ? 0 : 1),
    }),
    null,
  ],
};
