/** Tensors on their way into a file: inside the model, or in a data file beside it. */
import { externalDataUnreachable } from '../../errors';
import { origin } from '../../graph/graph';
import { dataTypes } from '../../tensor/dtype';
import { bytesOf, type TensorRef } from '../../tensor/tensor';
import { MessageWriter, type Payload } from '../binary/protobufWriter';
import { copyFields } from './copy';
import { entryField, externalLocation, tensorField } from './fields';
import { OnnxTensorRef } from './tensor';

/** Where a tensor's values lie in a data file. */
export interface ExternalPlace {
  readonly location: string;
  readonly offset: number;
}

/** Decides where the tensors of a graph that is being written go. */
export interface TensorPlacement {
  /** null: inside the model. */
  place(tensor: TensorRef, isInitializer: boolean): ExternalPlace | null;
  /** Told of an attribute that is copied unread although it refers to a data file. */
  carryExternal(attribute: string): void;
}

export const inlineTensors: TensorPlacement = {
  place: () => null,
  carryExternal(part) {
    throw externalDataUnreachable({ part });
  },
};

/** The values of a tensor as raw bytes, read when they are written. */
export function tensorPayload(tensor: TensorRef): Payload {
  return {
    length: tensor.bytes,
    write(sink) {
      if (tensor instanceof OnnxTensorRef) {
        tensor.copy(sink);
        return;
      }
      const { data } = tensor.read();
      if (data.byteLength !== tensor.bytes) {
        throw new Error(`Tensor '${tensor.name}' announced ${tensor.bytes} bytes and has ${data.byteLength}`);
      }
      sink(bytesOf(data));
    },
  };
}

const valueFields: ReadonlySet<number> = new Set([
  tensorField.rawData,
  tensorField.floatData,
  tensorField.int32Data,
  tensorField.stringData,
  tensorField.int64Data,
  tensorField.doubleData,
  tensorField.uint64Data,
  tensorField.externalData,
  tensorField.dataLocation,
]);
const headFields: ReadonlySet<number> = new Set([tensorField.name, tensorField.dims, tensorField.dataType]);

/** A tensor message under a name of its own. A tensor from a file keeps its doc string, metadata and unknown fields. */
export function tensorMessage(tensor: TensorRef, name: string, place: ExternalPlace | null): MessageWriter {
  const message = new MessageWriter();
  for (const dim of tensor.dims) message.int(tensorField.dims, dim);
  message.int(tensorField.dataType, dataTypes[tensor.dtype].code);
  if (name !== '') message.string(tensorField.name, name);
  const from = tensor instanceof OnnxTensorRef ? tensor : null;
  const keepsValues = from !== null && from.storage.kind !== 'external' && place === null;
  if (from) {
    copyFields(message, from[origin], (field) => !headFields.has(field) && (keepsValues || !valueFields.has(field)));
  }
  if (place) {
    const entries = { location: place.location, offset: String(place.offset), length: String(tensor.bytes) };
    for (const [key, value] of Object.entries(entries)) {
      const entry = new MessageWriter().string(entryField.key, key).string(entryField.value, value);
      message.message(tensorField.externalData, entry);
    }
    message.int(tensorField.dataLocation, externalLocation);
  } else if (!keepsValues) {
    message.payload(tensorField.rawData, tensorPayload(tensor));
  }
  return message;
}
