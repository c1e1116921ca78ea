import { describe, expect, it } from 'vitest';
import { type Graph, int } from '../../src/graph/graph';
import { smallValues } from '../../src/ops/smallValues';
import type { Group } from '../../src/prune/groups';
import { mobileNet2 } from '../support/architectures/mobile';
import { Net } from '../support/architectures/net';
import { basicResNet, denseNet, paddedResNet } from '../support/architectures/residual';
import { checkCuts, groupsOf, recount } from '../support/channels';
import { metadataOf } from '../support/graphs';

const named = (groups: readonly Group[], name: string): Group => groups.find((group) => group.name === name) as Group;

describe('groups of channels', () => {
  it('say who gives the channels, who passes them on and who sums over them', async () => {
    const { groups, layers } = await groupsOf(mobileNet2());
    expect(named(groups, 'b.expand').members).toEqual([
      { layer: 'b.expand', role: 'producer' },
      { layer: 'b.dw', role: 'follower' },
      { layer: 'b.project', role: 'consumer' },
    ]);
    expect(layers.find(({ layer }) => layer === 'b.dw')).toMatchObject({
      outputs: ['b.expand'],
      inputs: ['b.expand'],
      reason: null,
    });
    expect(layers.find(({ layer }) => layer === 'head')).toMatchObject({ outputs: ['head'], inputs: ['b.project'] });
  });

  it('live on exactly the same axes', async () => {
    // The first six channels go through both stages, where they are the middle of wider ones.
    const { groups } = await groupsOf(paddedResNet(true));
    const axis = named(groups, 'b.conv2').axes.find(({ value, axis }) => value === 'b.conv2' && axis === 1);
    expect([axis?.first, ...(axis?.channels ?? [])]).toEqual([0, 0, 1, 2, ...new Array(12).fill(-1), 3, 4, 5]);
    for (const group of groups) {
      for (const { channels } of group.axes) {
        expect(new Set(channels.filter((channel) => channel >= 0)).size).toBe(group.channels);
      }
    }
  });

  it('hold short pieces of joined axes', async () => {
    const { groups } = await groupsOf(denseNet());
    const { axes } = named(groups, 'a.1.conv2');
    expect(axes.some(({ size, first }) => size === 18 && first === 10)).toBe(true);
    expect(axes.every(({ channels }) => channels.length === 4)).toBe(true);
  });

  it('know what removing each channel alone saves', async () => {
    const graph = basicResNet();
    const found = await groupsOf(graph);
    const before = await recount(graph, metadataOf());
    for (const { name, channels, reason, savings } of found.groups) {
      if (reason !== null) continue;
      expect(savings).toHaveLength(channels);
      const { params, bytes, macs } = savings[channels - 1];
      const cut = { kind: 'removeChannels', group: name, channels: [channels - 1] } as const;
      const after = await recount(await checkCuts(found, [cut]), metadataOf());
      expect(after).toEqual({
        params: before.params - params,
        bytes: before.bytes - bytes,
        macs: before.macs - (macs as number),
      });
    }
  });

  it('are seen behind the normalization of their layer, and where they are summed', async () => {
    const { groups, wiring } = await groupsOf(basicResNet());
    const { outputs, scales, sums } = named(groups, 'b.conv2');
    expect(outputs.map(({ layer, axis }) => [layer, wiring.producer.get(axis.value)?.opType])).toEqual([
      ['b.conv2', 'BatchNormalization'],
      ['b.proj', 'BatchNormalization'],
      ['c.conv2', 'BatchNormalization'],
    ]);
    expect(scales.map(({ value }) => value)).toEqual(['b.conv2.bn.weight', 'b.proj.bn.weight', 'c.conv2.bn.weight']);
    expect(sums.map(({ layer }) => layer)).toEqual(['c.conv1', 'head']);
  });

  it('say where their number is calculated with', async () => {
    const net = new Net();
    const x = net.conv('a', net.input('x', ['N', 3, 4, 4]), 8);
    const count = net.op('Gather', [net.op('Shape', [x]), net.ints([1], [])]);
    const root = net.op('Sqrt', [net.op('Cast', [count], { to: int(1) })]);
    net.output('y', net.conv('b', net.op('Div', [x, root]), 4));
    const { groups } = await groupsOf(net.graph());
    expect(groups[0].reason).toBeNull();
    expect(groups[0].inexact).toBe("'Div_1' (Div) calculates with their number");
  });

  it('stay where a number of channels is used as an index or a length', async () => {
    const net = new Net();
    const x = net.conv('a', net.input('x', ['N', 3, 4, 4]), 8);
    const count = net.op('Gather', [net.op('Shape', [x]), net.ints([1], [])]);
    const range = net.op('Range', [net.ints([0], []), count, net.ints([1], [])]);
    net.output('y', net.conv('b', x, 4));
    net.output('z', range, 'int64');
    const { groups } = await groupsOf(net.graph());
    expect(groups[0].reason).toBe("'Range_1' (Range) depends on how many there are");
  });
});

describe('small values', () => {
  function worked(build: (net: Net, x: string) => string): ReturnType<ReturnType<typeof smallValues>> {
    const net = new Net();
    const name = build(net, net.input('x', ['N', 6, 4]));
    const graph: Graph = net.graph();
    return smallValues(graph, {
      shapeOf: (value) => (value === 'x' ? [1, 6, 4] : undefined),
      isFixed: (_value, axis) => axis === 1,
    })(name);
  }

  it('are worked out from shapes and stored numbers, element by element', () => {
    const found = worked((net, x) => {
      const shape = net.op('Shape', [x]);
      const [batch, count] = [0, 1].map((at) => net.op('Gather', [shape, net.ints([at])]));
      const half = net.op('Div', [count, net.ints([2])]);
      return net.op('Concat', [batch, net.ints([-1]), half, net.op('Mul', [batch, half])], { axis: int(0) });
    });
    expect(found).toMatchObject({ dims: [4], values: [1, -1, 3, 3], fixed: [false, true, true, false] });
  });

  it('follow the pads that exporters write', () => {
    const found = worked((net) => {
      const zeros = net.op('ConstantOfShape', [net.ints([4])]);
      const pairs = net.reshape(net.op('Concat', [net.ints([1, 2, 3, 4]), zeros], { axis: int(0) }), [-1, 2]);
      const turned = net.op('Slice', [pairs, net.ints([-1]), net.ints([-(2 ** 62)]), net.ints([0]), net.ints([-1])]);
      return net.op('Cast', [net.reshape(net.transpose(turned, [1, 0]), [-1])], { to: int(7) });
    });
    expect(found?.values).toEqual([0, 0, 3, 1, 0, 0, 4, 2]);
  });

  it('end where data begin', () => {
    expect(worked((net, x) => net.op('Add', [x, net.ints([1])]))).toBeUndefined();
    expect(worked((net, x) => net.op('NonZero', [x]))).toBeUndefined();
  });
});
