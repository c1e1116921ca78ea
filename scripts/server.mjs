// Runs VS Code's server on a free loopback port, with the extension in it: for `npm start` and for the tests.
//
// The extension is installed, either a VSIX or this checkout as it lies here; so the workbench treats it as any user's
// extension, toasts and trust included. Only test suites inside the extension host need the development mode
// (`development: true`), which a released workbench offers to its own smoke tests only, without toasts.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './paths.mjs';
import { run } from './processes.mjs';
import { ensureServer } from './vscode-server.mjs';

/**
 * @typedef {object} ServerOptions
 * @property {'checkout' | 'none' | { vsix: string }} [extension] what is installed; this checkout when not given
 * @property {boolean} [development] accept `extensionDevelopmentPath` and in-host test runs; hides toasts
 * @property {boolean} [trust] ask for workspace trust: folders then start untrusted, without a dialog
 * @property {Record<string, unknown>} [settings] user settings over the quiet ones; what a profile already has wins
 * @property {Record<string, string>} [env] of the server, the extension host and the engine
 * @property {string} [profile] a folder that keeps settings and state; thrown away at the end when not given
 *
 * @typedef {object} Server
 * @property {string} host `127.0.0.1:PORT`, the authority of `vscode-remote:` URIs
 * @property {string} extensionsFolder where VSIX files are unpacked
 * @property {(folder: string, parameters?: Record<string, string>) => string} address of the workbench on a folder
 * @property {() => string} log what the server printed so far
 * @property {() => Promise<string[]>} extensions ids and versions of the installed extensions
 * @property {Promise<void>} ended when the server is gone, stopped or not
 * @property {() => Promise<void>} stop
 */

/** No news, no telemetry, no experiments: the extension alone, the same on every run. */
const quietSettings = {
  'telemetry.telemetryLevel': 'off',
  'workbench.startupEditor': 'none',
  'workbench.enableExperiments': false,
  'workbench.tips.enabled': false,
  'workbench.colorTheme': 'Dark Modern', // Else it follows the browser's.
  'window.autoDetectColorScheme': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'extensions.autoCheckUpdates': false,
  'extensions.autoUpdate': false,
  'extensions.ignoreRecommendations': true,
  'chat.disableAIFeatures': true,
  'git.enabled': false,
};

/**
 * @param {ServerOptions} [options]
 * @returns {Promise<Server>}
 */
export async function startServer(options = {}) {
  const { extension = 'checkout', development = false, trust = false } = options;
  const files = await ensureServer();
  const data = options.profile ?? mkdtempSync(path.join(tmpdir(), 'espalier-vscode-'));
  const extensionsFolder = path.join(data, 'extensions');
  const userFolder = path.join(data, 'user');
  // The web workbench has its user settings on the server's disk.
  const settingsFile = path.join(userFolder, 'User/settings.json');
  mkdirSync(path.dirname(settingsFile), { recursive: true });
  mkdirSync(extensionsFolder, { recursive: true });
  const trustSettings = {
    'security.workspace.trust.enabled': trust,
    'security.workspace.trust.startupPrompt': 'never',
  };
  const settings = { ...quietSettings, ...trustSettings, ...options.settings, ...kept(settingsFile) };
  writeFileSync(settingsFile, JSON.stringify(settings, null, 2));

  const folders = ['--server-data-dir', data, '--user-data-dir', userFolder, '--extensions-dir', extensionsFolder];
  const env = environment(data, options.env);
  writeFileSync(
    path.join(extensionsFolder, 'extensions.json'),
    JSON.stringify(extension === 'checkout' ? [checkout()] : []),
  );
  if (typeof extension === 'object') {
    const install = [...folders, '--install-extension', path.resolve(extension.vsix)];
    const { code, text } = await run(files.node, [files.main, ...install], { env, output: 'keep' });
    if (code !== 0 || !/successfully installed/i.test(text))
      throw new Error(`${extension.vsix} was not installed:\n${text}`);
  }

  // Any program of any user on this machine can reach a loopback port, and the workbench runs commands.
  const token = randomBytes(16).toString('hex');
  const child = spawn(
    files.node,
    [
      files.main,
      ...folders,
      ...['--host', '127.0.0.1', '--port', '0', '--connection-token', token],
      ...['--accept-server-license-terms', '--telemetry-level', 'off'],
      ...(trust ? [] : ['--disable-workspace-trust']),
      ...(development ? ['--enable-smoke-test-driver'] : []),
    ],
    { env, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let log = '';
  /** @type {Promise<number | null>} */
  const ended = new Promise((resolve) => child.once('close', resolve));
  /** @type {Promise<string>} */
  const listening = new Promise((resolve) => {
    const read = (/** @type {Buffer} */ chunk) => {
      log += chunk;
      const port = /Extension host agent listening on (\d+)/.exec(log)?.[1];
      if (port) resolve(`127.0.0.1:${port}`);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
  });
  const late = timer(60_000);
  const host = await Promise.race([
    listening,
    ended.then((code) => Promise.reject(new Error(`VS Code's server ended with ${code}:\n${log}`))),
    late.over.then(() => Promise.reject(new Error(`VS Code's server did not start within a minute:\n${log}`))),
  ]).finally(late.clear);

  return {
    host,
    extensionsFolder,
    ended: ended.then(() => {}),
    address: (folder, parameters = {}) =>
      `http://${host}/?${new URLSearchParams({ tkn: token, folder: path.resolve(folder), ...parameters })}`,
    log: () => log,
    async extensions() {
      const { text } = await run(files.node, [files.main, ...folders, '--list-extensions', '--show-versions'], {
        env,
        output: 'keep',
      });
      return text.split(/\r?\n/).filter((line) => /^[\w-]+\.[\w-]+@/.test(line));
    },
    async stop() {
      child.kill('SIGTERM');
      const patience = timer(5_000);
      await Promise.race([ended, patience.over.then(() => child.kill('SIGKILL'))]);
      patience.clear();
      await ended;
      if (!options.profile) rmSync(data, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
}

/**
 * Settings of an earlier session in the same profile, as far as they can be read.
 *
 * @param {string} file
 */
function kept(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return {};
  }
}

/** This checkout as an entry of VS Code's list of installed extensions, which may point anywhere. */
function checkout() {
  const { publisher, name, version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  const location = { $mid: 1, scheme: 'file', path: decodeURIComponent(pathToFileURL(root).pathname) };
  return { identifier: { id: `${publisher}.${name}` }, version, location, metadata: { source: 'vsix', pinned: true } };
}

/**
 * @param {string} data
 * @param {Record<string, string>} [extra]
 */
function environment(data, extra) {
  // A terminal inside VS Code has variables that would lead this server astray.
  const foreign = /^(VSCODE_|ELECTRON_RUN_AS_NODE$|NODE_OPTIONS$)/;
  const inherited = Object.entries(process.env).filter(([name]) => !foreign.test(name));
  return {
    ...Object.fromEntries(inherited),
    EXTENSIONS_GALLERY: '{"serviceUrl":""}', // No marketplace, hence no requests to one.
    XDG_RUNTIME_DIR: data, // Sockets, which would stay behind in /tmp otherwise.
    ...extra,
  };
}

/** @param {number} milliseconds */
function timer(milliseconds) {
  /** @type {NodeJS.Timeout | undefined} */
  let handle;
  /** @type {Promise<void>} */
  const over = new Promise((resolve) => {
    handle = setTimeout(resolve, milliseconds);
  });
  return { over, clear: () => clearTimeout(handle) };
}
