/**
 * Checkpoints: all that a training run needs to go on as if it had never stopped. One file, written atomically: a
 * magic word, the length of a JSON header, the header, then the vectors as little-endian float32.
 */
import { readFile } from 'node:fs/promises';
import { type Sink, writeFiles } from '../atomic';
import { checkpointInvalid } from '../errors';
import type { ProgramState } from './program';

/** Where in the data a run is; random choices follow from the seed and this alone. */
export interface TrainingPosition {
  /** From 0; equal to the number of epochs when all are done. */
  readonly epoch: number;
  /** Batches done in this epoch. */
  readonly batch: number;
  /** Images of the epoch's order that were taken, unreadable ones included. */
  readonly taken: number;
  /** Optimizer steps so far in the whole run. */
  readonly updates: number;
}

/** What was measured so far. */
export interface TrainingRecord {
  /** Loss of every step. */
  readonly losses: readonly number[];
  readonly epochs: readonly EpochRecord[];
}

export interface EpochRecord {
  /** Mean over the epoch's images. */
  readonly loss: number;
  /** Share of images that counted as right, 0 to 1; null when the objective does not count them. */
  readonly accuracy: number | null;
}

export interface Checkpoint {
  /** Identifies what was being trained, and how: a checkpoint serves only the same work. */
  readonly fingerprint: string;
  readonly position: TrainingPosition;
  readonly record: TrainingRecord;
  /** Sums of the epoch under way. */
  readonly partial: EpochSums;
  readonly state: ProgramState;
}

export interface EpochSums {
  readonly images: number;
  readonly loss: number;
  /** null when the objective does not count them, or before the first step. */
  readonly hits: number | null;
}

const MAGIC = 'ESPALIER-TRAIN-1';

/** @throws UserError `cannot-write` */
export function writeCheckpoint(file: string, { state, ...rest }: Checkpoint): void {
  const vectors = Object.entries(state).map(([name, values]) => ({ name, length: values.length }));
  const header = Buffer.from(JSON.stringify({ ...rest, vectors }), 'utf8');
  const start = Buffer.alloc(MAGIC.length + 4);
  start.write(MAGIC, 'latin1');
  start.writeUInt32LE(header.length, MAGIC.length);
  const write = (sink: Sink): void => {
    sink(start);
    sink(header);
    for (const values of Object.values(state)) {
      sink(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    }
  };
  writeFiles([{ path: file, write }], { overwrite: true });
}

/** @throws UserError `checkpoint-invalid` */
export async function readCheckpoint(file: string): Promise<Checkpoint> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    throw checkpointInvalid({ file, found: (error as Error).message, expected: 'a training checkpoint' });
  }
  const fail = (found: string): never => {
    throw checkpointInvalid({ file, found, expected: 'a training checkpoint' });
  };
  const start = MAGIC.length + 4;
  if (bytes.length < start || bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) fail('another kind of file');
  const headerEnd = start + bytes.readUInt32LE(MAGIC.length);
  if (headerEnd > bytes.length) fail(`${bytes.length} bytes`);
  const { vectors, ...rest } = parseHeader(bytes.toString('utf8', start, headerEnd)) ?? fail('a damaged header');
  const state: Record<string, Float32Array> = {};
  let offset = headerEnd;
  for (const { name, length } of vectors) {
    const end = offset + 4 * length;
    if (end > bytes.length) fail(`${bytes.length} bytes`);
    state[name] = new Float32Array(new Uint8Array(bytes.subarray(offset, end)).buffer);
    offset = end;
  }
  if (offset !== bytes.length) fail(`${bytes.length - offset} bytes too many`);
  return { ...rest, state };
}

type Header = Omit<Checkpoint, 'state'> & { readonly vectors: readonly { name: string; length: number }[] };

function parseHeader(text: string): Header | null {
  try {
    const header = JSON.parse(text) as Partial<Header>;
    const { fingerprint, position, record, partial, vectors } = header;
    return typeof fingerprint === 'string' && position && record && partial && Array.isArray(vectors)
      ? (header as Header)
      : null;
  } catch {
    return null;
  }
}
