/** Parts of a flood: channels that live on exactly the same axes. */
import type { Flood } from './groupsFlood';

/** Channels that live on the same axes. */
export interface Part {
  readonly keys: readonly string[];
  readonly roots: readonly number[];
  readonly reason: string | null;
}

/** The channels of a flood, by the axes they live on and by whether they can go. */
export function partition({ axes, rootOf, blocked }: Flood): Part[] {
  const homes = new Map<number, string[]>();
  for (const { key, labels } of axes.values()) {
    for (const label of labels) {
      if (label < 0) continue;
      const root = rootOf(label);
      const keys = homes.get(root);
      if (!keys) homes.set(root, [key]);
      else if (keys[keys.length - 1] !== key) keys.push(key);
    }
  }
  const parts = new Map<string, { keys: readonly string[]; roots: number[]; reason: string | null }>();
  for (const [root, keys] of homes) {
    const reason = blocked.get(root) ?? null;
    const signature = [reason !== null, ...keys].join('\0');
    const part = parts.get(signature);
    if (part) part.roots.push(root);
    else parts.set(signature, { keys, roots: [root], reason });
  }
  return [...parts.values()];
}

/** Numbers channels in the order in which they come along an axis. */
export function numbering({ axes, rootOf }: Flood, key: string, roots: readonly number[]): Map<number, number> {
  const own = new Set(roots);
  const number = new Map<number, number>();
  for (const label of axes.get(key)?.labels ?? []) {
    if (label < 0) continue;
    const root = rootOf(label);
    if (own.has(root) && !number.has(root)) number.set(root, number.size);
  }
  return number;
}

/** The channels of the labelled positions of an axis, from the first to the last that has one. */
export function piece(
  labels: Int32Array,
  channelOf: (label: number) => number,
): { readonly first: number; readonly channels: Int32Array } {
  const channels = labels.map((label) => (label < 0 ? -1 : channelOf(label)));
  const isChannel = (channel: number): boolean => channel >= 0;
  const first = Math.max(channels.findIndex(isChannel), 0);
  return { first, channels: channels.slice(first, channels.findLastIndex(isChannel) + 1) };
}

/** Compares lists of numbers by the first that differs. */
export function isBetter(a: readonly number[], b: readonly number[]): boolean {
  const at = a.findIndex((value, i) => value !== b[i]);
  return at >= 0 && a[at] > b[at];
}
