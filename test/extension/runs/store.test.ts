import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { writeFiles } from '../../../src/atomic';
import { cancelled, errorInfo, runInterrupted, trainingDiverged } from '../../../src/errors';
import type { LiveRun } from '../../../src/extension/runs/live';
import { RunStore } from '../../../src/extension/runs/store';
import type { AccuracyFacts } from '../../../src/protocol/facts';
import type { Progress, RunResult } from '../../../src/protocol/plan';
import { settingsSchema } from '../../../src/protocol/recipe';

const model = path.resolve('/models/net.onnx');
const settings = settingsSchema.parse({
  method: 'basis',
  target: { kind: 'macs', value: 0.5 },
  training: { epochs: 3 },
});
let folder: string;
let log: string[];
const stores: LiveRun[] = [];

beforeEach(() => {
  folder = path.join(mkdtempSync(path.join(tmpdir(), 'espalier-runs-')), 'runs');
  log = [];
});
afterEach(() => {
  // A run that is left alone keeps its clock.
  for (const live of stores.splice(0)) live.fail(errorInfo(cancelled()));
  rmSync(path.dirname(folder), { recursive: true });
  vi.useRealTimers();
});

const open = () => new RunStore(folder, (line) => log.push(line));
function begin(store: RunStore): LiveRun {
  const live = store.begin(model, settings);
  stores.push(live);
  return live;
}

/** The names under which a file is being written. */
function unfinished(file: string): string[] {
  let names: string[] = [];
  const write = () => {
    names = readdirSync(path.dirname(file)).filter((name) => name.startsWith('.'));
  };
  writeFiles([{ path: file, write }], { overwrite: true });
  writeFileSync(file, 'state');
  return names;
}

function trainingStep(step: number, loss = 1): Progress {
  const training = { step, steps: 30, epoch: 1, epochs: 3, loss, accuracy: 0.5, rate: 0.1, imagesPerSecond: 1 };
  return { phase: 'train', message: '', fraction: null, training: { ...training, secondsLeft: null } };
}

function resultOf(live: LiveRun): RunResult {
  const candidate = path.join(live.folder, 'run-1', 'net.pruned.onnx');
  mkdirSync(path.dirname(candidate));
  writeFileSync(candidate, 'weights');
  const accuracy: AccuracyFacts = {
    images: 10,
    skipped: { count: 0, names: [] },
    accuracy: 0.9,
    top5: null,
    confidence: [0.8, 0.95],
    loss: 0.3,
    classes: ['a', 'b'],
    confusion: new Uint32Array([4, 1, 0, 5]),
    device: 'cpu',
    preprocessing: 'as is',
    warning: null,
  };
  const before = { params: 100, macs: 1000, bytes: 400, fileBytes: 500, accuracy, latency: null };
  return {
    id: 'run-1',
    model,
    candidate,
    before,
    after: { ...before, params: 60, macs: 500, accuracy: { ...accuracy, accuracy: 0.8 } },
    layers: [],
    layerLatency: [],
    speedup: 1.5,
    speedupNote: null,
    verification: [{ name: 'outputs', passed: true, detail: '1e-6' }],
    seconds: 3,
    device: 'cpu',
    warnings: [],
  };
}

describe('the record of a run', () => {
  it('is there from the start, and says how it goes', () => {
    const store = open();
    const changed: string[] = [];
    store.onDidChange((which) => changed.push(which));
    const live = begin(store);
    expect(store.of(model)).toMatchObject([
      { id: live.id, title: 'basis · 50 % MACs · 3 epochs', state: 'running', canResume: false, accuracy: null },
    ]);
    live.progress(trainingStep(1));
    live.pause(true);
    expect(store.get(live.id)).toMatchObject({ state: 'paused', message: 'epoch 1 of 3' });
    expect(changed.length).toBeGreaterThan(2);
    expect(new Set(changed)).toEqual(new Set([model]));
    expect(store.models()).toEqual([model]);
  });

  it('comes back from the disk as it was, with result and curve', () => {
    const store = open();
    const live = begin(store);
    for (const step of [1, 2, 3]) live.progress(trainingStep(step, 4 - step));
    live.done(resultOf(live));
    store.saved(live.id, path.resolve('/models/small.onnx'));
    const record = store.read(live.id);
    expect(record).toMatchObject({
      state: 'done',
      macsShare: 0.5,
      paramsShare: 0.6,
      accuracy: 0.8,
      accuracyBefore: 0.9,
    });
    expect(record.curve?.points.map(({ loss }) => loss)).toEqual([3, 2, 1]);
    expect(record.result?.before.accuracy?.confusion).toBeInstanceOf(Uint32Array);
    expect(open().read(live.id)).toEqual(record);
  });

  it('of a training that was cancelled can be resumed, and its curve goes on', () => {
    const store = open();
    const live = begin(store);
    for (const step of [1, 2, 3]) live.progress(trainingStep(step));
    writeFileSync(live.checkpoint, 'state');
    mkdirSync(path.join(live.folder, 'run-killed'));
    for (const name of unfinished(live.checkpoint)) writeFileSync(path.join(live.folder, name), 'half');
    expect(live.fail(errorInfo(cancelled()))).toBe('stopped');
    expect(store.get(live.id)).toMatchObject({
      state: 'stopped',
      canResume: true,
      message: 'Cancelled in epoch 1 of 3.',
    });

    const again = open().resume(live.id);
    stores.push(again);
    expect(again.settings).toEqual(settings);
    const left = ['curve.f64', 'run.json', 'training.checkpoint'];
    expect(readdirSync(live.folder).sort()).toEqual(left);
    again.progress(trainingStep(3, 9));
    expect(again.points?.points.map(({ step, loss }) => [step, loss])).toEqual([
      [1, 1],
      [2, 1],
      [3, 9],
    ]);
  });

  it('without a checkpoint, and of a training that went wrong, can not', () => {
    const store = open();
    const early = begin(store);
    expect(early.fail(errorInfo(cancelled()))).toBe('failed');
    const wrong = begin(store);
    writeFileSync(wrong.checkpoint, 'state');
    const error = errorInfo(trainingDiverged({ step: 3, found: 'NaN', checkpoint: 'x' }));
    expect(wrong.fail(error)).toBe('failed');
    expect(open().read(wrong.id)).toMatchObject({ state: 'failed', canResume: false, error });
    expect(() => store.resume(wrong.id)).toThrow(expect.objectContaining({ code: 'run-unknown' }));
  });

  it('that was going on in a window that is no more shows as stopped', () => {
    const live = begin(open());
    live.progress(trainingStep(1));
    writeFileSync(live.checkpoint, 'state');
    expect(open().get(live.id)).toMatchObject({
      state: 'stopped',
      canResume: true,
      message: 'Interrupted in epoch 1 of 3.',
    });
    rmSync(live.checkpoint);
    expect(open().read(live.id)).toMatchObject({
      state: 'failed',
      canResume: false,
      error: errorInfo(runInterrupted()),
    });
  });

  it('of another window that lives is left alone', () => {
    const live = begin(open());
    const file = path.join(live.folder, 'run.json');
    const run = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(file, JSON.stringify({ ...run, owner: process.ppid }));
    const other = open();
    expect(other.get(live.id).state).toBe('running');
    expect(() => other.delete(live.id)).toThrow(expect.objectContaining({ code: 'run-in-progress' }));
    writeFileSync(file, JSON.stringify({ ...run, owner: process.ppid, updatedAt: 1 }));
    expect(open().get(live.id).state).toBe('failed');
  });

  it('goes with its files when it is deleted', () => {
    const store = open();
    const live = begin(store);
    expect(() => store.delete(live.id)).toThrow(expect.objectContaining({ code: 'run-in-progress' }));
    live.done(resultOf(live));
    store.delete(live.id);
    expect(existsSync(live.folder)).toBe(false);
    expect([store.of(model), store.models()]).toEqual([[], []]);
  });

  it('is one of the last fifty', () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const store = open();
    const ids = Array.from({ length: 52 }, (_, i) => {
      vi.setSystemTime(1_000_000 + i);
      const live = store.begin(model, settings);
      live.fail(errorInfo(runInterrupted()));
      return live.id;
    });
    expect(store.of(model).map(({ id }) => id)).toEqual(ids.slice(2).reverse());
    expect(new Set(readdirSync(folder))).toEqual(new Set(ids.slice(2)));
  });
});

describe('a record that is read', () => {
  /** A finished run whose files a test then damages. */
  function finished(): LiveRun {
    const live = begin(open());
    live.progress(trainingStep(1));
    live.done(resultOf(live));
    return live;
  }
  const change = (file: string, patch: object) =>
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...patch }));

  it.each<[string, object]>([
    ['a version to come', { version: 2 }],
    ['settings that are none', { settings: { method: 'magic' } }],
    ['a state that is none', { state: 'cooking' }],
    ['a relative model', { model: '../net.onnx' }],
    [
      'an accuracy above one',
      { figures: { macsShare: 1, paramsShare: 1, accuracy: 2, accuracyBefore: 1, speedup: 1 } },
    ],
    ['no steps', { training: { steps: 0, epochs: 1 } }],
    ['an error without words', { error: { code: 'x' } }],
    ['a start that is no time', { startedAt: 'yesterday' }],
  ])('with %s is left out', (_what, patch) => {
    const live = finished();
    expect(open().has(live.id)).toBe(true);
    change(path.join(live.folder, 'run.json'), patch);
    expect(open().has(live.id)).toBe(false);
  });

  it('that is no JSON is left out, and so are other folders', () => {
    const live = finished();
    writeFileSync(path.join(live.folder, 'run.json'), '{');
    mkdirSync(path.join(folder, 'somewhere'));
    writeFileSync(path.join(folder, 'file'), '');
    expect(open().models()).toEqual([]);
  });

  it.each<[string, object]>([
    ['lies elsewhere', { candidate: path.resolve('package.json') }],
    ['is gone', { candidate: path.join('x', 'y') }],
    ['has no figures', { before: null }],
    ['was made of other layers', { layers: [{ layer: 1 }] }],
  ])('has no result when its candidate %s', (_what, patch) => {
    const live = finished();
    expect(open().read(live.id).result).not.toBeNull();
    change(path.join(live.folder, 'result.json'), patch);
    expect(open().read(live.id)).toMatchObject({ state: 'done', result: null });
  });
});
