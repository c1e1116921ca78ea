/** Runs that remove channels, alone and before or after bases, on small networks of many kinds: what they promise holds. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { createService, type Service } from '../../src/engine/service';
import type { Graph } from '../../src/graph/graph';
import type { GroupProjection, Progress, RunResult } from '../../src/protocol/plan';
import type { PruneSettings } from '../../src/protocol/recipe';
import { put } from '../data/scratch';
import { uNet } from '../support/architectures/detection';
import { mobileNet1, mobileNet2, shuffleNet1 } from '../support/architectures/mobile';
import { Net } from '../support/architectures/net';
import { basicResNet, bottleneckResNet, vgg } from '../support/architectures/residual';
import { vit } from '../support/architectures/transformer';
import { modelBytes, temporaryFolder } from '../support/onnxBuilder';
import { settingsOf } from '../support/plans';
import { classifier, writeImages } from '../support/stripes';

type Entries = NonNullable<Parameters<typeof settingsOf>[0]>;

let folder: string;
let service: Service;
beforeAll(async () => {
  folder = temporaryFolder();
  service = createService({ spectraWorker: null });
  await writeImages(folder, 'train', 120, 1);
  await put(folder, 'plain/images.idx3-ubyte', await images());
  writeFileSync(path.join(folder, 'stripes.onnx'), classifier());
  const training = { epochs: 12, lr: 0.1, batch: 24 };
  const { candidate } = await run('stripes', { method: 'fine-tune', data, training });
  writeFileSync(path.join(folder, 'trained.onnx'), await bytesOf(candidate));
});
afterAll(() => service.dispose());

const bytesOf = async (file: string) => (await import('node:fs/promises')).readFile(file);
const images = () => bytesOf(path.join(folder, 'train-images-idx3-ubyte'));

const data = { path: 'train-images-idx3-ubyte', calibrationImages: 40, limit: 60 };

interface Options {
  readonly signal?: AbortSignal;
  readonly resume?: boolean;
  onProgress?(progress: Progress): void;
}

const settings = (entries: Entries): PruneSettings =>
  settingsOf({ method: 'channel', target: { kind: 'macs', value: 0.6 }, threads: 1, ...entries });

function run(model: string, entries: Entries, { signal, resume, onProgress }: Options = {}): Promise<RunResult> {
  const storage = path.join(folder, 'storage');
  return service.handlers.run(
    {
      path: path.join(folder, `${model}.onnx`),
      settings: settings(entries),
      folder,
      storage,
      checkpoint: path.join(folder, 'checkpoint'),
      resume,
    },
    { signal: signal ?? new AbortController().signal, progress: onProgress ?? (() => undefined) },
  );
}

const quiet = () => ({ signal: new AbortController().signal, progress: () => undefined });

function project(model: string, entries: Entries) {
  return service.handlers.project(
    { path: path.join(folder, `${model}.onnx`), settings: settings(entries), folder },
    quiet(),
  );
}

function writeModel(name: string, graph: Graph): string {
  writeFileSync(path.join(folder, `${name}.onnx`), modelBytes(graph));
  return name;
}

/** What has to hold of every run: all checks passed, the counts among them. */
function expectProved({ verification, before, after }: RunResult): void {
  expect(verification.filter(({ passed }) => !passed)).toEqual([]);
  expect(verification.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['Parameters as predicted', 'MACs as predicted', 'Weight bytes as predicted']),
  );
  expect(after.params).toBeLessThan(before.params);
  expect(after.fileBytes).toBeLessThan(before.fileBytes);
}

const shareOf = ({ before, after }: RunResult): number => (after.macs as number) / (before.macs as number);

const networks: Record<string, Graph> = {
  'residual network': basicResNet(),
  'network of groups': bottleneckResNet(2),
  'plain network': vgg(),
  'depthwise network': mobileNet1(),
  'inverted bottlenecks': mobileNet2(),
  'shuffled network': shuffleNet1(),
  transformer: vit(),
};

describe.each(Object.entries(networks))('a %s', (name, graph) => {
  const model = name.replaceAll(' ', '-');
  beforeAll(() => void writeModel(model, graph));

  it.each<[string, Entries]>([
    ['by the weights', {}],
    ['by what the loss says', { data }],
    ['by what the next layers need', { data, channel: { criterion: 'lasso' } }],
  ])('loses channels %s', async (_how, entries) => {
    const result = await run(model, entries);
    expectProved(result);
    expect(shareOf(result)).toBeLessThanOrEqual(0.6);
    expect(result.layers.filter(({ action }) => action === 'narrow').length).toBeGreaterThan(1);
  });

  it.each(['channel-first', 'basis-first'] as const)('loses channels and bases, %s', async (order) => {
    const entries: Entries = { method: 'double', double: { order }, data };
    const result = await run(model, entries);
    expectProved(result);
    expect(shareOf(result)).toBeLessThan(0.8);
    const { layers } = await service.handlers.open({ path: path.join(folder, `${model}.onnx`) }, quiet());
    expect(result.layers.map(({ layer }) => layer)).toEqual(layers.map((layer) => layer.name));
  });
});

describe('criteria', () => {
  it.each(['l1', 'l2', 'fpgm', 'random'] as const)(
    '%s needs no images, and the run does what was shown',
    async (criterion) => {
      const entries: Entries = { channel: { criterion } };
      const shown = await project('trained', entries);
      const result = await run('trained', entries);
      expectProved(result);
      expect(result.layers).toEqual(shown.layers);
      const { params, macs, bytes } = result.after;
      expect({ params, macs, bytes }).toEqual(shown.after);
    },
  );

  it('the scale of normalizations is one where there are normalizations', async () => {
    const model = writeModel('normalized', basicResNet());
    const entries: Entries = { channel: { criterion: 'bn-scale' } };
    const result = await run(model, entries);
    expectProved(result);
    expect(result.layers).toEqual((await project(model, entries)).layers);
    const shown = await project('trained', entries);
    expect(shown.groups?.map(({ reason }) => reason)).toContain('no normalization scales them');
    expect(shown.shortfall).toContain("can't be met");
  });

  it.each(['taylor', 'fisher', 'activation', 'lasso'] as const)('%s looks at images', async (criterion) => {
    await expect(run('trained', { channel: { criterion } })).rejects.toMatchObject({
      code: 'data-needed',
      hint: expect.stringContaining('a criterion of the weights'),
    });
    const entries: Entries = { data, channel: { criterion } };
    const result = await run('trained', entries);
    expectProved(result);
    // What the run has learned is what is shown from then on.
    expect((await project('trained', entries)).layers).toEqual(result.layers);
    const detail = await service.handlers.group(
      { path: path.join(folder, 'trained.onnx'), group: 'first', settings: settings(entries), folder },
      quiet(),
    );
    expect(detail.criterion).toBe(criterion);
    expect(detail.importance).toHaveLength(16);
    expect(Math.max(...detail.importance)).toBeGreaterThan(0);
  });

  it('go without labels, and by activations where outputs are no classes', async () => {
    expectProved(await run('trained', { data: { path: 'plain/images.idx3-ubyte', calibrationImages: 40 } }));
    const model = writeModel('segments', uNet('scales'));
    const entries: Entries = { data: { path: 'plain/images.idx3-ubyte', calibrationImages: 20 } };
    expectProved(await run(model, entries));
    const detail = await service.handlers.group(
      {
        path: path.join(folder, `${model}.onnx`),
        group: (await openGroup(model, entries)).name,
        settings: settings(entries),
        folder,
      },
      quiet(),
    );
    expect(detail.criterion).toBe('activation');
    await expect(run(model, { ...entries, channel: { criterion: 'fisher' } })).rejects.toMatchObject({
      code: 'not-a-classifier',
    });
  });
});

async function openGroup(model: string, entries: Entries): Promise<GroupProjection> {
  const { groups = [] } = await project(model, entries);
  return groups.find(({ reason }) => reason === null) as GroupProjection;
}

describe('repair without training', () => {
  const cut: Entries = { data, target: { kind: 'macs', value: 0.2 }, channel: { criterion: 'l2' } };
  const lossOf = async (channel: Entries['channel']): Promise<number> => {
    const result = await run('trained', { ...cut, channel: { criterion: 'l2', ...channel } });
    expectProved(result);
    return result.after.accuracy?.loss as number;
  };

  it('gets better with every means', async () => {
    const bare = await lossOf({ reconstruct: false, compensate: false });
    const compensated = await lossOf({ reconstruct: false });
    const reconstructed = await lossOf({});
    expect(compensated).toBeLessThan(bare);
    expect(reconstructed).toBeLessThan(compensated);
  });
});

describe('where channels go', () => {
  it.each(['global', 'uniform', 'sensitivity'] as const)('%s', async (allocation) => {
    const result = await run('trained', { data, channel: { allocation } });
    expectProved(result);
    expect(shareOf(result)).toBeLessThanOrEqual(0.6);
  });

  it('sensitivity is measured per group, in points of accuracy or by the outputs', async () => {
    const request = { path: path.join(folder, 'trained.onnx'), settings: settings({ data }), folder };
    const labelled = await service.handlers.sensitivity(request, quiet());
    expect(labelled).toMatchObject({ unit: 'accuracy', ratios: [0.25, 0.5, 0.75], images: 120 });
    expect(labelled.groups.map(({ name }) => name)).toEqual(['first', 'second']);
    const plain = { path: 'plain/images.idx3-ubyte', calibrationImages: 40 };
    const unlabelled = await service.handlers.sensitivity({ ...request, settings: settings({ data: plain }) }, quiet());
    expect(unlabelled.unit).toBe('divergence');
    for (const { damage } of unlabelled.groups) expect(damage.every((d) => d > 0)).toBe(true);
  });

  const isMultiple = (count: number): boolean => count % 4 === 0;

  it('in multiples, by hand, and not where it is forbidden', async () => {
    const kept = async (entries: Entries) =>
      new Map((await project('trained', entries)).groups?.map(({ name, kept }) => [name, kept]));
    for (const name of ['first', 'second']) expect((await kept({ multiple: 4 })).get(name)).toSatisfy(isMultiple);
    expect((await kept({ groups: [{ match: 'first', ratio: 0.5 }] })).get('first')).toBe(8);
    expect((await kept({ groups: [{ match: 'f*', keep: true }] })).get('first')).toBe(16);
    expect((await kept({ protect: ['second'] })).get('second')).toBe(16);
    const result = await run('trained', { multiple: 4, groups: [{ match: 'first', ratio: 0.5 }] });
    expectProved(result);
    expect(result.layers[0].channels).toBe(8);
  });

  it('widths of transformers only on request', async () => {
    const model = writeModel('transformer', vit());
    const exact = await project(model, {});
    const inexact = exact.groups?.filter((group) => group.inexact && group.reason === group.inexact) ?? [];
    expect(inexact.length).toBeGreaterThan(0);
    const entries: Entries = { channel: { inexact: true, criterion: 'l2' } };
    const result = await run(model, entries);
    expectProved(result);
    const after = await project(model, entries);
    expect(after.groups?.find(({ name }) => name === inexact[0].name)?.reason).toBeNull();
  });
});

describe('targets', () => {
  it.each([
    ['params', 0.5],
    ['bytes', 0.5],
    ['bytes', 8000],
  ] as const)('%s %s', async (kind, value) => {
    const result = await run('trained', { target: { kind, value } });
    expectProved(result);
    expect(result.after[kind]).toBeLessThanOrEqual(value > 1 ? value : value * result.before[kind]);
  });

  it.each(['channel', 'double'] as const)('points of accuracy, by %s', async (method) => {
    const result = await run('trained', { method, data, target: { kind: 'drop', value: 10 } });
    expectProved(result);
    const [before, after] = [result.before, result.after].map(({ accuracy }) => accuracy?.accuracy ?? 0);
    expect(before - after).toBeLessThanOrEqual(0.1);
  });

  it.each(['channel', 'double'] as const)('milliseconds that anything reaches, by %s', async (method) => {
    const result = await run('trained', { method, target: { kind: 'milliseconds', value: 1e6 } });
    expect(shareOf(result)).toBeGreaterThan(0.8);
  });

  it('one out of reach is said to be, as a share of the whole model', async () => {
    const target = { kind: 'macs', value: 0.001 } as const;
    for (const method of ['channel', 'double'] as const) {
      const { shortfall, before, after } = await project('trained', { method, target });
      const left = ((100 * (after.macs as number)) / (before.macs as number)).toFixed(1);
      expect(shortfall).toContain('The target of 0.1 %');
      expect(shortfall).toContain(`at least ${left} %`);
      expect((await run('trained', { method, target })).warnings).toContain(shortfall);
    }
  });
});

describe('both methods', () => {
  const wide = { kernel: 3 };
  const double: Entries = { method: 'double', target: { kind: 'macs', value: 0.3 } };

  it('do without images what was shown, also in the same layer', async () => {
    const net = new Net();
    net.head(net.block('c', net.block('b', net.block('a', net.input('x', ['N', 3, 8, 8]), 40), 48, wide), 40, wide));
    const model = writeModel('wide', net.graph());
    const shown = await project(model, double);
    const result = await run(model, double);
    expectProved(result);
    expect(shareOf(result)).toBeLessThanOrEqual(0.3);
    expect(result.layers).toEqual(shown.layers);
    const both = result.layers.find(({ layer }) => layer === 'b');
    expect(both?.action).toBe('factorize');
    expect(both?.channels).toBeLessThan(48);
    expect(both?.rank).toBeLessThan(both?.channels ?? 0);
  });

  it('keep layers narrow that later rounds do not touch', async () => {
    const training = { epochs: 1, rounds: 2, lr: 0.02, batch: 24 };
    const seen: Progress[] = [];
    const result = await run('trained', { data, training }, { onProgress: (progress) => seen.push(progress) });
    expectProved(result);
    for (const { action, channels, layer } of result.layers) {
      if (action === 'narrow' && layer !== 'head') expect(channels).toBeLessThanOrEqual(16);
    }
    const fractions = seen.flatMap(({ fraction }) => fraction ?? []);
    expect(Math.min(...fractions)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...fractions)).toBeLessThanOrEqual(1);
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
  });

  it('learn feature maps of the original as far as they are as wide', async () => {
    const training = { epochs: 1, lr: 0.02, batch: 24, features: 1 };
    expectProved(await run('trained', { ...double, data, training }));
  });

  it.each([
    [{ trainBetween: true }, 20],
    [{ trainBetween: false }, 10],
    [{ trainBetween: true, order: 'basis-first' }, 30],
  ] as const)('count training steps of the parts that train, before and while they do: %j', async (options, all) => {
    const training = { epochs: 2, rounds: 7, lr: 0.02, batch: 24 };
    const entries: Entries = { ...double, data, training, double: options };
    const request = { path: path.join(folder, 'trained.onnx'), settings: settings(entries), folder };
    expect((await service.handlers.trainingTime(request, quiet())).steps).toBe(all);
    const steps: number[] = [];
    const onProgress = ({ training: now }: Progress): void => void (now && steps.push(now.step, now.steps));
    await run('trained', entries, { onProgress });
    expect(steps).toEqual(Array.from({ length: all }, (_, i) => [i + 1, all]).flat());
  });

  test('a run that was stopped goes on where it was, with the same bytes in the end', async () => {
    const entries: Entries = { ...double, data, training: { epochs: 2, lr: 0.02, batch: 24 } };
    const whole = await run('trained', entries);
    const abort = new AbortController();
    const onProgress = ({ training: now }: Progress): void => {
      if (now?.step === 14) abort.abort();
    };
    const storage = path.join(folder, 'storage');
    const before = readdirSync(storage);
    await expect(run('trained', entries, { signal: abort.signal, onProgress })).rejects.toMatchObject({
      code: 'cancelled',
    });
    expect(readdirSync(storage)).toEqual(before);
    const steps: number[] = [];
    const resumed = await run('trained', entries, {
      resume: true,
      onProgress: ({ training: now }) => now && steps.push(now.step),
    });
    expect(steps[0]).toBe(15);
    expect(await bytesOf(resumed.candidate)).toEqual(await bytesOf(whole.candidate));
    expect(existsSync(path.join(folder, 'checkpoint'))).toBe(false);
    expect(existsSync(path.join(folder, 'checkpoint.stages'))).toBe(false);
  });
});
