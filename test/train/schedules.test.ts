import { expect, test } from 'vitest';
import { constant, cosine, steps, withWarmup } from '../../src/train/schedules';

test('cosine goes from 1 over a half to 0', () => {
  expect([0, 1, 2, 3, 4].map((step) => cosine(step, 4))).toEqual([
    1,
    expect.closeTo(0.8535533905932737, 12), // (1 + cos 45°) / 2
    expect.closeTo(0.5, 12),
    expect.closeTo(0.1464466094067263, 12), // (1 + cos 135°) / 2
    expect.closeTo(0, 12),
  ]);
});

test('cosine stays at 0 after its end', () => {
  expect(cosine(9, 4)).toBeCloseTo(0, 12);
});

test('steps multiply at each milestone', () => {
  const schedule = steps([0.5, 0.75], 0.1);
  expect([0, 3, 4, 5, 6, 7].map((step) => schedule(step, 8))).toEqual(
    [1, 1, 0.1, 0.1, 0.01, 0.01].map((factor) => expect.closeTo(factor, 12)),
  );
});

test('warm-up rises linearly and leaves the rest to the other schedule', () => {
  const schedule = withWarmup(4, cosine);
  expect([0, 1, 2, 3, 4, 6, 8].map((step) => schedule(step, 8))).toEqual(
    [0.25, 0.5, 0.75, 1, 1, 0.5, 0].map((factor) => expect.closeTo(factor, 12)),
  );
});

test('a constant rate is constant', () => {
  expect([0, 5, 10].map((step) => constant(step, 10))).toEqual([1, 1, 1]);
});
