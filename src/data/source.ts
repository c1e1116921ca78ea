/**
 * Bytes that can be read at any place: a file, a stretch of a file, or compressed data that was unpacked once to a
 * temporary file, so that memory stays constant however large the data is.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { type FileHandle, mkdtemp, open, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createInflateRaw } from 'node:zlib';
import { cancelled, datasetMalformed, datasetTooLarge } from '../errors';

export interface ByteSource {
  /** Bytes that can be read. */
  readonly size: number;
  /** The file users know it by. */
  readonly path: string;
  /** Reads exactly `length` bytes; the caller has checked them against `size`. */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

export const defaultMaxUnpackedBytes = 16 * 2 ** 30;

export async function openFile(file: string): Promise<ByteSource> {
  const handle = await open(file, 'r');
  return fileSource(handle, file, (await handle.stat()).size, () => handle.close());
}

function fileSource(handle: FileHandle, file: string, size: number, close: () => Promise<void>): ByteSource {
  const read = async (offset: number, length: number): Promise<Uint8Array> => {
    const buffer = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await handle.read(buffer, filled, length - filled, offset + filled);
      // Only a file that shrank after it was opened gets here.
      if (bytesRead === 0)
        throw datasetMalformed({ path: file, found: `${offset + filled} bytes`, expected: `${offset + length}` });
      filled += bytesRead;
    }
    return buffer;
  };
  return { size, path: file, read, close };
}

/** A stretch of a source that stays its owner's to close. */
export function section(source: ByteSource, start: number, size: number): ByteSource {
  return {
    size,
    path: source.path,
    read: (offset, length) => source.read(start + offset, length),
    close: async () => {},
  };
}

export interface Packed {
  readonly path: string;
  readonly format: 'gzip' | 'deflate';
  /** Where the packed bytes lie in the file; the whole file when absent. */
  readonly start?: number;
  readonly length?: number;
  /** The unpacked size that the data's own first bytes promise; undefined while too few bytes are known. */
  readonly promisedSize: (head: Uint8Array) => number | undefined;
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

/**
 * Unpacks compressed data to a temporary file and opens that. The promised size bounds the work: it is checked
 * against the limit and the free space before, and against what really came out after.
 */
export async function unpack(packed: Packed): Promise<ByteSource> {
  const { path: file, start = 0, length, promisedSize, limit = defaultMaxUnpackedBytes, signal } = packed;
  const folder = await mkdtemp(path.join(tmpdir(), 'espalier-data-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    const unpacked = path.join(folder, 'data');
    let promised: number | undefined;
    let head = new Uint8Array(0);
    let total = 0;
    const check = async function* (chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        total += chunk.length;
        if (promised === undefined) {
          head = joined(head, chunk);
          promised = promisedSize(head);
          if (promised !== undefined) await checkRoom(file, promised, limit, folder);
        }
        if (total > (promised ?? limit))
          throw datasetMalformed({
            path: file,
            found: `more than ${promised ?? limit} bytes`,
            expected: `${promised ?? `at most ${limit}`}`,
          });
        yield chunk;
      }
    };
    const end = length === undefined ? undefined : start + length - 1;
    const packedBytes = createReadStream(file, { start, ...(end === undefined ? {} : { end }) });
    const inflate = packed.format === 'gzip' ? createGunzip() : createInflateRaw();
    try {
      await pipeline(packedBytes, inflate, check, createWriteStream(unpacked, { mode: 0o600 }), { signal });
    } catch (error) {
      if (signal?.aborted) throw cancelled();
      // zlib's own errors (Z_DATA_ERROR, Z_BUF_ERROR) are a damaged file, not a bug.
      if (String((error as NodeJS.ErrnoException).code).startsWith('Z_'))
        throw datasetMalformed({
          path: file,
          found: `damaged compressed data (${(error as Error).message})`,
          expected: `whole ${packed.format} data`,
        });
      throw error;
    }
    if (promised === undefined || total !== promised)
      throw datasetMalformed({
        path: file,
        found: `${total} unpacked bytes`,
        expected: `${promised ?? 'a whole header'}`,
      });
    const handle = await open(unpacked, 'r');
    return fileSource(handle, file, total, async () => {
      await handle.close();
      await remove();
    });
  } catch (error) {
    await remove();
    throw error;
  }
}

async function checkRoom(file: string, bytes: number, limit: number, folder: string): Promise<void> {
  if (bytes > limit) throw datasetTooLarge({ path: file, bytes, limit });
  const { bavail, bsize } = await statfs(folder);
  if (bytes > bavail * bsize) throw datasetTooLarge({ path: file, bytes, limit: bavail * bsize });
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
