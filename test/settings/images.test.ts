/** What is learned from images: the same for the engine, the command line and the editor. */
import { expect, test } from 'vitest';
import { isMeasuredCriterion, learnsFromImages } from '../../src/settings/images';
import { settingsOf } from '../support/plans';

const data = { path: 'images' };
const byWeights = { criterion: 'l2' } as const;

test.each([
  ['bases of activations', { data }, true],
  ['bases of weights', { data, basis: { basis: 'weights' } }, false],
  ['bases without images', { basis: { basis: 'activations' } }, false],
  ['channels by what suits the images', { method: 'channel', data }, true],
  ['channels by their weights', { method: 'channel', data, channel: byWeights }, false],
  ['where channels go', { method: 'channel', data, channel: { ...byWeights, allocation: 'sensitivity' } }, true],
  ['the channels of double pruning', { method: 'double', data }, true],
  ['the bases of double pruning, which come later', { method: 'double', data, channel: byWeights }, false],
  ['training alone', { method: 'fine-tune', data }, false],
  ['single weights', { method: 'gsm', data }, false],
] as const)('%s', (_what, entries, learns) => {
  expect(learnsFromImages(settingsOf(entries))).toBe(learns);
});

test('the change of the loss is measured, the size of weights is not', () => {
  expect((['taylor', 'fisher', 'activation', 'lasso'] as const).every(isMeasuredCriterion)).toBe(true);
  expect((['l1', 'l2', 'bn-scale', 'fpgm', 'random'] as const).some(isMeasuredCriterion)).toBe(false);
});
