/**
 * Files beside a model that hold tensor values. A model comes from anywhere, so the places it names are not trusted:
 * only regular files inside the model's folder are read, after links are resolved.
 * Source: https://github.com/onnx/onnx/blob/main/docs/ExternalData.md
 */
import fs from 'node:fs';
import path from 'node:path';
import { externalDataMissing, externalDataPath, fileChanged } from '../../errors';
import { openSource, type Source } from '../source';

export interface ExternalFile {
  /** As the model names it: relative to the model's folder. */
  readonly location: string;
  /** Absolute, with links resolved. */
  readonly path: string;
  readonly size: number;
  readonly modified: number;
}

export class ExternalFiles {
  private readonly files = new Map<string, ExternalFile>();
  private folders: readonly string[] | null = null;

  constructor(private readonly modelPath: string) {}

  /** What was located, one entry per location; several may lead to one file. */
  get located(): readonly ExternalFile[] {
    return [...this.files.values()];
  }

  /** Bytes of all files. */
  get bytes(): number {
    const sizes = new Map(this.located.map((file) => [file.path, file.size]));
    return [...sizes.values()].reduce((sum, size) => sum + size, 0);
  }

  /**
   * Finds the file that a tensor's location names.
   * @throws UserError `external-data-path`, `external-data-missing`
   */
  locate(location: string, tensor: string): ExternalFile {
    const known = this.files.get(location);
    if (known) return known;
    const where = { model: this.modelPath, tensor, location };
    const reason = unsafeReason(location);
    if (reason) throw externalDataPath({ ...where, reason });
    let real: string;
    try {
      real = fs.realpathSync(path.join(path.dirname(this.modelPath), location));
    } catch {
      throw externalDataMissing(where);
    }
    this.folders ??= modelFolders(this.modelPath);
    if (!this.folders.some((folder) => isInside(folder, real))) {
      throw externalDataPath({ ...where, reason: 'it is a link that leads out of the folder of the model' });
    }
    const stat = fs.statSync(real);
    if (!stat.isFile()) throw externalDataPath({ ...where, reason: 'it is not a regular file' });
    const file = { location, path: real, size: stat.size, modified: stat.mtimeMs };
    this.files.set(location, file);
    return file;
  }
}

/**
 * Opens an external file for one use: a model may have hundreds of them.
 * @throws UserError `file-changed` when it is not the file that was located
 */
export function openExternal(file: ExternalFile): Source {
  const source = openSource(file.path);
  if (source.size === file.size && source.modified === file.modified) return source;
  source.close();
  throw fileChanged({ path: file.path });
}

/** Why a location can't be trusted, whatever the file system holds; null when it can. */
function unsafeReason(location: string): string | null {
  if (location === '') return 'it is empty';
  if (location.includes('\0')) return 'it contains a zero byte';
  if (/^[\\/]/.test(location) || /^[a-z]:/i.test(location)) return 'it is not relative to the folder of the model';
  if (location.split(/[\\/]/).includes('..')) return 'it leads out of the folder of the model';
  return null;
}

/** Download caches link a whole model folder into a store: the folder of the link's target counts as well. */
function modelFolders(modelPath: string): readonly string[] {
  return [fs.realpathSync(path.dirname(path.resolve(modelPath))), path.dirname(fs.realpathSync(modelPath))];
}

function isInside(folder: string, file: string): boolean {
  const relative = path.relative(folder, file);
  return relative !== '' && !relative.startsWith('..' + path.sep) && relative !== '..' && !path.isAbsolute(relative);
}
