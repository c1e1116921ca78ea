/** The product's processes, bundled once per test file as they ship, so that tests can start them. */
import { type ChildProcess, fork, type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { afterAll } from 'vitest';
import { createMessageConnection, IPCMessageReader, IPCMessageWriter } from 'vscode-jsonrpc/node';
import { type EngineRequester, engineRequester } from '../../src/protocol/rpc';

const root = path.resolve(__dirname, '../..');

export interface Engine {
  readonly process: ChildProcess;
  readonly requester: EngineRequester;
  /** What it wrote to its log. */
  log(): string;
  stop(): Promise<void>;
}

export interface Product {
  /** Path of one of its bundles. */
  file(name: string): string;
  /** Starts an engine process and speaks its wire. */
  engine(env?: Readonly<Record<string, string>>): Engine;
  /** Runs the command line to its end. */
  cli(words: readonly string[], options?: { readonly cwd?: string }): SpawnSyncReturns<string>;
  /** Starts the command line. */
  startCli(words: readonly string[], env?: Readonly<Record<string, string>>): ChildProcess;
}

/** What a user's shell has: without what this process set for itself. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const { ORT_DISABLE_TELEMETRY: _, ...rest } = process.env;
  return rest;
}

/** Bundles into the repository's `out`, from where packages with native code are found. */
export async function buildProduct(): Promise<Product> {
  fs.mkdirSync(path.join(root, 'out'), { recursive: true });
  const folder = fs.mkdtempSync(path.join(root, 'out/product-'));
  const running: Engine[] = [];
  afterAll(async () => {
    for (const engine of running) await engine.stop();
    fs.rmSync(folder, { recursive: true, force: true });
  });
  await build({
    absWorkingDir: root,
    entryPoints: {
      engine: 'src/engine/main.ts',
      worker: 'src/engine/worker.ts',
      'spectra.worker': 'src/engine/spectra/worker.ts',
      cli: 'src/cli/main.ts',
    },
    outdir: folder,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    external: ['onnxruntime-node', 'sharp'],
    logLevel: 'error',
  });
  const cli = path.join(folder, 'cli.js');
  return {
    file: (name) => path.join(folder, name),
    engine(env = {}) {
      const child = fork(path.join(folder, 'engine.js'), {
        serialization: 'advanced',
        silent: true,
        env: { ...ownEnvironment(), ...env },
      });
      const connection = createMessageConnection(new IPCMessageReader(child), new IPCMessageWriter(child));
      let text = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream?.on('data', (chunk: Buffer) => {
          text += chunk;
        });
      }
      const exited = new Promise<void>((resolve) => {
        child.on('exit', () => {
          connection.dispose();
          resolve();
        });
      });
      const engine: Engine = {
        process: child,
        requester: engineRequester(connection),
        log: () => text,
        stop: () => {
          child.kill('SIGKILL');
          return exited;
        },
      };
      running.push(engine);
      return engine;
    },
    cli: (words, { cwd } = {}) =>
      spawnSync(process.execPath, [cli, ...words], { encoding: 'utf8', cwd, env: ownEnvironment() }),
    startCli: (words, env = {}) => spawn(process.execPath, [cli, ...words], { env: { ...ownEnvironment(), ...env } }),
  };
}
