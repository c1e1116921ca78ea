/** Products of what channels contribute, against the outputs that each channel alone gives. */
import { expect, it } from 'vitest';
import { findLayers } from '../../src/analysis/layers';
import type { Moments } from '../../src/analysis/moments';
import { type Graph, int } from '../../src/graph/graph';
import { collectMoments, observedOutput } from '../../src/runtime/moments';
import { contributions } from '../../src/surgery/contributions';
import { withPatches } from '../../src/surgery/reconstruct';
import { float32Tensor, toFloat64 } from '../../src/tensor/tensor';
import { Net } from '../support/architectures/net';
import { metadataOf, randomTensor, runGraph } from '../support/graphs';

const forms: Record<string, [readonly number[], number, (net: Net, x: string) => string]> = {
  convolution: [[6, 4, 5, 5], 1, (net, x) => net.conv('b', x, 3, { kernel: 3, stride: 2 })],
  'convolution of groups': [[6, 4, 5, 5], 1, (net, x) => net.conv('b', x, 6, { kernel: 3, groups: 2 })],
  'Gemm of rows': [[9, 4], 1, (net, x) => net.op('Gemm', [x, net.random('b.weight', [3, 4])], { transB: int(1) })],
  product: [[6, 5, 4], 2, (net, x) => net.op('MatMul', [x, net.random('b.weight', [4, 3])])],
};

it.each(Object.entries(forms))('%s', async (_name, [dims, axis, read]) => {
  const net = new Net();
  net.output('y', read(net, net.input('x', ['N', ...dims.slice(1)])));
  const graph: Graph = net.graph();
  const [layer] = findLayers(graph);
  const x = randomTensor(dims, 3);
  async function* once() {
    yield { x };
  }
  const patches = withPatches(graph, layer, 100) as NonNullable<ReturnType<typeof withPatches>>;
  const observed = { ...observedOutput(layer, dims.length), value: patches.value };
  const moments = await collectMoments(patches.graph, metadataOf(), [observed], once());
  const found = contributions(layer, moments.get(patches.value) as Moments);
  const channels = dims[axis];
  const inner = dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const alone = await Promise.all(
    Array.from({ length: channels }, async (_, c) => {
      const data = toFloat64(x).map((value, i) => (Math.floor(i / inner) % channels === c ? value : 0));
      const { y } = await runGraph(graph, { x: float32Tensor(Float32Array.from(data), dims) });
      return { values: toFloat64(y), outputs: y.dims[axis] };
    }),
  );
  for (let c = 0; c < channels; c++) {
    for (let d = 0; d < channels; d++) {
      const sum = alone[c].values.reduce((total, value, i) => total + value * alone[d].values[i], 0);
      expect(found[c * channels + d]).toBeCloseTo((sum * alone[c].outputs) / alone[c].values.length, 4);
    }
  }
});
