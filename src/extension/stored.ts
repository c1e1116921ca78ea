/**
 * What is kept about a model between windows, as text for VS Code's memento. JSON has no typed arrays, so they are
 * written as `{ "$array": "Uint32Array", "values": [...] }`. What can't be read any more (an older version's state, a
 * damaged store) counts as absent: the user then starts with the defaults.
 */
import type { RunResult } from '../protocol/plan';
import { type PruneSettings, settingsSchema } from '../protocol/recipe';

export interface StoredSession {
  readonly settings: PruneSettings;
  readonly selectedLayer: string | null;
  /** The last finished run, what it was run with (the settings may have moved on), and where it was saved. */
  readonly run: {
    readonly result: RunResult;
    readonly settings: PruneSettings;
    readonly savedAs: string | null;
  } | null;
  /** A run was going on; when this is read back, it did not survive. */
  readonly running: boolean;
  /** Milliseconds since 1970; the oldest are forgotten first. */
  readonly storedAt: number;
}

const arrays = { Float64Array, Float32Array, Uint32Array, Int32Array, Uint8Array };

export function toStored(session: StoredSession): string {
  return JSON.stringify(session, (_key, value: unknown) => {
    if (!ArrayBuffer.isView(value)) return value;
    const name = value.constructor.name;
    if (!(name in arrays)) throw new Error(`no stored form for ${name}`);
    return { $array: name, values: Array.from(value as Float64Array) };
  });
}

export function fromStored(text: string | undefined): StoredSession | null {
  if (text === undefined) return null;
  try {
    const session = JSON.parse(text, (_key, value: { $array?: keyof typeof arrays; values?: number[] } | null) =>
      value?.$array && value.values ? arrays[value.$array].from(value.values) : value,
    ) as StoredSession;
    const run = session.run && { ...session.run, settings: settingsSchema.parse(session.run.settings) };
    return { ...session, settings: settingsSchema.parse(session.settings), run };
  } catch {
    return null;
  }
}
