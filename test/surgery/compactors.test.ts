/** Compactors put into networks, folded into them again, and channels of zeros cut. */
import { describe, expect, test } from 'vitest';
import { type Graph, int, makeNode } from '../../src/graph/graph';
import { validateGraph } from '../../src/graph/validate';
import type { Compaction } from '../../src/prune/compaction/places';
import type { ChannelGroups } from '../../src/prune/groups';
import { removeChannels } from '../../src/surgery/channels';
import { withCompactors } from '../../src/surgery/compactors';
import { foldCompactors } from '../../src/surgery/foldCompactors';
import {
  float32Tensor,
  memoryTensor,
  renamedTensor,
  type Tensor,
  type TensorRef,
  toFloat64,
} from '../../src/tensor/tensor';
import { mobileNet1 } from '../support/architectures/mobile';
import { Net } from '../support/architectures/net';
import {
  basicResNet,
  bottleneckResNet,
  denseNet,
  inception,
  paddedResNet,
  vgg,
} from '../support/architectures/residual';
import { groupsOf } from '../support/channels';
import { cutsOf, placesOf } from '../support/compaction';
import { randomTensor } from '../support/graphs';
import { outputDifference } from '../support/surgery';

const networks: Readonly<Record<string, () => Graph>> = {
  'residual blocks': basicResNet,
  'bottleneck blocks': bottleneckResNet,
  'padded shortcuts': () => paddedResNet(true),
  'concatenated branches': inception,
  'dense blocks': denseNet,
  'Flatten behind several positions': vgg,
  'depthwise layers': mobileNet1,
  'gates of dense layers': gated,
  'Constant nodes for weights': () => inConstants(basicResNet()),
};

/** A convolution whose channels are scaled by what two dense layers make of them: squeeze and excitation. */
function gated(): Graph {
  const net = new Net();
  const x = net.block('a', net.input('x', ['N', 3, 6, 6]), 8);
  const pooled = net.op('Flatten', [net.op('GlobalAveragePool', [x])]);
  const gate = net.op('Sigmoid', [net.gemm('fc2', net.relu(net.gemm('fc1', pooled, 8, 4)), 4, 8)]);
  const scaled = net.op('Mul', [x, net.op('Unsqueeze', [gate, net.ints([2, 3])])]);
  net.head(net.block('c', scaled, 6));
  return net.graph();
}

/** As exporters write graphs that store nothing else. */
function inConstants(graph: Graph): Graph {
  const constants = [...graph.initializers].map(([name, value]) =>
    makeNode('Constant', [], [name], { value: { kind: 'tensor', value } }),
  );
  return { ...graph, nodes: [...constants, ...graph.nodes], initializers: new Map() };
}

interface Site {
  readonly graph: Graph;
  readonly groups: ChannelGroups;
  readonly compaction: Compaction;
}

async function siteOf(graph: Graph, followers = true): Promise<Site> {
  const groups = await groupsOf(graph);
  return { graph, groups, compaction: placesOf(groups, { followers }) };
}

/** A matrix near the identity for each place; rows of chosen channels are zero. */
function matricesOf({ compaction }: Site, isGone: (group: number, channel: number) => boolean = () => false) {
  return compaction.places.map(({ rows }, i) => {
    const { length } = rows;
    const noise = randomTensor([length, length], 60 + i, 'float32', 0.4).data as Float32Array;
    const at = (j: number, k: number): number => {
      const owner = rows[j];
      return owner && isGone(owner.group, owner.channel) ? 0 : noise[j * length + k] + Number(j === k);
    };
    return float32Tensor(
      Float32Array.from({ length: length * length }, (_, k) => at(Math.floor(k / length), k % length)),
      [length, length],
    );
  });
}

function compacted({ groups, compaction }: Site, matrices: readonly Tensor[] | null): Graph {
  const { graph, matrices: names } = withCompactors(groups.wiring, compaction.places);
  if (!matrices) return graph;
  const initializers = new Map(graph.initializers);
  for (const [i, { name }] of compaction.places.entries()) {
    const ref = initializers.get(names.get(name) as string) as TensorRef;
    initializers.set(ref.name, memoryTensor(ref.name, { ...matrices[i], dims: ref.dims }));
  }
  return { ...graph, initializers };
}

function folded({ groups, compaction }: Site, matrices: readonly Tensor[], irVersion = 8): Graph {
  const ofLayers = compaction.places.flatMap(({ layers }, i) =>
    layers.map((layer) => [layer, toFloat64(matrices[i])] as const),
  );
  return foldCompactors(groups.wiring, new Map(ofLayers), irVersion);
}

describe.each(Object.entries(networks))('%s', (_, network) => {
  test('compute the same with compactors that are the identity', async () => {
    const site = await siteOf(network());
    expect(site.compaction.places.length).toBeGreaterThan(1);
    const graph = compacted(site, null);
    validateGraph(graph);
    expect(await outputDifference(site.graph, graph)).toBeLessThan(1e-6);
  });

  test('compute the same with any compactors, folded', async () => {
    const site = await siteOf(network());
    const matrices = matricesOf(site);
    const graph = folded(site, matrices);
    validateGraph(graph);
    expect(await outputDifference(site.graph, graph)).toBeGreaterThan(1e-2);
    expect(await outputDifference(compacted(site, matrices), graph)).toBeLessThan(1e-5);
  });
});

describe('rows of zeros', () => {
  const exact = Object.entries(networks).filter(([name]) => !['dense blocks', 'depthwise layers'].includes(name));

  test.each(exact)('are cut without a trace: %s', async (_, network) => {
    const site = await siteOf(network());
    const isGone = (group: number, channel: number): boolean => (3 * group + channel) % 3 === 1;
    const matrices = matricesOf(site, isGone);
    const graph = folded(site, matrices);
    const groups = await groupsOf(graph);
    const cut = removeChannels(groups, cutsOf(site.compaction, isGone), 8);
    expect(await outputDifference(graph, cut)).toBeLessThan(1e-5);
    expect(await outputDifference(compacted(site, matrices), cut)).toBeLessThan(1e-5);
  });
});

describe('folding', () => {
  test('reads epsilon from the node and leaves other normalizations alone', async () => {
    const net = new Net();
    const x = net.block('a', net.input('x', ['N', 3, 6, 6]), 8);
    net.output('y', net.block('b', x, 4));
    const plain = net.graph();
    const epsilon = 0.3;
    const graph = {
      ...plain,
      nodes: plain.nodes.map((node) =>
        node.opType === 'BatchNormalization'
          ? { ...node, attributes: new Map([['epsilon', { kind: 'float', value: epsilon } as const]]) }
          : node,
      ),
    };
    const site = await siteOf(graph);
    const matrices = matricesOf(site);
    const result = folded(site, matrices);
    expect(await outputDifference(compacted(site, matrices), result)).toBeLessThan(1e-5);
    expect(result.nodes.filter(({ opType }) => opType === 'BatchNormalization')).toHaveLength(
      plain.nodes.filter(({ opType }) => opType === 'BatchNormalization').length - site.compaction.places.length,
    );
    for (const name of ['a.bn.weight', 'a.bn.running_var']) expect(result.initializers.has(name)).toBe(false);
  });

  test('takes biases as they are, through an Identity, too', async () => {
    const net = new Net();
    const x = net.input('x', ['N', 3, 6, 6]);
    const bias = net.op('Identity', [net.random('stored.bias', [8])]);
    const a = net.op('Conv', [x, net.random('a.weight', [8, 3, 1, 1]), bias], {}, 8);
    net.output('y', net.conv('b', net.relu(a), 4));
    const { wiring } = await groupsOf(net.graph());
    const trained = memoryTensor('stored.bias', randomTensor([8], 5));
    const graph = { ...wiring.graph, initializers: new Map(wiring.graph.initializers).set('stored.bias', trained) };
    const twice = Float64Array.from({ length: 64 }, (_, i) => (i % 9 === 0 ? 2 : 0));
    const { nodes, initializers } = foldCompactors({ ...wiring, graph }, new Map([['a', twice]]), 8);
    const name = nodes.find(({ opType }) => opType === 'Conv')?.inputs[2] ?? '';
    const found = toFloat64((initializers.get(name) as TensorRef).read());
    expect([...found]).toEqual([...toFloat64(trained.read())].map((b) => 2 * b));
  });

  test('knows dense layers either way round, and lists new biases where old files list them', async () => {
    const net = new Net();
    const x = net.op('Flatten', [net.input('x', ['N', 3, 2, 2])]);
    const a = net.op('Gemm', [x, net.random('a.weight', [12, 7])], {}, 7);
    const b = net.op('Gemm', [net.relu(a), net.random('b.weight', [5, 7])], { transB: int(1) }, 5);
    net.output('y', net.gemm('c', net.relu(b), 5, 3));
    const plain = net.graph();
    const stored = [...plain.initializers.values()].map(({ name, dims }) => {
      return { name, dtype: 'float32' as const, shape: [...dims] };
    });
    const site = await siteOf({ ...plain, inputs: [...plain.inputs, ...stored] });
    expect(site.compaction.places.map(({ name }) => name)).toEqual(['a', 'b']);
    const matrices = matricesOf(site);
    const graph = folded(site, matrices, 3);
    expect(graph.inputs.map(({ name }) => name)).toEqual(expect.arrayContaining(['a.bias', 'b.bias']));
    expect(await outputDifference(compacted(site, matrices), graph)).toBeLessThan(1e-5);
  });

  test('leaves groups their names where neither nodes nor weights have any', async () => {
    const plain = basicResNet();
    const names = new Map([...plain.initializers.keys()].map((name, i) => [name, String(100 + i)]));
    const renamed = (name: string): string => names.get(name) ?? name;
    const graph: Graph = {
      ...plain,
      nodes: plain.nodes.map((node) => ({ ...node, name: '', inputs: node.inputs.map(renamed) })),
      initializers: new Map(
        [...plain.initializers].map(([name, ref]) => [renamed(name), renamedTensor(renamed(name), ref)]),
      ),
    };
    const site = await siteOf(graph);
    const found = await groupsOf(folded(site, matricesOf(site)));
    expect(found.groups.map(({ name }) => name)).toEqual(site.groups.groups.map(({ name }) => name));
  });

  test.each([[[]], [[1]], [[1, 1]], [[1, 7]]])('knows biases of dense layers of the shape %j', async (dims) => {
    const graph = denseWithBias(dims);
    const listed = { name: 'a.bias', dtype: 'float32' as const, shape: dims };
    const site = await siteOf({ ...graph, inputs: [...graph.inputs, listed] });
    const matrices = matricesOf(site);
    const result = folded(site, matrices, 3);
    validateGraph(result);
    expect(await outputDifference(compacted(site, matrices), result)).toBeLessThan(1e-5);
    for (const { name, shape } of result.inputs) {
      expect(shape).toEqual(result.initializers.get(name)?.dims ?? ['N', 3, 2, 2]);
    }
  });

  test('leaves dense layers alone whose bias differs from row to row', async () => {
    const { compaction } = await siteOf(denseWithBias([2, 1], 2));
    expect(compaction.declined.get('a')).toBe('a: its bias differs from row to row');
  });
});

/** Two dense layers, the first with 7 outputs. */
function denseWithBias(dims: readonly number[], batch: number | string = 'N'): Graph {
  const net = new Net();
  const x = net.op('Flatten', [net.input('x', [batch, 3, 2, 2])]);
  const a = net.op('Gemm', [x, net.random('a.weight', [12, 7]), net.random('a.bias', dims)], {}, 7);
  net.output('y', net.op('Gemm', [net.relu(a), net.random('b.weight', [7, 3])]));
  return net.graph();
}
