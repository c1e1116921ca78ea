/**
 * NumPy arrays: `.npy` files and `.npz` archives of them, with one array of images and, mostly, one of labels.
 * Source: numpy.lib.format (versions 1 to 3). Arrays that lie uncompressed are read in place.
 *
 * Images are found by name (x_test, test_images, x, images, data, …), else as the only array of three or four axes;
 * their labels by the matching name (y_test, test_labels, y, labels, targets, …), else as the only array of integers
 * with one entry per image. Labels may be one-hot.
 */
import path from 'node:path';
import { datasetAmbiguous, datasetMalformed } from '../errors';
import { byteLength, type DataType, dataTypes, elementCount } from '../tensor/dtype';
import { dataFromBytes, toFloat64 } from '../tensor/tensor';
import { imageAxes } from './axes';
import { staysInside } from './confine';
import type { Dataset, OpenOptions } from './dataset';
import { classNamesBeside, labelsFromNumbers } from './labels';
import { recordDataset, swapped } from './records';
import { type ByteSource, openFile } from './source';
import { chooseSplit } from './split';
import { openMember, zipMembers } from './zip';

const typeOfCode: Readonly<Record<string, DataType>> = {
  b1: 'bool',
  i1: 'int8',
  i2: 'int16',
  i4: 'int32',
  i8: 'int64',
  u1: 'uint8',
  u2: 'uint16',
  u4: 'uint32',
  u8: 'uint64',
  f2: 'float16',
  f4: 'float32',
  f8: 'float64',
};

interface NumpyArray {
  /** Without `.npy`. */
  readonly name: string;
  readonly dtype: DataType;
  readonly bigEndian: boolean;
  readonly dims: readonly number[];
  readonly source: ByteSource;
  /** Where the elements start. */
  readonly start: number;
}

/** What a file's images and labels are called: the word for images, and the words for their labels. */
const pairs: readonly (readonly [RegExp, readonly string[]])[] = [
  [/(^|[^a-z])x($|[^a-z])/i, ['y', 'Y', 't']],
  [/images/i, ['labels', 'targets']],
  [/data/i, ['labels', 'targets', 'label', 'target']],
  [/inputs/i, ['labels', 'targets', 'outputs']],
];

export async function openNpy(file: string, options: OpenOptions, warnings: readonly string[] = []): Promise<Dataset> {
  const images = await openArrayFile(file);
  try {
    const labelsFile = options.labels ?? (await labelsBeside(file));
    const labels = labelsFile ? await openArrayFile(labelsFile) : null;
    try {
      return await numpyDataset(file, images, labels, options, warnings);
    } finally {
      await labels?.source.close();
    }
  } catch (error) {
    await images.source.close();
    throw error;
  }
}

/** The `.npy` file of a folder that holds the images. */
export function chooseNpyImages(folder: string, names: readonly string[], split: OpenOptions['split']) {
  const arrays = names.filter((name) => name.toLowerCase().endsWith('.npy'));
  const withLabels = arrays.filter((name) => labelNames(stem(name)).some((label) => arrays.includes(`${label}.npy`)));
  const candidates = withLabels.length > 0 ? withLabels : arrays;
  const { items, warning } = chooseSplit(candidates, (name) => name, split);
  if (items.length > 1) throw datasetAmbiguous({ path: folder, found: items });
  return { name: items[0], warning };
}

export async function openNpz(file: string, options: OpenOptions): Promise<Dataset> {
  const archive = await openFile(file);
  const opened: ByteSource[] = [archive];
  const closeAll = async () => void (await Promise.allSettled(opened.map((source) => source.close())));
  try {
    const members = (await zipMembers(archive)).filter((member) => member.name.endsWith('.npy'));
    const headers = new Map<string, () => Promise<NumpyArray>>();
    for (const member of members)
      headers.set(stem(member.name), async () => {
        const source = await openMember(archive, member, { limit: options.maxUnpackedBytes, signal: options.signal });
        opened.push(source);
        return readHeader(stem(member.name), `${file}:${member.name}`, source);
      });
    const { images, labels, warning } = await choosePair(file, headers, options.split);
    const dataset = await numpyDataset(file, images, labels, options, warning ? [warning] : []);
    return { ...dataset, close: closeAll };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** Finds images and labels among the arrays of an archive, by name and else by their shapes. */
async function choosePair(
  file: string,
  arrays: ReadonlyMap<string, () => Promise<NumpyArray>>,
  split: OpenOptions['split'],
): Promise<{ images: NumpyArray; labels: NumpyArray | null; warning: string | null }> {
  const names = [...arrays.keys()];
  const named = names.filter((name) => labelNames(name).some((label) => arrays.has(label)));
  const { items, warning } = chooseSplit(named, (name) => name, split === 'all' ? undefined : split);
  if (items.length > 1) throw datasetAmbiguous({ path: file, found: items });
  if (items.length === 1) {
    const label = labelNames(items[0]).find((name) => arrays.has(name))!;
    return { images: await arrays.get(items[0])!(), labels: await arrays.get(label)!(), warning };
  }
  const opened: NumpyArray[] = [];
  for (const open of arrays.values()) opened.push(await open());
  const images = opened.filter(({ dims }) => dims.length === 3 || dims.length === 4);
  if (images.length !== 1) {
    const found = opened.map(({ name, dims }) => `${name} (${dims.join('×')})`);
    if (images.length > 1) throw datasetAmbiguous({ path: file, found });
    throw datasetMalformed({ path: file, found: found.join(', ') || 'no arrays', expected: 'an array of images' });
  }
  const fitting = opened.filter(
    ({ dtype, dims }) => dims.length === 1 && dims[0] === images[0].dims[0] && dataTypes[dtype].kind === 'int',
  );
  if (fitting.length > 1) throw datasetAmbiguous({ path: file, found: fitting.map(({ name }) => name) });
  return { images: images[0], labels: fitting[0] ?? null, warning };
}

async function numpyDataset(
  dataPath: string,
  images: NumpyArray,
  labels: NumpyArray | null,
  options: OpenOptions,
  warnings: readonly string[],
): Promise<Dataset> {
  const [count, ...axes] = images.dims;
  const shape = imageAxes(axes);
  if (!shape || !count)
    throw datasetMalformed({
      path: images.source.path,
      found: `an array '${images.name}' of ${images.dims.join('×') || 'no axes'}`,
      expected: 'images: n×height×width, n×height×width×channels or n×channels×height×width',
    });
  const raw = labels && (await readLabels(labels, count));
  const classes = options.classes ?? (await classNamesBeside(path.dirname(dataPath)));
  return recordDataset({
    kind: 'numpy',
    path: dataPath,
    parts: [
      { source: images.source, start: images.start, stride: byteLength(images.dtype, elementCount(axes)), count },
    ],
    dtype: images.dtype,
    bigEndian: images.bigEndian,
    ...shape,
    labelling: raw && labelsFromNumbers(labels.source.path, raw, { classes, labelMap: options.labelMap }),
    warnings,
  });
}

/** Labels of shape n or n×1, or one-hot of shape n×classes. */
async function readLabels(labels: NumpyArray, count: number): Promise<Int32Array> {
  const { dtype, dims, source, start, bigEndian } = labels;
  const [rows, columns = 1] = dims;
  if (rows !== count || dims.length > 2)
    throw datasetMalformed({
      path: source.path,
      found: `labels '${labels.name}' of ${dims.join('×') || 'no axes'}`,
      expected: `${count}, one per image`,
    });
  const bytes = await source.read(start, byteLength(dtype, elementCount(dims)));
  const ordered = bigEndian ? swapped(bytes, dataTypes[dtype].bits / 8) : bytes;
  const values = toFloat64({ dtype, dims, data: dataFromBytes(dtype, ordered) });
  if (columns === 1) return Int32Array.from(values);
  return Int32Array.from({ length: rows }, (_, row) => {
    let best = 0;
    for (let c = 1; c < columns; c++) if (values[row * columns + c] > values[row * columns + best]) best = c;
    return best;
  });
}

async function openArrayFile(file: string): Promise<NumpyArray> {
  const source = await openFile(file);
  try {
    return await readHeader(stem(file), file, source);
  } catch (error) {
    await source.close();
    throw error;
  }
}

const maxHeader = 65_536;

/** Reads an array's header and checks that its elements fill the rest of the source. */
async function readHeader(name: string, where: string, source: ByteSource): Promise<NumpyArray> {
  const malformed = (found: string, expected: string) => datasetMalformed({ path: where, found, expected });
  const head = Buffer.from(await source.read(0, Math.min(source.size, maxHeader)));
  if (head.length < 12 || head.toString('latin1', 0, 6) !== '\x93NUMPY') throw malformed('no NumPy header', 'one');
  const version = head[6];
  const textStart = version === 1 ? 10 : 12;
  const start = textStart + (version === 1 ? head.readUInt16LE(8) : head.readUInt32LE(8));
  if (version < 1 || version > 3 || start > head.length)
    throw malformed(`a header of version ${version}, ${start} bytes`, 'version 1 to 3 within the file');
  const text = head.toString('utf8', textStart, start);
  const type = /'descr':\s*'([<>|=])([a-zA-Z]\d+)'/.exec(text);
  const dims = /'shape':\s*\(([\d,\s]*)\)/
    .exec(text)?.[1]
    .split(',')
    .filter((d) => d.trim() !== '')
    .map(Number);
  const dtype = type ? typeOfCode[type[2]] : undefined;
  if (!type || !dtype || !dims) throw malformed(`the header ${text.trim()}`, 'an array of numbers');
  if (/'fortran_order':\s*True/.test(text) && dims.length > 1)
    throw malformed('an array in Fortran order', 'C order: save it with numpy.ascontiguousarray(array)');
  const bytes = byteLength(dtype, elementCount(dims));
  if (start + bytes !== source.size)
    throw malformed(`${source.size - start} bytes of elements`, `${bytes} for shape ${dims.join('×')}`);
  return { name, dtype, bigEndian: type[1] === '>', dims, source, start };
}

const stem = (file: string): string => path.basename(file).replace(/\.npy$/i, '');

/** What the labels of images of this name may be called. */
function labelNames(images: string): string[] {
  return pairs.flatMap(([word, labels]) =>
    word.test(images) ? labels.map((label) => images.replace(word, (match) => match.replace(/[a-z]+/i, label))) : [],
  );
}

async function labelsBeside(imagesFile: string): Promise<string | undefined> {
  const folder = path.dirname(imagesFile);
  for (const label of labelNames(stem(imagesFile)))
    if (await staysInside(folder, `${label}.npy`)) return path.join(folder, `${label}.npy`);
  return undefined;
}
