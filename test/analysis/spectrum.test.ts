import { describe, expect, it } from 'vitest';
import { breakEvenRank, marchenkoPasturMedian, spectrumOf } from '../../src/analysis/spectrum';
import { seededRandom } from '../../src/linalg/random';
import { singularValues } from '../../src/linalg/svd';

const spectrum = (values: number[], rows = values.length, cols = rows) =>
  spectrumOf('layer', Float64Array.from(values), 1, rows, cols);

function noise(rows: number, cols: number, deviation: number): Float64Array {
  const random = seededRandom(11);
  return Float64Array.from({ length: rows * cols }, () => deviation * random.normal());
}

describe('spectrum', () => {
  it('has the energy curve, ranks and condition of values worked out by hand', () => {
    // σ = 4, 2, 1, 1: squares 16, 4, 1, 1 of 22; shares 1/2, 1/4, 1/8, 1/8 have the entropy 1.75 bits.
    const facts = spectrum([4, 2, 1, 1]);
    expect(Array.from(facts.energy)).toEqual([16 / 22, 20 / 22, 21 / 22, 1]);
    expect(facts.effectiveRank).toBeCloseTo(2 ** 1.75, 12);
    expect(facts.stableRank).toBeCloseTo(22 / 16, 12);
    expect(facts.condition).toBe(4);
    expect(facts.layer).toBe('layer');
  });

  it('counts equal values fully', () => {
    const facts = spectrum(new Array(16).fill(0.3));
    expect(facts.effectiveRank).toBeCloseTo(16, 10);
    expect(facts.stableRank).toBeCloseTo(16, 10);
    expect(facts.condition).toBe(1);
  });

  it('ends the energy at exactly 1', () => {
    const { energy } = spectrum(Array.from(singularValues(noise(50, 70, 1), 50, 70)), 50, 70);
    expect(energy[49]).toBe(1);
    expect(energy.every((value, i) => i === 0 || value >= energy[i - 1])).toBe(true);
  });

  it('joins blocks by the root mean square at each index', () => {
    const blockValues = Float64Array.of(5, 1, 1, 7, 1, 0);
    const facts = spectrumOf('grouped', blockValues, 2, 3, 9);
    expect(facts.singularValues).toEqual(Float64Array.of(Math.sqrt(37), 1, Math.sqrt(0.5)));
    expect(facts.blockValues).toBe(blockValues);
    expect(facts.blocks).toBe(2);
    // The energy of all blocks together when each keeps the same rank: 74, 2 and 1 of 77.
    expect(facts.energy[0]).toBeCloseTo(74 / 77, 12);
  });

  it('shares the values of a single block', () => {
    const values = Float64Array.of(2, 1);
    expect(spectrumOf('one', values, 1, 2, 2).singularValues).toBe(values);
  });

  it('has a finite description of a zero weight', () => {
    const facts = spectrum([0, 0, 0]);
    expect(Array.from(facts.energy)).toEqual([1, 1, 1]);
    expect([facts.effectiveRank, facts.stableRank, facts.marchenkoPasturEdge, facts.noiseFloor]).toEqual([0, 0, 0, 0]);
    expect(facts.condition).toBe(Number.POSITIVE_INFINITY);
  });

  it('takes a value within rounding noise for a lack of rank', () => {
    const facts = spectrum([10, 1, 1e-8]);
    expect(facts.noiseFloor).toBeGreaterThan(1e-8);
    expect(facts.noiseFloor).toBeLessThan(1e-6);
    expect(facts.condition).toBe(Number.POSITIVE_INFINITY);
    expect(spectrum([10, 1, 1e-5]).condition).toBeCloseTo(1e6, 3);
  });

  it('has a noise floor above what a matrix that lacks rank is left with', () => {
    const [rows, cols, rank] = [80, 200, 10];
    const [left, right] = [noise(rows, rank, 1), noise(rank, cols, 1)];
    const product = new Float64Array(rows * cols);
    for (let i = 0; i < rows; i++)
      for (let k = 0; k < rank; k++)
        for (let j = 0; j < cols; j++) product[i * cols + j] += left[i * rank + k] * right[k * cols + j];
    const values = singularValues(product, rows, cols);
    const facts = spectrumOf('low rank', values, 1, rows, cols);
    expect(values[rank - 1]).toBeGreaterThan(1);
    expect(values[rank]).toBeLessThan(facts.noiseFloor);
  });
});

describe('Marchenko–Pastur edge', () => {
  it('uses the median of the law', () => {
    // Gavish & Donoho (2014) give the threshold 2.858·median for square matrices: (4/√3) / √μ.
    expect(4 / Math.sqrt(3) / Math.sqrt(marchenkoPasturMedian(1))).toBeCloseTo(2.858, 3);
    for (const beta of [0.9, 0.5, 0.1, 0.01]) {
      // Half of the density lies below: midpoint rule.
      const [start, end] = [(1 - Math.sqrt(beta)) ** 2, (1 + Math.sqrt(beta)) ** 2];
      const steps = 200_000;
      const width = (marchenkoPasturMedian(beta) - start) / steps;
      let share = 0;
      for (let step = 0; step < steps; step++) {
        const x = start + (step + 0.5) * width;
        share += (width * Math.sqrt((end - x) * (x - start))) / (2 * Math.PI * beta * x);
      }
      expect(share).toBeCloseTo(0.5, 6);
    }
    // A very flat matrix has all values at √n.
    expect(marchenkoPasturMedian(1e-5)).toBeCloseTo(1, 4);
  });

  it.each([
    [300, 300],
    [150, 600],
    [600, 150],
  ])('is the largest singular value of %i × %i noise', (rows, cols) => {
    const values = singularValues(noise(rows, cols, 0.02), rows, cols);
    const { marchenkoPasturEdge } = spectrumOf('noise', values, 1, rows, cols);
    expect(marchenkoPasturEdge / values[0]).toBeGreaterThan(0.97);
    expect(marchenkoPasturEdge / values[0]).toBeLessThan(1.03);
  });

  it('is not moved by a few strong directions', () => {
    const [rows, cols] = [200, 400];
    const quiet = noise(rows, cols, 0.02);
    const strong = quiet.map((value, i) => value + (Math.floor(i / cols) % 50 === 0 ? 1 : 0));
    const edge = (A: Float64Array) => spectrumOf('', singularValues(A, rows, cols), 1, rows, cols).marchenkoPasturEdge;
    expect(edge(strong) / edge(quiet)).toBeCloseTo(1, 1);
    expect(singularValues(strong, rows, cols)[0]).toBeGreaterThan(10 * edge(strong));
  });
});

describe('break-even rank', () => {
  it.each([
    [27, 64, 18.99],
    [576, 64, 57.6],
    [4608, 512, 460.8],
    [64, 256, 51.2],
    [7, 7, 3.5],
  ])('of %i × %i is %f', (k, c, expected) => {
    expect(breakEvenRank(k, c)).toBeCloseTo(expected, 2);
  });
});
