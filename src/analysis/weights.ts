/**
 * Finds the stored tensor behind a layer's weight input: an initializer, a `Constant` node, an initializer seen through
 * `Identity`, `Transpose`, `Cast` or a `DequantizeLinear`, or a `ConstantOfShape` of a stored shape. Says how it was
 * reached, and how to read it.
 */
import { attribute, constantValue, type Graph, type GraphNode } from '../graph/graph';
import { type DataType, dataTypeOfCode, dataTypes, elementCount, isFloatType } from '../tensor/dtype';
import { float32Tensor, memoryTensor, type TensorRef, toFloat64 } from '../tensor/tensor';

export interface StoredWeight {
  readonly ref: TensorRef;
  /** Operators from the stored tensor to the layer, in that order. */
  readonly via: readonly GraphNode[];
  /** Dims as the layer sees them. */
  readonly dims: readonly number[];
  /** Element type as the layer sees it; of a quantized weight, as it is stored. */
  readonly dtype: DataType;
  /** The graph it is stored in: the layer's own, or one around it. */
  readonly owner: Graph;
  /** What the numbers mean to an operator that multiplies them as they are: names of the values, and their axis. */
  readonly quantized?: { readonly scale?: string; readonly zero?: string; readonly axis: number };
}

const PASSES = new Set(['Identity', 'Transpose', 'DequantizeLinear', 'Cast']);

/** Scope of names in which a graph's values are looked up: the graph and those that enclose it. */
export interface Scope {
  readonly graph: Graph;
  readonly producer: ReadonlyMap<string, GraphNode>;
  readonly outer: Scope | null;
}

function find(scope: Scope | null, name: string): { found: TensorRef | GraphNode; owner: Graph } | undefined {
  for (let s = scope; s; s = s.outer) {
    const found = s.graph.initializers.get(name) ?? s.producer.get(name);
    if (found) return { found, owner: s.graph };
  }
  return undefined;
}

/** The stored weight behind a value, or undefined when the value is computed from the model's inputs. */
export function storedWeight(scope: Scope, name: string): StoredWeight | undefined {
  const via: GraphNode[] = [];
  let value = name;
  // A chain longer than this is no weight pattern, and a cyclic graph must not hang us.
  for (let steps = 0; steps < 16; steps++) {
    const place = find(scope, value);
    if (!place) return undefined;
    const { found, owner } = place;
    if (!('opType' in found)) return weight(found, via, owner);
    if (found.opType === 'Constant') {
      const constant = constantValue(found);
      if (!constant) return undefined;
      const ref = 'read' in constant ? constant : memoryTensor(value, constant);
      return weight({ ...ref, name: value, read: () => ref.read() }, via, owner);
    }
    if (found.opType === 'ConstantOfShape') {
      const filled = constantOfShape(scope, found, value);
      return filled && weight(filled, via, owner);
    }
    if (!PASSES.has(found.opType) || !found.inputs[0]) return undefined;
    via.unshift(found);
    value = found.inputs[0];
  }
  return undefined;
}

/** A ConstantOfShape with a stored shape: every element is the same, so nothing is read until it is asked for. */
function constantOfShape(scope: Scope, node: GraphNode, name: string): TensorRef | undefined {
  const shape = node.inputs[0] ? storedWeight(scope, node.inputs[0]) : undefined;
  if (shape?.ref.dtype !== 'int64' || shape.ref.dims.length !== 1 || (shape.ref.dims[0] as number) > 8)
    return undefined;
  const dims = Array.from(toFloat64(shape.ref.read()));
  const bytes = elementCount(dims) * 4;
  if (dims.some((d) => d < 0) || bytes > MAX_FILLED_BYTES) return undefined;
  const value = attribute(node, 'value', 'tensor');
  if (value && value.dtype !== 'float32') return undefined;
  const fill = value ? (toFloat64(value.read())[0] ?? 0) : 0;
  return {
    name,
    dtype: 'float32',
    dims,
    bytes,
    read: () => float32Tensor(new Float32Array(elementCount(dims)).fill(fill), dims),
  };
}

/** A shape in a file may ask for any size; more than this is not a weight that could be looked at. */
const MAX_FILLED_BYTES = 2 ** 31;

function weight(ref: TensorRef, via: readonly GraphNode[], owner: Graph): StoredWeight | undefined {
  let { dims, dtype } = ref;
  for (const node of via) {
    if (node.opType === 'Cast') dtype = dataTypeOfCode(attribute(node, 'to', 'int') ?? 0) ?? dtype;
    if (node.opType !== 'Transpose') continue;
    const perm = permutation(node, dims.length);
    if (
      perm.length !== dims.length ||
      new Set(perm).size !== perm.length ||
      perm.some((axis) => dims[axis] === undefined)
    ) {
      return undefined;
    }
    dims = perm.map((axis) => dims[axis] as number);
  }
  return { ref, via, dims, dtype, owner };
}

function permutation(node: GraphNode, rank: number): readonly number[] {
  return attribute(node, 'perm', 'ints') ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
}

/** Whether both the stored values and what the layer sees of them are floats, without quantization on the way. */
export function isFloatWeight({ ref, dtype, via }: StoredWeight): boolean {
  return isFloatType(ref.dtype) && isFloatType(dtype) && via.every((node) => node.opType !== 'DequantizeLinear');
}

/**
 * Reads a weight as the layer sees it, row-major in `weight.dims`. Quantized weights are dequantized with the scale
 * and zero point found in the scope. float32 tensors without a transpose are not copied.
 * @returns null when they can't be read: 8-bit floats, packed sub-byte types, blocked quantization, or a scale that is
 * not stored.
 */
export function readWeight(scope: Scope, weight: StoredWeight): Float32Array | Float64Array | null {
  const { kind, bits } = dataTypes[weight.ref.dtype];
  if (!isFloatType(weight.ref.dtype) && !(kind === 'int' && bits >= 8)) return null;
  const tensor = weight.ref.read();
  let data: Float32Array | Float64Array = tensor.data instanceof Float32Array ? tensor.data : toFloat64(tensor);
  let dims: readonly number[] = tensor.dims;
  for (const node of weight.via) {
    if (node.opType === 'Transpose') {
      const perm = permutation(node, dims.length);
      data = transpose(data, dims, perm);
      dims = perm.map((axis) => dims[axis] as number);
    } else if (node.opType === 'DequantizeLinear') {
      const [, scale, zero] = node.inputs;
      const found = dequantized(scope, data, dims, { scale, zero, axis: attribute(node, 'axis', 'int') ?? 1 });
      if (!found) return null;
      data = found;
    }
  }
  return weight.quantized ? dequantized(scope, data, dims, weight.quantized) : data;
}

/** (x − zero) · scale, per tensor or along an axis; null when scale or zero is not stored, or differs within a block. */
function dequantized(
  scope: Scope,
  data: Float32Array | Float64Array,
  dims: readonly number[],
  { scale, zero, axis }: NonNullable<StoredWeight['quantized']>,
): Float64Array | null {
  const at = axis < 0 ? axis + dims.length : axis;
  // One number for all may come with an axis that a vector does not have.
  const size = dims[at] ?? 1;
  const inner = at < dims.length ? elementCount(dims.slice(at + 1)) : data.length;
  /** One number for each index along the axis. */
  const along = (name: string | undefined, otherwise: number): Float64Array | null => {
    if (!name) return new Float64Array(size).fill(otherwise);
    const tensor = storedWeight(scope, name)?.ref.read();
    const values = tensor && toFloat64(tensor);
    if (values?.length === 1) return new Float64Array(size).fill(values[0]);
    return tensor?.dims.length === 1 && values?.length === size ? values : null;
  };
  const [scales, zeros] = [along(scale, 1), along(zero, 0)];
  if (!scales || !zeros) return null;
  return Float64Array.from(data, (x, i) => {
    const c = Math.floor(i / inner) % scales.length;
    return (x - zeros[c]) * scales[c];
  });
}

function transpose<T extends Float32Array | Float64Array>(
  data: T,
  dims: readonly number[],
  perm: readonly number[],
): T {
  const strides = dims.map((_, axis) => elementCount(dims.slice(axis + 1)));
  const outDims = perm.map((axis) => dims[axis] as number);
  const outStrides = perm.map((axis) => strides[axis] as number);
  const out = data.slice() as T;
  const index = new Array<number>(dims.length).fill(0);
  let from = 0;
  for (let i = 0; i < out.length; i++) {
    out[i] = data[from] as number;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      from += outStrides[axis] as number;
      if ((index[axis] = (index[axis] as number) + 1) < (outDims[axis] as number)) break;
      from -= (outStrides[axis] as number) * (outDims[axis] as number);
      index[axis] = 0;
    }
  }
  return out;
}
