// Builds what runs: dist/ is the extension as it ships, out/test/ the tests that run inside VS Code.
//
//   node esbuild.mjs                 development build with source maps
//   node esbuild.mjs --production    what ships: minified, no source maps
//   node esbuild.mjs --watch         builds again whenever a file changes
//   node esbuild.mjs --outdir=DIR    puts the extension somewhere else than dist/
//   node esbuild.mjs --inputs=FILE   lists the source files that went into it, as a JSON array
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { context } from 'esbuild';
import { root } from './scripts/paths.mjs';

const production = process.argv.includes('--production');
const watch = process.argv.includes('--watch');
const outdir = option('outdir') ?? 'dist';
const inputsFile = option('inputs');

/** Output file in dist/ → entry point. `src/cli/main.ts` carries its own `#!` line, which esbuild keeps. */
const nodeEntries = {
  extension: 'src/extension/main.ts',
  engine: 'src/engine/main.ts',
  worker: 'src/engine/worker.ts',
  'spectra.worker': 'src/engine/spectra/worker.ts',
  cli: 'src/cli/main.ts',
};
const webviewEntries = { webview: 'webview/main.ts' };

/** @type {import('esbuild').BuildOptions} */
const common = {
  absWorkingDir: root,
  bundle: true,
  sourcemap: !production,
  logLevel: 'warning',
  legalComments: 'none', // The VSIX has a file of all licences.
  metafile: inputsFile !== undefined,
};

/** @type {import('esbuild').BuildOptions} */
const node = {
  ...common,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  // `vscode` comes from the extension host; packages with native code can't be bundled.
  external: ['vscode', 'onnxruntime-node', 'sharp'],
};

/** @type {import('esbuild').BuildOptions[]} */
const builds = [
  // Names are kept: they appear in logs and in the stacks that users send.
  { ...node, entryPoints: nodeEntries, outdir, minifySyntax: production, minifyWhitespace: production },
  {
    ...common,
    entryPoints: webviewEntries,
    outdir,
    platform: 'browser',
    format: 'iife',
    target: 'es2022',
    minify: production,
  },
];
if (!production) {
  const tests = { outdir: 'out/test', outbase: 'test' };
  builds.push(
    { ...node, ...tests, entryPoints: suiteEntries(), external: [...(node.external ?? []), 'mocha'] },
    {
      ...node,
      ...tests,
      entryPoints: ['test/harness/serverRun.ts', 'test/harness/desktopRun.ts'],
      format: 'esm',
      outExtension: { '.js': '.mjs' },
      packages: 'external',
    },
  );
}

/**
 * @param {string} name
 * @returns {string | undefined}
 */
function option(name) {
  const head = `--${name}=`;
  return process.argv.find((argument) => argument.startsWith(head))?.slice(head.length);
}

/** Each test file is a bundle of its own, as Mocha loads them. */
function suiteEntries() {
  const names = readdirSync(path.join(root, 'test/suite')).filter(
    (name) => name === 'index.ts' || name.endsWith('.test.ts'),
  );
  return names.map((name) => `test/suite/${name}`);
}

// A test that was deleted or renamed must not go on running from its old bundle.
if (!production) rmSync(path.join(root, 'out/test'), { recursive: true, force: true });

const contexts = await Promise.all(builds.map((options) => context(options)));
if (watch) {
  await Promise.all(contexts.map((each) => each.watch()));
  console.log('Watching; Ctrl+C ends.');
} else {
  const results = await Promise.allSettled(contexts.map((each) => each.rebuild()));
  await Promise.all(contexts.map((each) => each.dispose()));
  // esbuild has printed the errors themselves.
  if (results.some(({ status }) => status === 'rejected')) process.exitCode = 1;
  else if (inputsFile) {
    const inputs = results.flatMap((result) =>
      result.status === 'fulfilled' ? Object.keys(result.value.metafile?.inputs ?? {}) : [],
    );
    writeFileSync(inputsFile, JSON.stringify(inputs));
  }
}
