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
    expect(changed.training?.augment).toEqual({ crop: 2, mix: false });
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

test('a preset leaves nothing of another one, nor of what its schedule decides', () => {
  const of = settingsSchema.parse({ method: 'resrep', target: { kind: 'macs', value: 0.5 } });
  const [short, cifar] = presetsOf('resrep');
  expect(isPreset(of, short)).toBe(true);
  const taken = (settings: typeof of, preset: typeof short) =>
    settingsSchema.parse({ ...settings, ...withPreset(settings, preset) });
  const own = { ...of, resrep: { ...of.resrep, lambda: 0.01, interval: 3, minRows: 4, epochsAfter: 7 } };
  expect(isPreset(own, short)).toBe(false);
  const changed = taken(own, short);
  expect(changed.resrep).toEqual({ ...of.resrep, minRows: 4 });
  expect(taken(taken(of, cifar), short).training).toEqual(taken(of, short).training);
  expect(taken(of, cifar).training).toMatchObject({ loss: 'labels', batchNorm: 'train', clip: 0 });
  for (const method of ['gsm', 'resrep'] as const) {
    const keys = presetsOf(method).map(({ settings: { training } }) => Object.keys(training ?? {}).sort());
    for (const named of keys) expect(named).toEqual(keys[0]);
    for (const shared of ['epochs', 'batch', 'lr', 'schedule', 'warmup', 'loss', 'clip', 'batchNorm'])
      expect(keys[0]).toContain(shared);
  }
});

test('a method without presets has none', () => {
  expect(presetsOf('basis')).toEqual([]);
});
