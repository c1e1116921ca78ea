/** Folders for pruned models that are not saved yet: one per run, inside the extension's own storage. */
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';

export class Candidates {
  constructor(private readonly folder: string) {}

  /** A fresh folder, which exists. */
  async create(): Promise<string> {
    const folder = path.join(this.folder, randomUUID());
    await mkdir(folder, { recursive: true });
    return folder;
  }

  /** Removes the folder that is or holds this path, if it is one of ours. */
  async discard(candidate: string): Promise<void> {
    const name = this.nameOf(candidate);
    if (name) await rm(path.join(this.folder, name), { recursive: true, force: true });
  }

  /**
   * Removes every folder that holds none of these files: what crashed runs left behind. Young ones stay, since a run
   * in another window may be writing them.
   *
   * @param age milliseconds from which a folder counts as left behind
   */
  async sweep(needed: Iterable<string>, age = 24 * 3_600_000): Promise<void> {
    const keep = new Set([...needed].map((file) => this.nameOf(file)));
    const names = await readdir(this.folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    for (const name of names) {
      const folder = path.join(this.folder, name);
      const { mtimeMs } = await stat(folder);
      if (!keep.has(name) && Date.now() - mtimeMs >= age) await rm(folder, { recursive: true, force: true });
    }
  }

  /** The folder's name in ours; null for paths that lie elsewhere. */
  private nameOf(file: string): string | null {
    const [name] = path.relative(this.folder, file).split(path.sep);
    return name === '' || name === '..' || path.isAbsolute(name) ? null : name;
  }
}
