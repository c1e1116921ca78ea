/** Runs of several stages: pruning in rounds, a new classifier, targets that are measured. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Progress, RunResult } from '../../src/protocol/plan';
import { settingsSchema } from '../../src/protocol/recipe';
import { idxBytes, put } from '../data/scratch';
import { type Asked, quiet, type SettingsInput, stripesData, stripesRuns } from '../support/stripesRuns';

const settings: SettingsInput = {
  method: 'basis',
  data: { ...stripesData, calibrationImages: 60 },
  target: { kind: 'macs', value: 0.6 },
  protect: ['first', 'head'],
  threads: 1,
};

const runs = stripesRuns();

function run({ with: more, ...asked }: Asked & { readonly with?: Partial<SettingsInput> }): Promise<RunResult> {
  return runs.run({ ...settings, ...more }, asked);
}

/** The classifier, trained: a file beside it. */
async function trained(more: SettingsInput['training'] = {}): Promise<string> {
  const training = { epochs: 12, lr: 0.1, batch: 24, ...more };
  const { candidate } = await run({ with: { method: 'fine-tune', training } });
  writeFileSync(path.join(runs.folder, 'trained.onnx'), readFileSync(candidate));
  return 'trained.onnx';
}

test('fine-tuning trains from the labels and prunes nothing', async () => {
  const result = await run({ with: { method: 'fine-tune', training: { epochs: 12, lr: 0.1, batch: 24 } } });
  expect(result.after.accuracy?.accuracy).toBeGreaterThan(0.95);
  expect(result.after.macs).toBe(result.before.macs);
  expect(result.after.params).toBe(result.before.params);
  expect(result.layers.map(({ action }) => action)).toEqual(['keep', 'keep', 'keep']);
});

test('training from random weights draws them once, whatever the number of rounds', async () => {
  const training = { epochs: 6, rounds: 2, initial: 'random', lr: 0.1, batch: 24 } as const;
  const { training: report } = await run({ with: { method: 'fine-tune', training } });
  const [first, second] = [report?.losses[0] ?? 0, report?.losses[60] ?? 0];
  expect(second).toBeLessThan(0.8 * first);
});

describe('in rounds', () => {
  const training = { epochs: 2, rounds: 3, loss: 'labels', lr: 0.05, batch: 24 } as const;

  test('prunes to the target, trains in every round and reports all of it as one', async () => {
    const seen: Progress[] = [];
    const result = await run({ with: { training }, onProgress: (progress) => seen.push(progress) });
    expect(result.layers.map(({ layer }) => layer)).toEqual(['first', 'second', 'head']);
    expect(result.after.macs).toBeLessThanOrEqual(0.6 * (result.before.macs ?? 0));
    expect(result.training?.epochs).toHaveLength(6);
    expect(result.training?.losses).toHaveLength(60);
    const steps = seen.flatMap(({ training: now }) => (now ? [[now.step, now.steps, now.epoch]] : []));
    expect(steps.map(([step]) => step)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
    expect(steps.at(-1)).toEqual([60, 60, 6]);
    expect(result.verification.every(({ passed }) => passed)).toBe(true);
    expect(readdirSync(runs.folder).filter((name) => name.startsWith('checkpoint'))).toEqual([]);
  });

  test('is resumed in the round where it was stopped, with the same bytes in the end', async () => {
    const whole = await run({ with: { training } });
    const abort = new AbortController();
    const onProgress = ({ training: now }: Progress): void => {
      if (now?.step === 33) abort.abort();
    };
    await expect(run({ with: { training }, signal: abort.signal, onProgress })).rejects.toMatchObject({
      code: 'cancelled',
    });
    const steps: number[] = [];
    const resumed = await run({
      with: { training },
      resume: true,
      onProgress: ({ training: now }) => now && steps.push(now.step),
    });
    expect(Math.min(...steps)).toBe(34);
    expect(resumed.training?.losses).toEqual(whole.training?.losses);
    expect(Buffer.compare(readFileSync(resumed.candidate), readFileSync(whole.candidate))).toBe(0);
  });

  test('another run does not use what was left', async () => {
    const abort = new AbortController();
    const onProgress = ({ training: now }: Progress): void => {
      if (now?.step === 33) abort.abort();
    };
    await expect(run({ with: { training }, signal: abort.signal, onProgress })).rejects.toThrow();
    const other = { ...training, lr: 0.02 };
    await expect(run({ with: { training: other }, resume: true })).rejects.toMatchObject({
      code: 'checkpoint-differs',
    });
  });
});

describe('with a new classifier', () => {
  /** The same images with two classes: striped or not. */
  async function twoClasses(): Promise<SettingsInput['data']> {
    for (const part of ['train', 'test']) {
      const count = part === 'train' ? 240 : 120;
      const labels = Uint8Array.from({ length: count }, (_, i) => (i % 3 === 2 ? 1 : 0));
      await put(runs.folder, `two/${part}-labels-idx1-ubyte`, idxBytes([count], labels));
      await put(
        runs.folder,
        `two/${part}-images-idx3-ubyte`,
        readFileSync(path.join(runs.folder, `${part}-images-idx3-ubyte`)),
      );
    }
    return { path: 'two/train-images-idx3-ubyte', evaluation: 'two/test-images-idx3-ubyte', calibrationImages: 60 };
  }

  test('learns the classes of the data, is pruned and compared with its own unpruned form', async () => {
    const model = await trained();
    const data = await twoClasses();
    const transfer = { epochs: 20, lr: 0.2 };
    const result = await run({
      model,
      with: { data, transfer, training: { epochs: 4, train: 'scaling', lr: 0.05, batch: 24 } },
    });
    expect(result.before.accuracy?.classes).toHaveLength(2);
    expect(result.warnings).toContainEqual(expect.stringContaining('was guessed: '));
    expect(result.before.accuracy?.accuracy).toBeGreaterThan(0.9);
    expect(result.after.accuracy?.accuracy).toBeGreaterThan(0.85);
    expect(result.after.macs).toBeLessThan(0.6 * (result.before.macs ?? 0));
    const facts = await runs.service.handlers.open({ path: result.candidate }, quiet());
    expect(facts.outputs[0].shape?.at(-1)).toBe(2);
    expect(existsSync(path.join(runs.folder, 'checkpoint.stages'))).toBe(false);
  });

  test('learns them from the labels, also where the pruned model is to learn from mixed images', async () => {
    const model = await trained();
    const data = await twoClasses();
    const training = { epochs: 1, loss: 'distill', augment: { mix: true }, batch: 24 } as const;
    const { training: report } = await run({ model, with: { data, transfer: { epochs: 1, lr: 0.1 }, training } });
    expect(report?.losses.every(Number.isFinite)).toBe(true);
  });

  test('takes a time that is known before it starts, also where nothing else is trained', async () => {
    const time = (training?: SettingsInput['training']) =>
      runs.service.handlers.trainingTime(
        {
          path: path.join(runs.folder, 'stripes.onnx'),
          settings: settingsSchema.parse({ ...settings, transfer: { epochs: 3 }, training }),
          folder: runs.folder,
        },
        quiet(),
      );
    const alone = await time();
    expect(alone.steps % 3).toBe(0);
    expect((await time({ epochs: 0 })).steps).toBe(alone.steps);
    expect((await time({ epochs: 3 })).steps).toBe(2 * alone.steps);
  });

  test('needs labels', async () => {
    await put(runs.folder, 'plain/images.idx3-ubyte', readFileSync(path.join(runs.folder, 'train-images-idx3-ubyte')));
    const data = { path: 'plain/images.idx3-ubyte' };
    await expect(run({ with: { data, transfer: {} } })).rejects.toMatchObject({
      code: 'labels-needed',
      hint: expect.stringContaining('keep the classifier'),
    });
  });
});

describe('to an accuracy', () => {
  test('prunes as far as the limit allows, and a wider limit allows no less', async () => {
    const model = await trained();
    const shares: number[] = [];
    for (const value of [1, 30]) {
      const result = await run({ model, with: { target: { kind: 'drop', value } } });
      const [before, after] = [result.before, result.after].map(({ accuracy }) => accuracy?.accuracy ?? 0);
      expect(before - after).toBeLessThanOrEqual(value / 100);
      shares.push((result.after.macs ?? 0) / (result.before.macs ?? 1));
    }
    expect(shares[0]).toBeLessThan(0.8);
    expect(shares[1]).toBeLessThanOrEqual(shares[0]);
  });

  test('goes on from trained models in rounds', async () => {
    const model = await trained();
    const training = { epochs: 1, rounds: 2, lr: 0.02, batch: 24 };
    const result = await run({ model, with: { target: { kind: 'drop', value: 5 }, training } });
    expect(result.after.macs).toBeLessThanOrEqual(0.8 * (result.before.macs ?? 0));
    expect(result.training?.epochs.length).toBeGreaterThanOrEqual(1);
  });

  test('leaves the model as it is where nothing keeps it, and says so', async () => {
    const model = await trained({ initial: 'random' });
    // From random weights, and hardly trained, no trial is any good.
    const training = { epochs: 1, initial: 'random', lr: 1e-9, batch: 24 } as const;
    const searching: Partial<SettingsInput> = { target: { kind: 'drop', value: 5 }, training };
    const request = { path: path.join(runs.folder, model), folder: runs.folder };
    const asked = settingsSchema.parse({ ...settings, ...searching });
    const { steps } = await runs.service.handlers.trainingTime({ ...request, settings: asked }, quiet());
    const seen: number[] = [];
    const result = await run({ model, with: searching, onProgress: ({ training: now }) => now && seen.push(now.step) });
    expect(seen).toEqual(Array.from({ length: steps }, (_, i) => i + 1));
    expect(result.layers.map(({ action }) => action)).toEqual(['keep', 'keep', 'keep']);
    expect(result.after.macs).toBe(result.before.macs);
    expect(result.warnings).toContainEqual(expect.stringContaining('No pruning stayed within 5 points'));
    expect(result.verification.every(({ passed }) => passed)).toBe(true);
  });

  test('needs labels', async () => {
    await put(runs.folder, 'plain/images.idx3-ubyte', readFileSync(path.join(runs.folder, 'train-images-idx3-ubyte')));
    const data = { path: 'plain/images.idx3-ubyte' };
    const target = { kind: 'drop', value: 1 } as const;
    await expect(run({ with: { data, target } })).rejects.toMatchObject({
      code: 'labels-needed',
      hint: 'Choose labelled data, or another target.',
    });
    await expect(run({ with: { data: undefined, target } })).rejects.toMatchObject({ code: 'data-needed' });
  });
});

describe('to a latency', () => {
  test('one that anything reaches keeps nearly everything', async () => {
    const result = await run({ with: { target: { kind: 'milliseconds', value: 1e6 } } });
    expect(result.after.macs).toBeGreaterThan(0.85 * (result.before.macs ?? 0));
  });

  test('one that nothing reaches is an error that says how far it goes', async () => {
    await expect(run({ with: { target: { kind: 'milliseconds', value: 1e-6 } } })).rejects.toMatchObject({
      code: 'latency-not-reachable',
      message: expect.stringMatching(/took \d+\.\d+ ms/),
    });
  });
});

test.each(['taylor-per-mac', 'fisher-per-mac'] as const)('scores by %s need images', async (score) => {
  await expect(run({ with: { data: undefined, basis: { score } } })).rejects.toMatchObject({
    code: 'data-needed',
    hint: expect.stringContaining('a score of the energy'),
  });
  await expect(run({ with: { basis: { score, basis: 'weights' } } })).rejects.toMatchObject({
    code: 'score-needs-activations',
  });
  const result = await run({ with: { basis: { score } } });
  expect(result.verification.every(({ passed }) => passed)).toBe(true);
});
