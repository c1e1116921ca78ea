import { describe, expect, it } from 'vitest';
import {
  ClassifierScore,
  crossEntropyOfLogits,
  isDistribution,
  isNearChance,
  rankOf,
  wilsonInterval,
} from '../../src/data/metrics';

/** Scores rows in one batch. */
function score(rows: readonly (readonly number[])[], labels: readonly number[]) {
  const adder = new ClassifierScore();
  adder.add(Float32Array.from(rows.flat()), Int32Array.from(labels));
  return adder.result()!;
}

const softmax = (row: readonly number[]) => {
  const exp = row.map(Math.exp);
  const sum = exp.reduce((a, b) => a + b, 0);
  return exp.map((e) => e / sum);
};

describe('intervals', () => {
  it.each([
    [8, 10, 0.49016, 0.94332],
    [9173, 10_000, 0.91174, 0.92254],
    [0, 10, 0, 0.27753],
    [10, 10, 0.72247, 1],
    [0, 0, 0, 1],
  ])('of %i in %i', (k, n, low, high) => {
    const interval = wilsonInterval(k, n);
    expect(interval[0]).toBeCloseTo(low, 4);
    expect(interval[1]).toBeCloseTo(high, 4);
  });
});

describe('a score', () => {
  it('counts hits and confusions', () => {
    const rows = [
      [1, 2, 3],
      [0, -1, 4],
      [9, 0, 0],
      [0, 5, 1],
    ];
    const result = score(rows, [2, 0, 0, 1]);
    expect(result).toMatchObject({ images: 4, accuracy: 0.75, top5: null, classCount: 3 });
    expect([...result.confusion]).toEqual([1, 0, 1, 0, 1, 0, 0, 0, 1]);
  });

  it('takes cross-entropy of logits without overflow', () => {
    // torch.nn.functional.cross_entropy of the same rows.
    expect(crossEntropyOfLogits(Float32Array.of(1, 2, 3), 2)).toBeCloseTo(0.407606, 6);
    expect(crossEntropyOfLogits(Float32Array.of(0, -1, 4), 0)).toBeCloseTo(4.024745, 6);
    expect(crossEntropyOfLogits(Float32Array.of(1000, 0, 0), 0)).toBe(0);
    expect(crossEntropyOfLogits(Float32Array.of(1000, 0, 0), 1)).toBeCloseTo(1000, 3);
  });

  it('gives the same loss for logits and for their probabilities', () => {
    const rows = [
      [1, 2, 3],
      [0, -1, 4],
      [3, 0, 0],
    ];
    const labels = [2, 0, 0];
    expect(score(rows.map(softmax), labels).loss).toBeCloseTo(score(rows, labels).loss, 5);
    expect(score(rows, labels).loss).toBeCloseTo(
      (0.407606 + 4.024745 + crossEntropyOfLogits(Float32Array.of(3, 0, 0), 0)) / 3,
      5,
    );
  });

  it('adds batches up as if they were one', () => {
    const rows = Array.from({ length: 7 }, (_, i) => Array.from({ length: 8 }, (_, j) => ((i * 31 + j * 17) % 13) / 3));
    const labels = [0, 1, 2, 3, 4, 5, 6];
    const adder = new ClassifierScore();
    adder.add(Float32Array.from(rows.slice(0, 3).flat()), Int32Array.from(labels.slice(0, 3)));
    adder.add(Float32Array.from(rows.slice(3).flat()), Int32Array.from(labels.slice(3)));
    expect(adder.result()).toEqual(score(rows, labels));
  });

  it('counts the five best', () => {
    const row = [7, 6, 5, 4, 3, 2, 1];
    expect(score([row, row, row], [0, 4, 5]).top5).toBeCloseTo(2 / 3, 12);
    expect(score([row, row, row], [0, 4, 5]).accuracy).toBeCloseTo(1 / 3, 12);
  });

  it('lets the first of equals win, and numbers that are none lose', () => {
    expect(rankOf(Float32Array.of(1, 1, 1), 2)).toBe(2);
    expect(score([[0, 0, 0]], [0]).accuracy).toBe(1);
    const broken = score(
      [
        [Number.NaN, 1, 2],
        [Number.NaN, Number.NaN, Number.NaN],
      ],
      [2, 0],
    );
    expect(broken.accuracy).toBe(0);
    expect([...broken.confusion]).toEqual(new Array(9).fill(0));
  });

  it('reads one output per image as yes or no', () => {
    expect(score([[0.9], [0.2], [0.6]], [1, 0, 0])).toMatchObject({ accuracy: 2 / 3, classCount: 2 });
    expect(score([[3], [-2]], [1, 0])).toMatchObject({ accuracy: 1 });
    expect(score([[0.9], [0.2]], [1, 0]).loss).toBeCloseTo(-(Math.log(0.9) + Math.log(0.8)) / 2, 6);
  });

  it('refuses labels that the model has no output for', () => {
    expect(() =>
      score(
        [
          [1, 2],
          [3, 4],
        ],
        [0, 2],
      ),
    ).toThrow('Image 1: label 2, expected 0 to 1.');
  });

  it('is nothing before the first image', () => {
    expect(new ClassifierScore().result()).toBeNull();
  });
});

it('tells distributions from logits', () => {
  expect(isDistribution(Float32Array.of(0.25, 0.5, 0.25))).toBe(true);
  expect(isDistribution(Float32Array.of(1.5, -0.5))).toBe(false);
  expect(isDistribution(Float32Array.of(0.2, 0.2))).toBe(false);
  expect(isDistribution(Float32Array.of(Number.NaN, 1))).toBe(false);
});

it('knows when an accuracy could be guessing', () => {
  const of = (hits: number, images: number, classCount: number) =>
    isNearChance({ confidence: wilsonInterval(hits, images), classCount });
  expect(of(1000, 10_000, 10)).toBe(true);
  expect(of(4000, 10_000, 10)).toBe(false);
  expect(of(5100, 10_000, 2)).toBe(true);
  expect(of(8000, 10_000, 2)).toBe(false);
});
