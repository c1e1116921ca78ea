/** Opens a dataset by its path: what is there decides its kind. */
import { open, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { datasetMalformed, datasetNotFound, datasetUnknown } from '../errors';
import { labelBytesOfSize, openCifar } from './cifar';
import { staysInside } from './confine';
import { openCsv } from './csv';
import type { Dataset, OpenOptions } from './dataset';
import { readDatasetFile } from './datasetFile';
import { openFolders } from './folders';
import { chooseIdxImages, isIdxImages, openIdx } from './idx';
import { byCodeUnit } from './labels';
import { chooseNpyImages, openNpy, openNpz } from './numpy';
import { chooseSplit } from './split';

/**
 * Opens a folder of class folders, CIFAR `.bin` files, IDX files, `.npy` or `.npz` arrays, a `.csv` or a
 * `*.dataset.json`. The caller closes it.
 *
 * @param dataPath absolute, or relative to the working folder
 * @throws UserError `dataset-not-found`, `dataset-unknown`, `dataset-empty`, `dataset-malformed`,
 *   `dataset-too-large`, `dataset-path-outside`, `dataset-ambiguous`, `label-unmapped`, `label-out-of-range`
 */
export async function openDataset(dataPath: string, options: OpenOptions = {}): Promise<Dataset> {
  const absolute = path.resolve(dataPath);
  const info = await stat(absolute).catch(() => undefined);
  if (!info) throw datasetNotFound(absolute);
  if (info.isDirectory()) return openFolder(absolute, options);
  if (!/\.json$/i.test(absolute)) return openData(absolute, options);
  const named = await readDatasetFile(absolute, options);
  if (/\.json$/i.test(named.path))
    throw datasetMalformed({ path: absolute, found: `the path of another dataset file`, expected: 'the path of data' });
  const isFolder = (await stat(named.path)).isDirectory();
  const dataset = await (isFolder ? openFolder(named.path, named.options) : openData(named.path, named.options));
  return { ...dataset, path: absolute, preprocessing: named.preprocessing };
}

async function openData(file: string, options: OpenOptions): Promise<Dataset> {
  const name = path.basename(file).toLowerCase();
  if (/\.(csv|tsv)$/.test(name)) return openCsv(file, options);
  if (name.endsWith('.npz')) return openNpz(file, options);
  if (name.endsWith('.npy')) return openNpy(file, options);
  if (name.endsWith('.bin')) return openCifar(file, [file], options);
  if (isIdxImages(name) || (await startsLikeIdx(file))) return openIdx(file, file, options);
  throw datasetUnknown({ path: file, found: `a file of another kind ('${path.extname(name) || name}')` });
}

async function openFolder(folder: string, options: OpenOptions): Promise<Dataset> {
  const names: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true }))
    if (entry.isFile() || (entry.isSymbolicLink() && (await staysInside(folder, entry.name)))) names.push(entry.name);
  names.sort(byCodeUnit);
  const warned = (warning: string | null) => (warning ? [warning] : []);
  if (names.some(isIdxImages)) {
    const { name, warning } = chooseIdxImages(folder, names, options.split);
    if (name) return openIdx(folder, path.join(folder, name), options, warned(warning));
  }
  const batches = await cifarFiles(folder, names);
  if (batches.length > 0) {
    const { items, warning } = chooseSplit(batches, (name) => name, options.split);
    return openCifar(
      folder,
      items.map((name) => path.join(folder, name)),
      options,
      warned(warning),
    );
  }
  if (names.some((name) => name.toLowerCase().endsWith('.npy'))) {
    const { name, warning } = chooseNpyImages(folder, names, options.split);
    if (name) return openNpy(path.join(folder, name), options, warned(warning));
  }
  return openFolders(folder, options);
}

async function cifarFiles(folder: string, names: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const name of names.filter((n) => n.toLowerCase().endsWith('.bin')))
    if (labelBytesOfSize((await stat(path.join(folder, name))).size).length > 0) found.push(name);
  return found;
}

/** IDX without its usual name, unpacked: two zero bytes, a type code, three or four axes. */
async function startsLikeIdx(file: string): Promise<boolean> {
  const handle = await open(file, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    return (
      bytesRead === 4 &&
      buffer[0] === 0 &&
      buffer[1] === 0 &&
      buffer[2] >= 8 &&
      buffer[2] <= 14 &&
      buffer[3] <= 4 &&
      buffer[3] >= 3
    );
  } finally {
    await handle.close();
  }
}
