/** Declared values on their way into a file: messages ValueInfoProto, TypeProto and TensorShapeProto. */
import type { ValueInfo } from '../../graph/graph';
import { dataTypes } from '../../tensor/dtype';
import { MessageWriter } from '../binary/protobufWriter';
import { copyElement, copyFields } from './copy';
import { dimField, shapeField, tensorTypeField, typeField, valueField } from './fields';
import { originOf, untouched } from './origin';

const knownFields: ReadonlySet<number> = new Set(Object.values(valueField));

export function writeValue(out: MessageWriter, field: number, value: ValueInfo): void {
  const same = untouched(value);
  if (same) {
    copyElement(out, field, same);
    return;
  }
  const message = new MessageWriter().string(valueField.name, value.name);
  const from = originOf(value);
  const before = from?.element as ValueInfo | undefined;
  // A type that is not a tensor's can only be copied.
  const isSameType = before?.dtype === value.dtype && before.shape === value.shape;
  if (!isSameType && value.dtype !== null) message.message(valueField.type, typeMessage(value));
  if (from) copyFields(message, from, (f) => !knownFields.has(f) || (isSameType && f === valueField.type));
  out.message(field, message);
}

function typeMessage({ dtype, shape }: ValueInfo): MessageWriter {
  const tensor = new MessageWriter().int(tensorTypeField.elementType, dtype ? dataTypes[dtype].code : 0);
  if (shape) {
    const dims = new MessageWriter();
    for (const dim of shape) dims.message(shapeField.dim, dimMessage(dim));
    tensor.message(tensorTypeField.shape, dims);
  }
  return new MessageWriter().message(typeField.tensor, tensor);
}

function dimMessage(dim: number | string): MessageWriter {
  const message = new MessageWriter();
  if (typeof dim === 'number') return message.int(dimField.value, dim);
  return dim === '' ? message : message.string(dimField.param, dim);
}
