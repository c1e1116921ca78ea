/** Channels in which nothing is left, taken out of a graph in memory. */
import { expect, test } from 'vitest';
import { compact } from '../../src/engine/compact';
import { OpenModels } from '../../src/engine/models';
import type { Graph } from '../../src/graph/graph';
import { memoryTensor, type TensorRef } from '../../src/tensor/tensor';
import { Net } from '../support/architectures/net';
import { encoder } from '../support/architectures/transformer';
import { modelBytes, temporaryFile } from '../support/onnxBuilder';
import { outputDifference } from '../support/surgery';

/** Rows of a stored matrix as zeros. */
function withoutRows(graph: Graph, name: string, rows: readonly number[]): Graph {
  const tensor = (graph.initializers.get(name) as TensorRef).read();
  const data = tensor.data.slice() as Float32Array;
  for (const row of rows) data.fill(0, row * tensor.dims[1], (row + 1) * tensor.dims[1]);
  return { ...graph, initializers: new Map(graph.initializers).set(name, memoryTensor(name, { ...tensor, data })) };
}

test('channels that only inputs above zero leave at zero stay', async () => {
  const net = new Net();
  const x = net.input('x', ['N', 1, 6, 6]);
  const sum = net.op('Add', [net.conv('b', x, 6), net.op('Neg', [x])], {}, 6);
  net.output('y', net.conv('c', net.relu(sum), 5, { bias: true }));
  const models = new OpenModels();
  try {
    const opened = await models.withShapes(temporaryFile(modelBytes(net.graph())), {});
    const sparse = withoutRows(opened.model.graph, 'b.weight', [1, 2]);
    const { decomposed, removed } = await compact(opened, sparse, 1);
    expect(removed).toBe(0);
    expect(await outputDifference(sparse, decomposed.graph)).toBe(0);
  } finally {
    models.closeAll();
  }
});

test('of matrix products the features are counted, not the words', async () => {
  const models = new OpenModels();
  try {
    const opened = await models.withShapes(temporaryFile(modelBytes(encoder())), {});
    const sparse = withoutRows(opened.model.graph, 'a.fc2.weight', [3, 7, 8]);
    const { decomposed, projection, removed } = await compact(opened, sparse, 1);
    expect(removed).toBe(3);
    expect(await outputDifference(sparse, decomposed.graph)).toBeLessThan(1e-5);
    const changed = projection.layers.filter(({ action }) => action === 'narrow');
    expect(changed.map(({ layer, channels, params }) => [layer, channels, params])).toEqual([
      ['a.fc1', 13, 12 * 13],
      ['a.fc2', 12, 13 * 12],
    ]);
    const owners = decomposed.graph.nodes.flatMap((node) => decomposed.owners.get(node) ?? []);
    expect(owners).toEqual(opened.layers.map(({ name }) => name));
  } finally {
    models.closeAll();
  }
});
