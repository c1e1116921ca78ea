/** Where compactors go, what widths cost, which rows are masked, and when. */
import { describe, expect, test } from 'vitest';
import { openModel } from '../../src/formats';
import type { Graph } from '../../src/graph/graph';
import { seededRandom } from '../../src/linalg/random';
import { resRepOptionsSchema } from '../../src/protocol/recipe';
import { removalOf } from '../../src/prune/channels';
import { costModel } from '../../src/prune/channelsCost';
import type { PlaceOptions } from '../../src/prune/compaction/places';
import { compactionSchedule, NEEDED_REACH, reachFrom, reachOf } from '../../src/prune/compaction/schedule';
import { evenRows, selectRows } from '../../src/prune/compaction/select';
import { WidthCounter } from '../../src/prune/compaction/widths';
import { mobileNet1, mobileNet2 } from '../support/architectures/mobile';
import { Net } from '../support/architectures/net';
import {
  basicResNet,
  bottleneckResNet,
  denseNet,
  inception,
  paddedResNet,
  resNet56,
  vgg,
} from '../support/architectures/residual';
import { groupsOf, recount } from '../support/channels';
import { placesOf } from '../support/compaction';
import { metadataOf } from '../support/graphs';
import { resnet50 } from '../support/resnet50';
import { hasShared, sharedFile } from '../support/shared';

async function counterOf(graph: Graph, options: Partial<PlaceOptions> = {}) {
  const groups = await groupsOf(graph);
  const compaction = placesOf(groups, options);
  const { macs } = await recount(graph, metadataOf());
  return {
    groups,
    compaction,
    counter: new WidthCounter(
      groups,
      compaction.groups.map(({ group }) => group),
      macs,
    ),
  };
}

describe('places', () => {
  test('are inside of blocks, and in residual chains on request', async () => {
    const groups = await groupsOf(basicResNet());
    const inside = placesOf(groups);
    expect(inside.places.map(({ name }) => name)).toEqual(['a.conv1', 'b.conv1', 'c.conv1']);
    expect(inside.declined.get('stem')).toContain('2 layers give the same channels');
    const all = placesOf(groups, { followers: true });
    expect(all.places.map(({ layers }) => layers)).toEqual([
      ['stem', 'a.conv2'],
      ['a.conv1'],
      ['b.conv1'],
      ['b.conv2', 'b.proj', 'c.conv2'],
      ['c.conv1'],
    ]);
  });

  test('share channels of padded shortcuts between compactors of different widths', async () => {
    const all = placesOf(await groupsOf(paddedResNet(false)), { followers: true });
    const sizes = Object.fromEntries(all.places.map(({ name, rows }) => [name, rows.length]));
    expect(sizes).toEqual({ stem: 6, 'a.conv1': 12, 'a.conv2': 12, 'b.conv1': 18, 'b.conv2': 18 });
    const stem = all.places[0].rows[2];
    for (const name of ['a.conv2', 'b.conv2']) {
      const { rows = [] } = all.places.find((place) => place.name === name) ?? {};
      expect(rows.filter((row) => row?.group === stem?.group && row?.channel === stem?.channel)).toHaveLength(1);
    }
  });

  test('are behind what depthwise layers, concatenations and dense layers read', async () => {
    expect(placesOf(await groupsOf(mobileNet1())).places.length).toBeGreaterThan(2);
    const mobile = placesOf(await groupsOf(mobileNet2()));
    for (const { layers } of mobile.places) for (const layer of layers) expect(layer).not.toMatch(/dw|depthwise/);
    expect(placesOf(await groupsOf(inception())).places.map(({ name }) => name)).toContain('a.3x3');
    expect(placesOf(await groupsOf(denseNet())).places.map(({ name }) => name)).toContain('a.1.conv1');
    expect(placesOf(await groupsOf(vgg())).places.map(({ name }) => name)).toEqual(['conv0', 'conv1', 'conv2', 'fc1']);
  });

  test('leave out what is grouped, protected or locked', async () => {
    const resNext = placesOf(await groupsOf(bottleneckResNet(2)));
    for (const { name } of resNext.places) expect(name).not.toContain('conv2');
    expect([...resNext.declined.values()].join()).toMatch(/grouped convolution|several outputs make one channel/);
    const groups = await groupsOf(basicResNet());
    const settings = { protect: ['a.*'], groups: [{ match: 'b.conv1', keep: true }] };
    const { places, declined } = placesOf(groups, {}, settings);
    expect(places.map(({ name }) => name)).toEqual(['c.conv1']);
    expect(declined.get('a.conv1')).toBe('protected with a.conv1');
    expect(declined.get('b.conv1')).toBe('locked');
    const half = placesOf(groups, {}, { groups: [{ match: 'b.conv1', ratio: 0.5 }] });
    expect(half.groups.map(({ least }) => least)).toEqual([1, 6, 1]);
  });

  test('leave out weights that two layers share', async () => {
    const net = new Net();
    const x = net.input('x', ['N', 6, 6, 6]);
    const weight = net.random('shared.weight', [6, 6, 1, 1]);
    const a = net.relu(net.op('Conv', [x, weight], {}, 6));
    const b = net.relu(net.op('Conv', [a, weight], {}, 6));
    net.output('y', net.conv('last', b, 4));
    const { places, declined } = placesOf(await groupsOf(net.graph()));
    expect(places).toEqual([]);
    expect([...declined.values()].join()).toMatch(/share|same channels|input/);
  });
});

describe('costs of widths', () => {
  test.each([
    ['residual chains', basicResNet(), true],
    ['padded shortcuts', paddedResNet(false), true],
    ['depthwise layers', mobileNet2(), true],
    ['concatenations', inception(), false],
    ['flattened positions', vgg(), false],
  ])('are those of a recount: %s', async (_, graph, followers) => {
    const { groups, compaction, counter } = await counterOf(graph, { followers });
    const exact = costModel(groups.wiring);
    const random = seededRandom(4);
    for (let trial = 0; trial < 5; trial++) {
      const removed = compaction.groups.map(({ group }) => random.index(group.channels));
      const removal = removalOf(
        compaction.groups.map(({ group: { axes } }, g) => ({
          axes,
          channels: Array.from({ length: removed[g] }, (_, i) => i),
        })),
      );
      expect(counter.macs(removed)).toBe(counter.whole - (exact.saved(removal).macs as number));
      const one = Int32Array.from(removed);
      const g = random.index(removed.length);
      const more = removed.with(g, removed[g] + 1);
      expect(counter.saving(one, g)).toBe(counter.macs(removed) - counter.macs(more));
      expect([...one]).toEqual(removed);
    }
  });

  /** Widths of the pruned ResNet-50 that was published with the method: the first two layers of every block. */
  const published = [
    [22, 22, 23, 36, 1, 1],
    [62, 97, 16, 49, 38, 68, 41, 92],
    [189, 204, 69, 145, 65, 139, 64, 94, 67, 89, 86, 95],
    [473, 488, 171, 281, 511, 512],
  ];

  test('are the published ones for ResNet-50: 1.8589 of 4.0892 billion, 16,557,403 parameters', async () => {
    const graph = resnet50();
    const groups = await groupsOf(graph, metadataOf(), { input: [1, 3, 224, 224] });
    // The stem could be pruned, too; it was not.
    const { groups: own, places } = placesOf(groups, {}, { protect: ['conv1'] });
    expect(places.map(({ name }) => name)).toEqual(
      published.flatMap((widths, stage) => widths.map((_, i) => `layer${stage + 1}.${i >> 1}.conv${(i % 2) + 1}`)),
    );
    const counter = new WidthCounter(
      groups,
      own.map(({ group }) => group),
      4_089_184_256,
    );
    const removed = published.flat().map((width, i) => own[i].group.channels - width);
    expect(counter.macs(removed) / 1e9).toBeCloseTo(1.8589, 4);
    expect(counter.macs(removed) / counter.whole).toBeCloseTo(0.45458, 5);
    const cut = removalOf(
      own.map(({ group: { axes } }, g) => ({ axes, channels: Array.from({ length: removed[g] }, (_, i) => i) })),
    );
    expect(25_557_032 - costModel(groups.wiring).saved(cut).params).toBe(16_557_403);
  });

  test('are 125,747,840 for ResNet-56 with 1×1 projections, not the 126,534,272 of 2×2 ones', async () => {
    const { compaction, counter } = await counterOf(resNet56());
    expect(counter.whole).toBe(125_747_840);
    expect(compaction.places).toHaveLength(27);
    // A channel inside of the first block costs its two 3×3 convolutions of 16 channels on 32×32.
    const inside = compaction.groups.findIndex(({ group }) => group.name === 'layer1.0.conv1');
    expect(counter.saving(new Int32Array(27), inside)).toBe(2 * 16 * 9 * 1024);
  });

  test.skipIf(!hasShared)('are those of the first layers of all blocks of ResNet-56', async () => {
    const { graph, metadata } = openModel(sharedFile('data/models/resnet56_cifar10.onnx'));
    const { places } = placesOf(await groupsOf(graph, metadata));
    expect(places).toHaveLength(27);
    for (const { name } of places) expect(name).toMatch(/conv1$/);
  });
});

describe('the choice of rows', () => {
  async function scene() {
    const { counter, compaction } = await counterOf(basicResNet());
    const random = seededRandom(8);
    const scores = compaction.groups.map(({ group }) => Float64Array.from({ length: group.channels }, random.uniform));
    return { counter, scores, least: compaction.groups.map(() => 2) };
  }

  test('takes the smallest until the target is met, and not one more', async () => {
    const { counter, scores, least } = await scene();
    const target = 0.8 * counter.whole;
    const { masked, macs, met, count } = selectRows(counter, { scores, least, target, most: Number.POSITIVE_INFINITY });
    expect(met).toBe(true);
    expect(macs).toBeLessThanOrEqual(target);
    const removed = Int32Array.from(masked, (flags) => flags.reduce((sum, flag) => sum + flag, 0));
    expect(counter.macs(removed)).toBe(macs);
    const chosen = scores.flatMap((values, g) => [...values].filter((_, c) => masked[g][c]));
    const left = scores.flatMap((values, g) => [...values].filter((_, c) => !masked[g][c]));
    expect(chosen).toHaveLength(count);
    expect(Math.max(...chosen)).toBeLessThan(Math.min(...left));
    const last = scores.findIndex((values) => values.includes(Math.max(...chosen)));
    removed[last]--;
    expect(counter.macs(removed)).toBeGreaterThan(target);
  });

  test('adds no more rows than it may, and skipped ones count for nothing', async () => {
    const { counter, scores, least } = await scene();
    scores[0].fill(0);
    const request = { scores, least, target: 0 };
    const few = selectRows(counter, { ...request, most: 3 });
    expect(few.count).toBe(3);
    // Six of the first group's eight may go; the seventh row that may comes from another.
    const more = selectRows(counter, { ...request, most: 7 });
    expect(more.masked.map((flags) => flags.reduce((sum, flag) => sum + flag, 0))[0]).toBe(6);
    expect(more.count).toBe(7);
  });

  test('takes channels in numbers that leave a multiple, the portion with the least first', async () => {
    const { counter, scores, least } = await scene();
    const target = 0.7 * counter.whole;
    const request = { scores, least, target, most: Number.POSITIVE_INFINITY, multiple: 4 };
    const { masked, macs, met, count } = selectRows(counter, request);
    expect(met).toBe(true);
    const removed = masked.map((flags) => flags.reduce((sum, flag) => sum + flag, 0));
    expect(counter.macs(removed)).toBe(macs);
    expect(removed.reduce((sum, n) => sum + n, 0)).toBe(count);
    for (const [g, n] of removed.entries()) expect((scores[g].length - n) % 4).toBe(0);
    const means = scores.map((values, g) => {
      const rising = values.toSorted();
      const mean = (from: number): number => rising.subarray(from, from + 4).reduce((sum, s) => sum + s, 0) / 4;
      return {
        chosen: removed[g] ? mean(removed[g] - 4) : 0,
        next: removed[g] + 4 < rising.length ? mean(removed[g]) : 9,
      };
    });
    expect(Math.max(...means.map(({ chosen }) => chosen))).toBeLessThan(Math.min(...means.map(({ next }) => next)));
  });

  test('leaves every group its fewest channels and ends when there is nothing left to take', async () => {
    const { counter, scores, least } = await scene();
    const { masked, met } = selectRows(counter, { scores, least, target: 0, most: Number.POSITIVE_INFINITY });
    expect(met).toBe(false);
    for (const flags of masked) expect(flags.filter((flag) => !flag)).toHaveLength(2);
  });

  test('lets a row go when others have become smaller', async () => {
    const { counter, scores, least } = await scene();
    const first = selectRows(counter, { scores, least, target: 0, most: 1 });
    const group = first.masked.findIndex((flags) => flags.includes(1));
    scores[group][first.masked[group].indexOf(1)] = 9;
    const second = selectRows(counter, { scores, least, target: 0, most: 1 });
    expect(second.count).toBe(1);
    expect(second.masked[group][first.masked[group].indexOf(1)]).toBe(0);
  });
});

describe('the schedule', () => {
  const cosine = (steps: number) => (step: number) => 0.005 * (1 + Math.cos((Math.PI * step) / steps));

  test('is the published one for hundreds of epochs', () => {
    const steps = 480 * 782;
    const options = resRepOptionsSchema.parse({ schedule: 'cifar' });
    const found = compactionSchedule(options, { steps, stepsPerEpoch: 782, rows: 350, rate: cosine(steps) });
    expect(found).toMatchObject({ lambda: 1e-4, maskedLambda: 1e-4, warmupSteps: 3910, interval: 200 });
    expect(found).toMatchObject({ rowsPerRefresh: 4, momentum: 0.99 });
    expect(found.reach).toBeGreaterThan(10);
  });

  test.each([50, 200, 2000, 20_000])('of %i steps lets masked rows reach zero', (steps) => {
    const options = resRepOptionsSchema.parse({});
    const found = compactionSchedule(options, { steps, stepsPerEpoch: 100, rows: 161, rate: cosine(steps) });
    expect(found.expectedEnd).toBeLessThan(0.4 * steps);
    expect(found.reach).toBeGreaterThanOrEqual(NEEDED_REACH);
    expect(found.maskedLambda).toBeGreaterThanOrEqual(found.lambda);
  });

  test('takes what is given, and says how far that reaches', () => {
    const steps = 2000;
    const options = resRepOptionsSchema.parse({ lambda: 2e-4, warmupSteps: 10, interval: 5, rowsPerRefresh: 7 });
    const found = compactionSchedule(options, { steps, stepsPerEpoch: 100, rows: 70, rate: () => 0.01 });
    expect(found).toMatchObject({ lambda: 2e-4, maskedLambda: 2e-4, warmupSteps: 10, interval: 5, expectedEnd: 55 });
    // 1945 steps of 0.01·2e-4/0.01 each, less what momentum takes to build up.
    expect(found.reach).toBeCloseTo(1945 * 2e-4 - 99 * 2e-4, 4);
  });

  test('counts how far a row falls from each step on', () => {
    const run = { steps: 40, rate: cosine(40), lambda: 0.3, momentum: 0.9 };
    const reach = reachOf(run);
    for (const start of [0, 17, 39, 40]) {
      let [fall, speed] = [0, 0];
      for (let t = start; t < 40; t++) {
        speed = 0.9 * speed + 0.3;
        fall += run.rate(t) * speed;
      }
      expect(reach[start]).toBeCloseTo(fall, 10);
      expect(reachFrom(run, start)).toBe(reach[start]);
    }
  });

  test('guesses how many rows a target takes', async () => {
    const { counter, compaction } = await counterOf(basicResNet());
    const sizes = compaction.groups.map(({ group }) => group.channels);
    const least = sizes.map(() => 1);
    const { count, met } = evenRows(counter, { least, target: 0.8 * counter.whole }, sizes);
    expect(met).toBe(true);
    expect(count).toBeGreaterThan(0);
    expect(count).toBeLessThan(sizes.reduce((sum, n) => sum + n, 0));
  });
});
