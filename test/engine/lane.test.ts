/** The lanes that keep the engine's jobs apart, with workers that are small scripts. */
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Lane } from '../../src/engine/lane';
import { cancelled } from '../../src/errors';
import { temporaryFile } from '../support/onnxBuilder';

/**
 * Answers `open` with its path and what it was told, counts `shapes` down with progress until it is cancelled, ends at
 * `run`, throws at `evaluate` outside of any request, and fails `save` with an error of the user's.
 */
const script = `
const { parentPort } = require('node:worker_threads');
const told = [];
const stopped = new Set();
const log = [];
parentPort.on('message', async ({ id, method, params, cancel, news }) => {
  if (news) return told.push(news.key);
  if (cancel) return stopped.add(id);
  log.push(method + (params.path ?? ''));
  if (method === 'run') process.exit(3);
  if (method === 'evaluate') setImmediate(() => { throw new Error('out of cheese'); });
  if (method === 'save') return parentPort.postMessage({ id, error: { code: 'c', message: 'm', hint: 'h' }, stack: 'at x' });
  if (method === 'open') return parentPort.postMessage({ id, ok: { path: params.path, told: [...told], log: [...log] } });
  for (let left = 200; left > 0; left--) {
    parentPort.postMessage({ id, progress: { phase: 'count', message: String(left), fraction: null } });
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (stopped.has(id)) return parentPort.postMessage({ id, error: { code: 'cancelled', message: 'stopped', hint: '' } });
  }
  parentPort.postMessage({ id, ok: 'finished' });
});`;

const lanes: Lane[] = [];
const logged: string[] = [];
afterEach(async () => {
  for (const lane of lanes.splice(0)) await lane.stop();
  logged.length = 0;
});

function lane(order?: 'at-once', file = temporaryFile(script, 'worker.cjs')): Lane {
  lanes.push(
    new Lane(
      file,
      () => undefined,
      (text) => logged.push(text),
      order,
    ),
  );
  return lanes[lanes.length - 1];
}

/** A request whose cancel and first progress can be waited for. */
function send(to: Lane, method: 'open' | 'shapes' | 'run' | 'evaluate' | 'save', file = '') {
  const abort = new AbortController();
  const seen: string[] = [];
  let onFirst: () => void = () => undefined;
  const first = new Promise<void>((resolve) => {
    onFirst = resolve;
  });
  const progress = ({ message }: { message: string }) => {
    seen.push(message);
    onFirst();
  };
  const result = to.request(method, { path: file } as never, { signal: abort.signal, progress }) as Promise<unknown>;
  result.catch(() => undefined);
  return { result, seen, first, cancel: () => abort.abort(cancelled()) };
}

describe('a lane of jobs', () => {
  it('does one thing at a time, in the order asked', async () => {
    const to = lane();
    const long = send(to, 'shapes', 'first');
    const next = send(to, 'open', 'second');
    const last = send(to, 'open', 'third');
    let isNextDone = false;
    void next.result.then(() => {
      isNextDone = true;
    });
    await long.first;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(isNextDone).toBe(false);
    long.cancel();
    await expect(long.result).rejects.toMatchObject({ code: 'cancelled', message: 'stopped' });
    expect(await last.result).toMatchObject({ path: 'third', log: ['shapesfirst', 'opensecond', 'openthird'] });
  });

  it('goes on after a job that failed', async () => {
    const to = lane();
    const failing = send(to, 'save');
    const next = send(to, 'open', 'a');
    await expect(failing.result).rejects.toMatchObject({ code: 'c', message: 'm', hint: 'h' });
    expect(await next.result).toMatchObject({ path: 'a' });
    expect(logged).toEqual(['at x']);
  });

  it('gives up a job that waits as soon as it is cancelled, and never starts it', async () => {
    const to = lane();
    const long = send(to, 'shapes');
    const waiting = send(to, 'open', 'never');
    const last = send(to, 'open', 'last');
    await long.first;
    waiting.cancel();
    await expect(waiting.result).rejects.toMatchObject({ code: 'cancelled' });
    long.cancel();
    expect(await last.result).toMatchObject({ log: ['shapes', 'openlast'] });
  });

  it.each([
    ['ends', 'run', /stopped with code 3/],
    ['throws', 'evaluate', /stopped with code 1/],
  ] as const)('says so when its worker %s, and starts another for the next job', async (_how, method, message) => {
    const to = lane();
    const failing = send(to, method);
    const next = send(to, 'open', 'a');
    await expect(failing.result).rejects.toMatchObject({
      code: 'worker-stopped',
      message: expect.stringMatching(message),
    });
    expect(await next.result).toMatchObject({ path: 'a', log: ['opena'] });
    expect(logged.join()).toContain(method === 'evaluate' ? 'out of cheese' : '');
  });

  it('says so when its worker cannot start', async () => {
    const to = lane(undefined, path.join('/nowhere', 'worker.js'));
    await expect(send(to, 'open').result).rejects.toMatchObject({ code: 'worker-stopped' });
    expect(logged.join()).toContain('/nowhere/worker.js');
  });
});

describe('steering a lane of jobs', () => {
  const context = () => ({ signal: new AbortController().signal, progress: () => undefined });

  it('reaches the job that is being done, past those that wait', async () => {
    const to = lane();
    const long = send(to, 'shapes', 'long');
    const waiting = send(to, 'open', 'waiting');
    await long.first;
    await to.steer('open', { path: 'steer' } as never, context());
    long.cancel();
    expect(await waiting.result).toMatchObject({ log: ['shapeslong', 'opensteer', 'openwaiting'] });
  });

  it('does nothing when nothing is done', async () => {
    const to = lane();
    await to.steer('open', { path: 'early' } as never, context());
    expect(await send(to, 'open', 'a').result).toMatchObject({ log: ['opena'] });
    await to.steer('open', { path: 'late' } as never, context());
    expect(await send(to, 'open', 'b').result).toMatchObject({ log: ['opena', 'openb'] });
  });
});

describe('a lane for looking', () => {
  it('does not let a request wait for another', async () => {
    const to = lane('at-once');
    const long = send(to, 'shapes');
    await long.first;
    expect(await send(to, 'open', 'a').result).toMatchObject({ path: 'a' });
    long.cancel();
    await expect(long.result).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('rejects all that was going on when its worker ends', async () => {
    const to = lane('at-once');
    const long = send(to, 'shapes');
    await long.first;
    const failing = send(to, 'run');
    await expect(failing.result).rejects.toMatchObject({ code: 'worker-stopped' });
    await expect(long.result).rejects.toMatchObject({ code: 'worker-stopped' });
  });

  it('is told what another lane found out, before and after its worker starts', async () => {
    const to = lane('at-once');
    const news = (key: string) => ({ subject: 'anything', key, told: null });
    to.tell(news('early'));
    expect(await send(to, 'open').result).toMatchObject({ told: ['early'] });
    to.tell(news('late'));
    expect(await send(to, 'open').result).toMatchObject({ told: ['early', 'late'] });
    await expect(send(to, 'run').result).rejects.toMatchObject({ code: 'worker-stopped' });
    expect(await send(to, 'open').result).toMatchObject({ told: ['early', 'late'] });
  });
});
