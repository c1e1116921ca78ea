/**
 * Datasets whose images are arrays of one size at a fixed distance in one or more files: CIFAR, IDX and NumPy.
 * Images are read where they lie; neighbours are read together.
 */
import path from 'node:path';
import { type DataType, dataTypes } from '../tensor/dtype';
import { dataFromBytes, toFloat32 } from '../tensor/tensor';
import type { Dataset, DecodedImage, ReadOptions, Samples, SkippedImage } from './dataset';
import type { Labelling } from './labels';
import { checkCancelled, mapLimit } from './limit';
import type { ByteSource } from './source';

export interface RecordPart {
  readonly source: ByteSource;
  /** Where the first image's bytes start. */
  readonly start: number;
  /** Bytes from one image to the next. */
  readonly stride: number;
  readonly count: number;
}

export interface RecordImages {
  readonly kind: Dataset['kind'];
  readonly path: string;
  readonly parts: readonly RecordPart[];
  readonly dtype: DataType;
  readonly bigEndian: boolean;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly layout: DecodedImage['layout'];
  /** null for a dataset without labels. */
  readonly labelling: Labelling | null;
  readonly warnings: readonly string[];
}

/** Bytes of neighbouring images that one read may cover. */
const maxReadBytes = 8 * 2 ** 20;
const readsAtOnce = 8;

/** A run of neighbouring images: `count` images from `first` of a part, wanted at `position` and following. */
interface Run {
  readonly part: RecordPart;
  readonly first: number;
  readonly position: number;
  count: number;
}

export async function recordDataset(images: RecordImages): Promise<Dataset> {
  const { parts, channels, height, width, layout, dtype, labelling } = images;
  const elements = channels * height * width;
  const imageBytes = (elements * dataTypes[dtype].bits) / 8;
  const length = parts.reduce((sum, part) => sum + part.count, 0);
  const nameOf = (index: number): string => {
    const [part, local] = locate(parts, index);
    return `${path.basename(part.source.path)}[${local}]`;
  };

  const decode = (bytes: Uint8Array): DecodedImage => {
    const ordered = images.bigEndian ? swapped(bytes, dataTypes[dtype].bits / 8) : bytes;
    const data =
      dtype === 'uint8' ? ordered : toFloat32({ dtype, dims: [elements], data: dataFromBytes(dtype, ordered) });
    return { data, channels, height, width, layout };
  };

  const readAll = async (indices: ArrayLike<number>, signal?: AbortSignal): Promise<DecodedImage[]> => {
    const decoded = new Array<DecodedImage>(indices.length);
    await mapLimit(runs(parts, indices, imageBytes), readsAtOnce, async ({ part, first, position, count }) => {
      checkCancelled(signal);
      const bytes = await part.source.read(part.start + first * part.stride, (count - 1) * part.stride + imageBytes);
      for (let i = 0; i < count; i++)
        decoded[position + i] = decode(bytes.subarray(i * part.stride, i * part.stride + imageBytes));
    });
    return decoded;
  };

  const read = async (indices: ArrayLike<number>, { signal }: ReadOptions = {}): Promise<Samples> => {
    const wanted = Array.from(indices);
    const skipped: SkippedImage[] = [];
    const usable = wanted.filter((index) => {
      if (!labelling || labelling.labels[index] >= 0) return true;
      skipped.push({
        index,
        name: nameOf(index),
        reason: `its label is not one of the ${labelling.classes.length} classes`,
      });
      return false;
    });
    return {
      images: await readAll(usable, signal),
      labels: labelling && Int32Array.from(usable, (index) => labelling.labels[index]),
      skipped,
    };
  };

  return {
    kind: images.kind,
    path: images.path,
    length,
    labelled: labelling !== null,
    classes: labelling?.classes ?? [],
    labels: labelling?.labels ?? null,
    imageShape: [channels, height, width],
    values: dtype === 'uint8' ? 'bytes' : await floatRange(length, readAll),
    encoded: false,
    preprocessing: null,
    warnings: images.warnings,
    nameOf,
    read,
    close: async () => {
      await Promise.all(parts.map((part) => part.source.close()));
    },
  };
}

/** What the numbers of float images range over, judged by a few images spread over the data. */
async function floatRange(
  length: number,
  readAll: (indices: number[]) => Promise<DecodedImage[]>,
): Promise<Dataset['values']> {
  const sample = Math.min(length, 16);
  const images = await readAll(Array.from({ length: sample }, (_, i) => Math.floor((i * length) / sample)));
  let low = 0;
  let high = 0;
  for (const { data } of images)
    for (const value of data) {
      if (value < low) low = value;
      else if (value > high) high = value;
    }
  if (low < 0) return 'free';
  return high <= 1 ? 'unit' : high <= 255 && high > 16 ? 'bytes' : 'free';
}

function locate(parts: readonly RecordPart[], index: number): [RecordPart, number] {
  let local = index;
  for (const part of parts) {
    if (local >= 0 && local < part.count) return [part, local];
    local -= part.count;
  }
  throw new RangeError(`image ${index} is outside the dataset`);
}

function runs(parts: readonly RecordPart[], indices: ArrayLike<number>, imageBytes: number): Run[] {
  const found: Run[] = [];
  let last: Run | undefined;
  for (let position = 0; position < indices.length; position++) {
    const [part, first] = locate(parts, indices[position]);
    const follows = last && last.part === part && last.first + last.count === first;
    if (last && follows && last.count * part.stride + imageBytes <= maxReadBytes) last.count += 1;
    else found.push((last = { part, first, position, count: 1 }));
  }
  return found;
}

/** A copy with the bytes of each element reversed. */
export function swapped(bytes: Uint8Array, size: number): Uint8Array {
  if (size === 1) return bytes;
  const copy = Buffer.from(bytes);
  return size === 2 ? copy.swap16() : size === 4 ? copy.swap32() : copy.swap64();
}
