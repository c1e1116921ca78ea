import { describe, expect, test } from 'vitest';
import {
  applyPatch,
  changedSettings,
  initialState,
  mergeChanges,
  type SettingsChange,
  withOverride,
} from '../../webview/state';
import { settings } from './preview/states';

describe('a patch', () => {
  test('replaces the keys it has and shares the others', () => {
    const devices = [{ id: 'cpu', name: 'CPU', available: true, note: null }] as const;
    const state = applyPatch({ ...initialState, devices }, { title: 'a.onnx', trusted: false });
    expect(state).toEqual({ ...initialState, devices, title: 'a.onnx', trusted: false });
    expect(state.devices).toBe(devices);
  });

  test('may set a key to null', () => {
    expect(applyPatch({ ...initialState, title: 'a' }, { title: null }).title).toBeNull();
  });

  test('with nothing known in it leaves the very same state', () => {
    expect(applyPatch(initialState, { unheard: 1 } as object)).toBe(initialState);
    expect(applyPatch(initialState, { title: undefined })).toBe(initialState);
  });
});

describe('two changes as one', () => {
  const change = (part: Partial<SettingsChange>): SettingsChange => ({
    settings: {},
    remove: [],
    transient: false,
    ...part,
  });

  test('the later wins, and a drag that ended is no drag', () => {
    const merged = mergeChanges(
      change({ settings: { seed: 1, threads: 2 }, transient: true }),
      change({ settings: { seed: 3 } }),
    );
    expect(merged).toEqual(change({ settings: { seed: 3, threads: 2 } }));
  });

  test('what is removed after it was set is removed, and the other way round', () => {
    const data = { path: 'x' };
    expect(mergeChanges(change({ settings: { data } }), change({ remove: ['data'] }))).toEqual(
      change({ remove: ['data'] }),
    );
    expect(mergeChanges(change({ remove: ['data'] }), change({ settings: { data } }))).toEqual(
      change({ settings: { data } }),
    );
  });

  test('settings after a change', () => {
    const after = changedSettings(settings, change({ settings: { seed: 9 }, remove: ['data'] }));
    expect(after.seed).toBe(9);
    expect('data' in after).toBe(false);
    expect(settings.data).toBeDefined();
  });
});

describe('overrides', () => {
  test('a layer’s own goes to the end, where it wins', () => {
    const layers = [
      { match: 'a', rank: 3 },
      { match: '*', ratio: 0.5 },
    ];
    expect(withOverride(layers, 'a', { rank: 4 })).toEqual([
      { match: '*', ratio: 0.5 },
      { match: 'a', rank: 4 },
    ]);
    expect(withOverride(layers, 'a', null)).toEqual([{ match: '*', ratio: 0.5 }]);
    expect(layers).toHaveLength(2);
  });
});
