// `npm run package`: the extension as users install it, one VSIX per platform, because it carries native code.
//
//   npm run package                       for this machine
//   npm run package -- --target win32-x64 for another one; its native packages are fetched from npm
//   npm run package -- --list             the platforms there are
//
// The VSIX is made from a folder that holds nothing else, with the native packages beside the bundles that load them
// (`dist/node_modules`). It fails when the result is too large.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ensureInstalled } from './install.mjs';
import { root } from './paths.mjs';
import { npm, run } from './processes.mjs';

/** 40 MB as vsce counts them. */
const sizeLimit = 40 * 2 ** 20;

/** Where both ONNX Runtime and libvips have binaries. Each is `os-cpu`, in Node's words, which are VS Code's too. */
const targets = ['linux-x64', 'linux-arm64', 'darwin-arm64', 'win32-x64', 'win32-arm64'];

const argument = process.argv.indexOf('--target');
const target = argument < 0 ? `${process.platform}-${process.arch}` : process.argv[argument + 1];

if (process.argv.includes('--list')) {
  console.log(targets.join('\n'));
} else if (!targets.includes(target)) {
  console.error(`No VSIX can be made for ${target}; there are: ${targets.join(', ')}`);
  process.exitCode = 2;
} else {
  try {
    await ensureInstalled();
    await makeVsix();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}

async function makeVsix() {
  const stage = path.join(root, 'out/package', target);
  rmSync(stage, { recursive: true, force: true });
  mkdirSync(stage, { recursive: true });
  const inputs = path.join(root, 'out/package/inputs.json');
  const build = ['esbuild.mjs', '--production', `--outdir=${path.join(stage, 'dist')}`, `--inputs=${inputs}`];
  await must('the build', run(process.execPath, build));
  for (const each of ['CHANGELOG.md', 'LICENSE', '.vscodeignore', 'docs', 'media', 'schemas', 'sample/workspace']) {
    // What somebody pruned in the sample workspace stays at home.
    const filter = (/** @type {string} */ file) => !path.basename(file).includes('.pruned.');
    cpSync(path.join(root, each), path.join(stage, each), { recursive: true, filter });
  }
  writeFileSync(path.join(stage, 'README.md'), shippedReadme());
  writeFileSync(path.join(stage, 'package.json'), JSON.stringify(shippedManifest(), null, 2));
  const native = await addNativePackages(path.join(stage, 'dist/node_modules'));
  const bundled = packageFolders(JSON.parse(readFileSync(inputs, 'utf8')));
  writeFileSync(path.join(stage, 'THIRD_PARTY_LICENSES.txt'), licences([...bundled, ...native]));

  const vsix = path.join(root, `dist/espalier-${target}.vsix`);
  mkdirSync(path.dirname(vsix), { recursive: true });
  const vsce = path.join(root, 'node_modules/@vscode/vsce/vsce');
  const options = ['--no-dependencies', '--allow-missing-repository'];
  await must(
    'vsce',
    run(process.execPath, [vsce, 'package', '--target', target, '--out', vsix, ...options], {
      cwd: stage,
      output: 'keep',
    }),
  );
  const size = statSync(vsix).size;
  console.log(`${path.relative(root, vsix)}: ${(size / 2 ** 20).toFixed(1)} MiB of at most ${sizeLimit / 2 ** 20} MiB`);
  if (size > sizeLimit) throw new Error(`${vsix} has ${size} bytes, more than ${sizeLimit}.`);
}

/**
 * README.md for VS Code's page of an extension, which shows pictures and follows links of the web alone: without its
 * pictures, and with the names of files that ship instead of links to them.
 */
function shippedReadme() {
  return readFileSync(path.join(root, 'README.md'), 'utf8')
    .replace(/^!\[[^\]]*\]\((?!https:)[^)]*\)\n\n(\*[^*]*\*\n\n)?/gm, '')
    .replace(/\[([^\]]*)\]\((?!https:)([^)]*)\)/g, (_, text, file) => (text === file ? text : `${text} (\`${file}\`)`));
}

/** package.json without what only a checkout needs. Everything it depends on is bundled or copied. */
function shippedManifest() {
  const { scripts, dependencies, devDependencies, bin, ...shipped } = readManifest(root);
  return shipped;
}

/**
 * Copies what the platform loads at run time: of each package the listed files and folders.
 *
 * @param {string} destination
 * @returns {Promise<string[]>} the folders they come from
 */
async function addNativePackages(destination) {
  const [system, cpu] = target.split('-');
  const modules = path.join(root, 'node_modules');
  const binaries = await sharpBinaries(modules);
  /** @type {Record<string, readonly string[]>} */
  const wanted = {
    'onnxruntime-node': ['package.json', 'dist', `bin/napi-v6/${system}/${cpu}`],
    'onnxruntime-common': ['package.json', 'dist/cjs'],
    sharp: ['package.json', 'LICENSE', 'dist'],
    // What sharp itself imports.
    '@img/colour': ['.'],
    'detect-libc': ['.'],
    semver: ['.'],
  };
  const parts = Object.entries(wanted).map(([name, files]) => ({ name, files, from: path.join(modules, name) }));
  for (const name of binaries.names) parts.push({ name, files: ['.'], from: path.join(binaries.folder, name) });
  for (const { name, files, from } of parts) copy(from, path.join(destination, name), files);
  return parts.map(({ from }) => from);
}

/**
 * The packages that bundled files come from.
 *
 * @param {readonly string[]} files relative to the repository
 * @returns {string[]} absolute folders
 */
function packageFolders(files) {
  const folders = files.flatMap((file) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []);
  return [...new Set(folders)].sort().map((folder) => path.join(root, folder));
}

/**
 * One text with the licence of every package that ships.
 *
 * @param {readonly string[]} folders
 */
function licences(folders) {
  const parts = folders.map((folder) => {
    const { name, version, license, homepage, repository } = readManifest(folder);
    const source = homepage ?? repository?.url ?? repository ?? '';
    const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
    const text = file ? readFileSync(path.join(folder, file), 'utf8').trim() : `Licence: ${license}`;
    return `${name} ${version} (${license})\n${source}\n\n${text}`;
  });
  return `${parts.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}

/**
 * The packages with sharp's native code for the target: installed ones where they fit, else fetched.
 *
 * @param {string} modules
 * @returns {Promise<{ folder: string, names: readonly string[] }>}
 */
async function sharpBinaries(modules) {
  const { version, optionalDependencies } = readManifest(path.join(modules, 'sharp'));
  // On Windows libvips comes in the first of the two.
  const names = [`@img/sharp-${target}`, `@img/sharp-libvips-${target}`].filter((name) => name in optionalDependencies);
  if (names.every((name) => existsSync(path.join(modules, name)))) return { folder: modules, names };

  const fetched = path.join(root, 'out/package', `${target}-native`);
  rmSync(fetched, { recursive: true, force: true });
  mkdirSync(fetched, { recursive: true });
  writeFileSync(path.join(fetched, 'package.json'), '{ "private": true }\n');
  const [system, cpu] = target.split('-');
  const platform = [`--os=${system}`, `--cpu=${cpu}`, ...(system === 'linux' ? ['--libc=glibc'] : [])];
  await must('npm', npm(['install', '--no-save', ...platform, `sharp@${version}`], { cwd: fetched, output: 'keep' }));
  return { folder: path.join(fetched, 'node_modules'), names };
}

/**
 * @param {string} from
 * @param {string} to
 * @param {readonly string[]} parts
 */
function copy(from, to, parts) {
  // Types, source maps, ES module twins and manuals are for developers; licences go along.
  const forDevelopers = /\.(map|[cm]?ts|mjs|md|markdown|bnf)$/;
  const filter = (/** @type {string} */ file) => !forDevelopers.test(file) || /licen[cs]e/i.test(path.basename(file));
  for (const part of parts) cpSync(path.join(from, part), path.join(to, part), { recursive: true, filter });
}

/** @param {string} folder */
function readManifest(folder) {
  return JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
}

/**
 * @param {string} what
 * @param {Promise<{ code: number, text: string }>} running
 */
async function must(what, running) {
  const { code, text } = await running;
  if (code !== 0) throw new Error(`${what} ended with ${code}:\n${text}`);
}
