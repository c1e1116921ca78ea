// `npm run bench -- spectra`: builds the product, which benchmarks may start, and runs bench/<name>.ts.
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { execute } from './execute.mjs';
import { root } from './paths.mjs';
import { run } from './processes.mjs';

const [name, ...rest] = process.argv.slice(2);
const there = readdirSync(path.join(root, 'bench'))
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -'.ts'.length));

if (there.includes(name)) {
  const built = await run(process.execPath, ['esbuild.mjs']);
  process.exitCode = built.code || (await execute(`bench/${name}.ts`, rest));
} else {
  console.error(`Which benchmark? There are: ${there.join(', ')}`);
  process.exitCode = 2;
}
