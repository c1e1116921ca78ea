import { describe, expect, it, test } from 'vitest';
import { byteLength, type DataType, dataTypeOfCode, dataTypes, elementCount } from '../../src/tensor/dtype';
import {
  bfloat16ToNumber,
  bytesOf,
  dataFromBytes,
  float16ToNumber,
  fromFloat,
  numberToBfloat16,
  numberToFloat16,
  toFloat32,
  toFloat64,
} from '../../src/tensor/tensor';

const formats = {
  float16: { toNumber: float16ToNumber, toBits: numberToFloat16, exponentBits: 5, fractionBits: 10 },
  bfloat16: { toNumber: bfloat16ToNumber, toBits: numberToBfloat16, exponentBits: 8, fractionBits: 7 },
};

describe.each(Object.entries(formats))('%s', (_name, { toNumber, toBits, exponentBits, fractionBits }) => {
  const infinity = ((1 << exponentBits) - 1) << fractionBits;

  it('reads all 65,536 patterns as IEEE 754 defines them', () => {
    const bias = 2 ** (exponentBits - 1) - 1;
    for (let bits = 0; bits < 0x10000; bits++) {
      const sign = bits >> 15 ? -1 : 1;
      const exponent = (bits & 0x7fff) >> fractionBits;
      const fraction = bits & ((1 << fractionBits) - 1);
      const significand = (exponent === 0 ? 0 : 1) + fraction / 2 ** fractionBits;
      const isSpecial = exponent === 2 ** exponentBits - 1;
      const special = fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
      const expected = isSpecial ? special : sign * significand * 2 ** (Math.max(exponent, 1) - bias);
      if (!Object.is(toNumber(bits), expected)) expect.fail(`${bits.toString(16)}: ${toNumber(bits)}, not ${expected}`);
    }
  });

  it('writes back every pattern that is a number, and NaN as NaN', () => {
    for (let bits = 0; bits < 0x10000; bits++) {
      const back = toBits(toNumber(bits));
      const same = Number.isNaN(toNumber(bits)) ? Number.isNaN(toNumber(back)) : back === bits;
      if (!same) expect.fail(`${bits.toString(16)} came back as ${back.toString(16)}`);
    }
  });

  it('rounds to the nearest neighbour and ties to even, between all neighbours', () => {
    for (let bits = 0; bits < infinity - 1; bits++) {
      const [low, high] = [toNumber(bits), toNumber(bits + 1)];
      const middle = (low + high) / 2; // exact in double precision
      const nudge = (high - low) * 2 ** -30;
      const even = bits % 2 === 0 ? bits : bits + 1;
      const found = [middle - nudge, middle, middle + nudge, -middle].map(toBits);
      const expected = [bits, even, bits + 1, even | 0x8000];
      if (found.join() !== expected.join()) expect.fail(`around ${middle}: ${found}, not ${expected}`);
    }
  });

  it('overflows to infinity from half a step above the largest number', () => {
    const largest = toNumber(infinity - 1);
    const half = (largest - toNumber(infinity - 2)) / 2;
    expect(toBits(largest + half * (1 - 2 ** -20))).toBe(infinity - 1);
    expect(toBits(largest + half)).toBe(infinity);
    expect(toBits(Number.MAX_VALUE)).toBe(infinity);
    expect(toBits(-Number.MAX_VALUE)).toBe(infinity | 0x8000);
  });

  it('keeps the sign of zero and of what is too small', () => {
    expect([0, -0, Number.MIN_VALUE, -Number.MIN_VALUE].map(toBits)).toEqual([0, 0x8000, 0, 0x8000]);
  });
});

describe('dataFromBytes', () => {
  const types = (Object.keys(dataTypes) as DataType[]).filter((dtype) => dataTypes[dtype].bits >= 8);

  it.each(types)('reads %s from any offset, also of a Buffer', (dtype) => {
    const count = 5;
    const content = Uint8Array.from({ length: byteLength(dtype, count) }, (_, i) => (i * 37) % 251);
    for (const offset of [0, 1, 2, 3, 4, 7]) {
      const plain = new Uint8Array(content.length + offset + 3);
      plain.set(content, offset);
      const view = plain.subarray(offset, offset + content.length);
      const buffer = Buffer.from(view.buffer, view.byteOffset, view.byteLength);
      for (const bytes of [view, buffer]) expect([...bytesOf(dataFromBytes(dtype, bytes))]).toEqual([...content]);
    }
  });

  it('shares aligned bytes instead of copying them', () => {
    const bytes = new Uint8Array(16);
    expect(dataFromBytes('float32', bytes.subarray(4)).buffer).toBe(bytes.buffer);
    expect(dataFromBytes('float32', bytes.subarray(2, 10)).buffer).not.toBe(bytes.buffer);
  });

  test('float32 and int64 values are little-endian', () => {
    expect([...(dataFromBytes('float32', Uint8Array.of(0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0)) as Float32Array)]).toEqual([
      1, -2,
    ]);
    expect([...(dataFromBytes('int64', Uint8Array.of(0xfe, ...Array(7).fill(0xff))) as BigInt64Array)]).toEqual([-2n]);
  });
});

describe('conversions of whole tensors', () => {
  const values = [0, 1, -1.5, 0.25, 100];

  it.each(['float32', 'float64', 'float16', 'bfloat16'] as const)('round trip through %s', (dtype) => {
    const tensor = fromFloat(Float64Array.from(values), dtype, [5]);
    expect(tensor).toMatchObject({ dtype, dims: [5] });
    expect([...toFloat64(tensor)]).toEqual(values);
    expect([...toFloat32(tensor)]).toEqual(values);
  });

  it('reads integers of every width', () => {
    const cases = [Int8Array.of(-3, 4), Int16Array.of(-3, 4), Int32Array.of(-3, 4), BigInt64Array.of(-3n, 4n)];
    for (const data of cases) expect([...toFloat64({ dtype: 'int32', dims: [2], data })]).toEqual([-3, 4]);
  });

  it('does not copy what has the type already', () => {
    const [single, double] = [Float32Array.of(1), Float64Array.of(1)];
    expect(toFloat32({ dtype: 'float32', dims: [1], data: single })).toBe(single);
    expect(toFloat64({ dtype: 'float64', dims: [1], data: double })).toBe(double);
    expect(fromFloat(double, 'float64', [1]).data).toBe(double);
  });
});

describe('element types', () => {
  it('are found by their ONNX code, unknown ones not', () => {
    for (const [name, { code }] of Object.entries(dataTypes)) expect(dataTypeOfCode(code)).toBe(name);
    expect([0, 27, -1].map(dataTypeOfCode)).toEqual([undefined, undefined, undefined]);
  });

  it('take whole bytes, sub-byte types packed', () => {
    expect([byteLength('float32', 3), byteLength('int4', 3), byteLength('int2', 5), byteLength('uint4', 0)]).toEqual([
      12, 2, 2, 0,
    ]);
    expect([elementCount([]), elementCount([2, 3]), elementCount([4, 0])]).toEqual([1, 6, 0]);
  });
});
