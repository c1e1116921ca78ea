/** Folders for pruned models that are not saved yet: one per run, inside the extension's own storage. */
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import path from 'node:path';

export class Candidates {
  constructor(private readonly folder: string) {}

  /** A fresh folder, which exists. */
  async create(): Promise<string> {
    const folder = path.join(this.folder, randomUUID());
    await mkdir(folder, { recursive: true });
    return folder;
  }

  /** Removes the folder that holds this file, if it is one of ours. */
  async discard(candidate: string): Promise<void> {
    const name = path.relative(this.folder, candidate).split(path.sep)[0];
    if (name === '' || name === '..' || path.isAbsolute(name)) return;
    await rm(path.join(this.folder, name), { recursive: true, force: true });
  }

  /** Removes every folder that holds none of these files: what crashed or cancelled runs left behind. */
  async sweep(needed: Iterable<string>): Promise<void> {
    const keep = new Set([...needed].map((file) => path.relative(this.folder, file).split(path.sep)[0]));
    const names = await readdir(this.folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    const leftOver = names.filter((name) => !keep.has(name));
    await Promise.all(leftOver.map((name) => rm(path.join(this.folder, name), { recursive: true, force: true })));
  }
}
