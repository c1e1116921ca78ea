// Where things are: the repository, and the one cache folder that outlives a clone.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Absolute path of the repository: the nearest folder with a package.json, since tests bundle this file into out/. */
export const root = up(path.dirname(fileURLToPath(import.meta.url)));

/**
 * @param {string} folder
 * @returns {string}
 */
function up(folder) {
  return existsSync(path.join(folder, 'package.json')) ? folder : up(path.dirname(folder));
}

/**
 * A folder for things that are downloaded once per machine. `ESPALIER_CACHE` moves all of them.
 *
 * @param {string} name what it holds, e.g. `vscode-server`
 */
export function cacheFolder(name) {
  const base = process.env.ESPALIER_CACHE || process.env.XDG_CACHE_HOME || path.join(homedir(), '.cache');
  return path.resolve(base, `espalier-${name}`);
}
