/**
 * Tensors in memory and the conversions of floating-point types.
 * float16 and bfloat16 are held as their bit patterns in a Uint16Array, as the files hold them.
 */
import { byteLength, type DataType, elementCount, type FloatType } from './dtype';

export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

export interface Tensor {
  readonly dtype: DataType;
  readonly dims: readonly number[];
  /** Row-major elements. Shared, never written to by a reader. Sub-byte types stay packed in a Uint8Array. */
  readonly data: TensorData;
}

/** A tensor whose values may still lie in a file. */
export interface TensorRef {
  readonly name: string;
  readonly dtype: DataType;
  readonly dims: readonly number[];
  /** Payload size in bytes, as raw data. */
  readonly bytes: number;
  /** Reads the values (positional reads, nothing cached). The caller owns the result. */
  read(): Tensor;
}

/** A reference to a tensor that is in memory already. */
export function memoryTensor(name: string, tensor: Tensor): TensorRef {
  return {
    name,
    dtype: tensor.dtype,
    dims: tensor.dims,
    bytes: byteLength(tensor.dtype, elementCount(tensor.dims)),
    read: () => tensor,
  };
}

/** The same tensor under another name; its values are still read when asked for. */
export function renamedTensor(name: string, ref: TensorRef): TensorRef {
  const { dtype, dims, bytes } = ref;
  return { name, dtype, dims, bytes, read: () => ref.read() };
}

export function float32Tensor(data: Float32Array, dims: readonly number[]): Tensor {
  return { dtype: 'float32', dims, data };
}

/** Numbers beyond the range become its ends: the largest int64, which slices use as "to the end", is 2^63 as a number. */
export function int64Tensor(values: readonly number[], dims: readonly number[] = [values.length]): Tensor {
  const toInt64 = (value: number): bigint =>
    value >= 2 ** 63 ? 2n ** 63n - 1n : value < -(2 ** 63) ? -(2n ** 63n) : BigInt(value);
  return { dtype: 'int64', dims, data: BigInt64Array.from(values, toInt64) };
}

/** The array that holds a type's elements; types that are not here stay bytes. */
const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int8: Int8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
} as const;

/** Views little-endian bytes as the elements of a type; copies only when the bytes are not aligned. */
export function dataFromBytes(dtype: DataType, bytes: Uint8Array): TensorData {
  const View = Object.hasOwn(ARRAYS, dtype) ? ARRAYS[dtype as keyof typeof ARRAYS] : Uint8Array;
  const size = View.BYTES_PER_ELEMENT;
  // Not `slice`: a Buffer's shares its memory.
  const { buffer, byteOffset, byteLength } = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return new View(buffer as ArrayBuffer, byteOffset, Math.floor(byteLength / size));
}

/** The raw bytes of a tensor's elements (a view, little-endian on every machine Espalier runs on). */
export function bytesOf(data: TensorData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** The value of a float16 bit pattern (IEEE 754 binary16). */
export function float16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * 2 ** -24 * fraction;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * 2 ** (exponent - 25) * (1024 + fraction);
}

/** The float16 bit pattern nearest to a number, ties to even; overflow gives an infinity. */
export function numberToFloat16(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const x = Math.abs(value);
  if (x >= 65520) return sign | 0x7c00;
  if (x < 2 ** -14) return sign | roundHalfEven(x * 2 ** 24); // subnormal; 1024 carries into the first normal
  const exponent = Math.floor(Math.log2(x));
  // log2 may round up to the next power of two just below it.
  const e = x < 2 ** exponent ? exponent - 1 : x >= 2 ** (exponent + 1) ? exponent + 1 : exponent;
  return sign | (((e + 15) << 10) + roundHalfEven((x / 2 ** e - 1) * 1024));
}

function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

const scratch = new DataView(new ArrayBuffer(4));

/** The bfloat16 bit pattern nearest to a number, ties to even; overflow gives an infinity. */
export function numberToBfloat16(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0;
  const single = Math.fround(value);
  scratch.setFloat32(0, single);
  let bits = scratch.getUint32(0);
  // Where rounding to float32 made a tie, it hid on which side of the tie the number lies.
  if ((bits & 0xffff) === 0x8000 && single !== value) bits += Math.abs(value) > Math.abs(single) ? 1 : -1;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

export function bfloat16ToNumber(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

/** All values of a float or integer tensor as float64; float64 data is returned as it is. */
export function toFloat64({ dtype, data }: Tensor): Float64Array {
  if (data instanceof Float64Array) return data;
  if (dtype === 'float16') return Float64Array.from(data as Uint16Array, float16ToNumber);
  if (dtype === 'bfloat16') return Float64Array.from(data as Uint16Array, bfloat16ToNumber);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Float64Array.from(data, Number);
  return Float64Array.from(data);
}

/** All values of a float or integer tensor as float32; float32 data is returned as it is. */
export function toFloat32(tensor: Tensor): Float32Array {
  if (tensor.data instanceof Float32Array) return tensor.data;
  return Float32Array.from(toFloat64(tensor));
}

/** Rounds values to a floating-point type. */
export function fromFloat(values: Float64Array | Float32Array, dtype: FloatType, dims: readonly number[]): Tensor {
  switch (dtype) {
    case 'float32':
      return { dtype, dims, data: values instanceof Float32Array ? values : Float32Array.from(values) };
    case 'float64':
      return { dtype, dims, data: values instanceof Float64Array ? values : Float64Array.from(values) };
    case 'float16':
      return { dtype, dims, data: Uint16Array.from(values, numberToFloat16) };
    case 'bfloat16':
      return { dtype, dims, data: Uint16Array.from(values, numberToBfloat16) };
  }
}
