/**
 * The ONNX messages for protobufjs: an independent reader and writer that ours is held against.
 * Field numbers from https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 */
import protobuf from 'protobufjs';

type Fields = Record<string, string>;

/** `name: 'number type'`, with `number* type` for a repeated and `number+ type` for a packed field. */
const messages: Record<string, Fields> = {
  ModelProto: {
    irVersion: '1 int64',
    opsetImport: '8* OperatorSetIdProto',
    producerName: '2 string',
    producerVersion: '3 string',
    domain: '4 string',
    modelVersion: '5 int64',
    docString: '6 string',
    graph: '7 GraphProto',
    metadataProps: '14* StringStringEntryProto',
    trainingInfo: '20* TrainingInfoProto',
    functions: '25* FunctionProto',
  },
  OperatorSetIdProto: { domain: '1 string', version: '2 int64' },
  StringStringEntryProto: { key: '1 string', value: '2 string' },
  TrainingInfoProto: { initialization: '1 GraphProto', algorithm: '2 GraphProto' },
  FunctionProto: {
    name: '1 string',
    input: '4* string',
    output: '5* string',
    attribute: '6* string',
    node: '7* NodeProto',
    docString: '8 string',
    opsetImport: '9* OperatorSetIdProto',
    domain: '10 string',
  },
  GraphProto: {
    node: '1* NodeProto',
    name: '2 string',
    initializer: '5* TensorProto',
    docString: '10 string',
    input: '11* ValueInfoProto',
    output: '12* ValueInfoProto',
    valueInfo: '13* ValueInfoProto',
    quantizationAnnotation: '14* TensorAnnotation',
    sparseInitializer: '15* SparseTensorProto',
    metadataProps: '16* StringStringEntryProto',
  },
  TensorAnnotation: { tensorName: '1 string', quantParameterTensorNames: '2* StringStringEntryProto' },
  NodeProto: {
    input: '1* string',
    output: '2* string',
    name: '3 string',
    opType: '4 string',
    attribute: '5* AttributeProto',
    docString: '6 string',
    domain: '7 string',
    overload: '8 string',
    metadataProps: '9* StringStringEntryProto',
  },
  AttributeProto: {
    name: '1 string',
    f: '2 float',
    i: '3 int64',
    s: '4 bytes',
    t: '5 TensorProto',
    g: '6 GraphProto',
    floats: '7* float',
    ints: '8* int64',
    strings: '9* bytes',
    tensors: '10* TensorProto',
    graphs: '11* GraphProto',
    docString: '13 string',
    tp: '14 TypeProto',
    type: '20 int32',
    refAttrName: '21 string',
    sparseTensor: '22 SparseTensorProto',
  },
  ValueInfoProto: { name: '1 string', type: '2 TypeProto', docString: '3 string' },
  TypeProto: {
    tensorType: '1 TensorType',
    sequenceType: '4 SequenceType',
    optionalType: '9 SequenceType',
    denotation: '6 string',
  },
  TensorType: { elemType: '1 int32', shape: '2 TensorShapeProto' },
  SequenceType: { elemType: '1 TypeProto' },
  TensorShapeProto: { dim: '1* Dimension' },
  Dimension: { dimValue: '1 int64', dimParam: '2 string', denotation: '3 string' },
  TensorProto: {
    dims: '1* int64',
    dataType: '2 int32',
    floatData: '4+ float',
    int32Data: '5+ int32',
    stringData: '6* bytes',
    int64Data: '7+ int64',
    name: '8 string',
    rawData: '9 bytes',
    doubleData: '10+ double',
    uint64Data: '11+ uint64',
    docString: '12 string',
    externalData: '13* StringStringEntryProto',
    dataLocation: '14 int32',
    metadataProps: '16* StringStringEntryProto',
  },
  SparseTensorProto: { values: '1 TensorProto', indices: '2 TensorProto', dims: '3* int64' },
};

function fieldOf(text: string): protobuf.IField {
  const [, id, mark, type] = /^(\d+)([*+]?) (\w+)$/.exec(text)!;
  const options = mark === '' ? {} : { packed: mark === '+' };
  return { id: Number(id), type, options, ...(mark === '' ? {} : { rule: 'repeated' }) };
}

const root = protobuf.Root.fromJSON({
  nested: Object.fromEntries(
    Object.entries(messages).map(([name, fields]) => [
      name,
      { fields: Object.fromEntries(Object.entries(fields).map(([key, text]) => [key, fieldOf(text)])) },
    ]),
  ),
});

const model = root.lookupType('ModelProto');

/** A model as plain data: int64 as strings, bytes as base64. */
// biome-ignore lint/suspicious/noExplicitAny: protobufjs gives plain data without types.
export type PlainModel = Record<string, any>;

export function decodeModel(bytes: Uint8Array): PlainModel {
  return model.toObject(model.decode(bytes), { longs: String, bytes: String });
}

/** Encodes a model from plain data, as `decodeModel` gives it; numbers and byte arrays are fine too. */
export function encodeModel(plain: PlainModel): Uint8Array {
  return model.encode(model.fromObject(plain)).finish();
}
