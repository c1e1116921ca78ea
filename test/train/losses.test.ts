/** Losses and their gradients against PyTorch's, stored in test/fixtures/losses. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { GraphBuilder } from '../../src/graph/builder';
import { float32Tensor, int64Tensor } from '../../src/tensor/tensor';
import {
  crossEntropy,
  distillation,
  featureMatching,
  hits,
  meanSquaredError,
  weightedSum,
} from '../../src/train/losses';
import { lossAndGradient, runEmitted } from '../support/snippets';

interface Found {
  readonly loss: number;
  readonly gradient: readonly number[];
}

const stored = JSON.parse(readFileSync(path.join(__dirname, '../fixtures/losses/pytorch.json'), 'utf8')) as {
  readonly logits: readonly number[];
  readonly teacher: readonly number[];
  readonly labels: readonly number[];
  readonly losses: Readonly<Record<string, Found>>;
};
const logits = float32Tensor(Float32Array.from(stored.logits), [5, 4]);
const teacher = float32Tensor(Float32Array.from(stored.teacher), [5, 4]);
const labels = int64Tensor(stored.labels);
const classes = 4;

const mixed = (g: GraphBuilder): string =>
  weightedSum(g, [
    { weight: 0.3, loss: () => crossEntropy(g, 'logits', 'labels', { classes }) },
    { weight: 0.7, loss: () => distillation(g, 'logits', 'teacher', 4) },
    { weight: 0, loss: () => meanSquaredError(g, 'logits', 'teacher') },
  ]);

describe('as PyTorch computes them:', () => {
  test.each<[string, (g: GraphBuilder) => string]>([
    ['crossEntropy', (g) => crossEntropy(g, 'logits', 'labels', { classes })],
    ['smoothed', (g) => crossEntropy(g, 'logits', 'labels', { classes, smoothing: 0.1 })],
    ['distillation1', (g) => distillation(g, 'logits', 'teacher', 1)],
    ['distillation4', (g) => distillation(g, 'logits', 'teacher', 4)],
    ['meanSquaredError', (g) => meanSquaredError(g, 'logits', 'teacher')],
    ['featureMatching', (g) => featureMatching(g, [{ value: 'logits', target: 'teacher' }])],
    ['mixed', mixed],
  ])('%s', async (name, emit) => {
    const expected = stored.losses[name];
    const found = await lossAndGradient({ logits, teacher, labels }, 'logits', emit);
    expect(found.loss).toBeCloseTo(expected.loss, 5);
    found.gradient.forEach((value, i) => {
      expect(value).toBeCloseTo(expected.gradient[i], 5);
    });
  });
});

test('a network that agrees with its teacher loses nothing', async () => {
  const { loss, gradient } = await lossAndGradient({ logits, teacher: logits }, 'logits', (g) =>
    distillation(g, 'logits', 'teacher', 4),
  );
  expect(loss).toBeCloseTo(0, 5);
  expect(Math.max(...gradient.map(Math.abs))).toBeLessThan(1e-6);
});

test('counts the samples whose largest logit is at the label', async () => {
  const z = float32Tensor(Float32Array.of(3, 1, 0, 0, 2, 5, 1, 4, 2), [3, 3]);
  const { count } = await runEmitted({ z, labels: int64Tensor([0, 1, 1]) }, (g) => ({ count: hits(g, 'z', 'labels') }));
  expect(Number(count.data[0])).toBe(2);
});

test('a loss without any term is a mistake of the caller', () => {
  expect(() => weightedSum({} as GraphBuilder, [{ weight: 0, loss: () => 'x' }])).toThrow('weight above 0');
});
