/** Presets in the form: what they change, and when settings are one. */
import { expect, test } from 'vitest';
import { settingsSchema } from '../../src/protocol/recipe';
import { isPreset, presetsOf, withPreset } from '../../webview/presets';

const settings = settingsSchema.parse({
  method: 'gsm',
  target: { kind: 'macs', value: 0.5 },
  training: { epochs: 3, augment: { crop: 2 } },
});

test('every preset is valid, keeps what it does not speak of, and is recognized again', () => {
  const offered = presetsOf('gsm');
  expect(offered.length).toBeGreaterThan(2);
  for (const preset of offered) {
    expect(isPreset(settings, preset)).toBe(false);
    const changed = settingsSchema.parse({ ...settings, ...withPreset(settings, preset) });
    expect(isPreset(changed, preset)).toBe(true);
    expect(changed.training?.augment).toEqual({ crop: 2 });
    const other = { ...changed, gsm: { ...changed.gsm, keep: 0.5 } };
    expect(isPreset(other, preset)).toBe(false);
  }
});

test('the presets of ResRep bring their schedule and its training', () => {
  const of = settingsSchema.parse({ ...settings, method: 'resrep' });
  const epochs = presetsOf('resrep').map((preset) => {
    const changed = settingsSchema.parse({ ...of, ...withPreset(of, preset) });
    expect(isPreset(changed, preset)).toBe(true);
    return [changed.resrep.schedule, changed.training?.epochs];
  });
  expect(epochs).toEqual([
    ['short', 12],
    ['cifar', 480],
    ['imagenet', 180],
  ]);
});

test('a method without presets has none', () => {
  expect(presetsOf('basis')).toEqual([]);
});
