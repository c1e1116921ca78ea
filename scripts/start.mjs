// `npm start`: from a fresh clone to a real VS Code with Espalier on the sample workspace.
//
//   npm start                 the desktop VS Code when `code` is there, else VS Code's server in a browser tab
//   npm start -- --no-open    the server, without opening a tab; its address is printed
//   npm start -- --check      starts the server, asks it for its page and its extensions, stops
//   npm start -- FOLDER       another workspace than the sample

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { ensureInstalled } from './install.mjs';
import { cacheFolder, root } from './paths.mjs';
import { run } from './processes.mjs';
import { startServer } from './server.mjs';

const options = process.argv.slice(2).filter((argument) => argument.startsWith('--'));
const unknown = options.find((option) => !['--check', '--no-open'].includes(option));
const folder = path.resolve(
  process.argv.slice(2).find((argument) => !argument.startsWith('--')) ?? path.join(root, 'sample/workspace'),
);
const check = options.includes('--check');
const mayOpen = !check && !options.includes('--no-open') && !process.env.CI;

try {
  if (unknown) throw new Error(`npm start knows no ${unknown}; there are --check and --no-open`);
  if (!existsSync(folder)) throw new Error(`${folder} does not exist`);
  await ensureInstalled();
  const { code } = await run(process.execPath, ['esbuild.mjs']);
  if (code !== 0) throw new Error('The build failed.');
  const desktop = mayOpen ? desktopCode() : undefined;
  if (desktop) await openDesktop(desktop);
  else await serve();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

/** `code` on the PATH, unless it can't show a window with an extension under development. */
function desktopCode() {
  // In a terminal of a remote VS Code, `code` is a messenger to the window far away. As root it refuses to start.
  if (process.env.VSCODE_IPC_HOOK_CLI || process.getuid?.() === 0 || !hasScreen()) return undefined;
  const name = process.platform === 'win32' ? 'code.cmd' : 'code';
  const folders = (process.env.PATH ?? '').split(path.delimiter).filter(Boolean);
  return folders.map((each) => path.join(each, name)).find((file) => existsSync(file));
}

function hasScreen() {
  return process.platform !== 'linux' || Boolean(process.env.DISPLAY || process.env.WAYLAND_DISPLAY);
}

/** @param {string} file */
async function openDesktop(file) {
  const args = ['--new-window', `--extensionDevelopmentPath=${root}`, folder];
  const { code, text } =
    process.platform === 'win32'
      ? await run('cmd.exe', ['/d', '/c', file, ...args], { output: 'keep' })
      : await run(file, args, { output: 'keep' });
  if (code !== 0) throw new Error(`${file} ended with ${code}:\n${text}`);
  console.log(`VS Code opens ${folder} with Espalier in it. It goes on when this ends.`);
}

async function serve() {
  // A profile of its own keeps layout and settings between starts, one per checkout.
  const profile = path.join(cacheFolder('profile'), createHash('sha256').update(root).digest('hex').slice(0, 12));
  const server = await startServer({
    profile: check ? undefined : profile,
    settings: { 'workbench.startupEditor': 'readme', 'window.autoDetectColorScheme': true },
  });
  try {
    if (check) return await verify(server);
    const address = server.address(folder);
    console.log(`\nVS Code with Espalier: ${address}\nCtrl+C ends it.`);
    if (mayOpen && hasScreen()) openTab(address);
    await new Promise((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, resolve);
      server.ended.then(resolve);
    });
  } finally {
    await server.stop();
  }
}

/** @param {import('./server.mjs').Server} server */
async function verify(server) {
  const address = server.address(folder);
  // The token becomes a cookie on the way, as in a browser.
  const first = await fetch(address, { redirect: 'manual' });
  const page = await fetch(new URL(first.headers.get('location') ?? address, address), {
    headers: { cookie: first.headers.get('set-cookie')?.split(';')[0] ?? '' },
  });
  const text = await page.text();
  if (page.status !== 200 || !text.includes('vscode-workbench')) {
    throw new Error(`The workbench answered ${page.status}:\n${text.slice(0, 500)}`);
  }
  const extensions = await server.extensions();
  if (!extensions.some((each) => each.startsWith('espalier.espalier@'))) {
    throw new Error(`The server has no Espalier, only: ${extensions.join(', ') || 'nothing'}`);
  }
  console.log(`VS Code's server answers on ${new URL(address).origin} and has ${extensions.join(', ')}.`);
}

/** @param {string} address */
function openTab(address) {
  const [file, ...args] = { darwin: ['open', address], win32: ['rundll32', 'url.dll,FileProtocolHandler', address] }[
    /** @type {string} */ (process.platform)
  ] ?? ['xdg-open', address];
  // Nobody waits for it, and without a browser the printed address remains.
  spawn(file, args, { stdio: 'ignore', detached: true })
    .once('error', () => {})
    .unref();
}
