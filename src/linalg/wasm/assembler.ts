/**
 * A small assembler for WebAssembly with 128-bit SIMD: just the instructions that Espalier's kernels need.
 * Kernels are written as TypeScript functions that put expressions together, so that unrolled loops are ordinary loops
 * and nothing binary has to be built or stored.
 * Source: WebAssembly Core Specification 2.0, section 5 (binary format).
 */

export type ValueType = 'i32' | 'f64' | 'v128';

/** Instructions that leave one value of the named type, or nothing, on the stack. */
export interface Expression<T extends ValueType | 'void'> {
  readonly type: T;
  readonly bytes: readonly number[];
}

export interface Local<T extends ValueType> {
  readonly type: T;
  readonly index: number;
}

type Integer = Expression<'i32'>;
type Double = Expression<'f64'>;
type Vector = Expression<'v128'>;
type Statement = Expression<'void'>;

const typeCodes: Readonly<Record<ValueType, number>> = { i32: 0x7f, f64: 0x7c, v128: 0x7b };

export const get = <T extends ValueType>(local: Local<T>): Expression<T> => ({
  type: local.type,
  bytes: [0x20, ...unsigned(local.index)],
});

export const set = <T extends ValueType>(local: Local<T>, value: Expression<T>): Statement =>
  statement(value.bytes, 0x21, ...unsigned(local.index));

export const i32 = {
  constant: (value: number): Integer => ({ type: 'i32', bytes: [0x41, ...signed(value)] }),
  add: (a: Integer, b: Integer): Integer => binary('i32', a, b, 0x6a),
  subtract: (a: Integer, b: Integer): Integer => binary('i32', a, b, 0x6b),
  multiply: (a: Integer, b: Integer): Integer => binary('i32', a, b, 0x6c),
  load: (address: Integer, offset = 0): Integer => ({
    type: 'i32',
    bytes: [...address.bytes, 0x28, ...memory(offset)],
  }),
  store: (address: Integer, value: Integer, offset = 0): Statement =>
    statement(address.bytes, ...value.bytes, 0x36, ...memory(offset)),
};

/** Doubles; offsets are in bytes. */
export const f64 = {
  constant: (value: number): Double => ({ type: 'f64', bytes: [0x44, ...doubleBytes(value)] }),
  load: (address: Integer, offset = 0): Double => ({ type: 'f64', bytes: [...address.bytes, 0x2b, ...memory(offset)] }),
  store: (address: Integer, value: Double, offset = 0): Statement =>
    statement(address.bytes, ...value.bytes, 0x39, ...memory(offset)),
  add: (a: Double, b: Double): Double => binary('f64', a, b, 0xa0),
  subtract: (a: Double, b: Double): Double => binary('f64', a, b, 0xa1),
  multiply: (a: Double, b: Double): Double => binary('f64', a, b, 0xa2),
};

/** 16 bytes as they are; offsets are in bytes, alignment does not matter. */
const v128 = {
  load: (address: Integer, offset = 0): Vector => ({
    type: 'v128',
    bytes: [...address.bytes, 0xfd, 0x00, ...memory(offset)],
  }),
  store: (address: Integer, value: Vector, offset = 0): Statement =>
    statement(address.bytes, ...value.bytes, 0xfd, 0x0b, ...memory(offset)),
};

/** Two doubles side by side. */
export const f64x2 = {
  ...v128,
  zero: { type: 'v128', bytes: [0xfd, 0x0c, ...new Array<number>(16).fill(0)] } as Vector,
  /** One double of memory in both lanes. */
  loadSplat: (address: Integer, offset = 0): Vector => ({
    type: 'v128',
    bytes: [...address.bytes, 0xfd, 0x0a, ...memory(offset)],
  }),
  splat: (value: Double): Vector => ({ type: 'v128', bytes: [...value.bytes, 0xfd, 0x14] }),
  lane: (value: Vector, lane: 0 | 1): Double => ({ type: 'f64', bytes: [...value.bytes, 0xfd, 0x21, lane] }),
  add: (a: Vector, b: Vector): Vector => binary('v128', a, b, 0xfd, 0xf0, 0x01),
  subtract: (a: Vector, b: Vector): Vector => binary('v128', a, b, 0xfd, 0xf1, 0x01),
  multiply: (a: Vector, b: Vector): Vector => binary('v128', a, b, 0xfd, 0xf2, 0x01),
};

/** Four floats side by side. */
export const f32x4 = {
  ...v128,
  /** One float of memory in all lanes. */
  loadSplat: (address: Integer, offset = 0): Vector => ({
    type: 'v128',
    bytes: [...address.bytes, 0xfd, 0x09, ...memory(offset)],
  }),
  absolute: (value: Vector): Vector => ({ type: 'v128', bytes: [...value.bytes, 0xfd, 0xe0, 0x01] }),
  add: (a: Vector, b: Vector): Vector => binary('v128', a, b, 0xfd, 0xe4, 0x01),
  subtract: (a: Vector, b: Vector): Vector => binary('v128', a, b, 0xfd, 0xe5, 0x01),
  multiply: (a: Vector, b: Vector): Vector => binary('v128', a, b, 0xfd, 0xe6, 0x01),
};

/** Four integers side by side. */
export const i32x4 = {
  ...v128,
  lane: (value: Vector, lane: 0 | 1 | 2 | 3): Integer => ({ type: 'i32', bytes: [...value.bytes, 0xfd, 0x1b, lane] }),
  /** Unsigned. */
  shiftRight: (value: Vector, bits: Integer): Vector => ({
    type: 'v128',
    bytes: [...value.bytes, ...bits.bytes, 0xfd, 0xad, 0x01],
  }),
  and: (a: Vector, b: Vector): Vector => binary('v128', a, b, 0xfd, 0x4e),
  /** All bits of a lane where a ≥ b, signed; else none. */
  atLeast: (a: Vector, b: Vector): Vector => binary('v128', a, b, 0xfd, 0x3f),
};

/** Runs the body while `pointer` < `end` (unsigned), adding `step` to it after each round. */
export function forUpTo(pointer: Local<'i32'>, end: Integer, step: Integer, body: readonly Statement[]): Statement {
  const isBelow = [...get(pointer).bytes, ...end.bytes, 0x49];
  return {
    type: 'void',
    bytes: [
      ...[...isBelow, 0x04, 0x40], // if: the body may have nothing to do
      ...[0x03, 0x40], // loop
      ...body.flatMap((each) => each.bytes),
      ...set(pointer, i32.add(get(pointer), step)).bytes,
      ...[...isBelow, 0x0d, 0x00], // br_if to the loop's start
      ...[0x0b, 0x0b],
    ],
  };
}

export interface Kernel {
  readonly params: readonly ValueType[];
  readonly locals: readonly ValueType[];
  readonly body: readonly Statement[];
}

/** Hands out the parameters and locals of one kernel. */
export class KernelBuilder {
  private readonly params: ValueType[] = [];
  private readonly locals: ValueType[] = [];

  /** The next parameter; all parameters come before the first local. */
  param(): Local<'i32'> {
    this.params.push('i32');
    return { type: 'i32', index: this.params.length - 1 };
  }

  local<T extends ValueType>(type: T): Local<T> {
    this.locals.push(type);
    return { type, index: this.params.length + this.locals.length - 1 };
  }

  finish(body: readonly Statement[]): Kernel {
    return { params: this.params, locals: this.locals, body };
  }
}

/** A module that imports its memory as `env.memory` and exports the kernels, which return nothing, by name. */
export function assemble(kernels: Readonly<Record<string, Kernel>>): Uint8Array<ArrayBuffer> {
  const list = Object.values(kernels);
  const types = list.map(({ params }) => [0x60, ...vector(params.map((type) => [typeCodes[type]])), 0x00]);
  const exports = Object.keys(kernels).map((name, index) => [...text(name), 0x00, ...unsigned(index)]);
  const bodies = list.map(({ locals, body }) => {
    const declared = vector(locals.map((type) => [0x01, typeCodes[type]]));
    return sized([...declared, ...body.flatMap(({ bytes }) => bytes), 0x0b]);
  });
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, vector(types)),
    ...section(2, vector([[...text('env'), ...text('memory'), 0x02, 0x00, 0x00]])),
    ...section(3, vector(list.map((_, index) => unsigned(index)))),
    ...section(7, vector(exports)),
    ...section(10, vector(bodies)),
  ]);
}

function statement(bytes: readonly number[], ...more: readonly number[]): Statement {
  return { type: 'void', bytes: [...bytes, ...more] };
}

function binary<T extends ValueType>(type: T, a: Expression<T>, b: Expression<T>, ...code: number[]): Expression<T> {
  return { type, bytes: [...a.bytes, ...b.bytes, ...code] };
}

const memory = (offset: number): number[] => [0x00, ...unsigned(offset)];
const sized = (bytes: readonly number[]): number[] => [...unsigned(bytes.length), ...bytes];
const section = (id: number, bytes: readonly number[]): number[] => [id, ...sized(bytes)];
const vector = (items: readonly (readonly number[])[]): number[] => [...unsigned(items.length), ...items.flat()];
const text = (value: string): number[] => sized([...new TextEncoder().encode(value)]);
const doubleBytes = (value: number): number[] => [...new Uint8Array(Float64Array.of(value).buffer)];

/** LEB128, unsigned. */
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value >>> 0;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  return [...bytes, rest];
}

/** LEB128, signed 32 bits. */
function signed(value: number): number[] {
  const bytes: number[] = [];
  let rest = value | 0;
  while (rest < -64 || rest > 63) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>= 7;
  }
  return [...bytes, rest & 0x7f];
}
