/**
 * Sparse initializers: the values that are not zero and where they lie. Everything else of Espalier sees them as the
 * dense tensors they stand for; the file holds them sparse, and runtimes make them dense when they load it.
 * Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, message SparseTensorProto
 */
import { sparseIndex } from '../../errors';
import { type Graph, origin } from '../../graph/graph';
import { byteLength, type DataType, dataTypes, elementCount } from '../../tensor/dtype';
import { dataFromBytes, memoryTensor, type Tensor, type TensorRef } from '../../tensor/tensor';
import type { ProtobufReader } from '../binary/protobuf';
import { MessageWriter } from '../binary/protobufWriter';
import type { ReadContext } from './context';
import { sparseField } from './fields';
import { type FieldOrigin, fieldOrigin } from './origin';
import { readTensor } from './tensor';
import { tensorMessage } from './tensorMessage';

/** Sparse tensors can be stored in models from this IR version on. */
export const SPARSE_IR_VERSION = 6;

/**
 * A few bytes can stand for a huge tensor of zeros. What is larger than this, and than so many times its message, is
 * carried along unread.
 */
const MAX_EXPANDED_BYTES = 2 ** 24;
const MAX_EXPANSION = 1024;

export class SparseTensorRef implements TensorRef {
  /** Where its message lies; absent for one that was made in memory. */
  readonly [origin]?: FieldOrigin;
  /** Of the dense tensor. */
  readonly bytes: number;

  /**
   * @param values [n]
   * @param indices int64, [n] in row-major order or [n, rank]
   */
  constructor(
    readonly name: string,
    readonly dims: readonly number[],
    readonly values: TensorRef,
    readonly indices: TensorRef,
    from?: FieldOrigin,
  ) {
    this.bytes = byteLength(values.dtype, elementCount(dims));
    if (!from) return;
    this[origin] = from;
    from.element = this;
  }

  get dtype(): DataType {
    return this.values.dtype;
  }

  /** The dense tensor. @throws UserError `sparse-index` when an index lies outside */
  read(): Tensor {
    const data = dataFromBytes(this.dtype, Buffer.alloc(this.bytes));
    const values = this.values.read().data;
    const indices = this.indices.read().data as BigInt64Array;
    const axes = this.indices.dims.length === 2 ? this.dims : [elementCount(this.dims)];
    for (let i = 0; i < values.length; i++) {
      let place = 0;
      for (const [axis, size] of axes.entries()) {
        const index = Number(indices[i * axes.length + axis]);
        if (index < 0 || index >= size) throw sparseIndex({ tensor: this.name, index, size });
        place = place * size + index;
      }
      // Both are views of the same element type.
      (data as Float32Array)[place] = (values as Float32Array)[i];
    }
    return { dtype: this.dtype, dims: this.dims, data };
  }
}

/** Reads the sparse tensor that is the reader's field; one that can't be read here is only named. */
export function readSparse(
  reader: ProtobufReader,
  context: ReadContext,
  parent: FieldOrigin,
): SparseTensorRef | string {
  const from = fieldOrigin(reader);
  const dims: number[] = [];
  let values: TensorRef | null = null;
  let indices: TensorRef | null = null;
  const tensor = (): TensorRef => {
    const place = fieldOrigin(reader);
    const found = readTensor(reader, context, place);
    from.external ||= place.external;
    return found;
  };
  while (reader.next(from.end, 'a sparse tensor')) {
    if (reader.field === sparseField.values) values = tensor();
    else if (reader.field === sparseField.indices) indices = tensor();
    else if (reader.field === sparseField.dims) reader.ints(dims);
    else reader.skip();
  }
  parent.external ||= from.external;
  const name = values?.name ?? '';
  if (!values || !indices || from.external || !isReadable(values, indices, dims, from.end - from.start)) return name;
  return new SparseTensorRef(name, dims, values, indices, from);
}

function isReadable(values: TensorRef, indices: TensorRef, dims: readonly number[], message: number): boolean {
  const { bits, kind } = dataTypes[values.dtype];
  const [count] = values.dims;
  const isList = values.dims.length === 1 && indices.dtype === 'int64' && indices.dims[0] === count;
  const hasAxes =
    indices.dims.length === 1 || (indices.dims.length === 2 && indices.dims[1] === dims.length && dims.length > 0);
  const isPlain = bits >= 8 && kind !== 'complex' && values.dtype !== 'string';
  if (!isList || !hasAxes || !isPlain || dims.some((size) => size < 0)) return false;
  return isExpandable((bits / 8) * dims.reduce((product, size) => product * size, 1), message);
}

function isExpandable(bytes: number, message: number): boolean {
  return bytes <= Math.max(MAX_EXPANDED_BYTES, MAX_EXPANSION * message);
}

export function sparseMessage({ dims, values, indices }: SparseTensorRef, name: string): MessageWriter {
  const message = new MessageWriter()
    .message(sparseField.values, tensorMessage(values, name, null))
    .message(sparseField.indices, tensorMessage(indices, indices.name, null));
  for (const size of dims) message.int(sparseField.dims, size);
  return message;
}

/**
 * The graph with those initializers sparse that take less room so. An index takes eight bytes: of float32 weights at
 * most a third may be other than zero.
 * @param names of initializers that may become sparse
 */
export function withSparseInitializers(graph: Graph, names: ReadonlySet<string>): Graph {
  const initializers = new Map(graph.initializers);
  for (const [name, ref] of graph.initializers) {
    const sparse = names.has(name) && !(ref instanceof SparseTensorRef) ? sparseOf(name, ref) : null;
    if (sparse) initializers.set(name, sparse);
  }
  return { ...graph, initializers };
}

/** Names, types and sizes around the numbers of a sparse tensor. */
const FRAME_BYTES = 64;

function sparseOf(name: string, ref: TensorRef): SparseTensorRef | null {
  if (!['float32', 'float64', 'float16', 'bfloat16'].includes(ref.dtype)) return null;
  const { data } = ref.read();
  const places: number[] = [];
  // The bits of a 16-bit zero are 0 as well; −0 is left where it is.
  for (let i = 0; i < data.length; i++) if (data[i] !== 0 || Object.is(data[i], -0)) places.push(i);
  const width = dataTypes[ref.dtype].bits / 8;
  const size = places.length * (width + 8) + FRAME_BYTES;
  if (size >= ref.bytes || !isExpandable(ref.bytes, size)) return null;
  const values = (data as Float32Array).slice(0, places.length);
  places.forEach((place, i) => {
    values[i] = (data as Float32Array)[place];
  });
  const dims = [places.length];
  return new SparseTensorRef(
    name,
    ref.dims,
    memoryTensor(name, { dtype: ref.dtype, dims, data: values }),
    memoryTensor(`${name}_indices`, { dtype: 'int64', dims, data: BigInt64Array.from(places, BigInt) }),
  );
}
