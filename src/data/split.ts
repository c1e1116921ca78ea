/** Which of several files or folders belong to training, test or validation, by the words in their names. */
import type { Split } from './dataset';

const words: readonly (readonly [Exclude<Split, 'all'>, RegExp])[] = [
  ['train', /(^|[^a-z])(train|training|data_batch)/i],
  ['validation', /(^|[^a-z])(val|valid|validation|dev)([^a-z]|$)/i],
  ['test', /(^|[^a-z])(test|testing|t10k|eval)/i],
];

/** The split that a file or folder name speaks of, or null. */
export function splitOfName(name: string): Exclude<Split, 'all'> | null {
  return words.find(([, pattern]) => pattern.test(name))?.[0] ?? null;
}

/**
 * Keeps the items of one split. Without a split: test before validation, when only some of the items are training
 * data, since accuracy on training images says little.
 */
export function chooseSplit<T>(
  items: readonly T[],
  nameOf: (item: T) => string,
  split: Split | undefined,
): { items: readonly T[]; warning: string | null } {
  const of = (wanted: Split) => items.filter((item) => splitOfName(nameOf(item)) === wanted);
  if (split === 'all') return { items, warning: null };
  if (split)
    return {
      items: of(split).length > 0 ? of(split) : items.filter((i) => splitOfName(nameOf(i)) === null),
      warning: null,
    };
  for (const wanted of ['test', 'validation'] as const) {
    const chosen = of(wanted);
    if (chosen.length > 0 && chosen.length < items.length)
      return {
        items: chosen,
        warning: `There are several parts; only the ${wanted} part is read. Name another part to read that.`,
      };
  }
  return { items, warning: null };
}
