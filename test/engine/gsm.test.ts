/** Runs of global sparse momentum, from a model file and a dataset to a verified sparse candidate. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { findLayers } from '../../src/analysis/layers';
import { openModel } from '../../src/formats';
import type { Progress, RunResult } from '../../src/protocol/plan';
import { settingsSchema } from '../../src/protocol/recipe';
import { toFloat32 } from '../../src/tensor/tensor';
import { keptCount } from '../../src/train/sparseMomentum';
import { put } from '../data/scratch';
import { type Asked, quiet, type SettingsInput, stripesData, stripesRuns } from '../support/stripesRuns';

const settings: SettingsInput = {
  method: 'gsm',
  gsm: { keep: 0.2, momentum: 0.98, weightDecay: 0.04 },
  data: stripesData,
  target: { kind: 'macs', value: 0.5 },
  training: { epochs: 30, lr: 0.03, batch: 24 },
  threads: 1,
};

const runs = stripesRuns();

function request(more: Partial<SettingsInput> = {}) {
  return {
    path: path.join(runs.folder, 'stripes.onnx'),
    settings: settingsSchema.parse({ ...settings, ...more }),
    folder: runs.folder,
  };
}

function run({ with: more, ...asked }: Asked & { readonly with?: Partial<SettingsInput> } = {}): Promise<RunResult> {
  return runs.run({ ...settings, ...more }, asked);
}

/** Weights of the layers of a file, and how many of them are not zero. */
function weightsOf(file: string): { layer: string; weights: number; nonZero: number }[] {
  const model = openModel(file);
  try {
    return findLayers(model.graph).map(({ name, weight }) => {
      const values = toFloat32(weight.ref.read());
      return { layer: name, weights: values.length, nonZero: values.filter((value) => value !== 0).length };
    });
  } finally {
    model.close();
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, n) => total + n, 0);

test('its projection changes no layer, and gives reasons for protected ones alone', async () => {
  const { layers } = await runs.service.handlers.project(request({ protect: ['second'] }), quiet());
  expect(layers.map(({ action, reason }) => [action, reason])).toEqual([
    ['keep', null],
    ['keep', 'protected'],
    ['keep', null],
  ]);
});

test('leaves as many weights as asked for, and a good model, verified and reported', async () => {
  const result = await run();
  const found = weightsOf(result.candidate);
  const weights = sum(found.map((layer) => layer.weights));
  expect(sum(found.map(({ nonZero }) => nonZero))).toBe(keptCount(0.2, weights));
  const { sparsity } = result;
  expect(sparsity?.layers.map(({ layer, weights, nonZero }) => ({ layer, weights, nonZero }))).toEqual(found);
  expect(sparsity).toMatchObject({ weights, nonZero: keptCount(0.2, weights) });
  expect(sparsity?.cut).toBeLessThan(0.1);
  expect(result.after.accuracy?.accuracy).toBeGreaterThan(0.9);
  expect(sparsity?.accuracy.masked).toBe(result.after.accuracy?.accuracy);
  expect(Math.abs((sparsity?.accuracy.trained ?? 0) - (sparsity?.accuracy.masked ?? 1))).toBeLessThan(0.03);
  expect(result.verification.filter(({ passed }) => !passed)).toEqual([]);
  expect(result.verification.map(({ name }) => name)).toContain('Zeros as counted');
  expect(result.after.params).toBe(result.before.params);
  expect(result.warnings.filter((warning) => warning.includes('E ='))).toEqual([]);
});

test('protected layers keep all of their weights and are not counted', async () => {
  const { sparsity } = await run({ with: { protect: ['head'] } });
  const head = sparsity?.layers.find(({ layer }) => layer === 'head');
  expect(head).toMatchObject({ pruned: false, nonZero: head?.weights });
  expect(sparsity?.weights).toBe(sum((sparsity?.layers ?? []).filter((l) => l.pruned).map(({ weights }) => weights)));
});

describe('a training that is too short for its decay', () => {
  const gsm = { keep: 0.2, momentum: 0.9, weightDecay: 1e-2 };

  test('says so before it starts and with the result, and what would be enough', async () => {
    const seen: Progress[] = [];
    const result = await run({ with: { gsm }, onProgress: (progress) => seen.push(progress) });
    const warning = result.warnings.find((text) => text.includes('E ='));
    expect(warning).toMatch(/\d+ epochs, or a momentum of 0\.\d+, or a weight decay of/);
    const at = (phase: string): number => seen.findIndex((progress) => progress.phase === phase);
    expect(seen[at('check')].message).toBe(warning);
    expect(at('check')).toBeLessThan(at('train'));
  });

  test('suggests nothing that would break the training', async () => {
    const hopeless = request({ gsm: { ...gsm, weightDecay: 1e-7 }, training: { ...settings.training, epochs: 1 } });
    const { warning } = await runs.service.handlers.trainingTime(hopeless, quiet());
    expect(warning).toContain('hardly shrink');
    expect(warning).toMatch(/No change of one setting is enough/);
    const whole = await runs.service.handlers.trainingTime(request({ gsm: { ...gsm, keep: 1 } }), quiet());
    expect(whole.warning).toBeUndefined();
  });

  test('takes its epochs after the cut into account when its time is measured', async () => {
    const { steps } = await runs.service.handlers.trainingTime(request({ gsm: { ...gsm, epochsAfter: 4 } }), quiet());
    expect(steps).toBe(340);
  });

  test('says so when its time is measured', async () => {
    const time = (more?: Partial<SettingsInput>) => runs.service.handlers.trainingTime(request(more), quiet());
    expect((await time({ gsm })).warning).toMatch(/E = 0\.\d/);
    expect((await time()).warning).toBeUndefined();
  });

  test('is long enough when one of the suggestions is followed', async () => {
    const time = (more: Partial<SettingsInput>) => runs.service.handlers.trainingTime(request(more), quiet());
    const { warning } = await time({ gsm });
    const [, epochs, momentum, decay] = /(\d+) epochs, or a momentum of (\S+), or a weight decay of (\S+)\.$/.exec(
      warning ?? '',
    ) as RegExpExecArray;
    const enough: Partial<SettingsInput>[] = [
      { gsm, training: { ...settings.training, epochs: Number(epochs) } },
      { gsm: { ...gsm, momentum: Number(momentum) } },
      { gsm: { ...gsm, weightDecay: Number(decay) } },
    ];
    for (const more of enough) expect((await time(more)).warning).toBeUndefined();
  });
});

test('its result can go to another process', async () => {
  const { sparsity, training } = await run();
  expect(structuredClone({ sparsity, training })).toEqual({ sparsity, training });
});

test('progress tells how much of the weights is still to vanish', async () => {
  const seen: number[] = [];
  await run({ onProgress: ({ training }) => training?.cut !== undefined && seen.push(training.cut) });
  expect(seen.length).toBeGreaterThan(100);
  expect(seen.at(-1)).toBeLessThan(0.2 * seen[0]);
});

test('cancelled and resumed it gives the same file', async () => {
  const whole = readFileSync((await run()).candidate);
  const abort = new AbortController();
  const stopped = run({
    signal: abort.signal,
    onProgress: ({ training }) => training && training.step === 57 && abort.abort(),
  });
  await expect(stopped).rejects.toMatchObject({ code: 'cancelled' });
  const resumed = await run({ resume: true });
  expect(Buffer.compare(readFileSync(resumed.candidate), whole)).toBe(0);
});

describe('refuses, and says what to do:', () => {
  test('without training', async () => {
    await expect(run({ with: { training: { epochs: 0 } } })).rejects.toMatchObject({ code: 'training-needed' });
  });

  test('without images', async () => {
    await expect(run({ with: { data: undefined } })).rejects.toMatchObject({ code: 'data-needed' });
  });

  test('images without labels, unless it learns from the model', async () => {
    const bare = path.join(runs.folder, 'bare');
    const images = readFileSync(path.join(runs.folder, 'train-images-idx3-ubyte'));
    await put(bare, 'images-idx3-ubyte', images);
    const data = { path: 'bare/images-idx3-ubyte' };
    await expect(run({ with: { data } })).rejects.toMatchObject({ code: 'labels-needed' });
    const { sparsity } = await run({ with: { data, training: { ...settings.training, loss: 'distill' } } });
    expect(sparsity?.accuracy).toEqual({ trained: null, masked: null });
  });
});

describe('training on after the cut', () => {
  const gsm = { keep: 0.1, momentum: 0.98, weightDecay: 0.04, epochsAfter: 4 };

  test('keeps every zero, and reports both trainings as one', async () => {
    const result = await run({ with: { gsm } });
    const found = weightsOf(result.candidate);
    const weights = sum(found.map((layer) => layer.weights));
    // A weight that trains may hit zero, but none comes back from it.
    expect(sum(found.map(({ nonZero }) => nonZero))).toBe(keptCount(0.1, weights));
    expect(result.training?.epochs).toHaveLength(34);
    const { trained, masked } = result.sparsity?.accuracy ?? {};
    expect(trained).toBeGreaterThan(0.9);
    expect(masked).not.toBeNull();
    expect(result.after.accuracy?.accuracy).toBeGreaterThanOrEqual((masked as number) - 0.05);
  });

  test('cancelled in either part and resumed it gives the same file', async () => {
    const whole = readFileSync((await run({ with: { gsm } })).candidate);
    for (const step of [57, 20]) {
      // The steps of the second part go on from those of the first.
      const last = step === 20 ? 300 + step : step;
      const abort = new AbortController();
      const stopped = run({
        with: { gsm },
        signal: abort.signal,
        onProgress: ({ training }) => {
          expect(training?.epochs ?? 34).toBe(34);
          if (training?.step === last) abort.abort();
        },
      });
      await expect(stopped).rejects.toMatchObject({ code: 'cancelled' });
      const resumed = await run({ with: { gsm }, resume: true });
      expect(Buffer.compare(readFileSync(resumed.candidate), whole)).toBe(0);
    }
  });
});

test('saved sparse, the file is smaller and computes the same; its totals stay', async () => {
  const dense = await run();
  const sparse = await run({ with: { gsm: { ...settings.gsm, save: 'sparse' } } });
  expect(sparse.sparsity?.saved).toBe('sparse');
  expect(sparse.after.fileBytes).toBeLessThan(dense.after.fileBytes);
  expect(sparse.after.bytes).toBe(dense.after.bytes);
  expect(weightsOf(sparse.candidate)).toEqual(weightsOf(dense.candidate));
  expect(sparse.after.accuracy?.accuracy).toBe(dense.after.accuracy?.accuracy);
  expect(sparse.verification.every(({ passed }) => passed)).toBe(true);
});

test('saved compact, the channels are gone in which nothing is left, and the model computes the same', async () => {
  const gsm = { keep: 0.05, momentum: 0.98, weightDecay: 0.04 };
  // Short enough that idle channels still have weights.
  const training = { ...settings.training, epochs: 20 };
  const dense = await run({ with: { gsm, training } });
  const compact = await run({ with: { gsm: { ...gsm, save: 'compact' }, training } });
  expect(compact.sparsity?.idleChannels).toBeGreaterThan(0);
  expect(compact.after.params).toBeLessThan(dense.after.params);
  expect(compact.after.macs ?? 0).toBeLessThan(dense.after.macs ?? 0);
  expect(compact.layers.some(({ action }) => action === 'narrow')).toBe(true);
  const left = sum(weightsOf(compact.candidate).map(({ nonZero }) => nonZero));
  expect(compact.sparsity).toMatchObject({ nonZero: left, weights: dense.sparsity?.weights });
  expect(left).toBeLessThan(dense.sparsity?.nonZero ?? 0);
  expect(compact.after.accuracy?.accuracy).toBe(dense.after.accuracy?.accuracy);
  expect(compact.verification.every(({ passed }) => passed)).toBe(true);
});

describe('a lottery ticket', () => {
  async function winner(): Promise<string> {
    const { candidate } = await run();
    writeFileSync(path.join(runs.folder, 'pruned.onnx'), readFileSync(candidate));
    return 'pruned.onnx';
  }

  test('trains the weights that the pruned model kept, from random ones, and no others', async () => {
    const ticket = await winner();
    const before = weightsOf(path.join(runs.folder, ticket));
    const training = { ...settings.training, initial: 'random', lr: 0.05, epochs: 10 } as const;
    const result = await run({ with: { gsm: { ticket }, training } });
    expect(weightsOf(result.candidate)).toEqual(before);
    expect(result.sparsity).toMatchObject({ decayExponent: null, nonZero: sum(before.map(({ nonZero }) => nonZero)) });
    expect(result.after.accuracy?.accuracy).toBeGreaterThan(0.6);
    expect(result.training?.untrained).toBeLessThan(0.6);
  });

  test('that is another one when a run goes on belongs to another run', async () => {
    const other = readFileSync((await run({ with: { gsm: { ...settings.gsm, keep: 0.1 } } })).candidate);
    const ticket = await winner();
    const training = { ...settings.training, epochs: 2 };
    const abort = new AbortController();
    const stopped = run({
      with: { gsm: { ticket }, training },
      signal: abort.signal,
      onProgress: ({ training: now }) => now?.step === 9 && abort.abort(),
    });
    await expect(stopped).rejects.toMatchObject({ code: 'cancelled' });
    writeFileSync(path.join(runs.folder, ticket), other);
    const resumed = run({ with: { gsm: { ticket }, training }, resume: true });
    await expect(resumed).rejects.toMatchObject({ code: 'checkpoint-differs' });
  });

  test.each([
    ['outside the folder', '../pruned.onnx', 'dataset-path-outside'],
    ['a model without zeros', 'stripes.onnx', 'ticket-differs'],
    ['a file that is not there', 'nothing.onnx', 'file-not-found'],
  ])('is refused: %s', async (_, ticket, code) => {
    await expect(run({ with: { gsm: { ticket } } })).rejects.toMatchObject({ code });
  });
});
