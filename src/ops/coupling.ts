/**
 * Which positions of a node's tensors can only be removed together: the vocabulary of the operators' `couplings` rules.
 *
 * A *tie* numbers `units` and says where each lives: at which positions of which axes of the node's inputs and outputs
 * (stored tensors are inputs like any other). It claims: with some units removed at all places of the tie, and the sizes
 * that the node itself states adapted (`resized`), the node is valid and gives on what is left what it gave before,
 * provided that `across` says nothing else. A position of an axis that no tie covers can't be removed.
 */
import { attribute, type GraphNode } from '../graph/graph';
import { fromFront } from './gradient';

export type Dims = readonly number[];

/**
 * Positions of one axis. Position i belongs to unit ⌊(i − first) / inner⌋ mod units, for i from `first` to
 * `first` + outer·units·inner; positions outside belong to none.
 */
export interface Place {
  readonly side: 'input' | 'output';
  readonly index: number;
  readonly axis: number;
  /** Default 0. Negative where the axis begins within the units. */
  readonly first?: number;
  /** How many times the units follow each other. Default 1. */
  readonly outer?: number;
  /** Neighbouring positions that make one unit. Default 1. */
  readonly inner?: number;
  /** The unit of each position, −1 for none: in place of the three numbers where they do not suffice. */
  readonly unitOf?: Int32Array;
}

export interface Tie {
  readonly units: number;
  readonly places: readonly Place[];
  /**
   * What the node does across units. `sum`: it adds them up, and a unit of zeros adds nothing. `statistics`: what is left
   * changes with what is removed, because a mean, a norm or the like is taken over the units.
   */
  readonly across?: 'sum' | 'statistics';
  /** Of the ties with this mark that share an axis, only one can hold: an axis of g·m positions loses rows or columns. */
  readonly isChoice?: boolean;
}

/** A node as a coupling rule sees it. */
export interface CoupledNode {
  readonly node: GraphNode;
  /** Version of the standard operator set. */
  readonly opset: number;
  /** Shapes; [] stands for what is left out. */
  readonly inputs: readonly Dims[];
  readonly outputs: readonly Dims[];
  /** The values of a small input that do not depend on the model's data; undefined where they do. */
  numbers(input: number): readonly number[] | undefined;
}

/** The ties of a node, or why none of its axes can lose positions. */
export type CouplingRule = (op: CoupledNode) => readonly Tie[] | string;

/** A node that has lost positions. */
export interface ResizedNode extends CoupledNode {
  readonly newInputs: readonly Dims[];
  readonly newOutputs: readonly Dims[];
  /** Remaining positions of an axis, as they were counted before. */
  kept(side: Place['side'], index: number, axis: number): readonly number[];
}

/** What a node must say anew. */
export interface Resized {
  /** null removes one. */
  readonly attributes?: Readonly<Record<string, number | readonly number[] | null>>;
  /** New values of inputs by index; null where an element may be what it is. */
  readonly inputs?: Readonly<Record<number, readonly (number | null)[]>>;
}

/** What a node that states sizes itself must state after the removal, or why that can't be said. */
export type ResizeRule = (op: ResizedNode) => Resized | string;

export type PlaceOptions = Omit<Place, 'side' | 'index' | 'axis'>;

export const input = (index: number, axis: number, options: PlaceOptions = {}): Place => ({
  side: 'input',
  index,
  axis,
  ...options,
});

export const output = (index: number, axis: number, options: PlaceOptions = {}): Place => ({
  side: 'output',
  index,
  axis,
  ...options,
});

/** Calls back with every position of an axis of `size` that belongs to a unit. */
export function eachPosition(
  { first = 0, outer = 1, inner = 1, unitOf }: Place,
  units: number,
  size: number,
  visit: (position: number, unit: number) => void,
): void {
  if (unitOf) {
    for (let i = 0; i < unitOf.length; i++) if (unitOf[i] >= 0) visit(i, unitOf[i]);
    return;
  }
  const end = Math.min(size, first + outer * units * inner);
  for (let i = Math.max(0, first); i < end; i++) visit(i, Math.floor((i - first) / inner) % units);
}

/** Whether the node has this input or output. */
export function has({ node }: CoupledNode, side: Place['side'], index: number): boolean {
  return !!(side === 'input' ? node.inputs : node.outputs)[index];
}

/** Ties without what the node leaves out, and without those that nothing could be removed from. */
export function ties(op: CoupledNode, all: readonly Tie[]): Tie[] {
  return all
    .filter(({ units }) => units > 1)
    .map((tie) => ({ ...tie, places: tie.places.filter(({ side, index }) => has(op, side, index)) }));
}

/** Numbers that older operator sets hold in an attribute and newer ones take as an input. */
export function setting(op: CoupledNode, index: number, name: string): readonly number[] | undefined {
  return attribute(op.node, name, 'ints') ?? (has(op, 'input', index) ? op.numbers(index) : undefined);
}

/** New values of such a setting, wherever the node has it. */
export function newSetting(op: CoupledNode, index: number, name: string, values: readonly (number | null)[]): Resized {
  const old = attribute(op.node, name, 'ints');
  if (old) return { attributes: { [name]: values.map((value, i) => value ?? old[i]) } };
  return { inputs: { [index]: values } };
}

/** Every axis of every output moves with the same axis of the first input. */
export const sameAxes: CouplingRule = (op) => alongAxes(op, () => true);

/** The same for some of the axes. */
export function alongAxes(op: CoupledNode, follows: (axis: number) => boolean): Tie[] {
  const all = op.inputs[0].flatMap((units, axis): Tie[] => {
    if (!follows(axis)) return [];
    return [{ units, places: [input(0, axis), ...op.outputs.map((_, i) => output(i, axis))] }];
  });
  return ties(op, all);
}

/** Batch and channels; not the axes behind them. */
export const leadingAxes: CouplingRule = (op) => alongAxes(op, (axis) => axis < 2);

/** NumPy's broadcasting: an axis of the output moves with that of every input that is not repeated along it. */
export const broadcast: CouplingRule = (op) => {
  const [Y] = op.outputs;
  const all = Y.map((units, axis): Tie => {
    const places = op.inputs.flatMap((dims, i) => {
      const at = axis - (Y.length - dims.length);
      return at >= 0 && dims[at] === units ? [input(i, at)] : [];
    });
    return { units, places: [...places, output(0, axis)] };
  });
  return ties(op, all);
};

/**
 * The same elements in row-major order under another shape. Where both shapes can be refined to the same factors, an axis
 * of several factors can lose units of one of them: of 12·64 features, heads or features of all heads.
 */
export const reshaped: CouplingRule = (op) => {
  const factors = commonFactors(op.inputs[0], op.outputs[0]);
  const of = (side: 'input' | 'output', at: FactorPlace): Place => (side === 'input' ? input : output)(0, at.axis, at);
  return ties(
    op,
    factors.map(({ units, from, to }) => ({
      units,
      places: [of('input', from), of('output', to)],
      isChoice: units < op.inputs[0][from.axis] || units < op.outputs[0][to.axis],
    })),
  );
};

interface FactorPlace {
  readonly axis: number;
  readonly outer: number;
  readonly inner: number;
}

interface Factor {
  readonly units: number;
  readonly from: FactorPlace;
  readonly to: FactorPlace;
}

/** The factors that two shapes of as many elements share, outermost first. */
export function commonFactors(from: Dims, to: Dims): Factor[] {
  const [a, b] = [from, to].map((dims) => dims.map((size, axis) => ({ size, axis })).filter(({ size }) => size !== 1));
  const found: { units: number; from: number; to: number }[] = [];
  let [i, j] = [0, 0];
  while (i < a.length && j < b.length) {
    // The shortest runs of axes that hold equally many elements.
    const [startI, startJ] = [i, j];
    let [left, right] = [a[i++].size, b[j++].size];
    while (left !== right) {
      if (left < right ? i >= a.length : j >= b.length) return placed(found);
      if (left < right) left *= a[i++].size;
      else right *= b[j++].size;
    }
    found.push(...refined(a.slice(startI, i), b.slice(startJ, j)));
  }
  return placed(found);
}

interface SharedFactor {
  readonly units: number;
  readonly from: number;
  readonly to: number;
}

/** Factors of two runs of axes with equally many elements; none where one axis ends in the middle of a factor of the other. */
function refined(a: readonly SizedAxis[], b: readonly SizedAxis[]): SharedFactor[] {
  const found: SharedFactor[] = [];
  let [i, j] = [0, 0];
  let [left, right] = [a[0].size, b[0].size];
  while (i < a.length && j < b.length) {
    const units = Math.min(left, right);
    if (units < 1 || left % units || right % units) return [];
    found.push({ units, from: a[i].axis, to: b[j].axis });
    left /= units;
    right /= units;
    if (left === 1) left = a[++i]?.size;
    if (right === 1) right = b[++j]?.size;
  }
  return found;
}

interface SizedAxis {
  readonly size: number;
  readonly axis: number;
}

function placed(factors: readonly SharedFactor[]): Factor[] {
  const place = (side: 'from' | 'to', at: number): FactorPlace => {
    const axis = factors[at][side];
    const product = (list: typeof factors): number =>
      list.reduce((size, factor) => (factor[side] === axis ? size * factor.units : size), 1);
    return { axis, outer: product(factors.slice(0, at)), inner: product(factors.slice(at + 1)) };
  };
  return factors.map(({ units }, at) => ({ units, from: place('from', at), to: place('to', at) }));
}

/** Axes that an attribute or an input names, counted from the front; undefined when they are not known. */
export function namedAxes(op: CoupledNode, index: number, rank: number): number[] | undefined {
  const axes = setting(op, index, 'axes');
  return axes?.map((axis) => fromFront(axis, rank));
}
