/**
 * Tensors of an ONNX file: indexing reads what they are and where their values lie; the values are read on demand,
 * from any of the forms `TensorProto` has: raw bytes, typed fields (packed or not) and external files.
 * Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, message TensorProto
 */
import type { Sink } from '../../atomic';
import { externalDataRange, stringTensor, tensorDims, tensorSize, tensorTooLarge, unknownDataType } from '../../errors';
import { origin } from '../../graph/graph';
import { byteLength, type DataType, dataTypeOfCode, dataTypes } from '../../tensor/dtype';
import { bytesOf, dataFromBytes, type Tensor, type TensorRef } from '../../tensor/tensor';
import { ProtobufReader, wire } from '../binary/protobuf';
import { copyRange } from '../binary/protobufWriter';
import type { ReadContext } from './context';
import { type ExternalFile, openExternal } from './external';
import { entryField, externalLocation, tensorField } from './fields';
import type { FieldOrigin } from './origin';

/** Where a tensor's values lie. */
export type Storage =
  | { readonly kind: 'raw'; readonly offset: number }
  | { readonly kind: 'typed'; readonly field: number }
  | { readonly kind: 'external'; readonly file: ExternalFile; readonly offset: number };

/** The largest array that is certain to be allocatable. */
const MAX_BYTES = 2 ** 32;

export class OnnxTensorRef implements TensorRef {
  /** Where the tensor's message lies. */
  readonly [origin]: FieldOrigin;

  constructor(
    readonly name: string,
    readonly dtype: DataType,
    readonly dims: readonly number[],
    readonly bytes: number,
    readonly storage: Storage,
    from: FieldOrigin,
  ) {
    this[origin] = from;
    from.element = this;
  }

  /** @throws UserError `file-changed`, `tensor-size`, `tensor-too-large`, `string-tensor` */
  read(): Tensor {
    if (this.dtype === 'string') throw stringTensor({ tensor: this.name });
    if (this.bytes > MAX_BYTES) throw tensorTooLarge({ tensor: this.name, bytes: this.bytes, limit: MAX_BYTES });
    // Not pooled: views of wider elements need an aligned start.
    const bytes = Buffer.allocUnsafeSlow(this.bytes);
    this.readInto(bytes);
    return { dtype: this.dtype, dims: this.dims, data: dataFromBytes(this.dtype, bytes) };
  }

  /** Passes the values as raw bytes to a sink, piece by piece. */
  copy(sink: Sink): void {
    const { storage } = this;
    if (storage.kind === 'raw') {
      copyRange(this[origin].source, storage.offset, storage.offset + this.bytes, sink);
    } else if (storage.kind === 'external') {
      const source = openExternal(storage.file);
      try {
        copyRange(source, storage.offset, storage.offset + this.bytes, sink);
      } finally {
        source.close();
      }
    } else {
      sink(bytesOf(this.read().data));
    }
  }

  private readInto(bytes: Uint8Array): void {
    const { source, start, end } = this[origin];
    switch (this.storage.kind) {
      case 'raw':
        source.readInto(this.storage.offset, bytes);
        return;
      case 'external': {
        const file = openExternal(this.storage.file);
        try {
          file.readInto(this.storage.offset, bytes);
        } finally {
          file.close();
        }
        return;
      }
      case 'typed': {
        const { path } = source;
        const written = readTyped(new ProtobufReader(source, start), end, this.dtype, this.storage.field, bytes);
        if (written !== bytes.length) {
          throw tensorSize({ path, tensor: this.name, dims: this.dims, expected: bytes.length, found: written });
        }
      }
    }
  }
}

/**
 * Indexes the tensor message that the reader stands before.
 * @throws UserError for dims, types, sizes and places that can't be
 */
export function readTensor(reader: ProtobufReader, context: ReadContext, from: FieldOrigin): OnnxTensorRef {
  const path = reader.source.path;
  const dims: number[] = [];
  const payload = new Map<number, number>();
  const external = new Map<string, string>();
  let name = '';
  let code = 0;
  let location = 0;
  let rawOffset = 0;
  while (reader.next(from.end, 'a tensor')) {
    switch (reader.field) {
      case tensorField.name:
        name = reader.string();
        break;
      case tensorField.dims:
        reader.ints(dims);
        break;
      case tensorField.dataType:
        code = reader.int();
        break;
      case tensorField.dataLocation:
        location = reader.int();
        break;
      case tensorField.externalData:
        readEntry(reader, external);
        break;
      case tensorField.rawData:
      case tensorField.floatData:
      case tensorField.int32Data:
      case tensorField.stringData:
      case tensorField.int64Data:
      case tensorField.doubleData:
      case tensorField.uint64Data: {
        const { field } = reader;
        const isPacked = reader.wireType === wire.bytes || field === tensorField.rawData;
        const end = isPacked ? reader.payloadEnd() : null;
        const start = reader.position;
        if (end === null) reader.skip();
        else reader.moveTo(end);
        if (field === tensorField.rawData) rawOffset = start;
        payload.set(field, (payload.get(field) ?? 0) + reader.position - start);
        break;
      }
      default:
        reader.skip();
    }
  }
  context.spend(160 + name.length + 8 * dims.length, path);
  const dtype = dataTypeOfCode(code);
  if (!dtype) throw unknownDataType({ path, tensor: name, code });
  const bytes = byteLength(dtype, countOf(path, name, dims));
  const where = { path, tensor: name, dims };

  if (location === externalLocation) {
    from.external = true;
    return new OnnxTensorRef(name, dtype, dims, bytes, externalStorage(context, where, external, bytes), from);
  }
  const raw = payload.get(tensorField.rawData);
  const field = typedField(dtype);
  const typed = payload.get(field) ?? 0;
  if (raw !== undefined && (raw > 0 || typed === 0)) {
    if (raw !== bytes) throw tensorSize({ ...where, expected: bytes, found: raw });
    return new OnnxTensorRef(name, dtype, dims, bytes, { kind: 'raw', offset: rawOffset }, from);
  }
  // An entry of fixed size takes its size in the file, any other at least a byte: this bounds what `read` allocates.
  const fits = isFixed(field) ? typed === bytes : dtype === 'string' || typed >= bytes / entryWidth(dtype, field);
  if (!fits) throw tensorSize({ ...where, expected: bytes, found: typed });
  return new OnnxTensorRef(name, dtype, dims, bytes, { kind: 'typed', field }, from);
}

/** Reads a `StringStringEntryProto`. */
export function readEntry(reader: ProtobufReader, into: Map<string, string>): void {
  const end = reader.payloadEnd();
  let key = '';
  let value = '';
  while (reader.next(end, 'a metadata entry')) {
    if (reader.field === entryField.key) key = reader.string();
    else if (reader.field === entryField.value) value = reader.string();
    else reader.skip();
  }
  into.set(key, value);
}

function countOf(path: string, tensor: string, dims: readonly number[]): number {
  let count = 1;
  for (const dim of dims) {
    if (dim < 0) throw tensorDims({ path, tensor, dims });
    count *= dim;
    // 16 bytes are the widest element.
    if (count > Number.MAX_SAFE_INTEGER / 16) throw tensorDims({ path, tensor, dims });
  }
  return count;
}

function externalStorage(
  context: ReadContext,
  where: { path: string; tensor: string; dims: readonly number[] },
  entries: ReadonlyMap<string, string>,
  bytes: number,
): Storage {
  const { path, tensor } = where;
  const file = context.external.locate(entries.get('location') ?? '', tensor);
  const offset = wholeNumber(entries.get('offset') ?? '0');
  const length = wholeNumber(entries.get('length') ?? String(bytes));
  const range = { path, tensor, file: file.location, offset: entries.get('offset'), length: entries.get('length') };
  if (offset === null || length === null || offset + length > file.size) {
    throw externalDataRange({ ...range, size: file.size });
  }
  if (length !== bytes) throw tensorSize({ ...where, expected: bytes, found: length });
  context.use(file);
  return { kind: 'external', file, offset };
}

function wholeNumber(text: string): number | null {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : null;
}

/** The field that holds the values of a type when they are not raw. */
function typedField(dtype: DataType): number {
  switch (dtype) {
    case 'float32':
    case 'complex64':
      return tensorField.floatData;
    case 'float64':
    case 'complex128':
      return tensorField.doubleData;
    case 'int64':
      return tensorField.int64Data;
    case 'uint32':
    case 'uint64':
      return tensorField.uint64Data;
    case 'string':
      return tensorField.stringData;
    default:
      return tensorField.int32Data;
  }
}

function isFixed(field: number): boolean {
  return field === tensorField.floatData || field === tensorField.doubleData;
}

/** Bytes of raw data that one entry of a typed field stands for. Sub-byte types are packed into bytes there too. */
function entryWidth(dtype: DataType, field: number): number {
  if (field === tensorField.floatData) return 4;
  if (field === tensorField.doubleData) return 8;
  return Math.max(1, dataTypes[dtype].bits / 8);
}

/** Writes the values of a typed field as raw bytes; returns how many bytes there are, also when they don't fit. */
function readTyped(reader: ProtobufReader, end: number, dtype: DataType, field: number, into: Uint8Array): number {
  const width = entryWidth(dtype, field);
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  let at = 0;
  const put = (low: number, high: number): void => {
    if (at + width <= into.length) {
      if (width === 1) view.setUint8(at, low);
      else if (width === 2) view.setUint16(at, low, true);
      else view.setInt32(at, low, true);
      if (width === 8) view.setInt32(at + 4, high, true);
    }
    at += width;
  };
  while (reader.next(end, 'a tensor')) {
    if (reader.field !== field) reader.skip();
    else if (isFixed(field)) at += reader.fixedInto(width, into.subarray(Math.min(at, into.length)));
    else reader.varints(put);
  }
  return at;
}
