/** The session's state as the webview holds it, and pure functions on it. */
import type { PruneSettings } from '../src/protocol/recipe';
import type { RemovableSetting, SessionState } from '../src/protocol/view';

/** What is shown before the host has answered `ready`. */
export const initialState: SessionState = {
  title: null,
  facts: null,
  loading: 'loading',
  error: null,
  settings: null,
  projection: null,
  dataset: null,
  devices: [],
  canUndo: false,
  canRedo: false,
  trusted: true,
  run: { kind: 'idle' },
  curve: null,
  runs: [],
  trainingTime: { kind: 'unknown' },
  sensitivity: { kind: 'unknown' },
  selectedLayer: null,
};

/** The state with the patch's keys replaced; keys the state does not know are ignored. */
export function applyPatch(state: SessionState, patch: Partial<SessionState>): SessionState {
  const known = Object.fromEntries(
    Object.entries(patch).filter(([key, value]) => key in initialState && value !== undefined),
  );
  return Object.keys(known).length === 0 ? state : { ...state, ...known };
}

export interface SettingsChange {
  readonly settings: Partial<PruneSettings>;
  readonly remove: readonly RemovableSetting[];
  readonly transient: boolean;
}

/** Two changes one after the other as one: later keys win, and the pair is transient only if its end is. */
export function mergeChanges(first: SettingsChange, second: SettingsChange): SettingsChange {
  const settings = { ...first.settings, ...second.settings };
  for (const key of second.remove) delete settings[key];
  const remove = new Set([...first.remove, ...second.remove]);
  for (const key of Object.keys(second.settings)) remove.delete(key as RemovableSetting);
  return { settings, remove: [...remove], transient: second.transient };
}

/** Settings as they will be once the host has taken the change. */
export function changedSettings(settings: PruneSettings, change: SettingsChange): PruneSettings {
  const result = { ...settings, ...change.settings };
  for (const key of change.remove) delete result[key];
  return result;
}

/** The overrides with this layer's (or group's) own replaced (at the end, where it wins) or, with null, removed. */
export function withOverride<Override extends { readonly match: string }>(
  overrides: readonly Override[],
  match: string,
  own: Omit<Override, 'match'> | null,
): Override[] {
  const others = overrides.filter((entry) => entry.match !== match);
  return own === null ? others : [...others, { match, ...own } as Override];
}
