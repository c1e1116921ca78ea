/** Reads the declared type of a value: messages ValueInfoProto, TypeProto and TensorShapeProto. */
import { origin, type ValueInfo } from '../../graph/graph';
import { type DataType, dataTypeOfCode } from '../../tensor/dtype';
import type { ProtobufReader } from '../binary/protobuf';
import type { ReadContext } from './context';
import { dimField, shapeField, tensorTypeField, typeField, valueField } from './fields';
import { fieldOrigin } from './origin';

type MutableType = { dtype: DataType | null; shape: (number | string)[] | null };

export function readValue(reader: ProtobufReader, context: ReadContext): ValueInfo {
  const from = fieldOrigin(reader);
  const type: MutableType = { dtype: null, shape: null };
  let name = '';
  while (reader.next(from.end, 'a value')) {
    if (reader.field === valueField.name) name = reader.string();
    else if (reader.field === valueField.type) readType(reader, context, type);
    else reader.skip();
  }
  context.spend(240 + name.length, reader.source.path);
  const value: ValueInfo = { name, dtype: type.dtype, shape: type.shape, [origin]: from };
  from.element = value;
  return value;
}

/** Sequences, maps, optionals and sparse tensors are left as "not a tensor". */
function readType(reader: ProtobufReader, context: ReadContext, into: MutableType): void {
  const end = reader.payloadEnd();
  while (reader.next(end, 'a type')) {
    if (reader.field === typeField.tensor) readTensorType(reader, context, into);
    else reader.skip();
  }
}

function readTensorType(reader: ProtobufReader, context: ReadContext, into: MutableType): void {
  const end = reader.payloadEnd();
  while (reader.next(end, 'a tensor type')) {
    if (reader.field === tensorTypeField.elementType) into.dtype = dataTypeOfCode(reader.int()) ?? null;
    else if (reader.field === tensorTypeField.shape) into.shape = readShape(reader, context);
    else reader.skip();
  }
}

function readShape(reader: ProtobufReader, context: ReadContext): (number | string)[] {
  const end = reader.payloadEnd();
  const shape: (number | string)[] = [];
  while (reader.next(end, 'a shape')) {
    if (reader.field !== shapeField.dim) {
      reader.skip();
      continue;
    }
    context.spend(32, reader.source.path);
    shape.push(readDim(reader));
  }
  return shape;
}

function readDim(reader: ProtobufReader): number | string {
  const end = reader.payloadEnd();
  let dim: number | string = '';
  while (reader.next(end, 'a dimension')) {
    if (reader.field === dimField.param) dim = reader.string();
    // Some exporters write -1 for a dimension that is not known.
    else if (reader.field === dimField.value) dim = positiveOrFree(reader.int());
    else reader.skip();
  }
  return dim;
}

function positiveOrFree(value: number): number | string {
  return value < 0 ? '' : value;
}
