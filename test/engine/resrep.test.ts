/** ResRep from a model file and images to a narrower network that computes what its compactors left. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { openModel } from '../../src/formats';
import { serializeGraph } from '../../src/formats/onnx/serialize';
import { constantValue, type GraphNode, int } from '../../src/graph/graph';
import type { CompactionProgress, Progress, RunResult } from '../../src/protocol/plan';
import { settingsSchema } from '../../src/protocol/recipe';
import { memoryTensor, type TensorRef, toFloat64 } from '../../src/tensor/tensor';
import { initialize } from '../../src/train/initialize';
import { Net } from '../support/architectures/net';
import { randomTensor } from '../support/graphs';
import { modelBytes } from '../support/onnxBuilder';
import { type Asked, quiet, type SettingsInput, stripesData, stripesRuns } from '../support/stripesRuns';

const runs = stripesRuns();
let settings: SettingsInput;
beforeEach(() => {
  settings = {
    method: 'resrep',
    data: stripesData,
    target: { kind: 'macs', value: 0.5 },
    training: { epochs: 30, loss: 'labels', lr: 0.05, batch: 24 },
    threads: 1,
  };
});

const run = (asked?: Asked): Promise<RunResult> => runs.run(settings, asked);

test('masked rows vanish, the target is met, and what is left learns the task', async () => {
  const seen: CompactionProgress[] = [];
  const result = await run({ onProgress: ({ training }) => training?.compaction && seen.push(training.compaction) });
  expect(result.verification.map(({ passed }) => passed)).toEqual(result.verification.map(() => true));
  expect(result.verification.map(({ name }) => name)).toContain('Cut network equals the network with compactors');
  expect((result.after.macs as number) / (result.before.macs as number)).toBeLessThanOrEqual(0.5);
  expect(result.after.accuracy?.accuracy).toBeGreaterThan(0.95);
  const report = result.training?.compaction;
  expect(report).toMatchObject({ largest: 0, macs: result.after.macs });
  expect(report?.cut).toBeGreaterThan(0);
  const { graph } = openModel(result.candidate);
  expect([...graph.initializers.keys()].filter((name) => name.includes('compactor'))).toEqual([]);
  expect(graph.nodes.map(({ opType }) => opType)).toEqual(
    openModel(path.join(runs.folder, 'stripes.onnx')).graph.nodes.map(({ opType }) => opType),
  );
  expect(seen.length).toBeGreaterThan(5);
  expect(seen[0]).toMatchObject({ masked: 0, macs: result.before.macs, reached: null });
  expect(seen.at(-1)?.reached).toBeGreaterThan(0);
  for (const [i, { masked }] of seen.entries()) if (i) expect(masked).toBeGreaterThanOrEqual(seen[i - 1].masked);
});

test('a run that was cancelled while rows were masked goes on and ends with the same bytes', async () => {
  const whole = await run();
  const bytes = readFileSync(whole.candidate);
  const abort = new AbortController();
  const onProgress = ({ training: now }: Progress): void => {
    if (now?.step === 61) abort.abort();
  };
  await expect(run({ signal: abort.signal, onProgress })).rejects.toMatchObject({ code: 'cancelled' });
  expect(existsSync(path.join(runs.folder, 'checkpoint'))).toBe(true);
  const resumed = await run({ resume: true });
  expect(Buffer.compare(readFileSync(resumed.candidate), bytes)).toBe(0);
  expect(resumed.training?.compaction).toEqual(whole.training?.compaction);
});

test('trains on after the cut, as one training that can be stopped in either part', async () => {
  settings = { ...settings, training: { ...settings.training, epochs: 8 }, resrep: { epochsAfter: 3 } };
  const steps: number[] = [];
  const whole = await run({ onProgress: ({ training }) => training && steps.push(training.step) });
  expect(steps).toEqual(Array.from({ length: 110 }, (_, i) => i + 1));
  expect(whole.training?.epochs).toHaveLength(11);
  expect(whole.verification.map(({ passed }) => passed)).toEqual(whole.verification.map(() => true));
  expect((whole.after.macs as number) / (whole.before.macs as number)).toBeLessThanOrEqual(0.5);
  const bytes = readFileSync(whole.candidate);
  settings = { ...settings, resrep: {} };
  const first = await run();
  expect(first.after.macs).toBe(whole.after.macs);
  expect(Buffer.compare(readFileSync(first.candidate), bytes)).not.toBe(0);
  settings = { ...settings, resrep: { epochsAfter: 3 } };
  for (const stop of [41, 95]) {
    const abort = new AbortController();
    const onProgress = ({ training: now }: Progress): void => {
      if (now?.step === stop) abort.abort();
    };
    await expect(run({ signal: abort.signal, onProgress })).rejects.toMatchObject({ code: 'cancelled' });
    const resumed = await run({ resume: true });
    expect(Buffer.compare(readFileSync(resumed.candidate), bytes)).toBe(0);
  }
});

test('learns from the original alone where there are no labels to use', async () => {
  settings = { ...settings, training: { ...settings.training, loss: 'distill' }, resrep: { minRows: 3 } };
  const result = await run();
  for (const layer of result.layers) if (layer.channels) expect(layer.channels).toBeGreaterThanOrEqual(3);
  expect(result.training?.compaction?.vanished).toBe(result.training?.compaction?.cut);
});

test('a network from scratch is narrowed as it learns, whatever its weights were', async () => {
  settings = { ...settings, training: { ...settings.training, initial: 'random', lr: 0.1 } };
  const result = await run();
  expect(result.after.accuracy?.accuracy).toBeGreaterThan(0.95);
  expect(result.after.macs).toBeLessThanOrEqual(0.5 * (result.before.macs ?? 0));
  expect(result.verification.map(({ passed }) => passed)).toEqual(result.verification.map(() => true));
  const file = path.join(runs.folder, 'stripes.onnx');
  const model = openModel(file);
  const reset = serializeGraph(initialize(model.graph, { seed: 9 }), model.metadata);
  model.close();
  writeFileSync(file, reset);
  const training = { ...settings.training, epochs: 2 };
  settings = { ...settings, training, resrep: { unchecked: true, epochsAfter: 2 } };
  const again = await run();
  expect(again.training?.losses[0]).toBe(result.training?.losses[0]);
  // What comes after the cut goes on from what was learned.
  expect(again.training?.losses[20]).toBeLessThan(again.training?.losses[0] ?? 0);
});

test('weights that were drawn and are not trained stay as they were drawn', async () => {
  const training = { ...settings.training, epochs: 2, initial: 'random', train: 'bn' } as const;
  settings = { ...settings, training, resrep: { unchecked: true } };
  const { verification } = await run();
  expect(verification.filter(({ passed }) => !passed).map(({ name }) => name)).toEqual([]);
});

test('a schedule too short for rows to reach zero is refused with a figure that is enough', async () => {
  settings = { ...settings, resrep: { schedule: 'cifar', warmupSteps: 20, interval: 2 } };
  const error = await run().catch((found) => found);
  expect(error).toMatchObject({ code: 'resrep-too-short' });
  const request = {
    path: path.join(runs.folder, 'stripes.onnx'),
    settings: settingsSchema.parse(settings),
    folder: runs.folder,
  };
  const { warning } = await runs.service.handlers.trainingTime(request, quiet());
  expect(warning).toContain(error.message);
  const enough = Number(/maskedLambda to ([\d.e-]+)/.exec(error.hint)?.[1]);
  const epochs = Number(/rain for (\d+) epochs/.exec(error.hint)?.[1]);
  const after = async (count: number) => {
    const longer = settingsSchema.parse({ ...settings, training: { ...settings.training, epochs: count } });
    return (await runs.service.handlers.trainingTime({ ...request, settings: longer }, quiet())).warning;
  };
  expect(await after(epochs)).toBeUndefined();
  expect(await after(epochs - 1)).toContain('too short');
  settings = { ...settings, resrep: { ...settings.resrep, maskedLambda: enough } };
  const result = await run();
  expect(result.training?.compaction?.largest).toBe(0);
});

test('rows that have not vanished stay, or go with the difference that makes', async () => {
  const short = { schedule: 'cifar', warmupSteps: 20, interval: 2, unchecked: true } as const;
  settings = { ...settings, resrep: short };
  const kept = await run();
  expect(kept.training?.compaction).toMatchObject({ cut: 0, vanished: 0 });
  expect(kept.warnings).toContainEqual(
    expect.stringMatching(/^The target of 50\.0 % was not met: .* leave 100\.0 % of/),
  );
  expect(kept.warnings).toContainEqual(expect.stringMatching(/^\d+ masked rows have not vanished .* and stay/));
  expect(kept.verification.every(({ passed }) => passed)).toBe(true);
  expect(kept.after.macs).toBe(kept.before.macs);
  settings = { ...settings, resrep: { ...short, remainder: 'cut' } };
  const cut = await run();
  const masked = cut.training?.compaction?.cut ?? 0;
  expect(masked).toBeGreaterThan(0);
  expect(cut.warnings).toContainEqual(
    expect.stringMatching(`^${masked} masked rows have not vanished .* and were cut all the same, as asked`),
  );
  expect(cut.warnings).toContainEqual(expect.stringMatching(/computes something else: largest difference/));
  expect(cut.verification.every(({ passed }) => passed)).toBe(true);
});

test('in multiples, as many channels are masked as can be cut', async () => {
  settings = { ...settings, target: { kind: 'macs', value: 0.6 }, multiple: 4 };
  const result = await run();
  expect((result.after.macs ?? 1) / (result.before.macs ?? 1)).toBeLessThanOrEqual(0.6);
  const { masked, cut } = result.training?.compaction ?? {};
  expect(cut).toBe(masked);
  // The last layer's outputs are the classes.
  for (const { channels = 0 } of result.layers.slice(0, -1)) expect(channels % 4).toBe(0);
});

test('keeps what training made of weights in Constant nodes, and the types of weights', async () => {
  const net = new Net();
  const x = net.block('b', net.block('a', net.input('x', ['N', 1, 12, 12]), 8, { kernel: 3 }), 8, { kernel: 3 });
  const weight = randomTensor([8, 8, 1, 1], 3, 'float32', 0.3);
  const constant = { value: { kind: 'tensor', value: memoryTensor('', weight) } } as const;
  const y = net.op('Conv', [x, net.op('Constant', [], constant)], {}, 8);
  const half = net.op('Cast', [net.op('Flatten', [net.op('GlobalAveragePool', [y])])], { to: int(10) });
  const head = net.store('head.weight', randomTensor([3, 8], 4, 'float16'));
  net.output('y', net.op('Cast', [net.op('Gemm', [half, head], { transB: int(1) })], { to: int(1) }));
  const plain = net.graph();
  writeFileSync(path.join(runs.folder, 'stored.onnx'), modelBytes(plain));
  settings = { ...settings, protect: ['Con*'], training: { ...settings.training, epochs: 8 } };
  const result = await run({ model: 'stored.onnx' });
  expect(result.verification.every(({ passed }) => passed)).toBe(true);
  const [before, after] = [plain, openModel(result.candidate).graph].map((graph) => {
    const node = graph.nodes.find(({ opType }) => opType === 'Constant') as GraphNode;
    return [constantValue(node) as TensorRef, graph.initializers.get('head.weight') as TensorRef];
  });
  for (const [i, ref] of after.entries()) {
    expect(ref.dtype).toBe(before[i].dtype);
    expect(toFloat64(ref.read())).not.toEqual(toFloat64(before[i].read()));
  }
});

test('other targets and models without places are refused', async () => {
  settings = { ...settings, target: { kind: 'params', value: 0.5 } };
  await expect(run()).rejects.toMatchObject({ code: 'resrep-target' });
  settings = { ...settings, target: { kind: 'macs', value: 0.5 }, protect: ['*'] };
  settings = { ...settings, resrep: { ...settings.resrep, minRows: 1000 } };
  await expect(run()).rejects.toMatchObject({
    code: 'nothing-to-compact',
    message: expect.stringContaining('all of its channels are asked for'),
  });
  settings = { ...settings, resrep: { ...settings.resrep, minRows: 1 } };
  const refused = { code: 'nothing-to-compact', message: expect.stringMatching(/: protected with first[;.]/) };
  await expect(run()).rejects.toMatchObject(refused);
});

test('what it would do and how long it takes is known before', async () => {
  const request = {
    path: path.join(runs.folder, 'stripes.onnx'),
    settings: settingsSchema.parse(settings),
    folder: runs.folder,
  };
  const projection = await runs.service.handlers.project(request, quiet());
  expect(projection.assumed).toContain('by training');
  expect((projection.after.macs as number) / (projection.before.macs as number)).toBeLessThanOrEqual(0.5);
  const { steps, secondsPerStep } = await runs.service.handlers.trainingTime(request, quiet());
  expect(steps).toBe(300);
  expect(secondsPerStep).toBeGreaterThan(0);
});

test('groups that stay whole close no others whose names look alike', async () => {
  const net = new Net();
  const stem = net.block('*', net.input('x', ['N', 3, 6, 6]), 8);
  net.head(net.relu(net.add(stem, net.block('b', net.block('a', stem, 8), 8, { act: null }))));
  const file = path.join(runs.folder, 'globs.onnx');
  writeFileSync(file, modelBytes(net.graph()));
  const request = { path: file, settings: settingsSchema.parse({ ...settings, data: undefined }), folder: runs.folder };
  const { groups = [] } = await runs.service.handlers.project(request, quiet());
  const [whole, open] = ['*', 'a'].map((name) => groups.find((group) => group.name === name));
  expect(whole).toMatchObject({ kept: 8, reason: expect.stringContaining('2 layers give the same channels') });
  expect(open?.kept).toBeLessThan(8);
});

test('channels of an output that the loss does not read stay, and the projection says so', async () => {
  const net = new Net();
  const a = net.block('a', net.input('x', ['N', 1, 12, 12]), 8, { kernel: 3 });
  const pooled = (x: string): string => net.op('Flatten', [net.op('GlobalAveragePool', [x])]);
  net.output('y', net.gemm('head', pooled(net.block('b', a, 8, { kernel: 3 })), 8, 3));
  net.output('z', net.gemm('otherHead', pooled(net.block('other', a, 8, { kernel: 3 })), 8, 3));
  const file = path.join(runs.folder, 'two.onnx');
  writeFileSync(file, modelBytes(net.graph()));
  settings = { ...settings, target: { kind: 'macs', value: 0.7 }, training: { ...settings.training, epochs: 8 } };
  const result = await run({ model: 'two.onnx' });
  expect(result.verification.every(({ passed }) => passed)).toBe(true);
  expect(result.training?.compaction?.layers.map(({ layer }) => layer)).toEqual(['a', 'b']);
  const request = { path: file, settings: settingsSchema.parse(settings), folder: runs.folder };
  const projection = await runs.service.handlers.project(request, quiet());
  expect(projection.groups?.find(({ name }) => name === 'other')).toMatchObject({
    kept: 8,
    reason: 'other: the loss does not depend on its outputs',
  });
  const both = settingsSchema.parse({ ...settings, training: { ...settings.training, loss: 'match' } });
  const { groups = [] } = await runs.service.handlers.project({ ...request, settings: both }, quiet());
  expect(groups.find(({ name }) => name === 'other')?.kept).toBeLessThan(8);
});
