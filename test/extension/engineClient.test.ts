import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CancellationTokenSource } from 'vscode-jsonrpc/node';
import { type EngineActivity, EngineClient } from '../../src/extension/engineClient';
import { settingsSchema } from '../../src/protocol/recipe';
import { type BuiltEngine, buildEchoEngine } from '../support/echoEngine';

const settings = settingsSchema.parse({ method: 'basis', target: { kind: 'macs', value: 0.5 } });
const job = { path: 'a.onnx', settings, folder: '.' };
const saving = { run: {} as never, settings, folder: '.', output: 'a', overwrite: false };
let built: BuiltEngine;
let client: EngineClient;
let log: string[];
let activities: EngineActivity[];

function start(options: { idleMs?: number; graceMs?: number; jobsPerProcess?: number } = {}): EngineClient {
  log = [];
  activities = [];
  client = new EngineClient({
    entry: built.entry,
    log: (line) => log.push(line),
    onActivity: (activity) => activities.push(activity),
    idleMs: () => options.idleMs ?? 60_000,
    graceMs: options.graceMs,
    jobsPerProcess: options.jobsPerProcess,
  });
  return client;
}

beforeAll(async () => {
  built = await buildEchoEngine();
});
afterEach(() => client.dispose());
afterAll(() => built.remove());

describe('the engine’s life', () => {
  it('starts the process with the first request and keeps it', async () => {
    start();
    expect(client.pid).toBeUndefined();
    await client.request('devices', {});
    const { pid } = client;
    expect(pid).toBeGreaterThan(0);
    await client.request('devices', {});
    expect(client.pid).toBe(pid);
  });

  it('fails every open request when the process crashes, and serves the next', async () => {
    start();
    const waiting = client.request('calibrate', job);
    const crashing = client.request('compare', { a: 'a', b: 'b' });
    await expect(crashing).rejects.toMatchObject({
      code: 'engine-stopped',
      message:
        'The engine process ended (exit code 7) while it worked on \'compare\'. Its last words: "out of cheese".',
    });
    await expect(waiting).rejects.toMatchObject({ code: 'engine-stopped' });
    expect(await client.request('devices', {})).toEqual([]);
  });

  it('names the signal when the process is killed from outside', async () => {
    start();
    await client.request('devices', {});
    const waiting = client.request('calibrate', job);
    process.kill(client.pid!, 'SIGKILL');
    await expect(waiting).rejects.toMatchObject({
      code: 'engine-stopped',
      message: expect.stringContaining('SIGKILL'),
    });
  });

  it('lets a job that hears the cancel stop by itself', async () => {
    start();
    const source = new CancellationTokenSource();
    const running = client.request(
      'run',
      { ...job, storage: '.' },
      { token: source.token, onProgress: () => source.cancel() },
    );
    await expect(running).rejects.toMatchObject({ code: 'cancelled' });
    const { pid } = client;
    await client.request('devices', {});
    expect(client.pid).toBe(pid);
  });

  it('kills a job that does not, and repeats the look that was open beside it', async () => {
    start({ graceMs: 50 });
    await client.request('devices', {});
    const { pid } = client;
    const source = new CancellationTokenSource();
    const stubborn = client.request('calibrate', job, { token: source.token });
    source.cancel();
    await expect(stubborn).rejects.toMatchObject({ code: 'cancelled' });
    expect(await client.request('devices', {})).toEqual([]);
    expect(client.pid).not.toBe(pid);
  });

  it('asks again for the run that waited behind a job that did not stop', async () => {
    start({ graceMs: 50 });
    const stuck = new CancellationTokenSource();
    const stubborn = client.request('calibrate', job, { token: stuck.token });
    const { pid } = client;
    const said: string[] = [];
    const source = new CancellationTokenSource();
    const run = client.request(
      'run',
      { ...job, storage: '.' },
      { token: source.token, onProgress: ({ message }) => said.push(`${message} ${client.pid === pid}`) },
    );
    await expect.poll(() => said).toContain('Reading true');
    stuck.cancel();
    await expect(stubborn).rejects.toMatchObject({ code: 'cancelled' });
    await expect.poll(() => said).toContain('Reading false');
    source.cancel();
    await expect(run).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('does not begin what is cancelled already', async () => {
    start();
    const source = new CancellationTokenSource();
    source.cancel();
    await expect(client.request('devices', {}, { token: source.token })).rejects.toMatchObject({ code: 'cancelled' });
    expect(client.pid).toBeUndefined();
  });

  it('ends the process after the last editor closed, and not while one is open', async () => {
    start({ idleMs: 30 });
    const release = client.hold();
    await client.request('devices', {});
    const { pid } = client;
    await new Promise((resolve) => setTimeout(resolve, 90));
    expect(client.pid).toBe(pid);
    release();
    await expect.poll(() => log.at(-1)).toBe(`Engine ${pid} ended as asked (idle).`);
    expect(client.pid).toBeUndefined();
  });

  it('replaces the process after some long jobs', async () => {
    start({ jobsPerProcess: 2 });
    const first = await client.request('save', saving);
    const second = await client.request('save', saving);
    const third = await client.request('save', saving);
    expect(second.model).toBe(first.model);
    expect(third.model).not.toBe(first.model);
  });

  it('tells what the engine is doing', async () => {
    start();
    const source = new CancellationTokenSource();
    const running = client.request('run', { ...job, storage: '.' }, { token: source.token });
    await expect.poll(() => activities.at(-1)?.progress?.message).toBe('Writing');
    source.cancel();
    await running.catch(() => undefined);
    expect(activities.at(-1)).toEqual({ open: 0, progress: null });
  });
});
