import { type ChildProcess, fork } from 'node:child_process';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  CancellationTokenSource,
  createMessageConnection,
  IPCMessageReader,
  IPCMessageWriter,
} from 'vscode-jsonrpc/node';
import { UserError } from '../../src/errors';
import type { Progress } from '../../src/protocol/plan';
import { settingsSchema } from '../../src/protocol/recipe';
import { type EngineRequester, engineRequester } from '../../src/protocol/rpc';
import { type BuiltEngine, buildEchoEngine } from '../support/echoEngine';

const settings = settingsSchema.parse({ method: 'basis', target: { kind: 'macs', value: 0.5 } });
let built: BuiltEngine;
let child: ChildProcess;
let engine: EngineRequester;
let stderr: string;

beforeAll(async () => {
  built = await buildEchoEngine();
});
beforeEach(() => {
  child?.kill('SIGKILL');
  child = fork(built.entry, [], { serialization: 'advanced', stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  stderr = '';
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  const connection = createMessageConnection(new IPCMessageReader(child), new IPCMessageWriter(child));
  child.on('exit', () => connection.dispose());
  engine = engineRequester(connection);
});
afterAll(() => {
  child?.kill('SIGKILL');
  built.remove();
});

const runParams = { path: 'a.onnx', settings, folder: '.', storage: '.' };

describe('the wire between host and engine', () => {
  it('carries nested parameters and results as they are', async () => {
    const answer = await engine.request('shapes', { path: 'a.onnx', shapes: { x: [1, 3, 8, 8] } });
    expect(answer).toEqual({ path: 'a.onnx', shapes: { x: [1, 3, 8, 8] } });
  });

  it('carries an empty list and empty parameters', async () => {
    expect(await engine.request('devices', {})).toEqual([]);
  });

  it('carries typed arrays, NaN and Infinity unchanged', async () => {
    const [first, second] = await engine.request('spectra', { path: 'a.onnx', layers: ['conv1', 'conv2'] });
    expect(first.singularValues).toBeInstanceOf(Float64Array);
    expect([...first.singularValues]).toEqual([3, 2, Number.NaN]);
    expect(first.condition).toBe(Number.POSITIVE_INFINITY);
    expect(second.layer).toBe('conv2');
    expect(second.blockValues.length).toBe(1_000_000);
    expect(second.blockValues[999_999]).toBe(0.5);
    const { accuracy } = await engine.request('evaluate', { path: 'a.onnx', data: 'images' });
    expect(accuracy.confusion).toBeInstanceOf(Uint32Array);
    expect([...accuracy.confusion]).toEqual([1, 2, 3]);
  });

  it('brings a UserError across with code, message and hint', async () => {
    const error = await engine.request('open', { path: 'a.onnx' }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UserError);
    expect(error).toMatchObject({ code: 'truncated', message: "'a.onnx' ends early.", hint: 'Copy the file again.' });
  });

  it('shows any other error as unexpected and hands it to the log', async () => {
    const request = engine.request('detail', { path: 'a.onnx', layer: 'conv1', settings, folder: '.' });
    await expect(request).rejects.toMatchObject({ code: 'unexpected', message: 'not served here' });
    await expect.poll(() => stderr).toContain('in detail: Error: not served here');
  });

  it('reports progress of a request to its own listener, then cancels it', async () => {
    const source = new CancellationTokenSource();
    const seen: Progress[] = [];
    const request = engine.request('run', runParams, {
      token: source.token,
      onProgress: (progress) => {
        seen.push(progress);
        if (seen.length === 2) source.cancel();
      },
    });
    await expect(request).rejects.toMatchObject({ code: 'cancelled' });
    expect(seen).toEqual([
      { phase: 'read', message: 'Reading', fraction: 0.25 },
      { phase: 'write', message: 'Writing', fraction: null },
    ]);
    expect(stderr).toBe('');
  });

  it('rejects every open request when the process dies', async () => {
    const running = engine.request('run', runParams);
    const dying = engine.request('compare', { a: 'a.onnx', b: 'b.onnx' });
    await expect(dying).rejects.toMatchObject({ code: 'engine-lost' });
    await expect(running).rejects.toMatchObject({ code: 'engine-lost' });
    await expect(engine.request('devices', {})).rejects.toMatchObject({ code: 'engine-lost' });
  });
});
