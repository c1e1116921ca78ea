/** Constant channels can be removed without a trace when what they carried goes into biases. */
import { describe, expect, it } from 'vitest';
import { type Graph, int } from '../../src/graph/graph';
import { validateGraph } from '../../src/graph/validate';
import type { RemoveChannelsCut } from '../../src/prune/plan';
import { removeChannels } from '../../src/surgery/channels';
import { compensateChannels, compensatedInputs } from '../../src/surgery/channelsCompensate';
import { float32Tensor, memoryTensor, type TensorRef, toFloat64 } from '../../src/tensor/tensor';
import { Net } from '../support/architectures/net';
import { groupsOf } from '../support/channels';
import { runGraph } from '../support/graphs';
import { value } from '../support/onnxBuilder';
import { outputDifference, randomInputs } from '../support/surgery';

/** Six channels, of which 1 and 4 are constant (their filters are zero), and what reads them. */
function graphWith(read: (net: Net, x: string) => string): Graph {
  const net = new Net();
  const x = net.op('Sigmoid', [net.conv('a', net.input('x', ['N', 3, 6, 6]), 6, { kernel: 3, bias: true })]);
  net.output('y', read(net, x));
  const graph = net.graph();
  const stored = graph.initializers.get('a.weight') as TensorRef;
  const weight = (stored.read().data as Float32Array).slice();
  for (const channel of [1, 4]) weight.fill(0, channel * 27, (channel + 1) * 27);
  const initializers = new Map(graph.initializers);
  initializers.set('a.weight', memoryTensor('a.weight', float32Tensor(weight, [6, 3, 3, 3])));
  return { ...graph, initializers };
}

const cut: RemoveChannelsCut = { kind: 'removeChannels', group: 'a', channels: [1, 4] };

/** Means of values over everything but one axis, from a run. */
async function meansOf(graph: Graph, wanted: readonly { value: string; axis: number }[]) {
  const outputs = wanted.map(({ value: name }) => value(name));
  const found = await runGraph({ ...graph, outputs }, randomInputs(graph));
  return new Map(
    wanted.map(({ value: name, axis }) => {
      const { dims } = found[name];
      const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1);
      const sums = new Float64Array(dims[axis]);
      const data = toFloat64(found[name]);
      data.forEach((x, i) => {
        sums[Math.floor(i / inner) % dims[axis]] += (x * dims[axis]) / data.length;
      });
      return [name, sums];
    }),
  );
}

const flatten = (net: Net, x: string): string => net.op('Flatten', [x], { axis: int(1) });
const readers: Record<string, (net: Net, x: string) => string> = {
  'a convolution without a bias': (net, x) => net.op('Conv', [x, net.random('b.weight', [4, 6, 3, 3])]),
  'a convolution with a bias': (net, x) =>
    net.op('Conv', [x, net.random('b.weight', [4, 6, 3, 3]), net.random('b.bias', [4])]),
  'a convolution of groups': (net, x) => net.op('Conv', [x, net.random('b.weight', [4, 3, 1, 1])], { group: int(2) }),
  'a layer of all positions': (net, x) => net.gemm('b', flatten(net, x), 216, 4),
  'a layer with a weighted bias': (net, x) =>
    net.op('Gemm', [flatten(net, x), net.random('b.weight', [216, 4]), net.random('b.bias', [4])], {
      beta: { kind: 'float', value: 0.5 },
      alpha: { kind: 'float', value: 2 },
    }),
  'a product without a bias': (net, x) =>
    net.op('MatMul', [net.transpose(x, [0, 2, 3, 1]), net.random('b.weight', [6, 4])]),
  'two layers': (net, x) =>
    net.add(net.conv('b', x, 4), net.conv('c', net.relu(net.concat([x, net.conv('d', x, 3, { bias: true })])), 4)),
};

describe.each(Object.entries(readers))('%s', (_name, read) => {
  it('takes up what constant channels carried', async () => {
    const graph = graphWith(read);
    const groups = await groupsOf(graph);
    const cuts = [{ ...cut, channels: groups.groups[0].channels === 3 ? [1] : cut.channels }];
    const inputs = compensatedInputs(groups, cuts);
    const means = await meansOf(
      graph,
      inputs.map(({ axis }) => axis),
    );
    const pruned = removeChannels(groups, cuts, 8);
    const compensated = compensateChannels(groups, cuts, pruned, means, 8);
    validateGraph(compensated);
    expect(await outputDifference(graph, pruned)).toBeGreaterThan(1e-2);
    expect(await outputDifference(graph, compensated)).toBeLessThan(1e-5);
    expect(compensateChannels(groups, cuts, pruned, new Map(), 8)).toBe(pruned);
  });
});

it('leaves transposed convolutions as they are', async () => {
  const graph = graphWith((net, x) => net.upConv('b', x, 4));
  const groups = await groupsOf(graph);
  const pruned = removeChannels(groups, [cut], 8);
  const means = await meansOf(
    graph,
    compensatedInputs(groups, [cut]).map(({ axis }) => axis),
  );
  expect(means.size).toBe(1);
  expect(compensateChannels(groups, [cut], pruned, means, 8)).toBe(pruned);
});
