/** What the in-host suite hands to its launcher: one entry per test, through a file. */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';

export interface SuiteResult {
  readonly title: string;
  readonly state: 'passed' | 'failed' | 'skipped';
  readonly error?: string;
}

/** An absolute path for the results, with those of an earlier run removed. */
export function freshResultsFile(file: string): string {
  mkdirSync(path.dirname(file), { recursive: true });
  rmSync(file, { force: true });
  return path.resolve(file);
}

/**
 * Prints each result and says whether all is well.
 *
 * @returns false when a test failed or the suite wrote no results at all
 */
export function reportResults(file: string): boolean {
  let results: SuiteResult[];
  try {
    results = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    console.log('The suite ended without results.');
    return false;
  }
  for (const { state, title, error } of results) console.log(`${state.padEnd(8)}${title}${error ? `\n${error}` : ''}`);
  return results.length > 0 && results.every(({ state }) => state !== 'failed');
}
