/** The kernels of global sparse momentum against plain loops, on vectors that are no whole number of pieces or lanes. */
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/linalg/random';
import { TOP_BINS, TOP_SHIFT } from '../../src/train/greatest';
import { SparseKernels } from '../../src/train/sparseKernels';

const random = seededRandom(4);
const drawn = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());
const bitsOf = (values: Float32Array): Uint32Array => new Uint32Array(values.buffer);

describe.each([1, 3, 4, 8191, 8193, 20_002])('%i numbers', (size) => {
  test('scores, and how often their uppermost bits occur', () => {
    const kernels = new SparseKernels();
    const parts = [drawn(size), drawn(5)].map((gradient) => ({ gradient, parameters: drawn(gradient.length) }));
    const top = kernels.startScores();
    const counts = new Uint32Array(TOP_BINS);
    for (const { gradient, parameters } of parts) {
      const found = new Uint32Array(gradient.length);
      kernels.score(gradient, parameters, found);
      const expected = bitsOf(gradient.map((value, i) => Math.abs(value * parameters[i])));
      expect(found).toEqual(expected);
      for (const bits of expected) counts[bits >>> TOP_SHIFT]++;
    }
    expect(top()).toEqual(counts);
  });

  test.each([
    { nesterov: false, isRanked: true },
    { nesterov: true, isRanked: true },
    { nesterov: true, isRanked: false },
  ])('a step: %o', ({ nesterov, isRanked }) => {
    const [w, g, v] = [drawn(size), drawn(size), drawn(size)];
    const scores = drawn(size).map(Math.abs);
    const least = 0.5;
    const numbers = { rate: 0.1, momentum: 0.9, decay: 0.02 };
    const [expectedW, expectedV] = [w.slice(), v.slice()];
    for (let i = 0; i < size; i++) {
      const slope = numbers.decay * w[i] + (!isRanked || scores[i] >= least ? g[i] : 0);
      expectedV[i] = numbers.momentum * v[i] + slope;
      expectedW[i] = w[i] - numbers.rate * (nesterov ? slope + numbers.momentum * expectedV[i] : expectedV[i]);
    }
    const ranks = isRanked ? { bits: bitsOf(scores), least: bitsOf(Float32Array.of(least))[0] } : null;
    const before = g.slice();
    new SparseKernels().update(w, g, v, { ...numbers, nesterov, ranks });
    const worst = (a: Float32Array, b: Float32Array): number =>
      a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
    expect(worst(w, expectedW)).toBeLessThan(1e-6);
    expect(worst(v, expectedV)).toBeLessThan(1e-6);
    expect(g).toEqual(before);
  });
});
