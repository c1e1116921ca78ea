/**
 * Writes files so that nobody ever sees half of one: each is written under a temporary name in its folder, flushed
 * to the disk and then renamed. After an error nothing new is left.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { cannotWrite, outputExists, UserError } from './errors';

/** Takes bytes; they may be reused after the call. */
export type Sink = (bytes: Uint8Array) => void;

export interface FileToWrite {
  readonly path: string;
  /** Passes the content to the sink, piece by piece. A piece may be reused after the call. */
  write(sink: Sink): void;
}

/** A file of text, as UTF-8. */
export function textFile(path: string, text: string): FileToWrite {
  return { path, write: (sink) => sink(Buffer.from(text)) };
}

/** Whether a file of this name was being written when something ended its process: nobody will finish it. */
export function isLeftover(name: string): boolean {
  return name.startsWith(TEMPORARY);
}

const TEMPORARY = '.espalier-';

/** Small pieces are collected, so that each write to the disk is worth it. */
const BUFFER = 1024 * 1024;

/**
 * Writes all files or none. They appear in the given order, so put last the one that refers to the others.
 * @returns bytes written
 * @throws UserError `output-exists`, `cannot-write`, and what `write` throws
 */
export function writeFiles(files: readonly FileToWrite[], { overwrite }: { overwrite: boolean }): number {
  const leftovers = new Set<string>();
  let current = files[0].path;
  try {
    let bytes = 0;
    const written = files.map((file) => {
      current = file.path;
      const temporary = temporaryName(file.path);
      leftovers.add(temporary);
      bytes += writeOne(temporary, file);
      return { temporary, final: file.path };
    });
    for (const { temporary, final } of written) {
      current = final;
      publish(temporary, final, overwrite);
      leftovers.delete(temporary);
      // A file that replaced another can't be taken back; a new one can.
      if (!overwrite) leftovers.add(final);
    }
    leftovers.clear();
    for (const folder of new Set(files.map((file) => path.dirname(file.path)))) flushFolder(folder);
    return bytes;
  } catch (error) {
    for (const file of leftovers) fs.rmSync(file, { force: true });
    throw error instanceof UserError ? error : writeFailure(current, error);
  }
}

function temporaryName(file: string): string {
  // Short: a name that is just within the limit of the file system must still work.
  return path.join(path.dirname(file), `${TEMPORARY}${randomBytes(8).toString('hex')}.tmp`);
}

function writeOne(temporary: string, file: FileToWrite): number {
  const descriptor = fs.openSync(temporary, 'wx');
  try {
    const buffer = Buffer.allocUnsafe(BUFFER);
    let filled = 0;
    let bytes = 0;
    const flush = (): void => {
      writeAll(descriptor, buffer.subarray(0, filled));
      filled = 0;
    };
    file.write((piece) => {
      bytes += piece.length;
      if (filled + piece.length > BUFFER) flush();
      if (piece.length > BUFFER) {
        writeAll(descriptor, piece);
      } else {
        buffer.set(piece, filled);
        filled += piece.length;
      }
    });
    flush();
    fs.fsyncSync(descriptor);
    return bytes;
  } finally {
    fs.closeSync(descriptor);
  }
}

function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += fs.writeSync(descriptor, bytes, at, Math.min(bytes.length - at, 2 ** 30));
}

/** Gives a file its name. A file of that name that appeared meanwhile is kept unless it may be overwritten. */
function publish(temporary: string, final: string, overwrite: boolean): void {
  if (overwrite) {
    fs.renameSync(temporary, final);
    return;
  }
  try {
    // Unlike a rename, a link never replaces a file.
    fs.linkSync(temporary, final);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST' || fs.existsSync(final)) throw outputExists({ path: final });
    // Not every file system has links.
    fs.renameSync(temporary, final);
    return;
  }
  fs.rmSync(temporary);
}

/** Makes the new names last through a power cut, where folders can be flushed (not on Windows). */
function flushFolder(folder: string): void {
  try {
    const descriptor = fs.openSync(folder, 'r');
    fs.fsyncSync(descriptor);
    fs.closeSync(descriptor);
  } catch {
    // The files are complete; only their names may be lost.
  }
}

/** Errors of the file system are the user's to solve; any other is a bug and stays what it is. */
export function writeFailure(file: string, error: unknown): unknown {
  const { code, syscall, message } = error as NodeJS.ErrnoException;
  if (syscall === undefined) return error;
  const reasons: Record<string, string> = {
    ENOSPC: 'the disk is full',
    EDQUOT: 'the disk quota is used up',
    EACCES: 'permission denied',
    EPERM: 'permission denied',
    EROFS: 'the disk is read-only',
    ENOENT: 'the folder does not exist',
    ENOTDIR: 'the folder does not exist',
    EISDIR: 'it is a folder',
    ENAMETOOLONG: 'the name is too long',
  };
  return cannotWrite({ path: file, reason: reasons[code ?? ''] ?? message });
}
