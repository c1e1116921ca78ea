import { describe, expect, it } from 'vitest';
import { fromStored, fromText, type StoredSession, toText } from '../../src/extension/stored';
import { settingsSchema } from '../../src/protocol/recipe';

const session: StoredSession = {
  settings: settingsSchema.parse({ method: 'basis', target: { kind: 'params', value: 0.3 }, protect: ['conv*'] }),
  selectedLayer: 'layer1.0.conv1',
  run: 'r',
  storedAt: 5,
};

describe('what is kept between windows', () => {
  it('comes back as it was', () => {
    expect(fromStored(toText(session))).toEqual(session);
  });

  it('comes back with its typed arrays', () => {
    const value = { a: new Uint32Array([4, 0, 1, 5]), b: [new Float64Array([0.1])], c: { $array: 'Map', values: [1] } };
    expect(fromText(toText(value))).toEqual(value);
    expect((fromText(toText(value)) as typeof value).a).toBeInstanceOf(Uint32Array);
  });

  it.each([
    ['nothing', undefined],
    ['damaged text', '{"settings":'],
    ['settings that are no longer valid', JSON.stringify({ ...session, settings: { method: 'magic' } })],
    ['another kind of value', 'null'],
  ])('counts %s as absent', (_what, text) => {
    expect(fromStored(text)).toBeNull();
  });

  it('keeps the settings when something else is damaged', () => {
    const damaged = JSON.stringify({ ...session, selectedLayer: 7, run: {}, storedAt: 'x' });
    expect(fromStored(damaged)).toEqual({ ...session, selectedLayer: null, run: null, storedAt: 0 });
  });
});
