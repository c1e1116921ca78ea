import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/linalg/random';

function draw<T>(count: number, next: () => T): T[] {
  return Array.from({ length: count }, next);
}

describe('seeded random numbers', () => {
  it('never change: recipes depend on them', () => {
    // The bits and the uniform numbers were computed with an independent implementation in Python.
    expect(draw(4, seededRandom(0).bits)).toEqual([3809008728, 1133695204, 53579671, 2891528803]);
    expect(draw(4, seededRandom(1).bits)).toEqual([2442144158, 3238099751, 3819917871, 2104621829]);
    expect(draw(4, seededRandom(2 ** 31 + 5).bits)).toEqual([2394266295, 1268908036, 159653769, 1043310477]);
    expect(draw(3, seededRandom(42).uniform)).toEqual([0.6606157208001621, 0.1117019639532224, 0.0791056456144914]);
    expect(draw(3, seededRandom(42).normal)).toEqual([0.31875784963858494, -0.7706160167419408, 0.15178267621950975]);
    expect(seededRandom(42).shuffle([0, 1, 2, 3, 4, 5, 6, 7])).toEqual([1, 7, 3, 0, 5, 2, 6, 4]);
  });

  it('are uniform', () => {
    const { uniform } = seededRandom(3);
    const values = draw(100_000, uniform);
    expect(Math.min(...values.slice(0, 1000))).toBeGreaterThanOrEqual(0);
    expect(values.every((value) => value < 1)).toBe(true);
    const bins = new Array<number>(10).fill(0);
    for (const value of values) bins[Math.floor(value * 10)] += 1;
    // Chi-squared with 9 degrees of freedom exceeds 27.9 once in a thousand seeds; this seed is fixed.
    expect(bins.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0)).toBeLessThan(27.9);
  });

  it('are normal with mean 0 and deviation 1', () => {
    const { normal } = seededRandom(4);
    const values = draw(100_000, normal);
    const mean = (list: number[]) => list.reduce((sum, value) => sum + value, 0) / list.length;
    // Five standard errors each.
    expect(Math.abs(mean(values))).toBeLessThan(0.016);
    expect(Math.abs(mean(values.map((value) => value ** 2)) - 1)).toBeLessThan(0.023);
    expect(Math.abs(mean(values.map((value) => value ** 4)) - 3)).toBeLessThan(0.16);
  });

  it('draw every index equally often', () => {
    const { index } = seededRandom(5);
    const counts = new Array<number>(3).fill(0);
    for (let i = 0; i < 30_000; i++) counts[index(3)] += 1;
    // Six standard deviations.
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(490);
  });

  it('shuffle in place and lose nothing', () => {
    const items = Uint32Array.from({ length: 50 }, (_, i) => i);
    const shuffled = seededRandom(6).shuffle(items);
    expect(shuffled).toBe(items);
    expect(shuffled).not.toEqual(Uint32Array.from({ length: 50 }, (_, i) => i));
    expect(shuffled.slice().sort()).toEqual(Uint32Array.from({ length: 50 }, (_, i) => i));
  });
});
