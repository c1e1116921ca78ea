/** Two layers are one again: the same outputs under the old names, with the values they have after training, too. */
import { expect, it } from 'vitest';
import { findLayers } from '../../src/analysis/layers';
import { decompose } from '../../src/engine/decompose';
import { type OpenedModel, OpenModels } from '../../src/engine/models';
import { recombine } from '../../src/engine/recombine';
import type { Graph } from '../../src/graph/graph';
import { validateGraph } from '../../src/graph/validate';
import { isFloatType } from '../../src/tensor/dtype';
import { fromFloat, memoryTensor, toFloat64 } from '../../src/tensor/tensor';
import { Net } from '../support/architectures/net';
import { modelBytes, temporaryFile } from '../support/onnxBuilder';
import { settingsOf } from '../support/plans';
import { outputDifference } from '../support/surgery';

const forms: Record<string, (net: Net, x: string) => string> = {
  convolution: (net, x) => net.conv('b', x, 12, { kernel: 3, stride: 2, bias: true }),
  'convolution without a bias': (net, x) => net.batchNorm('bn', net.conv('b', x, 12, { kernel: 3 })),
  'convolution of groups': (net, x) => net.conv('b', x, 12, { kernel: 3, groups: 2 }),
  Gemm: (net, x) => net.gemm('b', net.op('Flatten', [net.op('GlobalAveragePool', [x])]), 8, 6),
  'weighted Gemm': (net, x) =>
    net.op('Gemm', [net.op('Flatten', [x]), net.random('b.weight', [288, 6]), net.random('b.bias', [6])], {
      alpha: { kind: 'float', value: 2 },
      beta: { kind: 'float', value: 0.5 },
    }),
  product: (net, x) => net.linear('b', net.transpose(x, [0, 2, 3, 1]), 8, 6),
};

/** Every float multiplied by another number near 1, as training might. */
function trained(graph: Graph): Graph {
  const initializers = new Map(
    [...graph.initializers].map(([name, ref], n) => {
      if (!isFloatType(ref.dtype)) return [name, ref] as const;
      const values = toFloat64(ref.read()).map((value, i) => value * (1 + 0.1 * Math.cos(7 * n + i)));
      return [name, memoryTensor(name, fromFloat(values, ref.dtype, ref.dims))] as const;
    }),
  );
  return { ...graph, initializers };
}

it.each(Object.entries(forms))('%s', async (_name, read) => {
  const net = new Net();
  net.output('y', read(net, net.relu(net.conv('a', net.input('x', ['N', 3, 6, 6]), 8, { kernel: 3 }))));
  const models = new OpenModels();
  try {
    const opened: OpenedModel = await models.withShapes(temporaryFile(modelBytes(net.graph())));
    const plan = {
      cuts: [{ kind: 'factorize', layer: opened.layers[1].name, rank: 2, finish: 'two-layers' }],
    } as const;
    const context = { signal: new AbortController().signal, progress: () => undefined };
    const split = await decompose(opened, opened.model.graph, plan, settingsOf(), null, null, {}, context);
    const changed = trained(split.graph);
    const owners = new Map([...split.owners].map(([node, layer]) => [node, layer]));
    const whole = recombine(opened, { graph: changed, masked: changed, owners });
    validateGraph(whole);
    expect(await outputDifference(changed, whole)).toBeLessThan(1e-5);
    expect(await outputDifference(split.graph, whole)).toBeGreaterThan(1e-3);
    expect(findLayers(whole).map(({ name, weight }) => [name, weight.dims])).toEqual(
      opened.layers.map(({ name, weight }) => [name, weight.dims]),
    );
  } finally {
    models.closeAll();
  }
});
