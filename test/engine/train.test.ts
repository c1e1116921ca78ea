/** Runs that train after pruning, from a model file and a dataset to a verified candidate. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { openModel } from '../../src/formats';
import { serializeGraph } from '../../src/formats/onnx/serialize';
import type { Progress, RunResult } from '../../src/protocol/plan';
import { settingsSchema, type TrainingSettings } from '../../src/protocol/recipe';
import { elementCount } from '../../src/tensor/dtype';
import { float32Tensor, memoryTensor } from '../../src/tensor/tensor';
import { put } from '../data/scratch';
import { metadataOf } from '../support/graphs';
import { type Asked, quiet, type SettingsInput, stripesData, stripesRuns } from '../support/stripesRuns';

const runs = stripesRuns();
let settings: SettingsInput;
beforeEach(() => {
  settings = {
    method: 'basis',
    data: { ...stripesData, calibrationImages: 60 },
    target: { kind: 'macs', value: 0.6 },
    protect: ['first', 'head'],
    threads: 1,
  };
});

function run({ training, ...asked }: Asked & { readonly training: Partial<TrainingSettings> }): Promise<RunResult> {
  return runs.run({ ...settings, training }, asked);
}

test('learning from labels makes an untrained network a good one, verified and reported', async () => {
  const result = await run({ training: { epochs: 12, loss: 'labels', lr: 0.1, batch: 24 } });
  expect(result.training?.untrained).toBeLessThan(0.7);
  expect(result.after.accuracy?.accuracy).toBeGreaterThan(0.95);
  expect(result.training).toMatchObject({ losses: { length: 120 }, epochs: { length: 12 } });
  expect(result.training?.imagesPerSecond).toBeGreaterThan(0);
  expect(result.verification.map(({ passed }) => passed)).toEqual(result.verification.map(() => true));
  expect(result.verification.at(-1)?.name).toBe('Outputs equal those of the training program');
  expect(existsSync(path.join(runs.folder, 'checkpoint'))).toBe(false);
});

test('learning from the original needs no labels and brings the outputs back', async () => {
  await put(runs.folder, 'plain/images.idx3-ubyte', readFileSync(path.join(runs.folder, 'train-images-idx3-ubyte')));
  settings = { ...settings, data: { ...settings.data, path: 'plain/images.idx3-ubyte' }, basis: { refit: false } };
  settings = { ...settings, target: { kind: 'macs', value: 0.3 } };
  const result = await run({ training: { epochs: 8, lr: 0.02, batch: 24 } });
  const epochs = result.training?.epochs ?? [];
  expect(epochs[7].loss).toBeLessThan(0.5 * epochs[0].loss);
});

test('a run that was cancelled goes on with resume and ends with the same bytes', async () => {
  const training = { epochs: 3, loss: 'labels', lr: 0.05, batch: 24 } as const;
  const whole = await run({ training });
  const bytes = readFileSync(whole.candidate);
  const abort = new AbortController();
  const onProgress = ({ training: now }: Progress): void => {
    if (now?.step === 14) abort.abort();
  };
  await expect(run({ training, signal: abort.signal, onProgress })).rejects.toMatchObject({ code: 'cancelled' });
  expect(existsSync(path.join(runs.folder, 'checkpoint'))).toBe(true);
  expect(readdirSync(path.join(runs.folder, 'storage'))).toEqual([path.basename(path.dirname(whole.candidate))]);
  const resumed = await run({ training, resume: true });
  expect(Buffer.compare(readFileSync(resumed.candidate), bytes)).toBe(0);
  expect(resumed.training?.losses).toEqual(whole.training?.losses);
});

test('reports progress with the time left', async () => {
  const seen: Progress[] = [];
  await run({ training: { epochs: 2, train: 'scaling' }, onProgress: (progress) => seen.push(progress) });
  const steps = seen.filter(({ training }) => training);
  expect(steps).toHaveLength(8);
  expect(steps.at(-1)?.message).toMatch(/^Training: epoch 2 of 2, loss \d+\.\d+, 0 s left$/);
  const fractions = seen.map(({ fraction }) => fraction ?? 0).filter((fraction) => fraction > 0);
  expect(Math.max(...fractions)).toBeLessThanOrEqual(1);
});

test('its time is known before it starts', async () => {
  const asked = settingsSchema.parse({ ...settings, training: { epochs: 5, batch: 24, loss: 'labels' } });
  const request = { path: path.join(runs.folder, 'stripes.onnx'), settings: asked, folder: runs.folder };
  const { seconds, steps, secondsPerStep, trainedParams } = await runs.service.handlers.trainingTime(request, quiet());
  expect(steps).toBe(50);
  expect(secondsPerStep).toBeGreaterThan(0);
  expect(seconds).toBeCloseTo(50 * secondsPerStep, 10);
  const result = await run({ training: { epochs: 1, batch: 24, loss: 'labels' } });
  // Calibration adds a bias where the weights alone do not; this model has one already.
  expect(trainedParams).toBe(result.training?.trainedParams);
});

test('feature maps of chosen layers are matched, and a name that matches none is an error', async () => {
  settings = { ...settings, target: { kind: 'macs', value: 0.3 }, basis: { refit: false } };
  const training = { epochs: 1, lr: 0.02, batch: 24 };
  const losses: number[] = [];
  for (const more of [{}, { features: 1 }, { features: 1, featureLayers: ['first', 'sec*'] }]) {
    const result = await run({ training: { ...training, ...more } });
    losses.push(result.training?.losses[0] ?? Number.NaN);
  }
  // 'first' is not pruned: matched at the start, it halves the mean.
  expect(losses[1]).toBeGreaterThan(losses[0]);
  expect((losses[2] - losses[0]) / (losses[1] - losses[0])).toBeGreaterThan(0.4);
  expect(losses[2]).not.toBe(losses[1]);
  const wrong = run({ training: { ...training, features: 1, featureLayers: ['third'] } });
  await expect(wrong).rejects.toMatchObject({ code: 'feature-layers-unknown' });
});

test('mixed images are others for the original model, too', async () => {
  const training = { epochs: 2, batch: 24, loss: 'distill' } as const;
  const [plain, mixed, again] = [
    await run({ training }),
    await run({ training: { ...training, augment: { mix: true } } }),
    await run({ training: { ...training, augment: { mix: true } } }),
  ].map(({ training: report }) => report?.losses ?? []);
  expect(mixed).not.toEqual(plain);
  expect(again).toEqual(mixed);
  // Were they mixed for one of the two models alone, no training would bring them together.
  expect(mixed.at(-1)).toBeLessThan(mixed[0]);
});

test('from random weights a model learns from nothing but seed and images', async () => {
  settings = { ...settings, method: 'fine-tune', seed: 5 };
  const training = { initial: 'random', epochs: 12, lr: 0.1, batch: 24 } as const;
  const result = await run({ training });
  expect(result.training?.untrained).toBeLessThan(0.7);
  expect(result.after.accuracy?.accuracy).toBeGreaterThan(0.95);
  expect(result.verification.map(({ passed }) => passed)).toEqual(result.verification.map(() => true));
  const graph = openModel(path.join(runs.folder, 'stripes.onnx')).graph;
  const zeroed = new Map(
    [...graph.initializers].map(([name, ref]) => [
      name,
      memoryTensor(name, float32Tensor(new Float32Array(elementCount(ref.dims)), ref.dims)),
    ]),
  );
  writeFileSync(
    path.join(runs.folder, 'stripes.onnx'),
    serializeGraph({ ...graph, initializers: zeroed }, metadataOf({ opset: 13 })),
  );
  const again = await run({ training });
  expect(again.training?.losses).toEqual(result.training?.losses);
  expect(again.before.accuracy?.warning).toContain('near chance');
  expect(again.warnings).not.toContain(again.before.accuracy?.warning);
  settings = { ...settings, seed: 6 };
  const other = await run({ training: { ...training, epochs: 1 } });
  expect(other.training?.losses[0]).not.toBe(result.training?.losses[0]);
});

describe('is refused', () => {
  test('with labels asked for and none there', async () => {
    await put(runs.folder, 'plain/images.idx3-ubyte', readFileSync(path.join(runs.folder, 'train-images-idx3-ubyte')));
    settings = { ...settings, data: { path: 'plain/images.idx3-ubyte' } };
    await expect(run({ training: { epochs: 1, loss: 'labels' } })).rejects.toMatchObject({
      code: 'labels-needed',
      hint: expect.stringContaining('loss: distill'),
    });
    expect(readdirSync(path.join(runs.folder, 'storage'))).toEqual([]);
  });

  test('with mixed images and labels', async () => {
    const training = { epochs: 1, loss: 'labels', augment: { mix: true } } as const;
    await expect(run({ training })).rejects.toMatchObject({ code: 'mix-needs-original' });
  });

  test('without any images', async () => {
    settings = { ...settings, data: undefined };
    await expect(run({ training: { epochs: 1 } })).rejects.toMatchObject({
      code: 'data-needed',
      hint: expect.not.stringContaining('basis'),
    });
  });

  test('to go on from nothing', async () => {
    await expect(run({ training: { epochs: 1 }, resume: true })).rejects.toMatchObject({ code: 'checkpoint-invalid' });
  });
});

test('warns that the accuracy is that of images it was trained on', async () => {
  settings = { ...settings, data: { path: 'train-images-idx3-ubyte', calibrationImages: 60 } };
  const { warnings } = await run({ training: { epochs: 1 } });
  expect(warnings.join()).toContain('images that the model was trained on');
});
