// Finds Chromium (or a browser built from it) for the browser tests, and installs it where that is one plain command.
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { run } from './processes.mjs';

/** Where systems and people put it; Chromium itself before its relatives. */
const places = {
  linux: [
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/snap/bin/chromium',
    '/usr/bin/google-chrome',
    '/usr/bin/google-chrome-stable',
    '/usr/bin/microsoft-edge',
  ],
  darwin: ['Chromium', 'Google Chrome', 'Microsoft Edge'].map(
    (name) => `/Applications/${name}.app/Contents/MacOS/${name}`,
  ),
  win32: [
    'Google/Chrome/Application/chrome.exe',
    'Chromium/Application/chrome.exe',
    'Microsoft/Edge/Application/msedge.exe',
  ].flatMap((file) =>
    [process.env.ProgramFiles, process.env['ProgramFiles(x86)'], process.env.LOCALAPPDATA]
      .filter((folder) => folder !== undefined)
      .map((folder) => path.join(folder, file)),
  ),
};

const aptPackages = 'apt-get update && apt-get install -y --no-install-recommends chromium';

/**
 * @returns {string | undefined} its executable; `CHROMIUM_PATH` wins
 */
export function findChromium() {
  if (process.env.CHROMIUM_PATH) return process.env.CHROMIUM_PATH;
  return (places[/** @type {keyof typeof places} */ (process.platform)] ?? []).find((file) => existsSync(file));
}

/** Where Linux distributions put the files of Chromium; its executable in the path may be a script that starts it. */
const installations = ['/usr/lib/chromium', '/usr/lib64/chromium', '/usr/lib/chromium-browser', '/opt/google/chrome'];

/**
 * SwiftShader, a Vulkan driver without a GPU, and a Vulkan loader, as they lie beside a Chromium on Linux.
 *
 * @returns {{ folder: string, manifest: string } | undefined}
 */
export function findSoftwareGpu() {
  if (process.platform !== 'linux') return undefined;
  const own = process.env.CHROMIUM_PATH ? [path.dirname(realpathSync(process.env.CHROMIUM_PATH))] : [];
  return [...own, ...installations]
    .map((folder) => ({ folder, manifest: path.join(folder, 'vk_swiftshader_icd.json') }))
    .find(({ folder, manifest }) => existsSync(manifest) && existsSync(path.join(folder, 'libvulkan.so.1')));
}

/**
 * Installs Chromium when it is missing and this is root on Debian.
 *
 * @returns {Promise<string>}
 * @throws an error that says what to run, wherever it can't be installed
 */
export async function ensureChromium() {
  const found = findChromium();
  if (found) return found;
  if (!isDebian()) throw new Error(`Chromium was not found. ${advice()}`);
  if (process.getuid?.() !== 0) throw new Error(`Chromium was not found. Run: sudo sh -c '${aptPackages}'`);
  console.error(`Installing Chromium: ${aptPackages} …`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const { code, text } = await run('sh', ['-c', aptPackages], { env, output: 'keep' });
  const installed = findChromium();
  if (code !== 0 || !installed) throw new Error(`Chromium could not be installed (exit ${code}):\n${text}`);
  return installed;
}

/** Debian itself: Ubuntu's package of that name only points to a snap. */
function isDebian() {
  try {
    return /^ID=debian$/m.test(readFileSync('/etc/os-release', 'utf8'));
  } catch {
    return false;
  }
}

function advice() {
  const commands = {
    linux: 'sudo snap install chromium',
    darwin: 'brew install --cask chromium',
    win32: 'winget install Google.Chrome',
  };
  const command = commands[/** @type {keyof typeof commands} */ (process.platform)];
  return `${command ? `Run: ${command}` : 'Install it'}; or set CHROMIUM_PATH to the executable of a Chromium or Chrome.`;
}
