// Child processes for the scripts, with Node's own modules only: these run before `npm ci` did.
import { spawn } from 'node:child_process';
import { root } from './paths.mjs';

/**
 * Runs a program to its end.
 *
 * @param {string} file
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: Record<string, string | undefined>, output?: 'show' | 'keep' }} [options]
 *   `show` (default) lets it print; `keep` collects stdout and stderr, in order, as `text`.
 * @returns {Promise<{ code: number, text: string }>} 127 when the program can't be started
 */
export function run(file, args, { cwd = root, env = process.env, output = 'show' } = {}) {
  return new Promise((resolve) => {
    let text = '';
    const printed = output === 'show' ? 'inherit' : 'pipe';
    const child = spawn(file, args, { cwd, env, stdio: ['ignore', printed, printed] });
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (text += chunk));
    child.once('error', (error) => resolve({ code: 127, text: `${text}${error.message}\n` }));
    child.once('close', (code, signal) => resolve({ code: code ?? (signal ? 1 : 0), text }));
  });
}

/**
 * Runs npm. Inside `npm run` its own file is known, which spares a shell (and its quoting) on Windows.
 *
 * Install scripts never run: onnxruntime-node's would download CUDA libraries, and nothing else here needs one.
 *
 * @param {readonly string[]} args
 * @param {{ cwd?: string, output?: 'show' | 'keep' }} [options]
 */
export function npm(args, options = {}) {
  const all = [...args, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  // Settings of the surrounding npm would follow into a run in another folder.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([key]) => !/^npm_(config_(local_)?prefix|package_|lifecycle_)/.test(key)),
  );
  const cli = process.env.npm_execpath;
  if (cli?.endsWith('npm-cli.js')) return run(process.execPath, [cli, ...all], { ...options, env });
  return process.platform === 'win32'
    ? run('cmd.exe', ['/d', '/s', '/c', 'npm.cmd', ...all], { ...options, env })
    : run('npm', all, { ...options, env });
}
