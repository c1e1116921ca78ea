/** Workspaces for tests: copies, because tests write into them. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { root } from '../../scripts/paths.mjs';

export interface TestWorkspace {
  /** Absolute path. */
  readonly folder: string;
  remove(): void;
}

/**
 * The sample workspace, copied to a temporary folder.
 *
 * @param extra more files, by their path in the workspace: the file that is copied there
 */
export function copyOfSample(extra: Readonly<Record<string, string>> = {}): TestWorkspace {
  const parent = mkdtempSync(path.join(tmpdir(), 'espalier-sample-'));
  const folder = path.join(parent, 'workspace');
  cpSync(path.join(root, 'sample/workspace'), folder, { recursive: true });
  for (const [place, source] of Object.entries(extra)) cpSync(source, path.join(folder, place), { recursive: true });
  return { folder, remove: () => rmSync(parent, { recursive: true, force: true }) };
}
