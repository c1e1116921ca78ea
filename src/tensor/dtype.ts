/**
 * Element types of tensors, under the names ONNX Runtime uses, with their ONNX codes and sizes.
 * Source: onnx.proto, `TensorProto.DataType`.
 */

interface DataTypeInfo {
  /** `TensorProto.DataType` value. */
  readonly code: number;
  /** Bits of one element; 0 for strings. Sub-byte types are packed, low bits first. */
  readonly bits: number;
  readonly kind: 'float' | 'int' | 'bool' | 'complex' | 'string';
}

const TYPES = {
  float32: { code: 1, bits: 32, kind: 'float' },
  uint8: { code: 2, bits: 8, kind: 'int' },
  int8: { code: 3, bits: 8, kind: 'int' },
  uint16: { code: 4, bits: 16, kind: 'int' },
  int16: { code: 5, bits: 16, kind: 'int' },
  int32: { code: 6, bits: 32, kind: 'int' },
  int64: { code: 7, bits: 64, kind: 'int' },
  string: { code: 8, bits: 0, kind: 'string' },
  bool: { code: 9, bits: 8, kind: 'bool' },
  float16: { code: 10, bits: 16, kind: 'float' },
  float64: { code: 11, bits: 64, kind: 'float' },
  uint32: { code: 12, bits: 32, kind: 'int' },
  uint64: { code: 13, bits: 64, kind: 'int' },
  complex64: { code: 14, bits: 64, kind: 'complex' },
  complex128: { code: 15, bits: 128, kind: 'complex' },
  bfloat16: { code: 16, bits: 16, kind: 'float' },
  float8e4m3fn: { code: 17, bits: 8, kind: 'float' },
  float8e4m3fnuz: { code: 18, bits: 8, kind: 'float' },
  float8e5m2: { code: 19, bits: 8, kind: 'float' },
  float8e5m2fnuz: { code: 20, bits: 8, kind: 'float' },
  uint4: { code: 21, bits: 4, kind: 'int' },
  int4: { code: 22, bits: 4, kind: 'int' },
  float4e2m1: { code: 23, bits: 4, kind: 'float' },
  float8e8m0: { code: 24, bits: 8, kind: 'float' },
  uint2: { code: 25, bits: 2, kind: 'int' },
  int2: { code: 26, bits: 2, kind: 'int' },
} as const satisfies Record<string, DataTypeInfo>;

export type DataType = keyof typeof TYPES;

export const dataTypes: Readonly<Record<DataType, DataTypeInfo>> = TYPES;

const byCode = new Map<number, DataType>(
  (Object.keys(TYPES) as DataType[]).map((name) => [TYPES[name].code as number, name]),
);

/** The data type of an ONNX code, or undefined for a code this table does not know. */
export function dataTypeOfCode(code: number): DataType | undefined {
  return byCode.get(code);
}

const FLOAT_TYPES = ['float32', 'float16', 'bfloat16', 'float64'] as const;

/** Types of weights that can be changed: real numbers of 16 bits or more. */
export type FloatType = (typeof FLOAT_TYPES)[number];

export function isFloatType(dtype: DataType): dtype is FloatType {
  return FLOAT_TYPES.includes(dtype as FloatType);
}

/** Bytes that `count` elements take in raw form. */
export function byteLength(dtype: DataType, count: number): number {
  return Math.ceil((count * TYPES[dtype].bits) / 8);
}

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, d) => product * d, 1);
}
