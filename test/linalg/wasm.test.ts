import { describe, expect, it } from 'vitest';
import { assemble, f64, forUpTo, get, i32, KernelBuilder, set } from '../../src/linalg/wasm/assembler';
import { workspaceFor } from '../../src/linalg/wasm/kernels';

describe('assembler', () => {
  it('makes modules that loop, compute and address memory', async () => {
    const build = new KernelBuilder();
    const [from, to, out] = [build.param(), build.param(), build.param()];
    const sum = build.local('f64');
    const kernel = build.finish([
      set(sum, f64.constant(0.5)),
      forUpTo(from, get(to), i32.constant(8), [set(sum, f64.add(get(sum), f64.load(get(from))))]),
      // A constant that takes three bytes, and one that is negative.
      f64.store(i32.add(get(out), i32.constant(-20_000)), get(sum), 20_000),
    ]);
    const memory = new WebAssembly.Memory({ initial: 1 });
    const { instance } = await WebAssembly.instantiate(assemble({ total: kernel }), { env: { memory } });
    const total = instance.exports.total as (from: number, to: number, out: number) => void;
    const doubles = new Float64Array(memory.buffer);
    doubles.set([1, 2, 3, 4]);
    total(0, 24, 24_000);
    expect(doubles[3000]).toBe(6.5);
    total(16, 16, 24_000);
    expect(doubles[3000]).toBe(0.5);
  });
});

describe('workspace', () => {
  it('hands out zeros that do not overlap, also after it was used and grown', () => {
    for (const count of [3, 70_000, 5]) {
      const space = workspaceFor(count, count);
      const [a, b] = [space.doubles(count), space.doubles(count)];
      expect(a.every((value) => value === 0) && b.every((value) => value === 0)).toBe(true);
      expect(b.byteOffset).toBeGreaterThanOrEqual(a.byteOffset + a.byteLength);
      a.fill(1);
      b.fill(2);
      expect(a[count - 1]).toBe(1);
    }
  });

  it('declines what does not fit into 4 GiB', () => {
    expect(() => workspaceFor(2 ** 28, 2 ** 28, 1)).toThrow(expect.objectContaining({ code: 'matrix-too-large' }));
  });
});
