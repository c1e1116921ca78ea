// `npm run bench -- spectra`: bundles bench/<name>.ts, as the product is bundled, and runs it.
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { root } from './paths.mjs';
import { run } from './processes.mjs';

const [name, ...rest] = process.argv.slice(2);
const there = readdirSync(path.join(root, 'bench'))
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -'.ts'.length));

if (!there.includes(name)) {
  console.error(`Which benchmark? There are: ${there.join(', ')}`);
  process.exitCode = 2;
} else {
  const bundle = path.join(root, 'out/bench', `${name}.cjs`);
  await build({
    entryPoints: [path.join(root, 'bench', `${name}.ts`)],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    sourcemap: true,
    external: ['onnxruntime-node', 'sharp'],
    logLevel: 'warning',
  });
  const built = await run(process.execPath, ['esbuild.mjs']);
  process.exitCode = built.code || (await run(process.execPath, ['--enable-source-maps', bundle, ...rest])).code;
}
