/** Datasets of image files: a list of names in one folder, each decoded when it is asked for. */
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { datasetPathOutside } from '../errors';
import { isInside } from './confine';
import type { Dataset, DecodedImage, ReadOptions, Samples } from './dataset';
import { decodeImage, imageHeader } from './decode';
import type { Labelling } from './labels';
import { checkCancelled, mapLimit } from './limit';

export interface ImageFiles {
  readonly kind: 'folders' | 'csv';
  readonly path: string;
  /** The folder that holds all images, free of links. */
  readonly root: string;
  /** Relative to the root. */
  readonly files: readonly string[];
  readonly labelling: Labelling | null;
  readonly warnings: readonly string[];
}

const decodesAtOnce = 8;
const headersSampled = 32;

export async function fileDataset(images: ImageFiles): Promise<Dataset> {
  const { files, labelling, root } = images;
  const locate = async (index: number): Promise<string> => {
    const file = await realpath(path.join(root, files[index]));
    if (!isInside(root, file)) throw datasetPathOutside({ file: images.path, path: files[index] });
    return file;
  };

  const read = async (indices: ArrayLike<number>, { size, signal }: ReadOptions = {}): Promise<Samples> => {
    const results = await mapLimit(Array.from(indices), decodesAtOnce, async (index) => {
      checkCancelled(signal);
      try {
        return { index, image: await decodeImage(await locate(index), size) };
      } catch (error) {
        return { index, reason: reasonOf(error) };
      }
    });
    const decoded = results.filter((r): r is { index: number; image: DecodedImage } => 'image' in r);
    return {
      images: decoded.map(({ image }) => image),
      labels: labelling && Int32Array.from(decoded, ({ index }) => labelling.labels[index]),
      skipped: results.flatMap(({ index, reason }) => (reason ? [{ index, name: files[index], reason }] : [])),
    };
  };

  return {
    kind: images.kind,
    path: images.path,
    length: files.length,
    labelled: labelling !== null,
    classes: labelling?.classes ?? [],
    labels: labelling?.labels ?? null,
    imageShape: await commonShape(files.length, locate),
    values: 'bytes',
    encoded: true,
    preprocessing: null,
    warnings: images.warnings,
    nameOf: (index) => files[index],
    read,
    close: async () => {},
  };
}

/** The shape that a sample of the images shares; null when they differ or none can be read. */
async function commonShape(
  length: number,
  locate: (index: number) => Promise<string>,
): Promise<[number, number, number] | null> {
  const sample = Array.from({ length: Math.min(length, headersSampled) }, (_, i) =>
    Math.floor((i * length) / Math.min(length, headersSampled)),
  );
  const shapes = await mapLimit(sample, decodesAtOnce, async (index) => {
    try {
      return await imageHeader(await locate(index));
    } catch {
      return null; // Reported when the image itself is read.
    }
  });
  const read = shapes.filter((shape) => shape !== null);
  const alike = read.every((shape) => shape.join() === read[0].join());
  return read.length > 0 && alike ? read[0] : null;
}

const reasonOf = (error: unknown): string => {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' ? 'the file does not exist' : message.split('\n')[0];
};
