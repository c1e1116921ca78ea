// `npm test`: everything, from a fresh clone, with one line of counts at the end.
//
//   npm test                    all stages below but `desktop`
//   npm test -- unit host       these stages
//   npm test -- unit -- -t svd  the rest goes to vitest (unit, browser, vsix)
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { ensureChromium, findSoftwareGpu } from './chromium.mjs';
import { ensureInstalled } from './install.mjs';
import { root } from './paths.mjs';
import { run } from './processes.mjs';
import { ensureServer } from './vscode-server.mjs';

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

const separator = process.argv.indexOf('--', 2);
const names = process.argv.slice(2, separator < 0 ? undefined : separator);
const vitestArguments = separator < 0 ? [] : process.argv.slice(separator + 1);
const results = path.join(root, 'out/results');

/** In order; a stage that fails does not keep the later ones from running. */
const stages = {
  types: () => command('node_modules/typescript/bin/tsc', ['-b']),
  lint: () => biome(['ci', '--formatter-enabled=false', '--error-on-warnings']),
  format: () => biome(['format']),
  unit: () => vitest('unit', ['--exclude', '**/*.gpu.test.ts']),
  gpu: async () => {
    await browser.catch(() => {}); // Without it a real GPU may still be there.
    return vitest('gpu', ['.gpu.test.ts'], softwareGpu());
  },
  host: async () => {
    await screen();
    return suite('host', 'out/test/harness/serverRun.mjs');
  },
  browser: async () => {
    await screen();
    return vitest('browser', ['--config', 'vitest.e2e.config.mjs', '--dir', 'test/e2e']);
  },
  vsix: async () => {
    await screen();
    const packaged = await command('scripts/package.mjs');
    return packaged.failed ? packaged : vitest('vsix', ['--config', 'vitest.e2e.config.mjs', '--dir', 'test/vsix']);
  },
  desktop: () => suite('desktop', 'out/test/harness/desktopRun.mjs'),
};
const byDefault = Object.keys(stages).filter((name) => name !== 'desktop');

const started = performance.now();
/** @type {Counts} */
const total = { passed: 0, failed: 0, skipped: 0 };
const chosen = names.length > 0 ? names : byDefault;
const unknown = chosen.find((name) => !(name in stages));
if (unknown) {
  console.error(`There is no stage "${unknown}"; there are: ${Object.keys(stages).join(', ')}`);
  process.exit(2);
}

mkdirSync(results, { recursive: true });
/** VS Code's server and the browser arrive while the earlier stages run; whoever needs them reports what went wrong. */
/** @type {Promise<unknown>} */
let browser = Promise.resolve();
/** @type {Promise<unknown>} */
let environment = Promise.resolve();
await stage('install', ensureInstalled);
if (total.failed === 0) {
  if (chosen.some((name) => ['gpu', 'host', 'browser', 'vsix'].includes(name))) {
    browser = ensureChromium();
    browser.catch(() => {});
  }
  if (chosen.some((name) => ['host', 'browser', 'vsix'].includes(name))) {
    environment = Promise.all([ensureServer(), browser]);
    environment.catch(() => {});
  }
  if (chosen.some((name) => !['types', 'lint', 'format'].includes(name)))
    await stage('build', () => command('esbuild.mjs'));
  for (const name of chosen) await stage(name, stages[/** @type {keyof typeof stages} */ (name)]);
}
const seconds = Math.round((performance.now() - started) / 1000);
console.log(`\n(${seconds} s)\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed > 0 ? 1 : 0);

/**
 * Runs one stage and adds its counts. Preparations have no counts of their own: only their failure counts.
 *
 * @param {string} name
 * @param {() => Promise<Counts | void>} work
 */
async function stage(name, work) {
  const start = performance.now();
  console.log(`\n── ${name}`);
  /** @type {Counts} */
  let counts;
  try {
    counts = (await work()) ?? { passed: 0, failed: 0, skipped: 0 };
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    counts = { passed: 0, failed: 1, skipped: 0 };
  }
  if (name === 'build') counts.passed = 0;
  for (const key of /** @type {const} */ (['passed', 'failed', 'skipped'])) total[key] += counts[key];
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`── ${name}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped (${seconds} s)`);
}

/**
 * The variables with which WebGPU runs on the software Vulkan driver that comes with Chromium; none where that driver is
 * not there, so that a real GPU is used, or the tests are skipped with the reason.
 *
 * @returns {Record<string, string>}
 */
function softwareGpu() {
  const driver = findSoftwareGpu();
  if (!driver) {
    console.log('No Chromium with SwiftShader was found: what needs a GPU is skipped where there is none.');
    return {};
  }
  const runtime = path.join(root, 'out/xdg');
  mkdirSync(runtime, { recursive: true, mode: 0o700 });
  return { VK_ICD_FILENAMES: driver.manifest, LD_LIBRARY_PATH: driver.folder, XDG_RUNTIME_DIR: runtime };
}

/** Waits for VS Code's server and the browser. */
async function screen() {
  await environment;
}

/**
 * A program that passes or fails as one.
 *
 * @param {string} file JavaScript, relative to the repository
 * @param {readonly string[]} [args]
 * @param {Readonly<Record<string, string>>} [environment] variables beside this process's own
 * @returns {Promise<Counts>}
 */
async function command(file, args = [], environment = {}) {
  const env = { ...process.env, ...environment };
  const { code } = await run(process.execPath, [path.join(root, file), ...args], { env });
  return code === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 };
}

/** @param {readonly string[]} args */
function biome(args) {
  return command('node_modules/@biomejs/biome/bin/biome', args);
}

/**
 * @param {string} name
 * @param {readonly string[]} args
 * @param {Readonly<Record<string, string>>} [environment]
 * @returns {Promise<Counts>}
 */
async function vitest(name, args, environment) {
  const file = path.join(results, `${name}.json`);
  rmSync(file, { force: true });
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  const words = ['run', ...args, ...reporters, ...vitestArguments];
  const { failed } = await command('node_modules/vitest/vitest.mjs', words, environment);
  if (!existsSync(file)) return { passed: 0, failed: 1, skipped: 0 };
  const report = JSON.parse(readFileSync(file, 'utf8'));
  // A file that could not even be loaded has no tests but is a failure; so is an error outside of any test.
  const broken = report.testResults.filter(
    (/** @type {{ status: string, assertionResults: unknown[] }} */ each) =>
      each.status === 'failed' && each.assertionResults.length === 0,
  ).length;
  return {
    passed: report.numPassedTests,
    failed: Math.max(report.numFailedTests + broken, failed),
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

/**
 * The Mocha suite inside an extension host.
 *
 * @param {string} name
 * @param {string} launcher
 * @returns {Promise<Counts>}
 */
async function suite(name, launcher) {
  const { failed } = await command(launcher);
  const file = path.join(results, `${name}.json`);
  /** @type {{ state: keyof Counts }[]} */
  const tests = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : [];
  const count = (/** @type {keyof Counts} */ state) => tests.filter((test) => test.state === state).length;
  return { passed: count('passed'), failed: Math.max(count('failed'), failed), skipped: count('skipped') };
}
