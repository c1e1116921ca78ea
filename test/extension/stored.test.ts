import { describe, expect, it } from 'vitest';
import { fromStored, type StoredSession, toStored } from '../../src/extension/stored';
import { settingsSchema } from '../../src/protocol/recipe';

const session: StoredSession = {
  settings: settingsSchema.parse({ method: 'basis', target: { kind: 'params', value: 0.3 }, protect: ['conv*'] }),
  selectedLayer: 'layer1.0.conv1',
  run: {
    result: { id: 'r', before: { accuracy: { confusion: new Uint32Array([4, 0, 1, 5]) } } } as never,
    settings: settingsSchema.parse({ method: 'basis', target: { kind: 'macs', value: 0.5 } }),
    savedAs: null,
  },
  running: false,
  storedAt: 5,
};

describe('what is kept between windows', () => {
  it('comes back as it was, typed arrays included', () => {
    const back = fromStored(toStored(session));
    expect(back).toEqual(session);
    expect(back?.run?.result.before.accuracy?.confusion).toBeInstanceOf(Uint32Array);
  });

  it.each([
    ['nothing', undefined],
    ['damaged text', '{"settings":'],
    ['settings that are no longer valid', JSON.stringify({ ...session, run: null, settings: { method: 'magic' } })],
    ['another kind of value', 'null'],
  ])('counts %s as absent', (_what, text) => {
    expect(fromStored(text)).toBeNull();
  });
});
