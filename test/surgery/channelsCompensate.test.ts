/** Constant channels can be removed without a trace when what they carried goes into biases. */
import { describe, expect, it } from 'vitest';
import { findLayers, type Layer } from '../../src/analysis/layers';
import { storedTotals } from '../../src/analysis/totals';
import { type Graph, int } from '../../src/graph/graph';
import { validateGraph } from '../../src/graph/validate';
import type { RemoveChannelsCut } from '../../src/prune/plan';
import { removeChannels } from '../../src/surgery/channels';
import { compensatedInputs, shiftsOf } from '../../src/surgery/channelsCompensate';
import { withOffset } from '../../src/surgery/reconstruct';
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
  'a normalized convolution': (net, x) => net.batchNorm('bn', net.conv('b', x, 4)),
  'a convolution with a bias': (net, x) =>
    net.op('Conv', [x, net.random('b.weight', [4, 6, 3, 3]), net.random('b.bias', [4])]),
  'a convolution of groups': (net, x) => net.conv('b', x, 4, { groups: 2, bias: true }),
  'a layer of all positions': (net, x) => net.gemm('b', flatten(net, x), 216, 4),
  'a weighted layer': (net, x) =>
    net.op('Gemm', [flatten(net, x), net.random('b.weight', [216, 4]), net.random('b.bias', [4])], {
      alpha: { kind: 'float', value: 2 },
    }),
  'a product and a sum': (net, x) => net.linear('b', net.transpose(x, [0, 2, 3, 1]), 6, 4),
  'two layers': (net, x) =>
    net.add(
      net.conv('b', x, 4, { bias: true }),
      net.conv('c', net.relu(net.concat([x, net.conv('d', x, 3, { bias: true })])), 4, { bias: true }),
    ),
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
    const shifted = withShifts(pruned, shiftsOf(groups, cuts, means));
    validateGraph(shifted);
    expect(await outputDifference(graph, pruned)).toBeGreaterThan(1e-2);
    expect(await outputDifference(graph, shifted)).toBeLessThan(1e-5);
    expect(storedTotals(shifted).params).toBe(storedTotals(pruned).params);
    expect(shiftsOf(groups, cuts, new Map()).size).toBe(0);
  });
});

/** Each layer of a graph with its shift. */
function withShifts(graph: Graph, shifts: ReadonlyMap<string, Float64Array>): Graph {
  let shifted = graph;
  for (const [name, added] of shifts) {
    const layer = findLayers(shifted).find((found) => found.name === name) as Layer;
    shifted = withOffset(shifted, layer, added);
  }
  return shifted;
}

describe('nothing is shifted', () => {
  it.each([
    ['in transposed convolutions', (net: Net, x: string) => net.upConv('b', x, 4), 0],
    ['in a layer without a place for it', (net: Net, x: string) => net.op('Relu', [net.conv('b', x, 4)]), 1],
    [
      'where others read the bias',
      (net: Net, x: string) =>
        net.op('Mul', [net.conv('b', x, 4, { bias: true }), net.reshape('b.bias', [1, 4, 1, 1])]),
      1,
    ],
    [
      'where the bias is weighted',
      (net: Net, x: string) =>
        net.op('Gemm', [flatten(net, x), net.random('b.weight', [216, 4]), net.random('b.bias', [4])], {
          beta: { kind: 'float', value: 0.5 },
        }),
      1,
    ],
  ] as const)('%s', async (_name, read, count) => {
    const graph = graphWith(read);
    const groups = await groupsOf(graph);
    const pruned = removeChannels(groups, [cut], 8);
    const inputs = compensatedInputs(groups, [cut]);
    const means = await meansOf(
      graph,
      inputs.map(({ axis }) => axis),
    );
    const shifts = shiftsOf(groups, [cut], means);
    expect(shifts.size).toBe(count);
    expect(withShifts(pruned, shifts)).toBe(pruned);
  });
});
