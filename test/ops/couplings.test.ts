/**
 * What every operator says of the channels that go through it: a layer's channels are removed in front of the operator,
 * and the outputs must be those of a mask. Rows: the operator between two layers.
 */
import { describe, expect, it, test } from 'vitest';
import { type Attribute, float, type Graph, int, ints, makeNode, string } from '../../src/graph/graph';
import { commonFactors } from '../../src/ops/coupling';
import { Net } from '../support/architectures/net';
import { checkCuts, cutShare, groupsOf } from '../support/channels';
import { metadataOf } from '../support/graphs';
import { makeGraph, value } from '../support/onnxBuilder';

interface Row {
  /** What lies between the layers; reads [N, 8, 4, 4] and gives channels on axis 1, unless a reader is given. */
  readonly between: (net: Net, x: string) => string;
  /** What reads it; a 1×1 convolution when absent. */
  readonly reader?: (net: Net, x: string) => string;
  /** Channels of the group of layer `a`: 8 when absent; 0 when it can't lose any. */
  readonly channels?: number;
  /** Part of the reason, when it can't. */
  readonly reason?: string;
  /** Whether a cut differs from a mask. */
  readonly inexact?: boolean;
  readonly opset?: number;
}

const C = 8;

function graphOf({ between, reader }: Row): Graph {
  const net = new Net();
  const x = net.conv('a', net.input('x', ['N', 3, 4, 4]), C, { bias: true });
  const y = between(net, x);
  net.output('y', reader ? reader(net, y) : net.conv('b', y, 4, { bias: true }));
  return net.graph();
}

const unary = (op: string, attributes: Readonly<Record<string, Attribute>> = {}): Row => ({
  between: (net, x) => net.op(op, [x], attributes),
});
const binary = (op: string, dims: readonly number[], swapped = false): Row => ({
  between(net, x) {
    const other = net.random('other', dims);
    return net.op(op, swapped ? [other, x] : [x, other], {}, C);
  },
});
/** Reads [N, features]. */
const gemm =
  (features: number) =>
  (net: Net, x: string): string =>
    net.gemm('b', x, features, 4);
/** Reads [..., features]. */
const product =
  (features: number) =>
  (net: Net, x: string): string =>
    net.linear('b', x, features, 4);
const pooling = { kernel_shape: ints([2, 2]), strides: ints([2, 2]) };
const vectors = (net: Net, count: number, size = C): string[] =>
  Array.from({ length: count }, (_, i) => net.random(`vector${i}`, [size]));

const rows: Record<string, Row> = {
  Clip: { between: (net, x) => net.op('Clip', [x, net.floats([0], []), net.floats([6], [])]) },
  LeakyRelu: unary('LeakyRelu', { alpha: float(0.2) }),
  Cast: unary('Cast', { to: int(1) }),
  Dropout: unary('Dropout'),
  Sign: unary('Sign'),
  'PRelu with a slope for each channel': binary('PRelu', [C, 1, 1]),
  'PRelu with one slope': binary('PRelu', [1]),
  'Add of a vector for each channel': binary('Add', [1, C, 1, 1]),
  'Sub from a stored picture': binary('Sub', [1, C, 4, 4], true),
  'Mul with one picture for all channels': binary('Mul', [4, 4]),
  'Max of three': { between: (net, x) => net.op('Max', [x, net.random('m', [C, 1, 1]), net.floats([0], [])]) },
  Where: {
    between: (net, x) =>
      net.op('Where', [net.op('Greater', [x, net.floats([0], [])]), x, net.random('o', [1, C, 1, 1])], {}, C),
  },
  'a product of two branches': { between: (net, x) => net.op('Mul', [x, net.op('Sigmoid', [net.conv('c', x, C)])]) },
  AveragePool: unary('AveragePool', pooling),
  GlobalMaxPool: unary('GlobalMaxPool'),
  LpPool: unary('LpPool', pooling),
  'MaxPool with indices': {
    between: (net, x) => net.ops('MaxPool', [x], 2, pooling, C)[0],
    channels: 0,
    reason: 'places of the largest',
  },
  BatchNormalization: { between: (net, x) => net.batchNorm('bn', x) },
  InstanceNormalization: { between: (net, x) => net.op('InstanceNormalization', [x, ...vectors(net, 2)]) },
  'InstanceNormalization of groups of channels': {
    between(net, x) {
      const normal = net.op('InstanceNormalization', [net.reshape(x, [0, 4, -1]), ...vectors(net, 2, 4)]);
      return net.reshape(normal, [-1, C, 4, 4], C);
    },
    channels: 4,
  },
  'LayerNormalization over pictures': {
    between: (net, x) => net.op('LayerNormalization', [x, net.random('s', [C, 4, 4])], { axis: int(1) }),
    inexact: true,
  },
  LRN: { ...unary('LRN', { size: int(3) }), inexact: true },
  LpNormalization: unary('LpNormalization', { axis: int(1) }),
  MeanVarianceNormalization: unary('MeanVarianceNormalization'),
  'Softmax over channels': { ...unary('Softmax', { axis: int(1) }), channels: 0, reason: 'needs all of them' },
  'Softmax over positions': unary('Softmax', { axis: int(-1) }),
  'Softmax of old, over everything behind': {
    ...unary('Softmax', { axis: int(1) }),
    channels: 0,
    reason: 'needs all of them',
    opset: 11,
  },
  'ReduceMean over positions': {
    between: (net, x) => net.op('ReduceMean', [x], { axes: ints([2, 3]), keepdims: int(0) }),
    reader: gemm(C),
  },
  'ReduceSum over channels': { between: (net, x) => net.op('ReduceSum', [x, net.ints([1])], {}, 1) },
  'ReduceMean over channels': { between: (net, x) => net.op('ReduceMean', [x], { axes: ints([1]) }, 1), inexact: true },
  'ReduceMax over channels': { between: (net, x) => net.op('ReduceMax', [x], { axes: ints([-3]) }, 1), inexact: true },
  'CumSum over positions': { between: (net, x) => net.op('CumSum', [x, net.ints([2], [])]) },
  'CumSum over channels': {
    between: (net, x) => net.op('CumSum', [x, net.ints([1], [])]),
    channels: 0,
    reason: 'needs all of them',
  },
  'Flatten of pictures': { between: (net, x) => net.op('Flatten', [x]), reader: gemm(C * 16) },
  'Flatten to rows of positions': {
    between: (net, x) => net.op('Flatten', [x], { axis: int(3) }),
    reader: gemm(4),
    channels: 0,
    reason: "the model's output",
  },
  'Reshape to sequences': {
    between: (net, x) => net.transpose(net.reshape(x, [0, C, -1]), [0, 2, 1]),
    reader: product(C),
  },
  'Reshape that mixes channels and positions': {
    between: (net, x) => net.reshape(x, [-1, 16, 8]),
    reader: product(8),
    channels: 0,
    reason: "the model's output",
  },
  'Squeeze and Unsqueeze': {
    between(net, x) {
      const narrow = net.op('Squeeze', [net.op('GlobalAveragePool', [x]), net.ints([2, 3])]);
      return net.op('Unsqueeze', [narrow, net.ints([-1, -2])], {}, C);
    },
  },
  'DepthToSpace, blocks first': {
    between: (net, x) => net.op('DepthToSpace', [x], { blocksize: int(2) }, C / 4),
    channels: 2,
  },
  'DepthToSpace, channels first': {
    between: (net, x) => net.op('DepthToSpace', [x], { blocksize: int(2), mode: string('CRD') }, C / 4),
    channels: 2,
  },
  SpaceToDepth: { between: (net, x) => net.op('SpaceToDepth', [x], { blocksize: int(2) }, 4 * C) },
  Tile: { between: (net, x) => net.op('Tile', [x, net.ints([1, 3, 1, 1])], {}, 3 * C) },
  Expand: {
    between(net, x) {
      const one = net.op('GlobalAveragePool', [x]);
      return net.op('Expand', [one, net.ints([1, C, 4, 4])], {}, C);
    },
  },
  'Resize of positions': {
    between: (net, x) => net.op('Resize', [x, '', net.floats([1, 1, 2, 2])], { mode: string('linear') }),
  },
  Upsample: {
    between: (net, x) => net.op('Upsample', [x, net.floats([1, 1, 2, 2])], { mode: string('nearest') }),
    opset: 9,
  },
  'Pad of positions by reflection': {
    between: (net, x) => net.op('Pad', [x, net.ints([0, 0, 1, 1, 0, 0, 1, 1])], { mode: string('reflect') }),
  },
  'Pad of channels by their edge': {
    between: (net, x) => net.op('Pad', [x, net.ints([0, 1, 0, 0, 0, 1, 0, 0])], { mode: string('edge') }, C + 2),
    channels: 0,
    reason: 'needs all of them',
  },
  'Slice of every second channel': {
    between: (net, x) => net.op('Slice', [x, net.ints([0]), net.ints([99]), net.ints([1]), net.ints([2])], {}, 4),
    channels: 0,
    reason: 'needs all of them',
  },
  'Split into halves without sizes': {
    between(net, x) {
      const [left, right] = net.ops('Split', [x], 2, { axis: int(1) }, C / 2);
      return net.op('Mul', [left, net.op('Sigmoid', [right])]);
    },
    channels: 4,
  },
  'Split with sizes of its own': {
    between(net, x) {
      const [left, right] = net.ops('Split', [x], 2, { axis: int(1), split: ints([4, 4]) }, C / 2);
      return net.op('Mul', [left, right]);
    },
    channels: 4,
    opset: 11,
  },
  'MatMul between activations': {
    between(net, x) {
      const rows = net.reshape(x, [0, C, 16]);
      return net.op('MatMul', [net.transpose(rows, [0, 2, 1]), rows]);
    },
    reader: (net, x) => net.linear('b', x, 16, 4),
  },
  'Einsum of activations': {
    between(net, x) {
      const rows = net.reshape(x, [0, C, 16]);
      return net.op('Einsum', [rows, rows], { equation: string('bcp, bcq -> bpq') });
    },
    reader: (net, x) => net.linear('b', x, 16, 4),
  },
  'Einsum without an output': {
    between: (net, x) => net.op('Einsum', [x], { equation: string('bchw') }),
    channels: 0,
    reason: 'leaves axes open',
  },
  'control flow that reads them': {
    between(net, x) {
      const branch = (op: string): Graph => ({
        ...makeGraph({ nodes: [makeNode(op, [x], [`${op}_out`])], inputs: [], outputs: [value(`${op}_out`)] }),
        name: op,
      });
      const yes = net.store('yes', { dtype: 'bool', dims: [], data: Uint8Array.of(1) });
      const branches = { then_branch: branch('Relu'), else_branch: branch('Neg') };
      const attributes = Object.entries(branches).map(
        ([name, graph]) => [name, { kind: 'graph', value: graph }] as const,
      );
      return net.op('If', [yes], Object.fromEntries(attributes), C);
    },
    channels: 0,
    reason: 'the control flow of',
  },
  'QuantizeLinear and DequantizeLinear': {
    between(net, x) {
      const [scale, zero] = [
        net.floats([0.1], []),
        net.store('zero', { dtype: 'int8', dims: [], data: Int8Array.of(3) }),
      ];
      return net.op('DequantizeLinear', [net.op('QuantizeLinear', [x, scale, zero]), scale, zero]);
    },
  },
};

describe.each(Object.entries(rows))('%s', (_name, row) => {
  const { channels = C, reason, inexact = false, opset = 17 } = row;
  it(channels ? 'lets channels go' : 'keeps its channels', async () => {
    const metadata = metadataOf({ opset });
    const groups = await groupsOf(graphOf(row), metadata);
    const [group] = groups.groups;
    expect(group.name).toBe('a');
    if (reason) {
      expect(group.reason).toContain(reason);
      return;
    }
    expect(group.reason).toBeNull();
    expect(group.channels).toBe(channels);
    expect(group.inexact !== null).toBe(inexact);
    for (const share of [0.4, 0.9]) await checkCuts(groups, [cutShare(group, share)], { metadata });
  });
});

describe('factors that two shapes share', () => {
  test.each([
    ['8 [2, 4]', [8], [2, 4], '2 4'],
    ['[1, 8, 1, 3] [1, 24]', [1, 8, 1, 3], [1, 24], '8 3'],
    ['[6, 4] [3, 8]', [6, 4], [3, 8], '3 2 4'],
    ['nothing in [4, 6] [6, 4], but [5]', [4, 6, 5], [6, 4, 5], '5'],
    ['behind what they do not share', [2, 4, 6, 3], [2, 6, 4, 3], '2 3'],
    ['nothing of nothing', [1], [], ''],
  ])('%s', (_name, from, to, expected) => {
    expect(
      commonFactors(from, to)
        .map(({ units }) => units)
        .join(' '),
    ).toBe(expected);
  });

  test('say where they lie', () => {
    expect(commonFactors([2, 12, 5], [2, 3, 4, 5])).toEqual([
      { units: 2, from: { axis: 0, outer: 1, inner: 1 }, to: { axis: 0, outer: 1, inner: 1 } },
      { units: 3, from: { axis: 1, outer: 1, inner: 4 }, to: { axis: 1, outer: 1, inner: 1 } },
      { units: 4, from: { axis: 1, outer: 3, inner: 1 }, to: { axis: 2, outer: 1, inner: 1 } },
      { units: 5, from: { axis: 2, outer: 1, inner: 1 }, to: { axis: 3, outer: 1, inner: 1 } },
    ]);
  });
});
