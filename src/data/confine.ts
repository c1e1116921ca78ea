/**
 * Data named by a file stays in that file's folder: files come from others, and must not make Espalier read
 * elsewhere. Links are followed and judged by where they lead.
 */
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { datasetNotFound, datasetPathOutside } from '../errors';

/** Whether `inner` is `folder` or lies below it; both absolute and free of links. */
export function isInside(folder: string, inner: string): boolean {
  const relative = path.relative(folder, inner);
  return relative === '' || (!path.isAbsolute(relative) && relative.split(path.sep)[0] !== '..');
}

/** Whether a path as written could lead out of its folder, before links are looked at. */
export function climbsOut(relative: string): boolean {
  const portable = relative.replaceAll('\\', '/');
  const absolute = portable.startsWith('/') || /^[a-z]:/i.test(portable);
  return absolute || portable.includes('\0') || path.posix.normalize(portable).split('/')[0] === '..';
}

/**
 * The real path of something that a file names relative to itself.
 *
 * @param notFound the error when it is not there
 * @throws UserError `dataset-path-outside`, `dataset-not-found`
 */
export async function resolveBeside(file: string, relative: string, notFound = datasetNotFound): Promise<string> {
  if (climbsOut(relative)) throw datasetPathOutside({ file, path: relative });
  const folder = await realpath(path.dirname(file));
  const target = path.join(folder, relative.replaceAll('\\', '/'));
  const real = await realpath(target).catch(() => undefined);
  if (real === undefined) throw notFound(target);
  if (!isInside(folder, real)) throw datasetPathOutside({ file, path: relative });
  return real;
}

/** Whether a file beside others is there and, if a link, leads nowhere else. */
export async function staysInside(folder: string, name: string): Promise<boolean> {
  try {
    return isInside(await realpath(folder), await realpath(path.join(folder, name)));
  } catch {
    return false;
  }
}
