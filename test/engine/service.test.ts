/** The engine's methods end to end on a small model: what a run writes, checks, measures, and leaves behind. */
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, describe, expect, it, test } from 'vitest';
import type { News } from '../../src/engine/learned';
import { OpenModels } from '../../src/engine/models';
import { createService, type Service, type ServiceOptions } from '../../src/engine/service';
import { cancelled } from '../../src/errors';
import type { Progress, RunResult } from '../../src/protocol/plan';
import type { PruneSettings } from '../../src/protocol/recipe';
import type { RequestContext } from '../../src/protocol/rpc';
import { loadRecipe, recipePath } from '../../src/recipe/file';
import { modelBytes, temporaryFolder } from '../support/onnxBuilder';
import { settingsOf } from '../support/plans';
import { type SmallTask, smallClassifier, smallTask } from '../support/smallClassifier';

const services: Service[] = [];
afterEach(async () => {
  for (const service of services.splice(0)) await service.dispose();
});

/** A service that computes spectra in this thread. */
function service(options: Partial<ServiceOptions> = {}): Service {
  services.push(createService({ spectraWorker: null, ...options }));
  return services[services.length - 1];
}

const context = (report: (progress: Progress) => void = () => undefined, signal = new AbortController().signal) =>
  ({ signal, progress: report }) satisfies RequestContext;

let task: SmallTask;
let reference: RunResult;
const seen: Progress[] = [];
beforeAll(async () => {
  task = await smallTask();
  reference = await runTask(withImages(), { report: (progress) => seen.push(progress) });
});

/** Settings for the small task, with its images: three fifths of the MACs by default. */
function withImages(entries: Parameters<typeof settingsOf>[0] = {}, data: Partial<PruneSettings['data']> = {}) {
  return settingsOf({
    target: { kind: 'macs', value: 0.6 },
    data: { path: task.data, calibrationImages: 60, ...data },
    threads: 1,
    ...entries,
  });
}

async function runTask(
  settings: PruneSettings,
  { model = task.model, report = (_: Progress) => {}, signal = new AbortController().signal, engine = service() } = {},
): Promise<RunResult> {
  const request = { path: model, settings, folder: task.folder, storage: task.storage };
  return engine.handlers.run(request, context(report, signal));
}

describe('a run', () => {
  it('makes what the plan said, and proves it', async () => {
    const { before, after, verification, device, warnings, speedup, layerLatency } = reference;
    expect(before.accuracy).toMatchObject({ accuracy: 1, images: 120, warning: null });
    expect(after.accuracy?.accuracy).toBeGreaterThan(0.6);
    expect(after.macs).toBeLessThanOrEqual(0.6 * (before.macs as number));
    expect(verification.map(({ name, passed }) => [name, passed])).toEqual([
      ['Inputs and outputs are unchanged', true],
      ['Metadata is unchanged', true],
      ['Parameters as predicted', true],
      ['MACs as predicted', true],
      ['Weight bytes as predicted', true],
      [expect.stringContaining('masked model'), true],
    ]);
    expect(device).toBe('cpu');
    expect(warnings).toEqual([]);
    expect(speedup).toBeGreaterThan(0);
    expect(layerLatency.map(({ layer }) => layer)).toEqual(['stem', 'middle', 'last', 'head']);
  });

  it('tells how far it is, from one end to the other', () => {
    const fractions = seen.map(({ fraction }) => fraction as number);
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
    expect(new Set(seen.map(({ phase }) => phase))).toEqual(
      new Set(['calibrate', 'decompose', 'refit', 'write', 'evaluate', 'measure']),
    );
  });

  it('can be repeated from its recipe, byte for byte', async () => {
    const output = path.join(temporaryFolder(), 'small.onnx');
    const engine = service();
    const saved = await engine.handlers.save(
      { run: reference, settings: withImages(), folder: task.folder, output, overwrite: false },
      context(),
    );
    expect(saved).toEqual({ model: output, recipe: recipePath(output) });
    const { totals, fileBytes } = await engine.handlers.shapes({ path: output }, context());
    const { params, macs, bytes } = reference.after;
    expect(totals).toEqual({ params, macs, bytes });
    expect([fileBytes, fs.statSync(output).size]).toEqual([reference.after.fileBytes, reference.after.fileBytes]);

    const { model, settings } = await loadRecipe(saved.recipe);
    expect(path.resolve(model)).toBe(task.model);
    const request = { path: model, settings, folder: path.dirname(model) };
    // Images that were looked at before are not looked at again.
    await engine.handlers.calibrate(request, context());
    const phases = new Set<string>();
    const report = ({ phase }: Progress) => phases.add(phase);
    const again = await engine.handlers.run({ ...request, storage: task.storage }, context(report));
    expect(fs.readFileSync(again.candidate).equals(fs.readFileSync(output))).toBe(true);
    expect(again.after.accuracy?.accuracy).toBe(reference.after.accuracy?.accuracy);
    expect(phases).not.toContain('calibrate');
  });

  it('is better with images than without, and better with a refit', async () => {
    const loss = async (basis: PruneSettings['basis'] | object) =>
      (await runTask(withImages({ basis }))).after.accuracy?.loss as number;
    const weights = await loss({ basis: 'weights' });
    const activations = await loss({ refit: false });
    expect(activations).toBeLessThan(weights);
    expect(reference.after.accuracy?.loss).toBeLessThan(activations);
  });

  it('recombined keeps the model’s form and its cost', async () => {
    const run = await runTask(settingsOf({ basis: { finish: 'recombined' } }));
    expect(run.before.accuracy).toBeNull();
    expect(run.layers.filter((layer) => layer.action === 'factorize').length).toBeGreaterThan(0);
    expect(run.after.macs).toBe(run.before.macs);
    const models = new OpenModels();
    const types = (file: string) => models.get(file).model.graph.nodes.map((node) => node.opType);
    expect(types(run.candidate)).toEqual(types(task.model));
    models.closeAll();
  });

  it('to everything gives the very same file', async () => {
    const run = await runTask(withImages({ target: { kind: 'macs', value: 1 } }, { limit: 20 }));
    expect(fs.readFileSync(run.candidate).equals(fs.readFileSync(task.model))).toBe(true);
  });

  it('works in half precision', async () => {
    const half = await smallTask(60, 'float16');
    const run = await runTask(settingsOf({ data: { path: half.data } }), { model: half.model });
    expect(run.before.accuracy?.accuracy).toBeGreaterThan(0.95);
    expect(run.after.accuracy?.accuracy).toBeGreaterThan(0.5);
    expect(run.after.bytes).toBeLessThan(0.6 * run.before.bytes);
  });

  it('falls back to the CPU where its device fails, and says so as well as that its target is out of reach', async () => {
    const run = await runTask(settingsOf({ device: 'directml', target: { kind: 'macs', value: 0.01 } }));
    expect(run.device).toBe('cpu');
    expect(run.warnings).toEqual([
      expect.stringMatching(/^The device 'directml' could not be used: .* The CPU was used instead\.$/),
      expect.stringContaining("The target of 1.0 % can't be met"),
    ]);
  });
});

describe('a run that does not come to its end', () => {
  const left = () => fs.readdirSync(task.storage).filter((name) => !before.includes(name));
  let before: string[] = [];
  beforeAll(() => {
    before = fs.readdirSync(task.storage);
  });

  it.each(['calibrate', 'decompose', 'refit', 'write', 'evaluate', 'measure'])(
    'leaves nothing behind when it is cancelled in the phase "%s"',
    async (phase) => {
      before = fs.readdirSync(task.storage);
      const abort = new AbortController();
      const report = (progress: Progress) => {
        if (progress.phase === phase) abort.abort(cancelled());
      };
      await expect(runTask(withImages(), { report, signal: abort.signal })).rejects.toMatchObject({
        code: 'cancelled',
      });
      expect(left()).toEqual([]);
    },
  );

  it('stops choosing a preprocessing when it is cancelled', async () => {
    // A copy: what was chosen for a model is not looked for again.
    const copy = path.join(temporaryFolder(), 'copy.onnx');
    fs.copyFileSync(task.model, copy);
    const signal = AbortSignal.abort(cancelled());
    const asked = service().handlers.dataset({ path: task.data, model: copy }, { ...context(), signal });
    await expect(asked).rejects.toMatchObject({ code: 'cancelled' });
  });

  it.each<[string, (model: string) => void, string]>([
    ['written to', (model) => fs.appendFileSync(model, Uint8Array.of(0x9a, 0x06, 0)), 'file-changed'],
    [
      'replaced',
      (model) => {
        fs.copyFileSync(model, `${model}.new`);
        fs.renameSync(`${model}.new`, model);
      },
      'model-changed',
    ],
  ])('leaves nothing behind when the model is %s meanwhile', async (_name, change, code) => {
    before = fs.readdirSync(task.storage);
    const model = path.join(temporaryFolder(), 'changing.onnx');
    fs.copyFileSync(task.model, model);
    let isChanged = false;
    const report = ({ phase }: Progress) => {
      if (phase === 'refit' && !isChanged) change(model);
      isChanged ||= phase === 'refit';
    };
    await expect(runTask(withImages(), { model, report })).rejects.toMatchObject({ code });
    expect(left()).toEqual([]);
  });

  it.each<[string, () => PruneSettings, string]>([
    ['data that is not there', () => withImages({}, { path: 'absent' }), 'dataset-not-found'],
    ['activations without data', () => settingsOf({ basis: { basis: 'activations' } }), 'data-needed'],
  ])('says why, and leaves nothing behind: %s', async (_name, settings, code) => {
    before = fs.readdirSync(task.storage);
    await expect(runTask(settings())).rejects.toMatchObject({ code });
    expect(left()).toEqual([]);
  });
});

describe('saving', () => {
  it('replaces nothing without being asked, and never the model itself', async () => {
    const { handlers } = service();
    const save = (output: string, overwrite = false) =>
      handlers.save({ run: reference, settings: withImages(), folder: task.folder, output, overwrite }, context());
    const folder = temporaryFolder();
    await save(path.join(folder, 'a.onnx'));
    await expect(save(path.join(folder, 'a.onnx'))).rejects.toMatchObject({ code: 'output-exists' });
    fs.rmSync(path.join(folder, 'a.onnx'));
    // The recipe of the first is still there.
    await expect(save(path.join(folder, 'a.onnx'))).rejects.toMatchObject({ code: 'output-exists' });
    await save(path.join(folder, 'a.onnx'), true);
    await expect(save(task.model, true)).rejects.toMatchObject({ code: 'output-is-source' });
    const link = path.join(folder, 'link.onnx');
    fs.symlinkSync(task.model, link);
    await expect(save(link, true)).rejects.toMatchObject({ code: 'output-is-source' });
    await expect(save(path.join(folder, 'no/where.onnx'))).rejects.toMatchObject({ code: 'cannot-write' });
    expect(fs.readdirSync(folder).sort()).toEqual(['a.onnx', 'a.prune.json', 'link.onnx']);
  });
});

describe('looking at a model', () => {
  it('gives the weights-only facts at once, and shapes when they are asked for', async () => {
    const { handlers } = service();
    const opened = await handlers.open({ path: task.model }, context());
    expect(opened.totals).toMatchObject({ macs: null, params: expect.any(Number) });
    expect(opened.shapes).toBeNull();
    const known = await handlers.shapes({ path: task.model }, context());
    const macs = 256 * 32 * 27 + 256 * 32 * 288 + 64 * 64 * 288 + 640;
    expect(known.totals).toEqual({ ...opened.totals, macs });
    expect(known.shapes).toEqual({ image: [1, 3, 32, 32] });
    // Once known, it stays known.
    expect((await handlers.open({ path: task.model }, context())).totals.macs).toBe(macs);
  });

  it('reads a file again when it has changed', async () => {
    const file = path.join(temporaryFolder(), 'model.onnx');
    fs.writeFileSync(file, modelBytes(smallClassifier()));
    const { handlers } = service();
    const first = await handlers.open({ path: file }, context());
    fs.writeFileSync(file, modelBytes({ ...smallClassifier(), name: 'another' }));
    const second = await handlers.open({ path: file }, context());
    expect(second).not.toBe(first);
    expect(second.fileBytes).toBe(first.fileBytes + 'another'.length - 'test'.length);
  });

  it('gives the spectra of the layers that are asked for', async () => {
    const { handlers } = service();
    const spectra = await handlers.spectra({ path: task.model, layers: ['last', 'head'] }, context());
    expect(spectra.map(({ layer, singularValues }) => [layer, singularValues.length])).toEqual([
      ['last', 64],
      ['head', 10],
    ]);
    await expect(handlers.spectra({ path: task.model, layers: ['nothing'] }, context())).rejects.toMatchObject({
      code: 'layer-unknown',
    });
  });

  it('projects by the weights until images were looked at, in this thread or another', async () => {
    const news: News[] = [];
    const work = service({ tell: (value) => news.push(structuredClone(value)) });
    const look = service();
    const request = { path: task.model, settings: withImages(), folder: task.folder };
    expect((await look.handlers.project(request, context())).basis).toBe('weights');
    expect(await work.handlers.calibrate(request, context())).toEqual({ images: 60 });
    expect(news).toHaveLength(1);
    look.adopt(news[0]);
    const projection = await look.handlers.project(request, context());
    expect(projection.basis).toBe('activations');
    expect(projection).toEqual(await work.handlers.project(request, context()));
    expect(projection.layers).toEqual(reference.layers);
    const detail = await look.handlers.detail({ ...request, layer: 'middle' }, context());
    expect(detail).toMatchObject({ layer: 'middle', basis: 'activations' });
    expect(detail.importance).toHaveLength(32);
    // Other images, another seed: another calibration.
    const other = { ...request, settings: withImages({ seed: 1 }) };
    expect((await look.handlers.project(other, context())).basis).toBe('weights');
    // The same for channels.
    const channels = { ...request, settings: withImages({ method: 'channel' }) };
    const byWeights = await look.handlers.project(channels, context());
    await work.handlers.calibrate(channels, context());
    expect(news).toHaveLength(2);
    look.adopt(news[1]);
    const byImages = await work.handlers.project(channels, context());
    expect(byImages.groups).not.toEqual(byWeights.groups);
    expect(await look.handlers.project(channels, context())).toEqual(byImages);
  });
});

describe('evaluating', () => {
  it('scores labelled images and says what it did to them', async () => {
    const { accuracy, latency, warnings } = await service().handlers.evaluate(
      { path: task.model, data: task.data, limit: 50, threads: 1 },
      context(),
    );
    expect(accuracy).toMatchObject({ images: 50, accuracy: 1, top5: 1, skipped: { count: 0 }, device: 'cpu' });
    expect(accuracy.preprocessing).toContain('ImageNet mean and std');
    expect(accuracy.confusion.reduce((sum, count) => sum + count, 0)).toBe(50);
    expect(latency).toMatchObject({ device: 'cpu', threads: 1 });
    expect(warnings).toEqual([]);
  });

  it('on a device that fails falls back to the CPU and says so', async () => {
    const { accuracy, latency, warnings } = await service().handlers.evaluate(
      { path: task.model, data: task.data, limit: 10, device: 'coreml' },
      context(),
    );
    expect([accuracy.device, latency?.device]).toEqual(['cpu', 'cpu']);
    expect(warnings).toEqual([expect.stringMatching(/^The device 'coreml' .* The CPU was used instead\.$/)]);
  });

  it('stops when cancelled', async () => {
    const abort = new AbortController();
    const report = () => abort.abort(cancelled());
    const evaluated = service().handlers.evaluate({ path: task.model, data: task.data }, context(report, abort.signal));
    await expect(evaluated).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('comparing', () => {
  test('a model with itself finds no difference', async () => {
    const comparison = await service().handlers.compare({ a: task.model, b: task.model }, context());
    expect(comparison.outputDifference).toBe(0);
    expect(comparison.layers.map(({ difference }) => difference)).toEqual([0, 0, 0, 0]);
    expect(comparison.accuracy).toBeNull();
  });

  test('a model with its pruned self finds the layers that changed, and both accuracies', async () => {
    const request = { a: task.model, b: reference.candidate, data: task.data, limit: 30 };
    const comparison = await service().handlers.compare(request, context());
    expect(comparison.outputDifference).toBeGreaterThan(0);
    expect(comparison.accuracy?.a.accuracy).toBe(1);
    expect(comparison.accuracy?.b.images).toBe(30);
    expect(comparison.layers.find(({ name }) => name === 'stem')?.difference).toBe(0);
  });
});

test('the devices of this machine include the CPU, which works', async () => {
  const devices = await service().handlers.devices({}, context());
  expect(devices[0]).toMatchObject({ id: 'cpu', available: true });
  for (const { available, note } of devices) expect(available || note).toBeTruthy();
});
