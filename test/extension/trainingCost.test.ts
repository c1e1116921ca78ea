import { expect, it } from 'vitest';
import { estimateAfter } from '../../src/extension/trainingCost';
import { type PruneSettings, settingsSchema } from '../../src/protocol/recipe';
import type { TrainingEstimate } from '../../src/protocol/view';

function settings(training: object, others: object = {}): PruneSettings {
  return settingsSchema.parse({ method: 'basis', target: { kind: 'macs', value: 0.5 }, training, ...others });
}

const time = { seconds: 20, steps: 40, secondsPerStep: 0.5, trainedParams: 7 };
const known: TrainingEstimate = { kind: 'known', time };
const before = settings({ epochs: 2 });

it('keeps an estimate when the new settings take as long', () => {
  expect(estimateAfter(known, before, settings({ epochs: 2, lr: 0.5, schedule: 'step', warmup: 9 }))).toEqual(known);
});

it('stretches it over more epochs', () => {
  expect(estimateAfter(known, before, settings({ epochs: 6 }))).toEqual({
    kind: 'known',
    time: { ...time, steps: 120, seconds: 60 },
  });
});

it.each([
  ['a new classifier', { transfer: {} }, true],
  ['epochs after the cut of gsm', { method: 'gsm', gsm: { epochsAfter: 1 } }, true],
  ['epochs after the cut of resrep', { method: 'resrep', resrep: { epochsAfter: 1 } }, true],
  ['gsm without such epochs', { method: 'gsm', resrep: { epochsAfter: 1 } }, false],
  ['a ticket, which is cut before', { method: 'gsm', gsm: { epochsAfter: 1, ticket: 'a.onnx' } }, false],
])('measures anew where some epochs do not grow: %s', (_what, others, isMeasured) => {
  const found = estimateAfter(known, settings({ epochs: 2 }, others), settings({ epochs: 6 }, others));
  expect(found.kind).toBe(isMeasured ? 'unknown' : 'known');
  expect(estimateAfter(known, settings({ epochs: 2 }, others), settings({ epochs: 2 }, others))).toEqual(known);
});

it('drops what was said of the training as a whole when anything of it changes', () => {
  const warned: TrainingEstimate = { kind: 'known', time: { ...time, warning: 'too short' } };
  expect(estimateAfter(warned, before, settings({ epochs: 2 }))).toEqual(warned);
  expect(estimateAfter(warned, before, settings({ epochs: 2, lr: 0.5 }))).toEqual(known);
});

it('drops what was measured for a schedule’s own training when the schedule changes', () => {
  const resRep = (resrep: object) =>
    settingsSchema.parse({ method: 'resrep', target: { kind: 'macs', value: 0.5 }, resrep });
  expect(estimateAfter(known, resRep({}), resRep({}))).toEqual(known);
  expect(estimateAfter(known, resRep({}), resRep({ lambda: 0.01 }))).toEqual({ kind: 'unknown' });
});

it('drops what was measured for a new classifier alone when its training changes', () => {
  const classifier = (transfer: object) => settingsSchema.parse({ method: 'basis', transfer });
  expect(estimateAfter(known, classifier({}), classifier({}))).toEqual(known);
  expect(estimateAfter(known, classifier({}), classifier({ epochs: 3 }))).toEqual({ kind: 'unknown' });
});

it.each([
  ['the images', settings({ epochs: 2, images: 10 })],
  ['the target', settings({ epochs: 2 }, { target: { kind: 'macs', value: 0.4 } })],
  ['the device', settings({ epochs: 2 }, { device: 'webgpu' })],
  ['training at all', settings({ epochs: 0 })],
])('drops it when %s changed', (_what, after) => {
  expect(estimateAfter(known, before, after)).toEqual({ kind: 'unknown' });
});

it('drops a measurement that is going on when the epochs change: it answers for the old ones', () => {
  expect(estimateAfter({ kind: 'measuring' }, before, settings({ epochs: 3 }))).toEqual({ kind: 'unknown' });
  expect(estimateAfter({ kind: 'measuring' }, before, settings({ epochs: 2, lr: 1 }))).toEqual({ kind: 'measuring' });
});
