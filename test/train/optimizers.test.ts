/** Optimizers step by step: by hand, and against PyTorch's steps stored in test/fixtures/losses. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { float32Tensor, type Tensor } from '../../src/tensor/tensor';
import { adamW, clipped, norm, type Optimizer, sgd } from '../../src/train/optimizers';
import { runEmitted } from '../support/snippets';

const stored = JSON.parse(readFileSync(path.join(__dirname, '../fixtures/losses/pytorch.json'), 'utf8')) as {
  readonly optimizers: Readonly<Record<string, readonly (readonly number[])[]>>;
  readonly clipped: readonly number[];
};

const vector = (...values: number[]): Tensor => float32Tensor(Float32Array.from(values), [values.length]);
const scalar = (value: number): Tensor => float32Tensor(Float32Array.of(value), []);

/** Parameters after each step. @param slope gradient at some parameters in a step, which counts from 1 */
async function run(
  optimizer: Optimizer,
  start: readonly number[],
  { rate, decay = 0, count }: { rate: number; decay?: number; count: number },
  slope: (w: readonly number[], step: number) => number[],
): Promise<number[][]> {
  let w = [...start];
  let states = optimizer.states.map(() => vector(...start.map(() => 0)));
  const found: number[][] = [];
  for (let step = 1; step <= count; step++) {
    const names = states.map((_, i) => `state${i}`);
    const inputs = {
      w: vector(...w),
      gradient: vector(...slope(w, step)),
      rate: scalar(rate),
      step: scalar(step),
      ...Object.fromEntries(names.map((name, i) => [name, states[i]])),
    };
    const results = await runEmitted(inputs, (g) => {
      const vectors = { parameters: 'w', gradient: 'gradient', states: names, size: w.length };
      const next = optimizer.update(g, { ...vectors, rate: 'rate', decay, step: 'step' });
      return { w: next.parameters, ...Object.fromEntries(next.states.map((value, i) => [names[i], value])) };
    });
    w = Array.from(results.w.data as Float32Array);
    states = names.map((name) => results[name]);
    found.push(w);
  }
  return found;
}

const close = (rows: readonly (readonly number[])[]) => rows.map((row) => row.map((v) => expect.closeTo(v, 5)));

describe('by hand, with a gradient of 1 in every step and a rate of 0.1:', () => {
  const ones = (w: readonly number[]): number[] => w.map(() => 1);

  test('plain descent', async () => {
    const found = await run(sgd({ momentum: 0 }), [1], { rate: 0.1, count: 3 }, ones);
    expect(found).toEqual(close([[0.9], [0.8], [0.7]]));
  });

  test('momentum 0.5: velocities 1, 1.5, 1.75', async () => {
    const found = await run(sgd({ momentum: 0.5 }), [1], { rate: 0.1, count: 3 }, ones);
    expect(found).toEqual(close([[0.9], [0.75], [0.575]]));
  });

  test('Nesterov looks ahead: 1 + 0.5·1, 1 + 0.5·1.5, 1 + 0.5·1.75', async () => {
    const found = await run(sgd({ momentum: 0.5, nesterov: true }), [1], { rate: 0.1, count: 3 }, ones);
    expect(found).toEqual(close([[0.85], [0.675], [0.4875]]));
  });

  test('weight decay 0.5 adds half the weight to the gradient', async () => {
    const found = await run(sgd({ momentum: 0 }), [1], { rate: 0.1, decay: 0.5, count: 3 }, ones);
    // 1 − 0.1·1.5 = 0.85; 0.85 − 0.1·1.425 = 0.7075; 0.7075 − 0.1·1.35375 = 0.572125
    expect(found).toEqual(close([[0.85], [0.7075], [0.572125]]));
  });

  test('AdamW moves by the rate, and decays apart from that', async () => {
    const found = await run(adamW(), [1], { rate: 0.1, decay: 0.5, count: 3 }, ones);
    // Equal gradients make m̂ = v̂ = 1. Each step: w·(1 − 0.05) − 0.1
    expect(found).toEqual(close([[0.85], [0.7075], [0.572125]]));
  });
});

test.each<[string, Optimizer, number]>([
  ['sgd', sgd({ momentum: 0 }), 0],
  ['momentum', sgd({ momentum: 0.9 }), 0.1],
  ['nesterov', sgd({ momentum: 0.8, nesterov: true }), 0.1],
  ['adamW', adamW(), 0.1],
])('%s takes the steps that PyTorch takes', async (name, optimizer, decay) => {
  const found = await run(optimizer, [1, -2, 0.5], { rate: 0.05, decay, count: 5 }, (w, step) =>
    w.map((value, i) => [0.3, -1, 2][i] + step * value),
  );
  expect(found).toEqual(close(stored.optimizers[name]));
});

test('clips a gradient to a length as PyTorch does, and leaves shorter ones', async () => {
  const cut = (...values: number[]) =>
    runEmitted({ gradient: vector(...values) }, (g) => {
      const length = norm(g, 'gradient');
      return { length, gradient: clipped(g, 'gradient', length, 2) };
    });
  const long = await cut(3, -4, 12);
  expect(Number(long.length.data[0])).toBeCloseTo(13, 5);
  expect(Array.from(long.gradient.data as Float32Array)).toEqual(close([stored.clipped])[0]);
  const short = await cut(0.5, -0.5, 0);
  expect(Array.from(short.gradient.data as Float32Array)).toEqual([0.5, -0.5, 0]);
});
