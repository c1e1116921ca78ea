// Puts VS Code's server, and a Node that can run it, into the cache: from npm packages, without a compiler.
//
// The `code-server` package holds an unmodified web workbench and the extension host of Remote-SSH. Its own install
// step compiles ten native modules; running extensions needs none of them, so scripts are skipped and the two whose
// absence shows are replaced by plain JavaScript (see `standIns`).
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { cacheFolder } from './paths.mjs';
import { npm } from './processes.mjs';

const codeServerVersion = '4.139.1'; // VS Code 1.139.1
const nodeVersion = '24.21.0'; // the major version that this code-server declares

/**
 * @typedef {object} ServerFiles
 * @property {string} folder the server, `lib/vscode` of the package
 * @property {string} main its entry point
 * @property {string} node a Node that can run it
 */

/**
 * Installs on first use (half a minute, 550 MB); later calls only look. Two callers at once do no harm: each installs
 * apart and the last step is one rename.
 *
 * @param {(line: string) => void} [report]
 * @returns {Promise<ServerFiles>}
 */
export async function ensureServer(report = (line) => console.error(line)) {
  const shelf = cacheFolder('vscode-server');
  const place = path.join(shelf, `${codeServerVersion}-${process.platform}-${process.arch}-${changes()}`);
  if (!existsSync(place)) {
    report(`Fetching VS Code's server ${codeServerVersion} into ${place} (once, about half a minute) …`);
    mkdirSync(shelf, { recursive: true });
    const building = `${place}.${process.pid}`;
    rmSync(building, { recursive: true, force: true });
    mkdirSync(building);
    try {
      await build(building);
      if (!existsSync(place)) renameSync(building, place);
    } finally {
      rmSync(building, { recursive: true, force: true });
    }
  }
  return files(place);
}

/**
 * @param {string} place
 * @returns {ServerFiles}
 */
function files(place) {
  const folder = path.join(place, 'node_modules/code-server/lib/vscode');
  const bin = process.platform === 'win32' ? 'bin/node.exe' : 'bin/node';
  return {
    folder,
    main: path.join(folder, 'out/server-main.js'),
    node: path.join(place, 'node_modules', nodePackage(), bin),
  };
}

/** Stands for what is done to the packages here, so that a server made by an earlier version of this file is left alone. */
function changes() {
  const all = JSON.stringify([nodeVersion, unusedParts, claimAgain, standIns]);
  return createHash('sha256').update(all).digest('hex').slice(0, 8);
}

/** The npm package that holds Node itself for this machine. */
function nodePackage() {
  const system = process.platform === 'win32' ? 'win' : process.platform;
  // The plain name was taken when Apple's processors came.
  const prefix = system === 'darwin' && process.arch === 'arm64' ? 'node-bin' : 'node';
  return `${prefix}-${system}-${process.arch}`;
}

/** @param {string} place */
async function build(place) {
  writeFileSync(path.join(place, 'package.json'), '{ "private": true }\n');
  await install(place, [`code-server@${codeServerVersion}`, `${nodePackage()}@${nodeVersion}`]);
  const { folder } = files(place);
  // The server's packages are listed beside it but not among code-server's own; its install step fetches them.
  await install(folder, ['--omit=dev', '--no-save']);
  for (const unused of unusedParts) rmSync(path.join(folder, unused), { recursive: true, force: true });
  for (const [module, source] of Object.entries(standIns)) {
    writeFileSync(path.join(folder, 'node_modules', module, 'index.js'), source);
  }
  appendFileSync(path.join(folder, 'out/vs/workbench/contrib/webview/browser/pre/service-worker.js'), claimAgain);
}

/**
 * @param {string} folder
 * @param {readonly string[]} args
 */
async function install(folder, args) {
  const { code, text } = await npm(['install', ...args, '--engine-strict=false'], { cwd: folder, output: 'keep' });
  if (code !== 0) throw new Error(`npm install ${args.join(' ')} ended with ${code} in ${folder}:\n${text}`);
}

/** A quarter of a gigabyte that neither the tests nor `npm start` touch: AI assistants and container tools. */
const unusedParts = [
  'extensions/copilot',
  'node_modules/@devcontainers',
  'node_modules/@github',
  'node_modules/@microsoft/mxc-sdk',
];

/**
 * Webviews wait until the service worker that serves their files controls them. It claims all of them once, when it is
 * activated; one whose page is just then under way stays without it and blank for ever. Elsewhere each webview has an
 * origin and a worker of its own, here they share one: so it goes on claiming while the first ones load.
 */
const claimAgain = `
self.addEventListener('activate', () => {
  const claiming = setInterval(() => self.clients.claim(), 100);
  setTimeout(() => clearInterval(claiming), 20_000);
});
`;

/**
 * JavaScript in place of native modules. VS Code imports them as ES modules, where Node finds the exports of a
 * CommonJS file only when each is assigned by name.
 */
const standIns = {
  // Log files: without it the server prints an error and logs nothing.
  '@vscode/spdlog': `const { appendFile, mkdirSync } = require('node:fs');
const { dirname } = require('node:path');
const levels = ['trace', 'debug', 'info', 'warning', 'error', 'critical'];
class Logger {
  #file; #least = 2; #plain = false;
  constructor(file) { this.#file = file; mkdirSync(dirname(file), { recursive: true }); }
  #line(level, text) {
    if (level < this.#least) return;
    const head = this.#plain ? '' : new Date().toISOString() + ' [' + levels[level] + '] ';
    appendFile(this.#file, head + text + (this.#plain ? '' : '\\n'), () => {});
  }
  trace(text) { this.#line(0, text); }
  debug(text) { this.#line(1, text); }
  info(text) { this.#line(2, text); }
  warn(text) { this.#line(3, text); }
  error(text) { this.#line(4, text); }
  critical(text) { this.#line(5, text); }
  getLevel() { return this.#least; }
  setLevel(level) { this.#least = level; }
  clearFormatters() { this.#plain = true; }
  setPattern() {}
  flush() {}
  drop() {}
}
const open = async (_name, file) => new Logger(file);
exports.version = 0;
exports.Logger = Logger;
exports.setLevel = () => {};
exports.setFlushOn = () => {};
exports.createRotatingLogger = open;
exports.createAsyncRotatingLogger = open;
`,
  // Ends an extension host whose server is gone; without it such a host lives on.
  '@vscode/native-watchdog': `exports.start = (parent) => {
  const look = () => { try { process.kill(parent, 0); } catch { process.exit(87); } };
  setInterval(look, 1000).unref();
};
exports.exit = (code) => process.exit(code ?? 0);
`,
};
