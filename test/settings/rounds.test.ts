/** How often a run trains, as the engine and its estimates count it. */
import { expect, test } from 'vitest';
import { doubleShares, stepsOf, trainingsOf } from '../../src/settings/rounds';
import { settingsOf } from '../support/plans';

const training = { epochs: 2, rounds: 3 };
const drop = { kind: 'drop', value: 1 } as const;

test.each([
  ['one round', {}, 1],
  ['rounds', { training }, 3],
  ['rounds without epochs', { training: { ...training, epochs: 0 } }, 1],
  ['gsm, which has no rounds', { method: 'gsm', training }, 1],
  ['resrep, which has none either', { method: 'resrep', training }, 1],
  ['double pruning, after both parts', { method: 'double', training }, 2],
  ['double pruning, after the last', { method: 'double', training, double: { trainBetween: false } }, 1],
  ['double pruning of bases twice', { method: 'double', training, double: { order: 'basis-first' } }, 3],
  ['a search by halving', { target: drop, training: { epochs: 2 } }, 4],
  ['a search by halving, of double pruning', { method: 'double', target: drop, training }, 8],
  ['a search in rounds', { target: drop, training }, 3],
  ['fine-tuning, which searches for nothing', { method: 'fine-tune', target: drop, training }, 3],
] as const)('%s', (_name, entries, count) => {
  expect(trainingsOf(settingsOf(entries))).toBe(count);
});

test('every round takes the same share of what is left', () => {
  const shares = stepsOf(settingsOf({ training }), 0.125).map(({ share }) => share);
  expect(shares.map((share) => share.toFixed(12))).toEqual([0.5, 0.25, 0.125].map((share) => share.toFixed(12)));
});

test('the shares of double pruning multiply to the whole', () => {
  const { channels, bases } = doubleShares(settingsOf({ double: { channelShare: 0.7 } }), 0.3);
  expect(channels * bases).toBeCloseTo(0.3, 12);
  expect(channels).toBeLessThan(bases);
});
