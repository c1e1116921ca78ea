// `npm run schemas`: writes the JSON schemas that VS Code completes recipes and dataset files from. Their source is the
// validation itself, src/protocol/recipe.ts; a test holds the committed files against it.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { root } from './paths.mjs';

const bundle = path.join(root, 'out/scripts/schemaFiles.mjs');
await build({
  entryPoints: [path.join(root, 'src/protocol/schemaFiles.ts')],
  outfile: bundle,
  bundle: true,
  platform: 'node',
  format: 'esm',
  logLevel: 'warning',
});
const { schemaFiles } = await import(pathToFileURL(bundle).href);
mkdirSync(path.join(root, 'schemas'), { recursive: true });
for (const [name, text] of Object.entries(schemaFiles())) writeFileSync(path.join(root, 'schemas', name), text);
