/** The engine as the process that an editor forks: the wire, its lanes, and what a kill leaves behind. */
import fs from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { CancellationTokenSource } from 'vscode-jsonrpc/node';
import type { Progress } from '../../src/protocol/plan';
import { temporaryFolder } from '../support/onnxBuilder';
import { settingsOf } from '../support/plans';
import { buildProduct, type Engine, type Product } from '../support/product';
import { type SmallTask, smallTask } from '../support/smallClassifier';

let product: Product;
let engine: Engine;
let task: SmallTask;
beforeAll(async () => {
  [product, task] = await Promise.all([buildProduct(), smallTask()]);
  engine = product.engine();
});

const runParams = (calibrationImages = 60) => ({
  path: task.model,
  settings: settingsOf({ data: { path: task.data, calibrationImages, limit: 40 }, threads: 1 }),
  folder: task.folder,
  storage: task.storage,
});

/** Starts a run and waits until it is in a phase. */
async function runUntil(phase: string, token?: CancellationTokenSource['token'], to = engine) {
  let reached: (progress: Progress) => void = () => undefined;
  const isReached = new Promise<Progress>((resolve) => {
    reached = resolve;
  });
  const result = to.requester.request('run', runParams(), {
    token,
    onProgress: (progress) => {
      if (progress.phase === phase) reached(progress);
    },
  });
  result.catch(() => undefined);
  await Promise.race([isReached, result]);
  return { result };
}

describe('the engine process', () => {
  it('opens models and finds their shapes', async () => {
    const opened = await engine.requester.request('open', { path: task.model });
    expect(opened.layers.map(({ name }) => name)).toEqual(['stem', 'middle', 'last', 'head']);
    expect(opened.totals.macs).toBeNull();
    const known = await engine.requester.request('shapes', { path: task.model });
    expect(known.totals.macs).toBeGreaterThan(0);
  });

  it('sends spectra and scores as typed arrays', async () => {
    const [spectrum] = await engine.requester.request('spectra', { path: task.model, layers: ['middle'] });
    expect(spectrum.singularValues).toBeInstanceOf(Float64Array);
    expect(spectrum.singularValues).toHaveLength(32);
    const detail = await engine.requester.request('detail', { ...runParams(), layer: 'middle' });
    expect(detail.importance).toBeInstanceOf(Float64Array);
    expect(detail.importance).toHaveLength(32);
  });

  it('brings errors across with their code, and unexpected ones not as the user’s', async () => {
    const absent = engine.requester.request('open', { path: '/nowhere/model.onnx' });
    await expect(absent).rejects.toMatchObject({ code: 'file-not-found', hint: expect.stringMatching(/./) });
    const wrong = engine.requester.request('open', { path: 7 } as never);
    await expect(wrong).rejects.toMatchObject({ code: 'unexpected' });
  });

  it('lets a look at a model overtake a run, and knows what the run found out', async () => {
    const { result } = await runUntil('refit');
    const projection = await engine.requester.request('project', runParams());
    expect(projection.basis).toBe('activations');
    let isDone = false;
    void result.then(() => {
      isDone = true;
    });
    await engine.requester.request('open', { path: task.model });
    expect(isDone).toBe(false);
    const run = await result;
    expect(run.layers).toEqual(projection.layers);
    expect(run.after.accuracy?.confusion).toBeInstanceOf(Uint32Array);
    expect(fs.existsSync(run.candidate)).toBe(true);
    fs.rmSync(task.storage, { recursive: true });
    fs.mkdirSync(task.storage);
  });

  it.each(['basis', 'channel', 'double', 'resrep', 'gsm', 'fine-tune'] as const)(
    'brings what %s found across',
    async (method) => {
      const settings = settingsOf({
        method,
        data: { path: task.data, calibrationImages: 20, limit: 20 },
        training: { epochs: 2, batch: 16, images: 48, loss: method === 'gsm' ? 'labels' : 'distill' },
        resrep: { epochsAfter: 1 },
        gsm: { keep: 0.5, epochsAfter: 1 },
        threads: 1,
      });
      const progress: Progress[] = [];
      const onProgress = (now: Progress): void => {
        progress.push(now);
      };
      const result = await engine.requester.request(
        'run',
        { ...runParams(), settings, storage: temporaryFolder() },
        { onProgress },
      );
      expect(result.verification.filter(({ passed }) => !passed)).toEqual([]);
      // After the cut some train on, and double pruning trains after either of its two steps.
      const epochs = { resrep: 3, gsm: 3, double: 4, basis: 2, channel: 2, 'fine-tune': 2 }[method];
      expect(result.training?.epochs).toHaveLength(epochs);
      const last = progress.findLast(({ training }) => training);
      expect(last?.training).toMatchObject({ epoch: epochs, epochs, step: 3 * epochs, steps: 3 * epochs });
      if (method !== 'double') expect(last?.message).toContain(`epoch ${epochs} of ${epochs}`);
      expect(result.sparsity !== undefined && result.sparsity !== null).toBe(method === 'gsm');
      expect(result.training?.compaction !== undefined).toBe(method === 'resrep');
    },
  );

  it('leaves nothing behind when a run is cancelled, and goes on', async () => {
    const source = new CancellationTokenSource();
    const { result } = await runUntil('evaluate', source.token);
    source.cancel();
    await expect(result).rejects.toMatchObject({ code: 'cancelled' });
    expect(fs.readdirSync(task.storage)).toEqual([]);
    expect((await engine.requester.request('open', { path: task.model })).path).toBe(task.model);
  });

  it('that is killed during a run fails what was asked of it; another one does it', async () => {
    const { result } = await runUntil('refit');
    engine.process.kill('SIGKILL');
    await expect(result).rejects.toMatchObject({ code: 'engine-lost' });
    await expect(engine.requester.request('open', { path: task.model })).rejects.toMatchObject({ code: 'engine-lost' });
    engine = product.engine();
    const run = await (await runUntil('measure')).result;
    expect(run.verification.every(({ passed }) => passed)).toBe(true);
  });

  it('writes nothing into the temporary folder, and so has no telemetry to send', async () => {
    const temporary = temporaryFolder();
    const { requester } = product.engine({ TMPDIR: temporary });
    await requester.request('shapes', { path: task.model });
    await requester.request('evaluate', { path: task.model, data: task.data, limit: 5 });
    expect(fs.readdirSync(temporary)).toEqual([]);
  });

  it('ends with its host', async () => {
    const { process: child, requester } = product.engine();
    await requester.request('devices', {});
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.disconnect();
    expect(await exited).toBe(0);
  });
});
