/**
 * IDX files, the format of MNIST (http://yann.lecun.com/exdb/mnist/): two zero bytes, a type code, the number of
 * axes, the axes as big-endian 32-bit integers, then the elements, big-endian. Images are (n, height, width) or with
 * a fourth axis of channels; labels are (n). Both may be packed with gzip.
 */
import { open } from 'node:fs/promises';
import path from 'node:path';
import { datasetAmbiguous, datasetMalformed } from '../errors';
import { byteLength, type DataType, dataTypes, elementCount } from '../tensor/dtype';
import { dataFromBytes, toFloat64 } from '../tensor/tensor';
import { imageAxes } from './axes';
import { staysInside } from './confine';
import type { Dataset, OpenOptions } from './dataset';
import { classNamesBeside, labelsFromNumbers } from './labels';
import { recordDataset, swapped } from './records';
import { type ByteSource, openFile, unpack } from './source';
import { chooseSplit } from './split';

const typeOfCode: Readonly<Record<number, DataType>> = {
  8: 'uint8',
  9: 'int8',
  11: 'int16',
  12: 'int32',
  13: 'float32',
  14: 'float64',
};

interface IdxArray {
  readonly source: ByteSource;
  /** Where the elements start. */
  readonly start: number;
  readonly dtype: DataType;
  readonly dims: readonly number[];
}

/** Whether a name is that of an IDX file with images. */
export const isIdxImages = (name: string): boolean => /idx[34][-.]ubyte(\.gz)?$|images.*\.idx(\.gz)?$/i.test(name);

/** The IDX images to read of a folder's file names. */
export function chooseIdxImages(folder: string, names: readonly string[], split: OpenOptions['split']) {
  const { items, warning } = chooseSplit(names.filter(isIdxImages), (name) => name, split);
  // The same file packed and unpacked counts once.
  const distinct = new Map(items.map((name) => [name.replace(/\.gz$/i, ''), name]));
  if (distinct.size > 1) throw datasetAmbiguous({ path: folder, found: [...distinct.values()] });
  return { name: [...distinct.values()][0], warning };
}

export async function openIdx(
  dataPath: string,
  imagesFile: string,
  options: OpenOptions,
  warnings: readonly string[] = [],
): Promise<Dataset> {
  const images = await openArray(imagesFile, options);
  try {
    const labelsFile = options.labels ?? (await labelsBeside(imagesFile));
    const raw = labelsFile ? await readLabels(labelsFile, options) : null;
    const [count, ...axes] = images.dims;
    const shape = imageAxes(axes);
    if (!shape || count === 0)
      throw datasetMalformed({ path: imagesFile, found: `axes ${images.dims.join('×')}`, expected: 'n×height×width' });
    if (raw && raw.length !== count)
      throw datasetMalformed({ path: labelsFile!, found: `${raw.length} labels`, expected: `${count}, one per image` });
    const beside = options.classes ?? (await classNamesBeside(path.dirname(imagesFile)));
    const stride = byteLength(images.dtype, elementCount(axes));
    return await recordDataset({
      kind: 'idx',
      path: dataPath,
      parts: [{ source: images.source, start: images.start, stride, count }],
      dtype: images.dtype,
      bigEndian: true,
      ...shape,
      labelling: raw && labelsFromNumbers(labelsFile!, raw, { classes: beside, labelMap: options.labelMap }),
      warnings,
    });
  } catch (error) {
    await images.source.close();
    throw error;
  }
}

async function readLabels(file: string, options: OpenOptions): Promise<Int32Array> {
  const { source, start, dtype, dims } = await openArray(file, options);
  try {
    if (dims.length !== 1)
      throw datasetMalformed({ path: file, found: `axes ${dims.join('×')}`, expected: 'one axis of labels' });
    const bytes = swapped(await source.read(start, source.size - start), dataTypes[dtype].bits / 8);
    return Int32Array.from(toFloat64({ dtype, dims, data: dataFromBytes(dtype, bytes) }));
  } finally {
    await source.close();
  }
}

/** `t10k-images-idx3-ubyte.gz` has its labels in `t10k-labels-idx1-ubyte`, packed or not. */
async function labelsBeside(imagesFile: string): Promise<string | undefined> {
  const folder = path.dirname(imagesFile);
  const images = path.basename(imagesFile);
  const labels = images
    .replace(/images/i, 'labels')
    .replace(/idx\d/i, 'idx1')
    .replace(/\.gz$/i, '');
  if (labels === images.replace(/\.gz$/i, '')) return undefined;
  for (const name of [labels, `${labels}.gz`]) if (await staysInside(folder, name)) return path.join(folder, name);
  return undefined;
}

async function openArray(file: string, options: OpenOptions): Promise<IdxArray> {
  let header: IdxHeader | undefined;
  const sizeOf = (head: Uint8Array): number | undefined => {
    header ??= parseHeader(file, head);
    return header && header.bytes + byteLength(header.dtype, elementCount(header.dims));
  };
  const source = (await isGzip(file))
    ? await unpack({
        path: file,
        format: 'gzip',
        promisedSize: sizeOf,
        limit: options.maxUnpackedBytes,
        signal: options.signal,
      })
    : await openFile(file);
  try {
    const expected = sizeOf(await source.read(0, Math.min(source.size, maxHeader)));
    if (header === undefined || source.size !== expected)
      throw datasetMalformed({
        path: file,
        found: `${source.size} bytes`,
        expected: `${expected ?? 'a whole header'}`,
      });
    const { bytes, dtype, dims } = header;
    return { source, start: bytes, dtype, dims };
  } catch (error) {
    await source.close();
    throw error;
  }
}

interface IdxHeader {
  readonly bytes: number;
  readonly dtype: DataType;
  readonly dims: readonly number[];
}

const maxAxes = 4;
const maxHeader = 4 + 4 * maxAxes;

/** Reads a header; undefined while bytes are missing. */
function parseHeader(file: string, head: Uint8Array): IdxHeader | undefined {
  if (head.length < 4) return undefined;
  const dtype = typeOfCode[head[2]];
  const axes = head[3];
  if (head[0] !== 0 || head[1] !== 0 || !dtype || axes < 1 || axes > maxAxes)
    throw datasetMalformed({
      path: file,
      found: `the first bytes ${Buffer.from(head.subarray(0, 4)).toString('hex')}`,
      expected: '0000, a type code and 1 to 4 axes',
    });
  if (head.length < 4 + 4 * axes) return undefined;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const dims = Array.from({ length: axes }, (_, i) => view.getUint32(4 + 4 * i));
  return { bytes: 4 + 4 * axes, dtype, dims };
}

async function isGzip(file: string): Promise<boolean> {
  const handle = await open(file, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await handle.close();
  }
}
