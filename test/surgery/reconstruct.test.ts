/** Layers fitted again to their own outputs after their inputs changed, in every form, with what the runtime measures. */
import { describe, expect, it } from 'vitest';
import { findLayers, type Layer } from '../../src/analysis/layers';
import type { CrossMoments } from '../../src/analysis/moments';
import { type Graph, int } from '../../src/graph/graph';
import { validateGraph } from '../../src/graph/validate';
import { collectCrossMoments, observedOutput } from '../../src/runtime/moments';
import { canBeFitted, reconstructed, withPatches } from '../../src/surgery/reconstruct';
import { refit } from '../../src/surgery/refit';
import { type Tensor, toFloat64 } from '../../src/tensor/tensor';
import { Net } from '../support/architectures/net';
import { metadataOf, randomTensor, runGraph } from '../support/graphs';

const dims = [16, 4, 6, 6];
const images = { x: randomTensor(dims, 5) };

/** y = layer(x + changed(x)): with `change` 0 the original, else one whose layer sees something else. */
function graphOf(change: number, read: (net: Net, x: string) => string): Graph {
  const net = new Net();
  const x = net.input('x', ['N', 4, 6, 6]);
  const noise = net.op('Mul', [net.op('Sin', [net.op('Mul', [x, net.floats([3])])]), net.floats([change])]);
  net.output('y', read(net, net.add(x, noise)));
  return net.graph();
}

const forms: Record<string, (net: Net, x: string) => string> = {
  'a convolution': (net, x) => net.conv('b', x, 5, { kernel: 3, stride: 2, bias: true }),
  'a convolution of groups': (net, x) => net.conv('b', x, 6, { kernel: 3, groups: 2, bias: true }),
  'a normalized convolution': (net, x) => net.batchNorm('bn', net.conv('b', x, 5, { kernel: 3 })),
  'a Gemm of rows': (net, x) => net.gemm('b', net.op('Flatten', [net.op('GlobalMaxPool', [x])]), 4, 3),
  'a Gemm of columns': (net, x) =>
    net.op('Gemm', [
      net.op('Flatten', [net.op('GlobalMaxPool', [x])]),
      net.random('b.weight', [4, 3]),
      net.random('b.bias', [3]),
    ]),
  'a product and a sum': (net, x) => net.linear('b', net.transpose(x, [0, 2, 3, 1]), 4, 3),
};

const layerOf = (graph: Graph): Layer => findLayers(graph)[0];

async function crossOf(target: Graph, changed: Graph, rank: number): Promise<CrossMoments> {
  const patches = withPatches(changed, layerOf(changed), 100) as NonNullable<ReturnType<typeof withPatches>>;
  const output = observedOutput(layerOf(target), rank);
  async function* once() {
    yield images;
  }
  return collectCrossMoments(
    metadataOf(),
    { ...output, graph: target },
    { ...output, value: patches.value, graph: patches.graph },
    once(),
  );
}

const rankOf = (name: string): number => (name.includes('Gemm') ? 2 : 4);

async function errorOf(target: Graph, graph: Graph): Promise<number> {
  const [a, b] = [await runGraph(target, images), await runGraph(graph, images)].map(({ y }) => toFloat64(y));
  return a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0) / a.length;
}

describe.each(Object.entries(forms))('%s', (name, read) => {
  const target = graphOf(0, read);

  it('comes closest to what it gave, never further away', async () => {
    const changed = graphOf(0.5, read);
    const moments = await crossOf(target, changed, rankOf(name));
    const before = await errorOf(target, changed);
    let last = before;
    // The weaker the pull towards the weights that are there, the closer.
    for (const ridge of [100, 1, 1e-2, 1e-6]) {
      const fitted = reconstructed(changed, layerOf(changed), moments, ridge);
      validateGraph(fitted);
      const error = await errorOf(target, fitted);
      expect(error).toBeLessThanOrEqual(last * (1 + 1e-5));
      last = error;
    }
    expect(last).toBeLessThan(0.9 * before);
  });

  it('stays as it is where nothing has changed', async () => {
    const moments = await crossOf(target, target, rankOf(name));
    const fitted = reconstructed(target, layerOf(target), moments, 1e-4);
    expect(await errorOf(target, fitted)).toBeLessThan(1e-9);
  });
});

it('a convolution has its patches, as a direct look at the image gives them', async () => {
  const graph = graphOf(0, (net, x) => net.conv('b', x, 5, { kernel: 3, stride: 2 }));
  const patches = withPatches(graph, layerOf(graph), 100);
  expect(patches).toMatchObject({ width: 36, blocks: 1 });
  const { value, graph: wide } = patches as NonNullable<typeof patches>;
  const found = (await runGraph({ ...wide, outputs: [{ name: value, dtype: 'float32', shape: null }] }, images))[value];
  expect(found.dims).toEqual([16, 36, 3, 3]);
  const [data, x] = [toFloat64(found), toFloat64(images.x as Tensor)];
  // Image 2, channel 1, row 2 and column 0 of the kernel, output position (1, 2): input (3, 3).
  expect(data[((2 * 36 + (1 * 9 + 2 * 3 + 0)) * 3 + 1) * 3 + 2]).toBeCloseTo(x[((2 * 4 + 1) * 6 + 3) * 6 + 3], 6);
  // Above the image there is padding.
  expect(data[(0 * 36 + 0) * 9]).toBe(0);
});

describe('a layer is left alone', () => {
  const leaves: Record<string, (net: Net, x: string) => string> = {
    'whose weight another one reads': (net, x) => {
      const weight = net.random('b.weight', [4, 4, 1, 1]);
      return net.op('Conv', [net.op('Conv', [x, weight]), weight]);
    },
    'whose weight is stored in another form': (net, x) =>
      net.op('MatMul', [net.transpose(x, [0, 2, 3, 1]), net.transpose(net.random('b.weight', [3, 4]), [1, 0])]),
    'that is weighted': (net, x) =>
      net.op('Gemm', [net.op('Flatten', [x]), net.random('b.weight', [144, 3])], {
        alpha: { kind: 'float', value: 2 },
      }),
    'without a place for a bias': (net, x) => net.op('Softmax', [net.conv('b', x, 3)], { axis: int(1) }),
  };
  it.each(Object.entries(leaves))('%s', (_name, read) => {
    const graph = graphOf(0, read);
    expect(canBeFitted(graph, layerOf(graph))).toBe(false);
  });

  it.each([
    ['with more inputs than are wanted', (net: Net, x: string) => net.conv('b', x, 3, { kernel: 3 })],
    ['that is transposed', (net: Net, x: string) => net.upConv('b', x, 3)],
  ])('%s', (_name, read) => {
    const graph = graphOf(0, read);
    expect(withPatches(graph, layerOf(graph), 35)).toBeNull();
  });
});

describe('least squares', () => {
  /** Z of two independent unit variances, of means 1 and 2; Y = 3·Z₀ − Z₁ + 4. */
  const moments: CrossMoments = {
    meanY: Float64Array.of(5),
    meanZ: Float64Array.of(1, 2),
    crossYZ: Float64Array.of(3, -1),
    covarianceZ: Float64Array.of(1, 0, 0, 1),
  };
  const start = { rank: 2, A: new Float64Array(0), B: Float64Array.of(1, 1), bias: null };

  it('finds the weights and the bias', () => {
    const { B, bias } = refit(start, moments, 1, 1, 0);
    expect(B[0]).toBeCloseTo(3, 4);
    expect(B[1]).toBeCloseTo(-1, 4);
    expect(bias?.[0]).toBeCloseTo(4, 4);
  });

  it('stays between them and the weights that are there', () => {
    // λ = 1: half way from 1 to 3, and from 1 to −1.
    const { B, bias } = refit(start, moments, 1, 1, 1);
    expect(B[0]).toBeCloseTo(2, 12);
    expect(B[1]).toBeCloseTo(0, 12);
    expect(bias?.[0]).toBeCloseTo(5 - 2, 12);
  });

  it('leaves what the images say nothing about', () => {
    const silent = { ...moments, crossYZ: Float64Array.of(3, 0), covarianceZ: Float64Array.of(1, 0, 0, 0) };
    const { B } = refit(start, silent, 1, 1, 1e-6);
    expect(B[0]).toBeCloseTo(3, 4);
    expect(B[1]).toBe(1);
  });

  it('gets over rounding that has left negative variances', () => {
    const noisy = { ...moments, covarianceZ: Float64Array.of(1, 1.001, 1.001, 1) };
    const { B } = refit(start, noisy, 1, 1, 0);
    expect(B.every(Number.isFinite)).toBe(true);
  });
});
