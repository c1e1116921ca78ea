/** The update rule of compactors, step by step. */
import { describe, expect, test } from 'vitest';
import { float32Tensor, type Tensor } from '../../src/tensor/tensor';
import { type CompactingOptions, compacting, MASK } from '../../src/train/compaction';
import { runEmitted } from '../support/snippets';

const vector = (values: ArrayLike<number>): Tensor => float32Tensor(Float32Array.from(values), [values.length]);
const scalar = (value: number): Tensor => float32Tensor(Float32Array.of(value), []);

interface Walk {
  readonly parameters: readonly number[];
  readonly mask: readonly number[];
  readonly options?: Partial<CompactingOptions>;
  gradient?(parameters: readonly number[], step: number): readonly number[];
}

const base: CompactingOptions = {
  compactors: [{ name: 'Q', size: 2 }],
  lambda: 0.02,
  maskedLambda: 0.02,
  momentum: 0.9,
  canGo: Float32Array.of(1, 1),
  others: { momentum: 0.5, nesterov: false },
};
const RATE = 0.1;

/** Parameters after each step. */
async function walk({ parameters, mask, options, gradient }: Walk, steps: number): Promise<number[][]> {
  const optimizer = compacting({ ...base, ...options });
  let now = [...parameters];
  let speed = now.map(() => 0);
  const found: number[][] = [];
  for (let step = 0; step < steps; step++) {
    const inputs = {
      q: vector(now),
      speed: vector(speed),
      slope: vector(gradient?.(now, step) ?? now.map(() => 0)),
      [MASK]: vector(mask),
      rate: scalar(RATE),
      step: scalar(step + 1),
    };
    const results = await runEmitted(inputs, (g) => {
      const vectors = { parameters: 'q', gradient: 'slope', states: ['speed'], size: now.length };
      const next = optimizer.update(g, { ...vectors, rate: 'rate', decay: 0, step: 'step' });
      return { q: next.parameters, speed: next.states[0] };
    });
    now = Array.from(results.q.data as Float32Array);
    speed = Array.from(results.speed.data as Float32Array);
    found.push(now);
  }
  return found;
}

const lengths = (q: readonly number[]): number[] => [Math.hypot(q[0], q[1]), Math.hypot(q[2], q[3])];

test('a masked row falls by rate·λ/(1 − momentum) per step, straight to zero, and stays there', async () => {
  const found = await walk({ parameters: [0.6, 0.8, 3, 4], mask: [0, 0] }, 110);
  const [before, after] = [lengths(found[68])[1], lengths(found[69])[1]];
  expect(before - after).toBeCloseTo((RATE * 0.02) / (1 - 0.9), 4);
  expect(found[69][2] / found[69][3]).toBeCloseTo(0.75, 5);
  for (const q of found.slice(-40)) expect(lengths(q)[0]).toBe(0);
  for (const [i, q] of found.entries()) if (i) expect(lengths(q)[0]).toBeLessThanOrEqual(lengths(found[i - 1])[0]);
});

test('rows of zeros give numbers, masked or not', async () => {
  const found = await walk({ parameters: [0, 0, 0, 0], mask: [0, 1], gradient: () => [1, 1, 1, 0] }, 2);
  expect(found[1].slice(0, 2)).toEqual([0, 0]);
  expect(found[1].every(Number.isFinite)).toBe(true);
  // What is not masked can come back.
  expect(found[1][2]).toBeLessThan(-0.1);
});

test('the loss moves rows that learn, with the lasso on top, and no masked ones', async () => {
  const gradient = (): number[] => [0.5, -0.5, 0.5, -0.5];
  const [q] = await walk({ parameters: [1, 0, 0, 1], mask: [1, 0], gradient }, 1);
  expect(q).toEqual([1 - RATE * (0.5 + 0.02), RATE * 0.5, 0, 1 - RATE * 0.02].map((v) => expect.closeTo(v, 6)));
});

test('what the loss gave a row before it was masked moves it no more, except towards zero', async () => {
  const away = await walk({ parameters: [1, 0, 1, 0], mask: [1, 1], gradient: () => [-9, 5, 3, 0] }, 1);
  const optimizer = compacting(base);
  const inputs = {
    q: vector(away[0]),
    speed: vector([-9, 5, 3, 0]),
    slope: vector([0, 0, 0, 0]),
    [MASK]: vector([0, 0]),
    rate: scalar(RATE),
    step: scalar(2),
  };
  const { q } = await runEmitted(inputs, (g) => {
    const vectors = { parameters: 'q', gradient: 'slope', states: ['speed'], size: 4 };
    return { q: optimizer.update(g, { ...vectors, rate: 'rate', decay: 0, step: 'step' }).parameters };
  });
  const next = Array.from(q.data as Float32Array);
  expect(lengths(next)[0]).toBeCloseTo(lengths(away[0])[0] - RATE * 0.02, 5);
  expect(next[1] / next[0]).toBeCloseTo(away[0][1] / away[0][0], 5);
  expect(lengths(next)[1]).toBeLessThan(lengths(away[0])[1] - 0.25);
});

describe('tensors that are no compactors', () => {
  test('have a momentum of their own and no lasso', async () => {
    const found = await walk(
      {
        parameters: [2, 0.6, 0.8, 3, 4],
        mask: [0, 1],
        options: { momentum: 0 },
        gradient: () => [1, 0, 0, 0, 0],
      },
      2,
    );
    expect(found.map(([w]) => w)).toEqual([1.9, 1.9 - RATE * 1.5].map((v) => expect.closeTo(v, 5)));
    expect(lengths(found[1].slice(1))[1]).toBeCloseTo(5 - 2 * RATE * 0.02, 5);
  });

  test('may be absent from a row that must stay', async () => {
    const options = { canGo: Float32Array.of(0, 1), maskedLambda: 0.5 };
    const [q] = await walk({ parameters: [1, 0, 0, 1], mask: [1, 0], options }, 1);
    expect(q).toEqual([1, 0, 0, 1 - RATE * 0.5].map((v) => expect.closeTo(v, 6)));
  });
});
