import { describe, expect, it } from 'vitest';
import { calibrationKey, sensitivityKey } from '../../src/extension/learningKeys';
import { type PruneSettings, type RecipeInput, settingsSchema } from '../../src/protocol/recipe';

function settings(own: Partial<RecipeInput> = {}): PruneSettings {
  return settingsSchema.parse({
    method: 'channel',
    target: { kind: 'macs', value: 0.5 },
    data: { path: 'images' },
    ...own,
  });
}

describe('a calibration', () => {
  it.each([
    ['there are no images', { data: undefined }],
    ['channels are judged by their weights', { channel: { criterion: 'l2' } }],
    ['bases are those of the weights', { method: 'basis', basis: { basis: 'weights' } }],
    ['nothing is pruned', { method: 'fine-tune' }],
  ] satisfies [string, Partial<RecipeInput>][])('is not needed when %s', (_why, own) => {
    expect(calibrationKey(settings(own))).toBeNull();
  });

  it('is needed by the channels of a double pruning: its bases are those of a model that is not there yet', () => {
    const double = (own: Partial<RecipeInput>) => calibrationKey(settings({ method: 'double', ...own }));
    expect(double({})).toBe(calibrationKey(settings()));
    expect(double({ basis: { score: 'fisher-per-mac' } })).toBe(double({}));
    expect(double({ channel: { criterion: 'l1' } })).toBeNull();
  });

  it.each([
    ['another target', { target: { kind: 'macs', value: 0.3 } }, true],
    ['a group by hand', { groups: [{ match: 'a', ratio: 0.5 }] }, true],
    ['another method', { method: 'basis' }, false],
    ['another criterion', { channel: { criterion: 'lasso' } }, false],
    ['an allocation by sensitivity', { channel: { allocation: 'sensitivity' } }, false],
    ['other images', { data: { path: 'others' } }, false],
    ['another seed', { seed: 1 }, false],
  ] satisfies [string, Partial<RecipeInput>, boolean][])('with %s: the same is %3$s', (_what, own, isSame) => {
    expect(calibrationKey(settings(own)) === calibrationKey(settings())).toBe(isSame);
  });
});

it.each([
  ['the method', { method: 'double' }, true],
  ['the allocation, which goes by it', { channel: { allocation: 'sensitivity' } }, true],
  ['the criterion', { channel: { criterion: 'l1' } }, false],
  ['how scores are added up', { channel: { aggregate: 'mean' } }, false],
  ['the images', { data: { path: 'others' } }, false],
] satisfies [string, Partial<RecipeInput>, boolean][])('a sensitivity after a change of %s', (_what, own, holds) => {
  expect(sensitivityKey(settings(own)) === sensitivityKey(settings())).toBe(holds);
});
