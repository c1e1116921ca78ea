/**
 * What a gradient rule works with: the node and its incoming gradients, and a graph builder that knows shapes.
 *
 * Shapes are exact, except that an axis whose size changes with the batch is null: rules hold for every batch size.
 * The gradient of a value always has that value's shape and type.
 */
import { noGradient, shapesUnknown } from '../errors';
import { GraphBuilder } from '../graph/builder';
import { attribute, type Graph, type GraphNode, nodeLabel } from '../graph/graph';
import { type DataType, elementCount } from '../tensor/dtype';
import { type Tensor, toFloat64 } from '../tensor/tensor';

/** Sizes of axes; null where the size changes with the batch. */
export type Shape = readonly (number | null)[];

/** A node on the way from the loss to what is differentiated, under the names rules use. */
export interface NodeGradient {
  readonly node: GraphNode;
  /** The first input. */
  readonly X: string;
  /** The first output. */
  readonly Y: string;
  /** Gradient of the first output. */
  readonly dY: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Gradient of each output; null where none arrives. */
  readonly dOutputs: readonly (string | null)[];
  /** Whether anybody needs the gradient of this input. */
  wants(input: number): boolean;
  /** The name of an output, which the node gets if it has none yet. */
  output(index: number, type: DataType): string;
}

/** A constant linear map along one axis, row-major: rows are outputs. */
export interface AxisMatrix {
  readonly rows: number;
  readonly cols: number;
  readonly values: Float64Array;
}

export class GradientBuilder extends GraphBuilder {
  constructor(
    private readonly graph: Graph,
    types: Map<string, DataType>,
    private readonly shapes: ReadonlyMap<string, Shape>,
    /** Whether grouped convolutions with any number of outputs per group are right and fast on the device. */
    readonly trustsGroups = true,
  ) {
    super(graph, types);
  }

  /** @throws UserError `shapes-unknown` */
  shape(value: string): Shape {
    const shape = this.shapes.get(value);
    if (!shape) throw shapesUnknown({ reason: `the shape of '${value}' was not found by running the model` });
    return shape;
  }

  rank(value: string): number {
    return this.shape(value).length;
  }

  /**
   * The size of an axis that does not change with the batch.
   * @throws UserError `shapes-unknown`
   */
  size(value: string, axis: number): number {
    return this.sizes(value, axis, axis + 1)[0];
  }

  /**
   * Sizes of some axes, none of which may change with the batch.
   * @throws UserError `shapes-unknown`
   */
  sizes(value: string, start = 0, end = this.rank(value)): number[] {
    return this.shape(value)
      .slice(start, end)
      .map((size, i) => {
        if (size !== null) return size;
        throw shapesUnknown({ reason: `axis ${start + i} of '${value}' changes with the batch size` });
      });
  }

  /** A stored tensor that is not trained, or undefined. */
  known(value: string | undefined): Tensor | undefined {
    return value ? this.graph.initializers.get(value)?.read() : undefined;
  }

  /**
   * Numbers that a node takes as an input and that shape what it does; undefined when the input is left out.
   * @throws UserError `shapes-unknown` when they are computed from the data
   */
  setting(node: GraphNode, input: number): number[] | undefined {
    const name = node.inputs[input];
    if (!name) return undefined;
    const tensor = this.known(name);
    if (tensor) return Array.from(toFloat64(tensor));
    throw shapesUnknown({ reason: `input ${input} ('${name}') of '${nodeLabel(node)}' is computed from the data` });
  }

  /** Zeros of the shape and type of a value. */
  zerosLike = (value: string): string => this.expandLike(this.scalar(0, this.typeOf(value)), [], value);

  /** `x` with the shape of a value that has as many elements. */
  reshapeLike(x: string, value: string): string {
    const shape = this.shape(value);
    return this.reshape(
      x,
      shape.filter((size) => size === null).length > 1 ? this.shapeOf(value) : shape.map((size) => size ?? -1),
    );
  }

  /**
   * @param shape one axis may change with the batch
   * @throws UserError `shapes-unknown`
   */
  reshapeTo(x: string, shape: Shape): string {
    if (shape.filter((size) => size === null).length > 1) {
      throw shapesUnknown({ reason: `more than one axis of '${x}' changes with the batch size` });
    }
    return this.reshape(
      x,
      shape.map((size) => size ?? -1),
    );
  }

  /** `x` of shape `from` broadcast to the shape of a value. */
  expandLike(x: string, from: Shape, value: string): string {
    const shape = this.shape(value);
    const missing = shape.length - from.length;
    if (missing === 0 && shape.every((size, i) => size === from[i])) return x;
    // A size of 1 keeps an axis that x has already.
    const stays = (i: number): boolean => i >= missing && from[i - missing] === null;
    return this.expand(
      x,
      shape.some((size, i) => size === null && !stays(i)) ? this.shapeOf(value) : shape.map((size) => size ?? 1),
    );
  }

  /** Sums a gradient of shape `from` down to the shape of a value that was broadcast to it. */
  sumTo(gradient: string, from: Shape, value: string): string {
    const shape = this.shape(value);
    const missing = from.length - shape.length;
    const axes = from.flatMap((size, i) => (i < missing || (shape[i - missing] === 1 && size !== 1) ? [i] : []));
    if (axes.length === 0) return gradient;
    // Leading axes that are missing go; axes of size 1 stay.
    if (missing === 0) return this.reduceSum(gradient, axes);
    if (axes.length === missing) return this.reduceSum(gradient, axes, false);
    return this.reshapeLike(this.reduceSum(gradient, axes), value);
  }

  /**
   * Applies a constant matrix along one axis.
   * @param shape shape of x
   * @returns a value of that shape with `matrix.rows` in place of the axis
   */
  alongAxis(x: string, shape: Shape, axis: number, matrix: AxisMatrix): string {
    const { rows, cols, values } = matrix;
    const type = this.typeOf(x);
    const after = shape.slice(axis + 1);
    const result = shape.map((size, i) => (i === axis ? rows : size));
    if (after.length === 0) {
      const transposed = Float64Array.from(values, (_, i) => values[(i % rows) * cols + Math.floor(i / rows)]);
      return this.matMul(x, this.floats(transposed, [cols, rows], type));
    }
    const M = this.floats(values, [rows, cols], type);
    if (after.length === 1) return this.matMul(M, x);
    const before = shape.slice(0, axis);
    const count = (sizes: Shape): number => (sizes.includes(null) ? -1 : elementCount(sizes as number[]));
    const product = this.matMul(M, this.reshape(x, [count(before), cols, count(after)]));
    return this.reshapeTo(product, result);
  }
}

/**
 * For operators whose further outputs are by-products: statistics that are no part of any loss.
 * @throws UserError `no-gradient` when a gradient arrives at one of them
 */
export function onlyFirstOutput({ node, dOutputs }: NodeGradient): void {
  const other = dOutputs.findIndex((gradient, i) => i > 0 && gradient !== null);
  if (other > 0) throw noGradient({ opType: `${node.opType} (output ${other})`, node: nodeLabel(node) });
}

/** An axis as it is counted from the front. */
export function fromFront(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

/** The `axis` attribute counted from the front. */
export function axisOf(node: GraphNode, rank: number, otherwise: number): number {
  return fromFront(attribute(node, 'axis', 'int') ?? otherwise, rank);
}

/** Axes `first` to `end` (exclusive). */
export function range(first: number, end: number): number[] {
  return Array.from({ length: Math.max(end - first, 0) }, (_, i) => first + i);
}
