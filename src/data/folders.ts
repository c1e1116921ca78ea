/**
 * A folder of class folders with images, numbered in the order of their names (by code unit, as PyTorch and Keras
 * do). A folder with images and no class folders is a dataset without labels. Links that lead out of the folder are
 * left out, and said so; links to folders within would only show the same images twice, and are left out too.
 */
import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { datasetEmpty, datasetPathOutside } from '../errors';
import { isInside } from './confine';
import type { Dataset, OpenOptions } from './dataset';
import { imageExtensions } from './decode';
import { fileDataset } from './files';
import { areIntegers, byCodeUnit, type Labelling, labelsFromNumbers, labelsFromText } from './labels';
import { checkCancelled } from './limit';
import { chooseSplit, splitOfName } from './split';

const isImage = (name: string): boolean => imageExtensions.includes(path.extname(name).toLowerCase());

interface Walk {
  /** Free of links. */
  readonly root: string;
  readonly signal?: AbortSignal;
  /** Links that lead out, relative to the root. */
  readonly outside: string[];
}

export async function openFolders(dataPath: string, options: OpenOptions): Promise<Dataset> {
  const walk: Walk = { root: await realpath(dataPath), signal: options.signal, outside: [] };
  const top = await list(walk, '');
  const warnings: string[] = [];
  const classFolders: string[] = [];
  for (const folder of await classRoots(walk, top.folders, options.split, warnings)) classFolders.push(folder);
  const files: string[] = [];
  const names: string[] = [];
  for (const folder of classFolders.sort(byCodeUnit)) {
    const before = files.length;
    await collect(walk, folder, files);
    for (let i = before; i < files.length; i++) names.push(path.basename(folder));
  }
  const labelled = files.length > 0;
  if (!labelled) files.push(...top.images);
  else if (top.images.length > 0) warnings.push(`${top.images.length} images outside the class folders were left out.`);
  if (files.length === 0)
    throw walk.outside.length > 0
      ? datasetPathOutside({ file: dataPath, path: walk.outside[0] })
      : datasetEmpty(dataPath);
  if (walk.outside.length > 0)
    warnings.push(
      `${walk.outside.length} links that lead out of the folder were left out: ${walk.outside.slice(0, 3).join(', ')}.`,
    );
  const labelling = labelled ? numberClasses(dataPath, names, options, warnings) : null;
  return fileDataset({ kind: 'folders', path: dataPath, root: walk.root, files, labelling, warnings });
}

/**
 * The class folders: those at the top, or, when the top holds `train`, `test`, … with class folders inside, those of
 * the chosen parts.
 */
async function classRoots(
  walk: Walk,
  top: string[],
  split: OpenOptions['split'],
  warnings: string[],
): Promise<string[]> {
  const parts: { name: string; classes: string[] }[] = [];
  for (const name of top.filter((folder) => splitOfName(folder) !== null)) {
    const inner = await list(walk, name);
    if (inner.images.length === 0 && inner.folders.length > 0)
      parts.push({ name, classes: inner.folders.map((folder) => path.join(name, folder)) });
  }
  if (parts.length === 0) return top;
  const { items, warning } = chooseSplit(parts, (part) => part.name, split);
  if (warning) warnings.push(warning);
  return items.flatMap((part) => part.classes);
}

function numberClasses(dataPath: string, names: string[], options: OpenOptions, warnings: string[]): Labelling {
  const found = [...new Set(names)];
  const numbered = areIntegers(found) && !options.labelMap;
  const numbers = found.map(Number).sort((a, b) => a - b);
  // Folders 0, 1, … say their label themselves; sorted as text, 10 would come before 2.
  if (!numbered || !numbers.every((n, i) => n === i)) return labelsFromText(dataPath, names, options);
  if (found.length > 10 && found.some((n) => n.length !== found[0].length))
    warnings.push('Class folders are numbers and are used as labels; PyTorch and Keras sort such folders as text.');
  return labelsFromNumbers(dataPath, Int32Array.from(names, Number), { classes: options.classes });
}

async function collect(walk: Walk, folder: string, files: string[]): Promise<void> {
  const { images, folders } = await list(walk, folder);
  for (const image of images) files.push(path.join(folder, image));
  for (const inner of folders) await collect(walk, path.join(folder, inner), files);
}

/** Names of the images and folders in a folder, sorted; hidden ones are left out. */
async function list(walk: Walk, folder: string): Promise<{ images: string[]; folders: string[] }> {
  checkCancelled(walk.signal);
  const images: string[] = [];
  const folders: string[] = [];
  for (const entry of await readdir(path.join(walk.root, folder), { withFileTypes: true })) {
    if (entry.name.startsWith('.')) continue;
    const kind = await kindOf(walk, path.join(folder, entry.name), entry);
    if (kind === 'folder') folders.push(entry.name);
    else if (kind === 'file' && isImage(entry.name)) images.push(entry.name);
  }
  return { images: images.sort(byCodeUnit), folders: folders.sort(byCodeUnit) };
}

async function kindOf(walk: Walk, relative: string, entry: Dirent): Promise<'file' | 'folder' | null> {
  if (!entry.isSymbolicLink()) return entry.isDirectory() ? 'folder' : entry.isFile() ? 'file' : null;
  const target = await realpath(path.join(walk.root, relative)).catch(() => undefined);
  if (target === undefined) return null;
  if (!isInside(walk.root, target)) {
    walk.outside.push(relative);
    return null;
  }
  return (await stat(target)).isFile() ? 'file' : null;
}
