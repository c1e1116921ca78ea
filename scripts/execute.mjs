// Runs a TypeScript file of this repository in Node, bundled as the product is: `node scripts/execute.mjs FILE [ARGS]`.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { root } from './paths.mjs';
import { run } from './processes.mjs';

/**
 * @param {string} file relative to the repository
 * @param {readonly string[]} args
 * @returns {Promise<number>} its exit code
 */
export async function execute(file, args) {
  const bundle = path.join(root, 'out/execute', file.replace(/\.ts$/, '.cjs'));
  await build({
    absWorkingDir: root,
    entryPoints: [file],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    sourcemap: true,
    external: ['onnxruntime-node', 'sharp', 'playwright-core'],
    // Scripts find the repository by their own place, which bundling would lose.
    define: { 'import.meta.url': JSON.stringify(import.meta.url) },
    logLevel: 'warning',
  });
  return (await run(process.execPath, ['--enable-source-maps', bundle, ...args])).code;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [file, ...args] = process.argv.slice(2);
  process.exitCode = await execute(path.relative(root, path.resolve(file)), args);
}
