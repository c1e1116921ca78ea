/**
 * From what data calls its classes (folder names, label text, numbers) to indices of the model's output, and the
 * files that hold class names beside the data.
 */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { labelOutOfRange, labelUnmapped } from '../errors';
import { staysInside } from './confine';
import type { OpenOptions } from './dataset';

/** More classes than any classifier has: a larger label is damage, and would make lists of names that large. */
export const maxClasses = 1_000_000;

export interface Labelling {
  /** One index of the model's output per image; -1 where the image's label is not a class. */
  readonly labels: Int32Array;
  readonly classes: readonly string[];
}

type Naming = Pick<OpenOptions, 'classes' | 'labelMap'>;

/** Numbers the classes of images that are labelled with text, e.g. by their folder. */
export function labelsFromText(file: string, texts: readonly string[], { classes, labelMap }: Naming): Labelling {
  const names = classes ?? [...new Set(texts)].sort(byCodeUnit);
  const index = labelMap ? new Map(Object.entries(labelMap)) : new Map(names.map((name, i) => [name, i]));
  const labels = Int32Array.from(texts, (text) => {
    const label = index.get(text);
    if (label === undefined) throw labelUnmapped({ path: file, label: text });
    return label;
  });
  return { labels, classes: labelMap ? mappedClasses(labelMap, classes, file) : names };
}

/**
 * Numbers the classes of images whose labels are numbers already: as they are, or through the label map by the
 * class's name or the number's text.
 */
export function labelsFromNumbers(file: string, raw: Int32Array, { classes, labelMap }: Naming): Labelling {
  const largest = raw.reduce((a, b) => Math.max(a, b), -1);
  const smallest = raw.reduce((a, b) => Math.min(a, b), 0);
  const allowed = classes && !labelMap ? classes.length : maxClasses;
  if (smallest < 0) throw labelOutOfRange({ where: `'${file}'`, label: smallest, classes: allowed });
  if (largest >= maxClasses) throw labelOutOfRange({ where: `'${file}'`, label: largest, classes: allowed });
  if (labelMap) {
    const labels = raw.map((label) => {
      const mapped = labelMap[classes?.[label] ?? ''] ?? labelMap[String(label)];
      if (mapped === undefined) throw labelUnmapped({ path: file, label: classes?.[label] ?? String(label) });
      return mapped;
    });
    return { labels, classes: mappedClasses(labelMap, undefined, file) };
  }
  // Damage in a few records must not stop the rest: they are skipped when they are read.
  if (classes) return { labels: raw.map((label) => (label < classes.length ? label : -1)), classes };
  return { labels: raw, classes: Array.from({ length: largest + 1 }, (_, i) => String(i)) };
}

function mappedClasses(
  labelMap: Readonly<Record<string, number>>,
  classes: readonly string[] | undefined,
  file: string,
): string[] {
  const entries = Object.entries(labelMap);
  const largest = entries.reduce((a, [, index]) => Math.max(a, index), -1);
  if (largest >= maxClasses) throw labelOutOfRange({ where: `'${file}'`, label: largest, classes: maxClasses });
  const names = Array.from({ length: largest + 1 }, (_, i) => classes?.[i] ?? String(i));
  if (!classes) for (const [name, index] of entries) names[index] = name;
  return names;
}

/** Whether all texts are integers that could number classes. */
export const areIntegers = (texts: Iterable<string>): boolean => {
  for (const text of texts) if (!/^\d{1,9}$/.test(text)) return false;
  return true;
};

/** Text order by UTF-16 code unit: the same on every machine, and the order PyTorch and Keras number folders in. */
export const byCodeUnit = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const classFiles = ['batches.meta.txt', 'fine_label_names.txt', 'classes.txt', 'labels.txt'];

/** Class names from a text file beside the data, one per line; undefined when there is none. */
export async function classNamesBeside(folder: string): Promise<string[] | undefined> {
  for (const name of classFiles) {
    const file = path.join(folder, name);
    if (!(await staysInside(folder, name))) continue;
    const info = await stat(file);
    if (!info.isFile() || info.size > 64 * maxClasses) continue;
    const lines = (await readFile(file, 'utf8')).split(/\r?\n/).map((line) => line.trim());
    const names = lines.filter((line) => line !== '');
    if (names.length > 0) return names;
  }
  return undefined;
}
