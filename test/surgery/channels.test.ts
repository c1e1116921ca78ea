/** Channels are removed so that nothing else changes. Numbers: the invariants of structured cuts. */
import { describe, expect, it, test } from 'vitest';
import { storedTotals } from '../../src/analysis/totals';
import { openModel } from '../../src/formats';
import { serializeGraph } from '../../src/formats/onnx/serialize';
import { type Graph, int, makeNode } from '../../src/graph/graph';
import { removeChannels } from '../../src/surgery/channels';
import { elementCount } from '../../src/tensor/dtype';
import { float32Tensor, int64Tensor, memoryTensor } from '../../src/tensor/tensor';
import { Net } from '../support/architectures/net';
import { basicResNet } from '../support/architectures/residual';
import { checkCuts, cutShare, groupsOf } from '../support/channels';
import { metadataOf, randomTensor } from '../support/graphs';
import { makeGraph, value } from '../support/onnxBuilder';
import { hasShared, sharedFile } from '../support/shared';
import { outputDifference } from '../support/surgery';

/** The graph with some stored vectors and filters set to zero at one position of their first axis. */
function withZeros(graph: Graph, position: number, names: (name: string) => boolean): Graph {
  const initializers = new Map(graph.initializers);
  for (const [name, ref] of graph.initializers) {
    if (!names(name)) continue;
    const data = (ref.read().data as Float32Array).slice();
    const each = elementCount(ref.dims.slice(1));
    data.fill(0, position * each, (position + 1) * each);
    initializers.set(name, memoryTensor(name, float32Tensor(data, ref.dims)));
  }
  return { ...graph, initializers };
}

describe('removing channels', () => {
  it('changes nothing where filters, biases and normalizations are zero', async () => {
    const give = /^(stem|a\.conv2)(\.weight|\.bn\.(weight|bias))$/;
    const graph = withZeros(basicResNet(), 3, (name) => give.test(name));
    const groups = await groupsOf(graph);
    const pruned = removeChannels(groups, [{ kind: 'removeChannels', group: 'stem', channels: [3] }], 8);
    expect(await outputDifference(graph, pruned)).toBeLessThan(1e-6);
    const other = removeChannels(groups, [{ kind: 'removeChannels', group: 'stem', channels: [4] }], 8);
    expect(await outputDifference(graph, other)).toBeGreaterThan(1e-3);
  });

  it('reads stored tensors when they are asked for, and leaves the others as they were', async () => {
    const graph = basicResNet();
    const groups = await groupsOf(graph);
    const guarded = new Map(
      [...graph.initializers].map(([name, ref]) => [
        name,
        {
          ...ref,
          read: () => {
            throw new Error(`${name} was read`);
          },
        },
      ]),
    );
    const found = {
      ...groups,
      wiring: { ...groups.wiring, graph: { ...graph, initializers: guarded }, stored: guarded },
    };
    const pruned = removeChannels(found, [cutShare(groups.groups[1], 0.5)], 8);
    expect(pruned.initializers.get('a.conv1.weight')?.dims).toEqual([4, 8, 3, 3]);
    expect(pruned.initializers.get('a.conv2.weight')?.dims).toEqual([8, 4, 3, 3]);
    expect(() => pruned.initializers.get('a.conv1.weight')?.read()).toThrow('was read');
    expect(pruned.initializers.get('c.conv1.weight')).toBe(guarded.get('c.conv1.weight'));
    expect(pruned.nodes.filter((node) => !graph.nodes.includes(node))).toEqual([]);
  });

  it('returns the graph itself for a plan that removes nothing', async () => {
    const graph = basicResNet();
    expect(removeChannels(await groupsOf(graph), [], 8)).toBe(graph);
  });

  it('drops declared shapes that are no longer true, and only those', async () => {
    const graph = { ...basicResNet(), valueInfo: [value('a.conv1', [1, 8, 8, 8]), value('b.conv1', [1, 12, 4, 4])] };
    const groups = await groupsOf(graph);
    const pruned = removeChannels(groups, [{ kind: 'removeChannels', group: 'a.conv1', channels: [0] }], 8);
    expect(pruned.valueInfo.map(({ name }) => name)).toEqual(['b.conv1']);
  });

  it.each([
    ['channel-group-unknown', { group: 'nothing', channels: [0] }],
    ['channel-unknown', { group: 'stem', channels: [8] }],
    ['channel-unknown', { group: 'stem', channels: [0.5] }],
    ['channels-all-removed', { group: 'stem', channels: [0, 1, 2, 3, 4, 5, 6, 7] }],
    ['channel-group-fixed', { group: 'head', channels: [0] }],
  ])('refuses with %s', async (code, cut) => {
    const groups = await groupsOf(basicResNet());
    expect(() => removeChannels(groups, [{ kind: 'removeChannels', ...cut }], 8)).toThrow(
      expect.objectContaining({ code }),
    );
  });
});

describe('shared tensors', () => {
  /** Two layers with the same vector as bias, in a graph of an age that lists initializers as inputs. */
  const biases = (() => {
    const net = new Net();
    const x = net.input('x', ['N', 3, 6, 6]);
    const bias = net.random('bias', [8]);
    const a = net.op('Conv', [x, net.random('a.weight', [8, 3, 1, 1]), bias]);
    const b = net.op('Conv', [net.relu(a), net.random('b.weight', [8, 8, 1, 1]), bias]);
    net.output('y', net.op('Conv', [net.relu(b), net.random('c.weight', [4, 8, 1, 1])]));
    const graph = net.graph();
    const stored = [...graph.initializers.values()].map(({ name, dims }) => value(name, dims));
    return { ...graph, inputs: [...graph.inputs, ...stored] };
  })();

  it('are copied for the readers that need another part', async () => {
    const metadata = metadataOf({ irVersion: 3 });
    const groups = await groupsOf(biases, metadata);
    expect(groups.groups.map(({ name, channels }) => [name, channels])).toEqual([
      ['a', 8],
      ['b', 8],
      ['c', 4],
    ]);
    const first = { kind: 'removeChannels', group: 'a', channels: [1, 5] } as const;
    const one = await checkCuts(groups, [first], { metadata });
    expect(one.initializers.get('bias')?.dims).toEqual([8]);
    expect(one.inputs.map(({ name }) => name)).toContain('bias_2');
    const both = await checkCuts(groups, [first, { kind: 'removeChannels', group: 'b', channels: [0] }], { metadata });
    expect([...both.initializers].flatMap(([name, { dims }]) => (name.startsWith('bias') ? dims : []))).toEqual([6, 7]);
    const same = await checkCuts(groups, [first, { kind: 'removeChannels', group: 'b', channels: [1, 5] }], {
      metadata,
    });
    expect([...same.initializers.keys()].filter((name) => name.startsWith('bias'))).toEqual(['bias']);
    expect(same.inputs.find(({ name }) => name === 'bias')?.shape).toEqual([6]);
  });

  it('may lie in nodes, as tensors or as lists', async () => {
    const net = new Net();
    const x = net.input('x', ['N', 3, 6, 6]);
    const list = (values: readonly number[]): string =>
      net.op('Constant', [], { value_floats: { kind: 'floats', value: values } });
    const weight = memoryTensor('', randomTensor([6, 3, 1, 1]));
    const a = net.op('Conv', [
      x,
      net.op('Constant', [], { value: { kind: 'tensor', value: weight } }),
      list([1, 2, 3, 4, 5, 6]),
    ]);
    net.output('y', net.op('Conv', [net.relu(a), net.random('b.weight', [4, 6, 1, 1])]));
    const groups = await groupsOf(net.graph());
    const pruned = await checkCuts(groups, [cutShare(groups.groups[0], 0.5)]);
    expect([...pruned.initializers.values()].map(({ dims }) => dims)).toEqual([[4, 3, 1, 1]]);
  });

  it('stay shared when they are matrices', async () => {
    const net = new Net();
    const x = net.input('x', ['N', 3, 6, 6]);
    const weight = net.random('head.weight', [6, 5, 1, 1]);
    const levels = ['a', 'b'].map((name) => net.relu(net.op('Conv', [net.conv(name, x, 5), weight], {}, 6)));
    net.output('y', net.conv('last', net.concat(levels), 2));
    const groups = await groupsOf(net.graph());
    expect(groups.groups.map(({ name, channels }) => [name, channels])).toEqual([
      ['a', 5],
      ['head', 6],
      ['last', 2],
    ]);
    const pruned = await checkCuts(
      groups,
      groups.groups.slice(0, 2).map((group) => cutShare(group, 0.5)),
    );
    expect(pruned.initializers.get('head.weight')?.dims).toEqual([3, 2, 1, 1]);
  });
});

describe('sizes that the graph works out', () => {
  /** [N, 8, H, W] to [N·H·W, 8] and back, the first shape put together from the shape of a value. */
  function withShape(shapeOf: (net: Net, x: string) => string): Graph {
    const net = new Net();
    const image = net.input('x', ['N', 3, 4, 4]);
    const x = net.transpose(net.conv('a', image, 8), [0, 2, 3, 1]);
    const flat = net.op('Reshape', [x, shapeOf(net, x)]);
    net.output('y', net.gemm('b', flat, 8, 4));
    return net.graph();
  }
  const gathered = (net: Net, x: string, axis: number): string =>
    net.op('Gather', [net.op('Shape', [x]), net.ints([axis])]);

  it('are left alone where they follow the channels', async () => {
    const graph = withShape((net, x) => net.op('Concat', [net.ints([-1]), gathered(net, x, 3)], { axis: int(0) }));
    const groups = await groupsOf(graph);
    const pruned = await checkCuts(groups, [cutShare(groups.groups[0], 0.5)]);
    expect(pruned.nodes).toEqual(graph.nodes);
  });

  it('are replaced where a number of channels is stored', async () => {
    const graph = withShape((net) => net.op('Concat', [net.ints([-1]), net.ints([8])], { axis: int(0) }));
    const groups = await groupsOf(graph);
    const pruned = await checkCuts(groups, [cutShare(groups.groups[0], 0.5)]);
    expect(pruned.nodes.map(({ opType }) => opType)).not.toContain('Concat');
  });

  it('keep what depends on the data and replace the rest', async () => {
    const graph = withShape((net, x) => {
      const rows = ['Mul', 'Mul'].reduce(
        (product, op, i) => net.op(op, [product, gathered(net, x, i + 1)]),
        gathered(net, x, 0),
      );
      return net.op('Concat', [rows, net.ints([8])], { axis: int(0) });
    });
    const groups = await groupsOf(graph);
    const pruned = await checkCuts(groups, [cutShare(groups.groups[0], 0.5)]);
    expect(pruned.nodes.map(({ opType }) => opType)).toContain('Where');
  });

  it('are refused where channels and data are mixed', async () => {
    const graph = withShape((net, x) => {
      const all = net.op('Mul', [net.op('Size', [x]), net.ints([1])]);
      return net.op('Concat', [net.op('Div', [all, net.ints([8])]), net.ints([8])], { axis: int(0) });
    });
    const { groups } = await groupsOf(graph);
    expect(groups[0].reason).toContain('mixed with sizes of the data');
  });
});

describe('positions that nodes name', () => {
  it('follow the channels in Slice, Gather, Split and Pad', async () => {
    const net = new Net();
    const x = net.conv('a', net.input('x', ['N', 3, 4, 4]), 8);
    const cut = net.op('Slice', [x, net.ints([-6]), net.ints([7]), net.ints([1])], {}, 5);
    const taken = net.op('Gather', [x, net.ints([7, 0, -3])], { axis: int(1) }, 3);
    const [left, , right] = net.ops('Split', [x, net.ints([2, 3, 3])], 3, { axis: int(1) }, 3);
    const padded = net.op('Pad', [left, net.ints([0, 1, 0, 0, 0, 0, 0, 0])], {}, 3);
    net.output('y', net.conv('b', net.concat([cut, taken, right, padded]), 4));
    const groups = await groupsOf(net.graph());
    for (const { name, channels, reason } of groups.groups) {
      if (reason) continue;
      for (let channel = 0; channel < channels; channel++) {
        await checkCuts(groups, [{ kind: 'removeChannels', group: name, channels: [channel] }]);
      }
    }
    // Slices take 2 to 6, Gather 0, 5 and 7, Split 0 and 1 (padded) and 5 to 7: where a channel lives differs.
    expect(groups.groups.filter(({ reason }) => reason === null).length).toBeGreaterThan(0);
    const fixed = groups.groups.filter(({ name, reason }) => name.startsWith('a') && reason);
    for (const { reason } of fixed) expect(reason).toBe('they can only be removed all together');
  });

  test('grouped convolutions lose groups, or channels of every group', async () => {
    const net = new Net();
    const x = net.conv('a', net.input('x', ['N', 3, 4, 4]), 12);
    net.output('y', net.conv('c', net.conv('b', x, 6, { groups: 3, kernel: 3, bias: true }), 4));
    const groups = await groupsOf(net.graph());
    const named = groups.groups.map(({ name, channels, block }) => [name, channels, block]);
    expect(named).toEqual([
      ['a', 4, 3],
      ['b', 2, 3],
      ['c', 4, 1],
    ]);
    const pruned = await checkCuts(groups, [cutShare(groups.groups[0], 0.5), cutShare(groups.groups[1], 0.5)]);
    expect(pruned.nodes[1].attributes.get('group')).toEqual(int(3));
    expect(pruned.initializers.get('b.weight')?.dims).toEqual([3, 2, 3, 3]);
  });
});

describe('layers that keep their channels', () => {
  test.each([
    ['LSTM', 'recurrent layers keep their width'],
    ['TopK', 'nothing is known of which of its channels go together'],
    ['ArgMax', 'nothing is known'],
  ])('%s: %s', async (op, reason) => {
    const x = value('x', [4, 1, 3]);
    const outputs = op === 'TopK' ? ['h', 'i'] : ['h'];
    const inputs: Record<string, string[]> = { LSTM: ['a', 'w', 'r'], TopK: ['a', 'k'], ArgMax: ['a'] };
    const graph = makeGraph({
      nodes: [
        makeNode('MatMul', ['x', 'a.weight'], ['a'], {}, 'a'),
        makeNode(
          op,
          inputs[op],
          outputs,
          op === 'LSTM' ? { hidden_size: int(2) } : op === 'ArgMax' ? { axis: int(2) } : {},
          'node',
        ),
      ],
      inputs: [x],
      outputs: [value('h', null, op === 'ArgMax' ? 'int64' : 'float32')],
      initializers: {
        'a.weight': randomTensor([3, 6]),
        w: randomTensor([1, 8, 6]),
        r: randomTensor([1, 8, 2]),
        k: int64Tensor([2]),
      },
    });
    const { layers } = await groupsOf(graph);
    expect(layers[0].reason).toContain(reason);
    expect(layers[0].reason).toContain("'node'");
  });
});

const files: Record<string, { open: number; fixed: readonly string[] }> = {
  'resnet20_cifar10.onnx': { open: 12, fixed: ['linear'] },
  'resnet20_cifar10_bnfused.onnx': { open: 12, fixed: ['linear'] },
  'resnet20_cifar10_int8_qdq.onnx': { open: 12, fixed: ['linear'] },
  'resnet56_cifar10.onnx': { open: 30, fixed: ['linear'] },
  'vgg8_cifar10.onnx': { open: 8, fixed: ['classifier'] },
  'mobilenet_v1_025_imagenet.onnx': { open: 14, fixed: ['conv_preds'] },
};

describe.skipIf(!hasShared).each(Object.entries(files))('%s', (file, { open, fixed }) => {
  it('loses channels of every group', async () => {
    const { graph, metadata } = openModel(sharedFile(`data/models/${file}`));
    const groups = await groupsOf(graph, metadata);
    const found = groups.groups.filter(({ reason }) => reason === null);
    expect(found).toHaveLength(open);
    expect(groups.layers.flatMap(({ layer, reason }) => (reason ? [layer] : []))).toEqual(fixed);
    const before = storedTotals(graph).params;
    let last = before;
    for (const share of [0.1, 0.5, 0.9]) {
      const pruned = await checkCuts(
        groups,
        found.map((group) => cutShare(group, share)),
        { metadata },
      );
      const { params } = storedTotals(pruned);
      expect(params).toBeLessThan(last);
      last = params;
      expect(serializeGraph(pruned, metadata).length).toBeLessThan(serializeGraph(graph, metadata).length);
    }
    await checkCuts(groups, [cutShare(found[0], 0.3)], { metadata });
  });
});
