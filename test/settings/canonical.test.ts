/** What identifies a run: its settings, in whatever order a form or a file lists them. */
import { expect, test } from 'vitest';
import { identityOf } from '../../src/engine/scene';
import { settingsSchema } from '../../src/protocol/recipe';
import { canonical } from '../../src/settings/canonical';

test('equal values have one text, others have another', () => {
  const value = { b: [2, { d: null, c: 'x' }], a: undefined, e: { g: 1, f: 2 } };
  expect(canonical(value)).toBe('{"b":[2,{"c":"x","d":null}],"e":{"f":2,"g":1}}');
  expect(canonical({ e: { f: 2, g: 1 }, b: [2, { c: 'x', d: null }] })).toBe(canonical(value));
  expect(canonical([1, 2])).not.toBe(canonical([2, 1]));
});

test('a run that a form started is the same when its settings are read from a file', () => {
  const first = settingsSchema.parse({ method: 'resrep', target: { kind: 'macs', value: 0.5 } });
  const training = settingsSchema.parse({ ...first, training: { epochs: 3 } }).training;
  // As a form adds them: last.
  const chosen = { ...first, training, data: { path: 'images' } };
  const stored = settingsSchema.parse(JSON.parse(JSON.stringify(chosen)));
  expect(Object.keys(stored)).not.toEqual(Object.keys(chosen));
  const of = (settings: typeof first, stamp = 'stamp') =>
    identityOf({ path: 'model.onnx', settings, folder: '.', storage: '.' }, stamp);
  expect(of(stored)).toBe(of(chosen));
  expect(of({ ...stored, seed: 1 })).not.toBe(of(chosen));
  expect(of({ ...stored, threads: 7, device: 'webgpu' })).toBe(of(chosen));
  expect(of(stored, 'changed')).not.toBe(of(chosen));
});
