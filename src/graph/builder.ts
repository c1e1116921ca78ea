/**
 * Builds pieces of graphs: every call emits one ordinary ONNX node with fresh names and returns the name of its value.
 * Numbers among the operands stand for constants of the type they meet. Equal constants are stored once.
 *
 * What is emitted has the same form in every operator set from 18 on: reductions take their axes as an input.
 */
import { type DataType, dataTypes, elementCount } from '../tensor/dtype';
import { fromFloat, int64Tensor, memoryTensor, type Tensor, type TensorRef } from '../tensor/tensor';
import { type Attribute, type Graph, type GraphNode, int, ints, makeNode, string } from './graph';
import { freshNames } from './names';

/** The name of a value, or a number that stands for a scalar of the other operands' type. */
export type Operand = string | number;

type Attributes = Readonly<Record<string, Attribute | undefined>>;

/** First and one-past-last index and step of a slice along one axis; the end may lie beyond the axis. */
export interface AxisSlice {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step?: number;
}

/** Constants above this many elements are not compared with earlier ones. */
const COMPARED_ELEMENTS = 4096;

export class GraphBuilder {
  readonly nodes: GraphNode[] = [];
  readonly initializers = new Map<string, TensorRef>();
  /** Names of what is emitted start with this. */
  prefix = '';
  private readonly fresh: (wish: string) => string;
  private readonly constants = new Map<string, string>();

  /**
   * @param graph names of this graph are avoided
   * @param types types of the values that will be read; the builder adds those it makes
   */
  constructor(
    graph: Graph,
    private readonly types: Map<string, DataType>,
  ) {
    this.fresh = freshNames(graph);
  }

  /** A name that nothing else has. */
  name(wish: string): string {
    return this.fresh(`${this.prefix}${wish}`);
  }

  /** A name for a value that a node outside of this builder gives. */
  declare(wish: string, type: DataType): string {
    const name = this.name(wish);
    this.types.set(name, type);
    return name;
  }

  /** Makes a value known that somebody else provides under this very name. */
  accept(name: string, type: DataType): void {
    this.types.set(name, type);
  }

  typeOf(value: string): DataType {
    const type = this.types.get(value);
    if (!type) throw new Error(`the type of '${value}' is not known`);
    return type;
  }

  /** Emits a node with one output, of the type of its first input unless another is given. */
  emit(opType: string, inputs: readonly string[], attributes: Attributes = {}, type?: DataType): string {
    return this.emitMany(opType, inputs, attributes, [type ?? this.typeOf(inputs[0])])[0];
  }

  /** Emits a node with one output per given type. */
  emitMany(
    opType: string,
    inputs: readonly string[],
    attributes: Attributes,
    outputTypes: readonly DataType[],
  ): string[] {
    const outputs = outputTypes.map((type) => this.declare(opType, type));
    this.nodes.push(makeNode(opType, inputs, outputs, attributes, outputs[0]));
    return outputs;
  }

  constant(tensor: Tensor): string {
    const small = elementCount(tensor.dims) <= COMPARED_ELEMENTS;
    const key = small ? `${tensor.dtype}[${tensor.dims}]${tensor.data}` : '';
    const known = this.constants.get(key);
    if (small && known) return known;
    const name = this.fresh('const');
    this.initializers.set(name, memoryTensor(name, tensor));
    this.types.set(name, tensor.dtype);
    if (small) this.constants.set(key, name);
    return name;
  }

  /** An int64 vector. */
  ints(values: readonly number[]): string {
    return this.constant(int64Tensor(values));
  }

  /** A constant of a floating-point type. */
  floats(values: ArrayLike<number>, dims: readonly number[], type: DataType): string {
    return this.constant(fromFloat(Float64Array.from(values), floatType(type), dims));
  }

  scalar(value: number, type: DataType): string {
    return dataTypes[type].kind === 'float'
      ? this.floats([value], [], type)
      : this.constant({ ...int64Tensor([value], []), dtype: type });
  }

  // Arithmetic with broadcasting.
  add = (a: Operand, b: Operand): string => this.operation('Add', [a, b]);
  sub = (a: Operand, b: Operand): string => this.operation('Sub', [a, b]);
  mul = (a: Operand, b: Operand): string => this.operation('Mul', [a, b]);
  div = (a: Operand, b: Operand): string => this.operation('Div', [a, b]);
  pow = (a: Operand, b: Operand): string => this.operation('Pow', [a, b]);
  equal = (a: Operand, b: Operand): string => this.operation('Equal', [a, b], 'bool');
  greater = (a: Operand, b: Operand): string => this.operation('Greater', [a, b], 'bool');
  less = (a: Operand, b: Operand): string => this.operation('Less', [a, b], 'bool');

  /** The sum of one or more values of one shape. */
  sum(values: readonly string[]): string {
    if (values.length === 1) return values[0];
    return values.length === 2 ? this.add(values[0], values[1]) : this.emit('Sum', values);
  }

  // Element by element.
  neg = (x: string): string => this.emit('Neg', [x]);
  abs = (x: string): string => this.emit('Abs', [x]);
  sign = (x: string): string => this.emit('Sign', [x]);
  exp = (x: string): string => this.emit('Exp', [x]);
  log = (x: string): string => this.emit('Log', [x]);
  sqrt = (x: string): string => this.emit('Sqrt', [x]);
  tanh = (x: string): string => this.emit('Tanh', [x]);
  sigmoid = (x: string): string => this.emit('Sigmoid', [x]);
  reciprocal = (x: string): string => this.emit('Reciprocal', [x]);
  square = (x: string): string => this.mul(x, x);
  and = (a: string, b: string): string => this.emit('And', [a, b]);
  cast = (x: string, to: DataType): string =>
    this.typeOf(x) === to ? x : this.emit('Cast', [x], { to: int(dataTypes[to].code) }, to);

  /** `a` where the condition holds, else `b`. */
  where(condition: string, a: Operand, b: Operand): string {
    const [x, y] = this.alike([a, b]);
    return this.emit('Where', [condition, x, y], {}, this.typeOf(x));
  }

  /** 1 where the condition holds, else 0. */
  mask = (condition: string, type: DataType): string => this.cast(condition, type);

  // Reductions. No axes: nothing is reduced.
  reduceSum = (x: string, axes: readonly number[], keepsAxes = true): string =>
    this.reduce('ReduceSum', x, axes, keepsAxes);
  reduceMean = (x: string, axes: readonly number[], keepsAxes = true): string =>
    this.reduce('ReduceMean', x, axes, keepsAxes);

  /** Index of the first largest element along an axis, which keeps size 1. */
  argMax = (x: string, axis: number): string => this.emit('ArgMax', [x], { axis: int(axis) }, 'int64');

  // Shapes and movement.
  matMul = (a: string, b: string): string => this.emit('MatMul', [a, b]);

  /** The shape as an int64 vector, or some of its entries. */
  shapeOf(x: string, start?: number, end?: number): string {
    const range = {
      start: start === undefined ? undefined : int(start),
      end: end === undefined ? undefined : int(end),
    };
    return this.emit('Shape', [x], range, 'int64');
  }

  /** The number of elements as a scalar of a floating-point type. */
  sizeOf = (x: string, type: DataType): string => this.cast(this.emit('Size', [x], {}, 'int64'), type);

  /** @param shape the sizes, one of which may be -1, or the name of an int64 vector */
  reshape = (x: string, shape: readonly number[] | string): string =>
    this.emit('Reshape', [x, typeof shape === 'string' ? shape : this.ints(shape)]);

  /** Broadcasts; a size of 1 leaves the axis as it is. */
  expand = (x: string, shape: readonly number[] | string): string =>
    this.emit('Expand', [x, typeof shape === 'string' ? shape : this.ints(shape)]);

  unsqueeze = (x: string, axes: readonly number[]): string => this.emit('Unsqueeze', [x, this.ints(axes)]);

  transpose(x: string, perm: readonly number[]): string {
    return perm.every((axis, i) => axis === i) ? x : this.emit('Transpose', [x], { perm: ints(perm) });
  }

  concat = (values: readonly string[], axis: number): string =>
    values.length === 1 ? values[0] : this.emit('Concat', values, { axis: int(axis) });

  slice(x: string, slices: readonly AxisSlice[]): string {
    if (slices.length === 0) return x;
    const column = (of: (slice: AxisSlice) => number): string => this.ints(slices.map(of));
    const parts = [column((s) => s.start), column((s) => s.end), column((s) => s.axis)];
    if (slices.some(({ step = 1 }) => step !== 1)) parts.push(column(({ step = 1 }) => step));
    return this.emit('Slice', [x, ...parts]);
  }

  /** Mirrors axes. */
  reverse = (x: string, axes: readonly number[]): string =>
    this.slice(
      x,
      axes.map((axis) => ({ axis, start: -1, end: -(2 ** 31), step: -1 })),
    );

  /** Adds `before[i]` and `after[i]` elements of a value at the ends of axis i. */
  pad(x: string, before: readonly number[], after: readonly number[], fill = 0): string {
    if ([...before, ...after].every((count) => count === 0)) return x;
    const inputs = [x, this.ints([...before, ...after])];
    if (fill !== 0) inputs.push(this.scalar(fill, this.typeOf(x)));
    return this.emit('Pad', inputs, { mode: string('constant') });
  }

  private reduce(opType: string, x: string, axes: readonly number[], keepsAxes: boolean): string {
    if (axes.length === 0) return x;
    return this.emit(opType, [x, this.ints(axes)], { keepdims: int(keepsAxes ? 1 : 0) });
  }

  private operation(opType: string, operands: readonly Operand[], type?: DataType): string {
    return this.emit(opType, this.alike(operands), {}, type);
  }

  private alike(operands: readonly Operand[]): string[] {
    const value = operands.find((operand) => typeof operand === 'string');
    if (value === undefined) throw new Error('an operation needs a value');
    const type = this.typeOf(value);
    return operands.map((operand) => (typeof operand === 'number' ? this.scalar(operand, type) : operand));
  }
}

function floatType(type: DataType): 'float32' | 'float64' | 'float16' | 'bfloat16' {
  if (type === 'float32' || type === 'float64' || type === 'float16' || type === 'bfloat16') return type;
  throw new Error(`${type} is no floating-point type`);
}
