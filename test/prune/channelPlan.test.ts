/** Plans of channels worked out by hand, and that the counts they project are those of the graph that comes out. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Graph } from '../../src/graph/graph';
import type { ModelFacts } from '../../src/protocol/facts';
import type { Projection, Sensitivity } from '../../src/protocol/plan';
import { type ChannelScores, planChannels } from '../../src/prune/channelPlan';
import { narrowedLayers } from '../../src/prune/channelProjection';
import type { ChannelGroups } from '../../src/prune/groups';
import { countedTarget, shareOf, shortfallOf } from '../../src/prune/target';
import { removalOfCuts, removeChannels } from '../../src/surgery/channels';
import { shuffleNet1 } from '../support/architectures/mobile';
import { Net } from '../support/architectures/net';
import { bottleneckResNet, paddedResNet } from '../support/architectures/residual';
import { cutShare, groupsOf, recount } from '../support/channels';
import { factsOf, metadataOf } from '../support/graphs';
import { settingsOf } from '../support/plans';

/** x [N, 2, 4, 4] → a: 4 channels → b: 8 channels → head: 3 classes; 1×1 convolutions without biases. */
function chain(): Graph {
  const net = new Net();
  const a = net.relu(net.conv('a', net.input('x', ['N', 2, 4, 4]), 4));
  net.head(net.relu(net.conv('b', a, 8)), 3);
  return net.graph();
}

/** Of the chain: 16 positions × (2·4 + 4·8) and 8·3 in the head. */
const WHOLE = 16 * (2 * 4 + 4 * 8) + 24;
const macsOf = (a: number, b: number): number => 16 * (2 * a + a * b) + 3 * b;

let facts: ModelFacts;
let groups: ChannelGroups;
beforeAll(async () => {
  const graph = chain();
  facts = await factsOf(graph);
  groups = await groupsOf(graph);
});

const scores: ChannelScores = new Map([
  ['a', Float64Array.of(4, 1, 3, 2)],
  ['b', Float64Array.of(10, 0.5, 20, 1.5, 30, 2.5, 40, 3.5)],
]);

function planned(entries: Parameters<typeof settingsOf>[0], sensitivity: Sensitivity | null = null) {
  const input = { facts, groups, scores, criterion: 'l1', sensitivity };
  const { plan, projection, details } = planChannels(input, settingsOf({ method: 'channel', ...entries }));
  return { cuts: Object.fromEntries(plan.cuts.map(({ group, channels }) => [group, channels])), projection, details };
}

const macs = (value: number) => ({ target: { kind: 'macs', value } }) as const;
const keptOf = ({ groups: found }: Projection) => found?.map(({ kept }) => kept).slice(0, 2);

describe('one threshold', () => {
  it('takes the least important channels of all groups, no more than it must', () => {
    // Thresholds 0.5, 1, 1.5, 2, 2.5: (4, 7), (3, 7), (3, 6), (2, 6) channels.
    const found = planned(macs(macsOf(3, 6) / WHOLE));
    expect(found.cuts).toEqual({ a: [1], b: [1, 3] });
    expect(found.projection.after.macs).toBe(macsOf(3, 6));
    expect(planned(macs((macsOf(3, 6) - 1) / WHOLE)).cuts).toEqual({ a: [1, 3], b: [1, 3] });
  });

  it('says which channels stay, and what share of the importance goes', () => {
    const { details, projection } = planned(macs(macsOf(3, 6) / WHOLE));
    expect([...(details.get('a')?.kept ?? [])]).toEqual([1, 0, 1, 1]);
    expect(details.get('a')).toMatchObject({ group: 'a', criterion: 'l1', importance: scores.get('a') });
    const errors = projection.layers.map(({ error }) => error);
    expect(errors[0]).toBeCloseTo(1 / 10, 12);
    expect(errors[1]).toBeCloseTo(2 / 108, 12);
    // The classifier keeps its outputs and loses inputs.
    expect(errors[2]).toBeCloseTo(2 / 108, 12);
    expect(projection.layers.map(({ action, channels }) => [action, channels])).toEqual([
      ['narrow', 3],
      ['narrow', 6],
      ['narrow', 3],
    ]);
  });

  it('changes nothing when nothing is asked for', () => {
    const { cuts, projection } = planned(macs(1));
    expect(cuts).toEqual({});
    expect(projection.after).toEqual(projection.before);
    expect(projection.layers.every(({ action, reason }) => action === 'keep' && reason !== null)).toBe(true);
  });

  it('lets a group go altogether where others stay on every axis, when no multiple is small enough', async () => {
    const padded = paddedResNet(false);
    const input = { facts: await factsOf(padded), groups: await groupsOf(padded), criterion: 'l1', sensitivity: null };
    const scores = new Map(input.groups.groups.map(({ name, channels }) => [name, new Float64Array(channels).fill(1)]));
    const kept = (multiple: 1 | 4): Record<string, number> => {
      const settings = settingsOf({ method: 'channel', ...macs(0.01), multiple, channel: { mostRemoved: 0.7 } });
      const { projection } = planChannels({ ...input, scores }, settings);
      return Object.fromEntries(projection.groups?.map(({ name, kept }) => [name, kept]) ?? []);
    };
    expect(kept(4)).toMatchObject({ stem: 4, 'a.conv1': 4, 'a.conv2': 0, 'b.conv2': 0 });
    expect(kept(1)).toMatchObject({ stem: 2, 'a.conv1': 4, 'a.conv2': 2, 'b.conv2': 2 });
  });

  it('rounds up to multiples, and leaves at least what must stay', () => {
    expect(keptOf(planned({ ...macs(0.4), multiple: 4 }).projection)).toEqual([4, 4]);
    expect(keptOf(planned({ ...macs(0.001), channel: { mostRemoved: 0.5 } }).projection)).toEqual([2, 4]);
    expect(keptOf(planned({ ...macs(0.001), channel: { mostRemoved: 1 } }).projection)).toEqual([1, 1]);
  });

  it('says how far it comes when that is not far enough', () => {
    const { projection } = planned({ ...macs(0.1), channel: { mostRemoved: 0.5 } });
    expect(projection.shortfall).toBe(shortfallOf(0.1, macsOf(2, 4) / WHOLE));
    expect(projection.shortfall).toContain('The target of 10.0 %');
    expect(planned(macs(0.5)).projection.shortfall).toBeNull();
  });
});

describe('other ways of sharing', () => {
  it('uniform takes the same share of each group', () => {
    const { projection } = planned({ ...macs(macsOf(2, 4) / WHOLE), channel: { allocation: 'uniform' } });
    expect(keptOf(projection)).toEqual([2, 4]);
  });

  it('sensitivity takes from each what costs the same, between the measured shares too', () => {
    const sensitivity: Sensitivity = {
      ratios: [0.25, 0.5, 0.75],
      // At a damage of 2, a bears a quarter and b three quarters.
      groups: [
        { name: 'a', damage: [2, 6, 20] },
        { name: 'b', damage: [0, 1, 2] },
      ],
      unit: 'accuracy',
      images: 100,
    };
    const channel = { allocation: 'sensitivity' } as const;
    expect(keptOf(planned({ ...macs(macsOf(3, 2) / WHOLE), channel }, sensitivity).projection)).toEqual([3, 2]);
    // At 1: half of the way to the first ratio of a is an eighth, of which no channel is left over.
    expect(keptOf(planned({ ...macs(macsOf(4, 4) / WHOLE), channel }, sensitivity).projection)).toEqual([4, 4]);
  });
});

describe('by hand', () => {
  it('locks, ratios and protection go before the target', () => {
    expect(keptOf(planned({ ...macs(0.3), groups: [{ match: 'b', keep: true }] }).projection)?.[1]).toBe(8);
    expect(keptOf(planned({ ...macs(1), groups: [{ match: 'b', ratio: 0.5 }] }).projection)).toEqual([4, 4]);
    const { projection } = planned({ ...macs(0.3), protect: ['a'] });
    expect(projection.groups?.[0]).toMatchObject({ kept: 4, reason: 'protected with a' });
    expect(planned({ ...macs(0.3), protect: ['a', 'z*'] }).projection.unmatched).toEqual(['z*']);
  });

  it('a ratio for a group goes before protection', () => {
    const entries = { ...macs(1), protect: ['*'], groups: [{ match: 'a', ratio: 0.25 }] };
    expect(planned(entries).cuts).toEqual({ a: [1, 2, 3] });
  });
});

it('counts what is left of every layer as a recount of the new graph does', async () => {
  for (const graph of [bottleneckResNet(2), shuffleNet1()]) {
    const found = await groupsOf(graph);
    const cuts = found.groups.filter(({ reason }) => !reason).map((group) => cutShare(group, 0.4));
    const pruned = removeChannels(found, cuts, metadataOf().irVersion);
    const narrow = narrowedLayers(found.wiring, removalOfCuts(found, cuts));
    const after = await factsOf(pruned);
    expect(narrow.size).toBeGreaterThan(3);
    for (const layer of after.layers) {
      const { params, macs: cost, bytes } = narrow.get(layer.name) ?? layer;
      expect({ name: layer.name, params, macs: cost, bytes }).toEqual({
        name: layer.name,
        params: layer.params,
        macs: layer.macs,
        bytes: layer.bytes,
      });
    }
    expect(after.totals.macs).toBe((await recount(pruned, metadataOf())).macs);
  }
});

describe('targets', () => {
  it('that are counted are taken as they are', () => {
    expect(countedTarget({ kind: 'params', value: 0.3 })).toEqual({
      target: { kind: 'params', value: 0.3 },
      assumed: null,
    });
  });

  it.each([
    ['latency', 0.4, 0.4, 'latency'],
    ['latency', 3, 1, 'latency'],
    ['milliseconds', 9, 0.7, 'latency'],
    ['drop', 1, 0.7, 'accuracy'],
  ] as const)('%s %s is shown as a share of the multiply-accumulates', (kind, value, share, what) => {
    const { target, assumed } = countedTarget({ kind, value });
    expect(target).toEqual({ kind: 'macs', value: share });
    expect(assumed).toContain(what);
    expect(assumed).toContain(`${100 * share} %`);
  });

  it('are shares of the model', () => {
    const totals = { params: 10, macs: 100, bytes: 400 };
    expect(shareOf({ kind: 'macs', value: 0.5 }, totals)).toBe(0.5);
    expect(shareOf({ kind: 'bytes', value: 100 }, totals)).toBe(0.25);
    expect(shareOf({ kind: 'bytes', value: 1000 }, totals)).toBe(1);
  });
});
