/** Bundles the echo engine once per test file, so that it can be forked. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';

export interface BuiltEngine {
  readonly entry: string;
  remove(): void;
}

export async function buildEchoEngine(): Promise<BuiltEngine> {
  const folder = mkdtempSync(path.join(tmpdir(), 'espalier-echo-'));
  const entry = path.join(folder, 'echoEngine.cjs');
  await build({
    entryPoints: [path.join(__dirname, '../protocol/echoEngine.ts')],
    outfile: entry,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    logLevel: 'error',
  });
  return { entry, remove: () => rmSync(folder, { recursive: true }) };
}
