/** One training after the other as one: numbers that go on, and the time that is left for all of it. */
import { expect, test } from 'vitest';
import { amongAll } from '../../src/engine/inTurn';
import type { TrainingProgress } from '../../src/protocol/plan';

const now: TrainingProgress = {
  epoch: 2,
  epochs: 4,
  step: 10,
  steps: 40,
  loss: 1,
  accuracy: null,
  rate: 0.1,
  imagesPerSecond: 100,
  secondsLeft: 60,
};

test('a training alone is what it is', () => {
  expect(amongAll(now, { before: 0, after: 0 })).toEqual(now);
});

test('epochs and steps go on after those before, and the time is for those after too', () => {
  const whole = amongAll(now, { before: 3, after: 6 });
  expect(whole).toMatchObject({ epoch: 5, epochs: 13, step: 40, steps: 130 });
  expect(whole.secondsLeft).toBe(60 + 6 * 10 * 2);
});

test('epochs of a narrower network take less', () => {
  expect(amongAll(now, { before: 0, after: 6, cost: 0.5 }).secondsLeft).toBe(60 + 6 * 10);
});

test('the end of a training says nothing of the pace of the next', () => {
  expect(amongAll({ ...now, step: 40, secondsLeft: 0 }, { before: 0, after: 6 }).secondsLeft).toBeNull();
});
