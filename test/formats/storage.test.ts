/** Every form in which an ONNX file can hold the values of a tensor. Files are made by protobufjs. */
import fs from 'node:fs';
import path from 'node:path';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { openModel } from '../../src/formats';
import { type DataType, dataTypes } from '../../src/tensor/dtype';
import { bytesOf, type TensorData, toFloat64 } from '../../src/tensor/tensor';
import { bytesField, concat, intField, temporaryFile, temporaryFolder } from '../support/onnxBuilder';
import { encodeModel, type PlainModel } from '../support/onnxProto';

function modelWith(...tensors: PlainModel[]): Uint8Array {
  return encodeModel({
    irVersion: 8,
    opsetImport: [{ version: 17 }],
    graph: { name: 'g', initializer: tensors.map((tensor, i) => ({ name: `w${i}`, ...tensor })) },
  });
}

function readFirst(file: string) {
  const model = openModel(file);
  try {
    const [tensor] = model.graph.initializers.values();
    return tensor.read();
  } finally {
    model.close();
  }
}

interface Row {
  readonly dtype: DataType;
  readonly field: string;
  readonly entries: readonly (number | string)[];
  readonly dims: readonly number[];
  readonly expected: TensorData;
}

const rows: Row[] = [
  {
    dtype: 'float32',
    field: 'floatData',
    entries: [1.5, -2, 0.25],
    dims: [3],
    expected: Float32Array.of(1.5, -2, 0.25),
  },
  { dtype: 'float64', field: 'doubleData', entries: [1e300, -0.1], dims: [2], expected: Float64Array.of(1e300, -0.1) },
  { dtype: 'int32', field: 'int32Data', entries: [-(2 ** 31), 7], dims: [2], expected: Int32Array.of(-(2 ** 31), 7) },
  { dtype: 'int16', field: 'int32Data', entries: [-3, 300], dims: [2], expected: Int16Array.of(-3, 300) },
  { dtype: 'uint16', field: 'int32Data', entries: [65535, 1], dims: [2], expected: Uint16Array.of(65535, 1) },
  { dtype: 'int8', field: 'int32Data', entries: [-128, 127, 0], dims: [3], expected: Int8Array.of(-128, 127, 0) },
  { dtype: 'uint8', field: 'int32Data', entries: [255, 0], dims: [2], expected: Uint8Array.of(255, 0) },
  { dtype: 'bool', field: 'int32Data', entries: [1, 0, 1], dims: [3], expected: Uint8Array.of(1, 0, 1) },
  {
    dtype: 'float16',
    field: 'int32Data',
    entries: [0x3c00, 0xc000],
    dims: [2],
    expected: Uint16Array.of(0x3c00, 0xc000),
  },
  { dtype: 'bfloat16', field: 'int32Data', entries: [0x3f80], dims: [], expected: Uint16Array.of(0x3f80) },
  { dtype: 'float8e4m3fn', field: 'int32Data', entries: [0x38], dims: [1], expected: Uint8Array.of(0x38) },
  { dtype: 'int4', field: 'int32Data', entries: [0x21, 0x03], dims: [3], expected: Uint8Array.of(0x21, 0x03) },
  {
    dtype: 'int64',
    field: 'int64Data',
    entries: ['-9223372036854775808', '9223372036854775807', 5],
    dims: [3],
    expected: BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n, 5n),
  },
  {
    dtype: 'uint64',
    field: 'uint64Data',
    entries: ['18446744073709551615', 1],
    dims: [1, 2],
    expected: BigUint64Array.of(2n ** 64n - 1n, 1n),
  },
  {
    dtype: 'uint32',
    field: 'uint64Data',
    entries: [4294967295, 2],
    dims: [2],
    expected: Uint32Array.of(4294967295, 2),
  },
  {
    dtype: 'complex64',
    field: 'floatData',
    entries: [1, -1, 2, 0.5],
    dims: [2],
    expected: bytesOf(Float32Array.of(1, -1, 2, 0.5)).slice(),
  },
];

/** The typed field written one entry after the other instead of packed. */
function unpacked({ field, entries, dims, dtype }: Row): Uint8Array {
  const writer = protobuf.Writer.create();
  for (const dim of dims) writer.uint32(8).int64(dim);
  writer.uint32(16).int32(dataTypes[dtype].code);
  for (const entry of entries) {
    if (field === 'floatData') writer.uint32(37).float(Number(entry));
    else if (field === 'doubleData') writer.uint32(81).double(Number(entry));
    else if (field === 'int32Data') writer.uint32(40).int32(Number(entry));
    else if (field === 'int64Data') writer.uint32(56).int64(String(entry));
    else writer.uint32(88).uint64(String(entry));
  }
  const tensor = concat(writer.finish(), bytesField(8, 'w'));
  return concat(intField(1, 8), bytesField(7, bytesField(5, tensor)));
}

describe.each(rows)('$dtype in $field', (row) => {
  const { dtype, field, entries, dims, expected } = row;
  const head = { dataType: dataTypes[dtype].code, dims };

  it('is read packed, unpacked, raw and from a data file', () => {
    const raw = bytesOf(expected);
    const folder = temporaryFolder();
    fs.writeFileSync(path.join(folder, 'data.bin'), concat(new Uint8Array(5), raw, new Uint8Array(3)));
    const external = [
      { key: 'location', value: 'data.bin' },
      { key: 'offset', value: '5' },
      { key: 'length', value: String(raw.length) },
      { key: 'checksum', value: '0000000000000000000000000000000000000000' },
    ];
    const beside = path.join(folder, 'model.onnx');
    fs.writeFileSync(beside, modelWith({ ...head, dataLocation: 1, externalData: external }));
    const files = [
      temporaryFile(modelWith({ ...head, [field]: entries })),
      temporaryFile(unpacked(row)),
      temporaryFile(modelWith({ ...head, rawData: raw })),
      beside,
    ];
    for (const file of files) {
      const tensor = readFirst(file);
      expect(tensor).toMatchObject({ dtype, dims });
      expect(tensor.data).toEqual(expected);
    }
  });

  it('is refused when a value is missing', () => {
    const short = temporaryFile(modelWith({ ...head, dims: [100, 100], [field]: entries }));
    expect(() => readFirst(short)).toThrow(expect.objectContaining({ code: 'tensor-size' }));
    const cut = temporaryFile(modelWith({ ...head, rawData: bytesOf(expected).subarray(1) }));
    expect(() => openModel(cut)).toThrow(expect.objectContaining({ code: 'tensor-size' }));
  });
});

it('reads the values that float16 and bfloat16 bits stand for', () => {
  const half = readFirst(temporaryFile(modelWith({ dataType: 10, dims: [2], int32Data: [0x3555, 0xfbff] })));
  expect([...toFloat64(half)]).toEqual([0.333251953125, -65504]);
  const brain = readFirst(temporaryFile(modelWith({ dataType: 16, dims: [1], int32Data: [0x4049] })));
  expect([...toFloat64(brain)]).toEqual([3.140625]);
});

it('refuses a number too few or too many that only shows when the values are read', () => {
  // 3 entries of 2 bytes each could be 4 to 6 entries of int8 for all the index knows.
  const file = temporaryFile(modelWith({ dataType: 3, dims: [4], int32Data: [300, 300, 300] }));
  expect(() => readFirst(file)).toThrow(expect.objectContaining({ code: 'tensor-size' }));
});

it('knows the size of text tensors and declines to read them as numbers', () => {
  const model = openModel(
    temporaryFile(modelWith({ dataType: 8, dims: [2], stringData: [Buffer.from('a'), Buffer.from('b')] })),
  );
  const [tensor] = model.graph.initializers.values();
  expect(tensor.dtype).toBe('string');
  expect(() => tensor.read()).toThrow(expect.objectContaining({ code: 'string-tensor' }));
  model.close();
});

it('takes a data file without offset and length from its start', () => {
  const folder = temporaryFolder();
  fs.writeFileSync(path.join(folder, 'w.bin'), bytesOf(Float32Array.of(1, 2)));
  const file = path.join(folder, 'm.onnx');
  const externalData = [{ key: 'location', value: 'w.bin' }];
  fs.writeFileSync(file, modelWith({ dataType: 1, dims: [2], dataLocation: 1, externalData }));
  expect(readFirst(file).data).toEqual(Float32Array.of(1, 2));
});

it('reports a model that changes while it is open', () => {
  const file = temporaryFile(modelWith({ dataType: 1, dims: [1], floatData: [1] }));
  const model = openModel(file);
  fs.appendFileSync(file, 'more');
  const [tensor] = model.graph.initializers.values();
  expect(() => tensor.read()).toThrow(expect.objectContaining({ code: 'file-changed' }));
  model.close();
});
