/**
 * What is kept about a model between windows, as text for VS Code's memento. JSON has no typed arrays, so they are
 * written as `{ "$array": "Uint32Array", "values": [...] }`. What can't be read any more (an older version's state, a
 * damaged store) counts as absent: the user then starts with the defaults.
 */
import { type PruneSettings, settingsSchema } from '../protocol/recipe';

export interface StoredSession {
  readonly settings: PruneSettings;
  readonly selectedLayer: string | null;
  /** The run on screen. */
  readonly run: string | null;
  /** Milliseconds since 1970; the oldest are forgotten first. */
  readonly storedAt: number;
}

const arrays = { Float64Array, Float32Array, Uint32Array, Int32Array, Uint8Array };

/** JSON with typed arrays. */
export function toText(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) => {
    if (!ArrayBuffer.isView(each)) return each;
    const name = each.constructor.name;
    if (!(name in arrays)) throw new Error(`no stored form for ${name}`);
    return { $array: name, values: Array.from(each as Float64Array) };
  });
}

/** What `toText` was given; null when the text is damaged. */
export function fromText(text: string): unknown {
  try {
    return JSON.parse(text, (_key, value: { $array?: string; values?: unknown } | null) => {
      const name = value?.$array;
      if (typeof name !== 'string' || !Object.hasOwn(arrays, name) || !Array.isArray(value?.values)) return value;
      return arrays[name as keyof typeof arrays].from(value.values as number[]);
    });
  } catch {
    return null;
  }
}

export function fromStored(text: string | undefined): StoredSession | null {
  if (text === undefined) return null;
  const session = fromText(text) as Partial<StoredSession> | null;
  const settings = settingsSchema.safeParse(session?.settings);
  if (!session || !settings.success) return null;
  const { selectedLayer, run, storedAt } = session;
  return {
    settings: settings.data,
    selectedLayer: typeof selectedLayer === 'string' ? selectedLayer : null,
    run: typeof run === 'string' ? run : null,
    storedAt: typeof storedAt === 'number' ? storedAt : 0,
  };
}
