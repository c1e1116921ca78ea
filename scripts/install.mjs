// `npm ci`, when what is installed is not what package.json pins. Node's own modules only: nothing is installed yet.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from './paths.mjs';
import { npm } from './processes.mjs';

/** @param {(line: string) => void} [report] */
export async function ensureInstalled(report = (line) => console.error(line)) {
  const { dependencies, devDependencies } = manifest('.');
  const wrong = Object.entries({ ...dependencies, ...devDependencies })
    .filter(([name, version]) => manifest(path.join('node_modules', name))?.version !== version)
    .map(([name]) => name);
  if (wrong.length === 0) return;
  report(`Installing packages (${wrong.length} to bring up to date) …`);
  const { code, text } = await npm(['ci'], { output: 'keep' });
  if (code !== 0) throw new Error(`npm ci ended with ${code}:\n${text}`);
}

/** @param {string} folder */
function manifest(folder) {
  try {
    return JSON.parse(readFileSync(path.join(root, folder, 'package.json'), 'utf8'));
  } catch {
    return undefined;
  }
}
