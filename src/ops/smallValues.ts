/**
 * Works out small values that do not depend on the model's data: sizes, axes, pads and what graphs compute them from.
 * Each element says whether it is *fixed*: made of stored numbers, and of sizes that the caller calls fixed. Others may
 * change from run to run, as a batch size does.
 * Source: the ONNX operator pages.
 */
import { attribute, constantValue, type Graph, type GraphNode } from '../graph/graph';
import { producers } from '../graph/order';
import { dataTypeOfCode, dataTypes, elementCount } from '../tensor/dtype';
import { type Tensor, type TensorRef, toFloat64 } from '../tensor/tensor';
import { axisOf, fromFront, range } from './gradient';

export interface SmallValue {
  readonly dims: readonly number[];
  readonly values: readonly number[];
  readonly fixed: readonly boolean[];
  readonly isInteger: boolean;
}

/** Values of more elements than this are no settings. */
const MOST_ELEMENTS = 4096;
/** Longer chains are no arithmetic of sizes. */
const DEEPEST = 64;

export interface Sizes {
  shapeOf(value: string): readonly number[] | undefined;
  /** Whether an axis has the same size in every run. */
  isFixed(value: string, axis: number): boolean;
}

/** A function that gives a value of the graph, or undefined where it depends on data or is not small. */
export function smallValues(graph: Graph, sizes: Sizes, producer: ReadonlyMap<string, GraphNode> = producers(graph)) {
  const known = new Map<string, SmallValue | undefined>();
  const find = (name: string, depth: number): SmallValue | undefined => {
    if (!name || depth > DEEPEST) return undefined;
    if (known.has(name)) return known.get(name);
    const stored = graph.initializers.get(name);
    const node = producer.get(name);
    const found = stored ? ofTensor(stored) : node && compute(node, (value) => find(value, depth + 1), sizes);
    known.set(name, found);
    return found;
  };
  return (name: string): SmallValue | undefined => find(name, 0);
}

function ofTensor(tensor: TensorRef | Tensor): SmallValue | undefined {
  const { dims, dtype } = tensor;
  const { kind, bits } = dataTypes[dtype];
  const isNumber = kind === 'bool' || ((kind === 'int' || kind === 'float') && bits >= 8);
  if (elementCount(dims) > MOST_ELEMENTS || !isNumber || dtype.startsWith('float8')) return undefined;
  const values = Array.from(toFloat64('read' in tensor ? tensor.read() : tensor));
  return { dims, values, fixed: values.map(() => true), isInteger: kind !== 'float' };
}

type Find = (value: string) => SmallValue | undefined;

function compute(node: GraphNode, find: Find, sizes: Sizes): SmallValue | undefined {
  if ((node.domain !== '' && node.domain !== 'ai.onnx') || node.outputs.length !== 1) return undefined;
  if (node.opType === 'Constant') {
    const constant = constantValue(node);
    return constant && ofTensor(constant);
  }
  if (node.opType === 'Shape' || node.opType === 'Size') return ofShape(node, sizes);
  const rule = Object.hasOwn(rules, node.opType) ? rules[node.opType] : undefined;
  if (!rule) return undefined;
  const inputs: (SmallValue | undefined)[] = [];
  for (const name of node.inputs) {
    const value = name ? find(name) : undefined;
    if (name && !value) return undefined;
    inputs.push(value);
  }
  const found = rule(node, inputs as SmallValue[]);
  return found && found.values.length <= MOST_ELEMENTS ? found : undefined;
}

function ofShape(node: GraphNode, { shapeOf, isFixed }: Sizes): SmallValue | undefined {
  const shape = shapeOf(node.inputs[0]);
  if (!shape) return undefined;
  const fixed = shape.map((_, axis) => isFixed(node.inputs[0], axis));
  if (node.opType === 'Size') {
    return { dims: [], values: [elementCount(shape)], fixed: [fixed.every(Boolean)], isInteger: true };
  }
  const within = (at: number): number => Math.min(Math.max(fromFront(at, shape.length), 0), shape.length);
  const start = within(attribute(node, 'start', 'int') ?? 0);
  const end = within(attribute(node, 'end', 'int') ?? shape.length);
  const values = shape.slice(start, end);
  return { dims: [values.length], values, fixed: fixed.slice(start, end), isInteger: true };
}

type Rule = (node: GraphNode, inputs: readonly SmallValue[]) => SmallValue | undefined;

/** A value whose elements are elements of another one. */
function picked(from: SmallValue, dims: readonly number[], source: (index: readonly number[]) => number): SmallValue {
  const at = range(0, elementCount(dims)).map((flat) => source(unravel(flat, dims)));
  return { ...from, dims, values: at.map((i) => from.values[i]), fixed: at.map((i) => from.fixed[i]) };
}

function unravel(flat: number, dims: readonly number[]): number[] {
  const index = new Array<number>(dims.length);
  let rest = flat;
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    index[axis] = rest % dims[axis];
    rest = Math.floor(rest / dims[axis]);
  }
  return index;
}

const ravel = (index: readonly number[], dims: readonly number[]): number =>
  index.reduce((flat, at, axis) => flat * dims[axis] + at, 0);

/** The same elements under another shape, one size of which may be −1. */
function reshaped(value: SmallValue, dims: readonly number[]): SmallValue | undefined {
  const rest = dims.reduce((product, size) => (size === -1 ? product : product * size), 1);
  const whole = dims.map((size) => (size === -1 ? value.values.length / rest : size));
  return elementCount(whole) === value.values.length ? { ...value, dims: whole } : undefined;
}

const elementwise =
  (compute: (...operands: number[]) => number, { isInteger }: { isInteger?: boolean } = {}): Rule =>
  (_node, inputs) => {
    const rank = Math.max(...inputs.map(({ dims }) => dims.length));
    const dims = range(0, rank).map((axis) =>
      inputs.reduce((size, input) => {
        const own = input.dims[axis - (rank - input.dims.length)] ?? 1;
        return own === 1 ? size : own;
      }, 1),
    );
    const values: number[] = [];
    const fixed: boolean[] = [];
    const wholes = isInteger ?? inputs[inputs.length - 1].isInteger;
    for (let flat = 0; flat < elementCount(dims); flat++) {
      const index = unravel(flat, dims);
      const at = inputs.map((input) => {
        const own = index.slice(rank - input.dims.length).map((i, axis) => (input.dims[axis] === 1 ? 0 : i));
        return ravel(own, input.dims);
      });
      const result = compute(...inputs.map((input, i) => input.values[at[i]]));
      values.push(wholes ? Math.trunc(result) : result);
      fixed.push(inputs.every((input, i) => input.fixed[at[i]]));
    }
    return { dims, values, fixed, isInteger: wholes };
  };

const truth = (compare: (a: number, b: number) => boolean): Rule =>
  elementwise((a, b) => Number(compare(a, b)), { isInteger: true });

/** Axes from an attribute, or from the second input of newer operator sets. */
const axesOf = (node: GraphNode, inputs: readonly SmallValue[], rank: number): number[] | undefined =>
  (attribute(node, 'axes', 'ints') ?? inputs[1]?.values)?.map((axis) => fromFront(axis, rank));

const rules: Readonly<Record<string, Rule>> = {
  Identity: (_node, [X]) => X,
  Cast(node, [X]) {
    const type = dataTypeOfCode(attribute(node, 'to', 'int') ?? 0);
    if (!type) return undefined;
    const isInteger = dataTypes[type].kind !== 'float';
    return { ...X, isInteger, values: isInteger ? X.values.map(Math.trunc) : X.values };
  },
  Add: elementwise((a, b) => a + b),
  Sub: elementwise((a, b) => a - b),
  Mul: elementwise((a, b) => a * b),
  Div: elementwise((a, b) => a / b),
  Mod: elementwise((a, b) => a - b * Math.floor(a / b)),
  Pow: elementwise((a, b) => a ** b),
  Max: elementwise(Math.max),
  Min: elementwise(Math.min),
  Neg: elementwise((a) => -a),
  Abs: elementwise(Math.abs),
  Sqrt: elementwise(Math.sqrt),
  Reciprocal: elementwise((a) => 1 / a),
  Floor: elementwise(Math.floor),
  Ceil: elementwise(Math.ceil),
  Not: elementwise((a) => Number(a === 0)),
  Equal: truth((a, b) => a === b),
  Greater: truth((a, b) => a > b),
  Less: truth((a, b) => a < b),
  Where: elementwise((condition, a, b) => (condition ? a : b)),
  Concat(node, inputs) {
    const [first] = inputs;
    const axis = axisOf(node, first.dims.length, 0);
    const dims = first.dims.map((size, at) => (at === axis ? inputs.reduce((sum, X) => sum + X.dims[at], 0) : size));
    const values: number[] = [];
    const fixed: boolean[] = [];
    for (let flat = 0; flat < elementCount(dims); flat++) {
      const index = unravel(flat, dims);
      let part = 0;
      while (index[axis] >= inputs[part].dims[axis]) index[axis] -= inputs[part++].dims[axis];
      const at = ravel(index, inputs[part].dims);
      values.push(inputs[part].values[at]);
      fixed.push(inputs[part].fixed[at]);
    }
    return { ...first, dims, values, fixed };
  },
  Gather(node, [X, indices]) {
    const axis = axisOf(node, X.dims.length, 0);
    const dims = [...X.dims.slice(0, axis), ...indices.dims, ...X.dims.slice(axis + 1)];
    return picked(X, dims, (index) => {
      const own = index.slice(axis, axis + indices.dims.length);
      const at = fromFront(indices.values[ravel(own, indices.dims)], X.dims[axis]);
      return ravel([...index.slice(0, axis), at, ...index.slice(axis + indices.dims.length)], X.dims);
    });
  },
  Slice(node, inputs) {
    const [X, starts, ends, axes, steps] = inputs;
    const first = attribute(node, 'starts', 'ints') ?? starts?.values;
    const last = attribute(node, 'ends', 'ints') ?? ends?.values;
    if (!first || !last) return undefined;
    const at = attribute(node, 'axes', 'ints') ?? axes?.values ?? range(0, first.length);
    const cuts = X.dims.map((size, axis) => {
      const i = at.findIndex((given) => fromFront(given, X.dims.length) === axis);
      if (i < 0) return { start: 0, step: 1, count: size };
      const step = steps?.values[i] ?? 1;
      const clamp = (value: number, low: number, high: number): number =>
        Math.min(Math.max(fromFront(value, size), low), high);
      const start = step > 0 ? clamp(first[i], 0, size) : clamp(first[i], 0, size - 1);
      const end = step > 0 ? clamp(last[i], 0, size) : clamp(last[i], -1, size - 1);
      return { start, step, count: Math.max(0, Math.ceil((end - start) / step)) };
    });
    return picked(
      X,
      cuts.map(({ count }) => count),
      (index) =>
        ravel(
          index.map((i, axis) => cuts[axis].start + i * cuts[axis].step),
          X.dims,
        ),
    );
  },
  Squeeze(node, inputs) {
    const [X] = inputs;
    const axes = axesOf(node, inputs, X.dims.length);
    return { ...X, dims: X.dims.filter((size, axis) => (axes ? !axes.includes(axis) : size !== 1)) };
  },
  Unsqueeze(node, inputs) {
    const [X] = inputs;
    const count = (attribute(node, 'axes', 'ints') ?? inputs[1]?.values)?.length;
    if (count === undefined) return undefined;
    const axes = axesOf(node, inputs, X.dims.length + count) as number[];
    const dims = [...X.dims];
    for (const axis of [...axes].sort((a, b) => a - b)) dims.splice(axis, 0, 1);
    return { ...X, dims };
  },
  Reshape(node, [X, shape]) {
    const stated = attribute(node, 'shape', 'ints') ?? shape?.values;
    return (
      stated &&
      reshaped(
        X,
        stated.map((size, axis) => (size === 0 ? X.dims[axis] : size)),
      )
    );
  },
  Flatten: (node, [X]) => reshaped(X, [elementCount(X.dims.slice(0, axisOf(node, X.dims.length, 1))), -1]),
  Transpose(node, [X]) {
    const perm = attribute(node, 'perm', 'ints') ?? range(0, X.dims.length).reverse();
    return picked(
      X,
      perm.map((axis) => X.dims[axis]),
      (index) =>
        ravel(
          X.dims.map((_, axis) => index[perm.indexOf(axis)]),
          X.dims,
        ),
    );
  },
  ConstantOfShape(node, [shape]) {
    const fill = attribute(node, 'value', 'tensor');
    const value = fill ? ofTensor(fill) : { values: [0], isInteger: false };
    const count = elementCount(shape.values);
    if (!value || count > MOST_ELEMENTS) return undefined;
    const isFixed = shape.fixed.every(Boolean);
    const values = new Array<number>(count).fill(value.values[0]);
    return { dims: shape.values, values, fixed: values.map(() => isFixed), isInteger: value.isInteger };
  },
  ReduceProd(_node, [X, axes]) {
    if (axes || X.dims.length !== 1) return undefined;
    const product = X.values.reduce((a, b) => a * b, 1);
    return { ...X, dims: [1], values: [product], fixed: [X.fixed.every(Boolean)] };
  },
};
