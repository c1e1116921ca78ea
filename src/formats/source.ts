/**
 * Random access to the bytes of a file: positional reads, nothing cached, never the whole file.
 * Reads are synchronous because all engine work runs off the message loop. A file that changes while it is open
 * is reported instead of being read as something it is not.
 */
import fs from 'node:fs';
import { cannotRead, fileChanged, fileNotFound } from '../errors';

export interface Source {
  /** Absolute or relative, as it was given. */
  readonly path: string;
  /** Bytes of the file when it was opened. */
  readonly size: number;
  /** When the file was last changed, milliseconds. */
  readonly modified: number;
  /** Reads `length` bytes from `offset` into memory of their own. */
  read(offset: number, length: number): Uint8Array;
  /** Fills all of `target` with the bytes at `offset`. */
  readInto(offset: number, target: Uint8Array): void;
  close(): void;
}

/** `fs.readSync` takes at most 2^31 - 1 bytes at once. */
const MAX_READ = 2 ** 30;

/**
 * Opens a regular file.
 * @throws UserError `file-not-found`, `cannot-read`
 */
export function openSource(path: string): Source {
  let descriptor: number | null;
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for a writer.
    descriptor = fs.openSync(path, fs.constants.O_RDONLY | (fs.constants.O_NONBLOCK ?? 0));
  } catch (error) {
    throw openFailure(path, error);
  }
  const opened = fs.fstatSync(descriptor);
  if (!opened.isFile()) {
    fs.closeSync(descriptor);
    throw cannotRead({ path, reason: opened.isDirectory() ? 'it is a folder' : 'it is not a regular file' });
  }

  function readInto(offset: number, target: Uint8Array): void {
    if (descriptor === null) throw new Error(`Read from '${path}' after it was closed`);
    if (offset < 0 || offset + target.length > opened.size) {
      throw new Error(`Read of ${target.length} bytes at ${offset} outside of '${path}' (${opened.size} bytes)`);
    }
    const now = fs.fstatSync(descriptor);
    if (now.size !== opened.size || now.mtimeMs !== opened.mtimeMs) throw fileChanged({ path });
    let done = 0;
    while (done < target.length) {
      const count = readSome(descriptor, path, target, done, offset);
      if (count === 0) throw fileChanged({ path });
      done += count;
    }
  }

  return {
    path,
    size: opened.size,
    modified: opened.mtimeMs,
    readInto,
    read(offset, length) {
      // Not pooled: views of other element types need an aligned start.
      const bytes = Buffer.allocUnsafeSlow(length);
      readInto(offset, bytes);
      return bytes;
    },
    close() {
      if (descriptor !== null) fs.closeSync(descriptor);
      descriptor = null;
    },
  };
}

function readSome(descriptor: number, path: string, target: Uint8Array, done: number, offset: number): number {
  try {
    return fs.readSync(descriptor, target, done, Math.min(target.length - done, MAX_READ), offset + done);
  } catch (error) {
    throw cannotRead({ path, reason: (error as Error).message });
  }
}

function openFailure(path: string, error: unknown): Error {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') return fileNotFound({ path });
  return cannotRead({ path, reason: code === 'EACCES' || code === 'EPERM' ? 'permission denied' : message });
}
