/**
 * The binary version of CIFAR-10 and CIFAR-100 (https://www.cs.toronto.edu/~kriz/cifar.html): records of one label
 * byte (CIFAR-100: coarse and fine label, of which the fine one counts) and 3072 pixel bytes, 32×32 in planes of
 * red, green and blue.
 */
import path from 'node:path';
import { datasetEmpty, datasetMalformed } from '../errors';
import type { Dataset, OpenOptions } from './dataset';
import { classNamesBeside, labelsFromNumbers } from './labels';
import { checkCancelled } from './limit';
import { type RecordPart, recordDataset } from './records';
import { type ByteSource, openFile } from './source';

const pixels = 3072;
const coarseClasses = 20;
const fineClasses = 100;

/** Label bytes before the pixels, for a file of this size: those for which whole records fit. */
export function labelBytesOfSize(size: number): readonly (1 | 2)[] {
  return ([1, 2] as const).filter((bytes) => size > 0 && size % (bytes + pixels) === 0);
}

/** Opens `.bin` files, in the order given, as one dataset. */
export async function openCifar(
  dataPath: string,
  files: readonly string[],
  options: OpenOptions,
  warnings: readonly string[] = [],
): Promise<Dataset> {
  const sources: ByteSource[] = [];
  try {
    const parts: RecordPart[] = [];
    const labels: Int32Array[] = [];
    for (const file of files) {
      const source = await openFile(file);
      sources.push(source);
      const part = await readPart(source, options.signal);
      parts.push(part.part);
      labels.push(part.labels);
    }
    if (parts.length === 0) throw datasetEmpty(dataPath);
    const raw = Int32Array.from(labels.flatMap((l) => Array.from(l)));
    const beside = options.classes ?? (await classNamesBeside(path.dirname(files[0])));
    return await recordDataset({
      kind: 'cifar',
      path: dataPath,
      parts,
      dtype: 'uint8',
      bigEndian: false,
      channels: 3,
      height: 32,
      width: 32,
      layout: 'CHW',
      labelling: labelsFromNumbers(dataPath, raw, { classes: beside, labelMap: options.labelMap }),
      warnings,
    });
  } catch (error) {
    await Promise.all(sources.map((source) => source.close()));
    throw error;
  }
}

async function readPart(source: ByteSource, signal?: AbortSignal): Promise<{ part: RecordPart; labels: Int32Array }> {
  const fits = labelBytesOfSize(source.size);
  if (fits.length === 0)
    throw datasetMalformed({
      path: source.path,
      found: `${source.size} bytes`,
      expected: `records of ${1 + pixels} (CIFAR-10) or ${2 + pixels} bytes (CIFAR-100)`,
    });
  const readings = await Promise.all(fits.map((labelBytes) => readLabels(source, labelBytes, signal)));
  // A size that fits both kinds is rare; then the one whose coarse and fine labels are all possible is CIFAR-100.
  const chosen = readings.find((r) => r.labelBytes === 2 && r.possible) ?? readings[0];
  const stride = chosen.labelBytes + pixels;
  const part = { source, start: chosen.labelBytes, stride, count: source.size / stride };
  return { part, labels: chosen.labels };
}

async function readLabels(source: ByteSource, labelBytes: 1 | 2, signal?: AbortSignal) {
  const stride = labelBytes + pixels;
  const count = source.size / stride;
  const labels = new Int32Array(count);
  let possible = true;
  const recordsAtOnce = 1024;
  for (let first = 0; first < count; first += recordsAtOnce) {
    checkCancelled(signal);
    const records = Math.min(recordsAtOnce, count - first);
    const bytes = await source.read(first * stride, records * stride);
    for (let i = 0; i < records; i++) {
      labels[first + i] = bytes[i * stride + labelBytes - 1];
      if (labelBytes === 2) possible &&= bytes[i * stride] < coarseClasses && labels[first + i] < fineClasses;
    }
  }
  return { labelBytes, labels, possible };
}
