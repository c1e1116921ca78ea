/** Bases of weights and of activations: orthonormal, ordered, and with the errors they promise. */
import { describe, expect, it, test } from 'vitest';
import type { CrossMoments, Moments } from '../../src/analysis/moments';
import { breakEvenRank } from '../../src/analysis/spectrum';
import { float, type Graph, int, ints, makeNode } from '../../src/graph/graph';
import { consumers } from '../../src/graph/order';
import { seededRandom } from '../../src/linalg/random';
import type { LayerFacts } from '../../src/protocol/facts';
import { factorizedCost, type LayerShape } from '../../src/prune/cost';
import { collectCrossMoments, collectMoments, observedOutput } from '../../src/runtime/moments';
import { activationBasis, factorsOf, type OutputBasis, outputMetric, weightBasis } from '../../src/surgery/bases';
import { batchNormScale } from '../../src/surgery/batchNorm';
import { effectiveBias, type Factors } from '../../src/surgery/factorize';
import { type LayerMatrix, layerMatrix } from '../../src/surgery/layerMatrix';
import { refit } from '../../src/surgery/refit';
import { fromFloat, type Tensor, toFloat64 } from '../../src/tensor/tensor';
import { orthonormalityError } from '../linalg/matrices';
import { metadataOf, randomTensor, runGraph } from '../support/graphs';
import { makeGraph, value } from '../support/onnxBuilder';
import { cutTo, layerNamed, outputDifference, splitOf, withFactors } from '../support/surgery';

function randomLayerMatrix(blocks: number, outputs: number, inputs: number, seed = 1): LayerMatrix {
  const { data } = randomTensor([blocks, outputs, inputs], seed, 'float64');
  return { blocks, outputs, inputs, values: data as Float64Array };
}

/** Σ over outputs of d²·(W − B·A)². */
function squaredError({ blocks, outputs, inputs, values }: LayerMatrix, { A, B, rank }: Factors, metric: Float64Array) {
  let error = 0;
  for (let o = 0; o < blocks * outputs; o++) {
    const block = Math.floor(o / outputs);
    for (let i = 0; i < inputs; i++) {
      let product = 0;
      for (let j = 0; j < rank; j++) product += B[o * rank + j] * A[(block * rank + j) * inputs + i];
      error += (metric[o] * (values[o * inputs + i] - product)) ** 2;
    }
  }
  return error;
}

const sum = (values: Iterable<number>): number => [...values].reduce((total, v) => total + v, 0);
const ones = (count: number) => new Float64Array(count).fill(1);

const sizes: [string, number, number, number][] = [
  ['wide', 1, 12, 72],
  ['tall', 1, 40, 9],
  ['square', 1, 16, 16],
  ['grouped', 4, 6, 18],
];

describe.each(sizes)('the basis of a %s weight', (_name, blocks, outputs, inputs) => {
  const matrix = randomLayerMatrix(blocks, outputs, inputs);
  const metric = toFloat64(randomTensor([blocks * outputs], 3)).map((d) => 0.1 + Math.abs(d));

  it.each([
    ['unweighted', ones(blocks * outputs)],
    ['weighted', metric],
  ])('is orthonormal, %s', (_weighing, d) => {
    const basis = weightBasis(matrix, d);
    expect(basis.size).toBe(Math.min(outputs, inputs));
    for (let b = 0; b < blocks; b++) {
      const vectors = basis.vectors.subarray(b * basis.size * outputs, (b + 1) * basis.size * outputs);
      expect(orthonormalityError(vectors, basis.size, outputs)).toBeLessThan(1e-12);
    }
    expect([...basis.energy]).toEqual([...basis.energy].sort((x, y) => y - x));
    expect(Math.min(...basis.energy)).toBeGreaterThanOrEqual(0);
    // Its energies add up to the weight's.
    expect(sum(basis.energy)).toBeCloseTo(squaredError(matrix, factorsOf(matrix, basis, 0), d), 8);
  });

  it('loses at each rank what the dropped vectors hold', () => {
    for (const d of [ones(blocks * outputs), metric]) {
      const basis = weightBasis(matrix, d);
      for (let rank = 0; rank <= basis.size; rank++) {
        const dropped = sum(basis.energy.subarray(rank));
        const error = squaredError(matrix, factorsOf(matrix, basis, rank), d);
        expect(Math.abs(error - dropped)).toBeLessThan(1e-9 * sum(basis.energy));
      }
    }
  });

  it('loses less than other vectors of it would', () => {
    const basis = weightBasis(matrix, ones(blocks * outputs));
    const rank = Math.floor(basis.size / 2);
    const random = seededRandom(4);
    const best = squaredError(matrix, factorsOf(matrix, basis, rank), basis.metric);
    for (let trial = 0; trial < 10; trial++) {
      const order = random.shuffle(Array.from({ length: basis.size }, (_, j) => j));
      const error = squaredError(matrix, factorsOf(matrix, reordered(basis, order, outputs), rank), basis.metric);
      expect(error).toBeGreaterThanOrEqual(best * (1 - 1e-12));
    }
  });

  it('means the same with all vectors turned round', () => {
    const basis = weightBasis(matrix, metric);
    const turned = { ...basis, vectors: basis.vectors.map((v) => -v) };
    const rank = Math.ceil(basis.size / 2);
    const [a, b] = [basis, turned].map((each) => factorsOf(matrix, each, rank));
    const difference: LayerMatrix = { ...matrix, values: productOf(matrix, a) };
    expect(squaredError(difference, b, ones(blocks * outputs))).toBeLessThan(1e-20);
  });

  it('has filters of unit length in the first layer', () => {
    const { A, rank } = factorsOf(matrix, weightBasis(matrix, ones(blocks * outputs)), 3);
    for (let row = 0; row < blocks * rank; row++) {
      expect(sum(A.subarray(row * inputs, (row + 1) * inputs).map((a) => a * a))).toBeCloseTo(1, 12);
    }
    // Of the weight alone, they are orthonormal.
    expect(orthonormalityError(A.subarray(0, rank * inputs), rank, inputs)).toBeLessThan(1e-9);
  });
});

function reordered(basis: OutputBasis, order: readonly number[], outputs: number): OutputBasis {
  const vectors = basis.vectors.map((_, i) => {
    const row = Math.floor(i / outputs);
    const block = Math.floor(row / basis.size);
    return basis.vectors[(block * basis.size + order[row % basis.size]) * outputs + (i % outputs)];
  });
  return { ...basis, vectors };
}

/** B·A as a weight. */
function productOf({ blocks, outputs, inputs }: LayerMatrix, { A, B, rank }: Factors): Float64Array {
  const values = new Float64Array(blocks * outputs * inputs);
  return values.map((_, at) => {
    const [o, i] = [Math.floor(at / inputs), at % inputs];
    const block = Math.floor(o / outputs);
    return sum(Array.from({ length: rank }, (_unused, j) => B[o * rank + j] * A[(block * rank + j) * inputs + i]));
  });
}

test('filters that repeat others can be dropped for nothing', async () => {
  const [first, filters] = [randomTensor([4, 6, 3, 3]), 12];
  const values = Float64Array.from({ length: filters * 54 }, (_, i) => Number(first.data[i % (4 * 54)]));
  const graph = makeGraph({
    nodes: [makeNode('Conv', ['x', 'w'], ['y'])],
    inputs: [value('x', [2, 6, 7, 7])],
    outputs: [value('y')],
    initializers: { w: fromFloat(values, 'float32', [filters, 6, 3, 3]) },
  });
  const { basis } = splitOf(graph);
  expect(orthonormalityError(basis.vectors, basis.size, filters)).toBeLessThan(1e-12);
  expect(sum(basis.energy.subarray(4))).toBeLessThan(1e-12 * sum(basis.energy));
  expect(await outputDifference(graph, cutTo(graph, 4))).toBeLessThan(2e-6);
  expect(await outputDifference(graph, cutTo(graph, 3))).toBeGreaterThan(1e-2);
});

test.each([
  [1, 27, 64],
  [1, 576, 64],
  [1, 64, 64],
  [1, 64, 256],
  [4, 72, 16],
])('two layers cost less exactly below the break-even rank: %i × %i × %i', (blocks, k, c) => {
  const weights = blocks * k * c;
  const facts = { matrices: { blocks, rows: c, cols: k }, params: weights, bytes: 4 * weights, macs: 100 * weights };
  const none = { params: 0, bytes: 0 };
  const shape: LayerShape = {
    facts: facts as unknown as LayerFacts,
    weightTensor: 'w',
    biasTensor: null,
    bias: none,
    newBias: null,
    elementBytes: 4,
  };
  for (let rank = 1; rank <= Math.min(k, c); rank++) {
    const isCheaper = rank < breakEvenRank(k, c);
    const cost = factorizedCost(shape, rank);
    expect(cost.params < weights).toBe(isCheaper);
    expect((cost.macs as number) < 100 * weights).toBe(isCheaper);
    expect(cost.bytes).toBe(4 * cost.params);
  }
});

describe('the scale of a BatchNormalization', () => {
  const [gamma, variance] = [Float64Array.of(2, -1, 0, 0.5), Float64Array.of(4, 1, 1, 0.25)];
  const stored = (values: Float64Array): Tensor => fromFloat(values, 'float32', [4]);

  function behind(next: 'BatchNormalization' | 'Relu', { twice = false, via = false, epsilon = 0 } = {}): Graph {
    const inputs = ['h', via ? 'g' : 'gamma', 'beta', 'mean', 'variance'];
    return makeGraph({
      nodes: [
        ...(via ? [makeNode('Identity', ['gamma'], ['g'])] : []),
        makeNode('Conv', ['x', 'w'], ['h']),
        next === 'Relu'
          ? makeNode('Relu', ['h'], ['y'])
          : makeNode(next, inputs, ['y'], epsilon ? { epsilon: float(epsilon) } : {}),
        ...(twice ? [makeNode('Relu', ['h'], ['z'])] : []),
      ],
      inputs: [value('x', [2, 8, 5, 5])],
      outputs: [value('y'), ...(twice ? [value('z')] : [])],
      initializers: {
        w: randomTensor([4, 8, 3, 3]),
        gamma: stored(gamma),
        beta: stored(Float64Array.of(1, 2, 3, 4)),
        mean: stored(Float64Array.of(0, 1, 0, 1)),
        variance: stored(variance),
      },
    });
  }
  const scaleOf = (graph: Graph) => batchNormScale(layerNamed(graph), consumers(graph));

  it('is γ/√(v + ε), with ONNX’s ε if none is given', () => {
    for (const [options, epsilon] of [
      [{}, 1e-5],
      [{ epsilon: 0.01 }, 0.01],
      [{ via: true }, 1e-5],
    ] as const) {
      const found = scaleOf(behind('BatchNormalization', options))!;
      for (const [o, scale] of found.entries())
        expect(scale).toBeCloseTo(gamma[o] / Math.sqrt(variance[o] + epsilon), 6);
    }
  });

  it('is the same whether a model states ONNX’s ε or leaves it out', () => {
    const stated = scaleOf(behind('BatchNormalization', { epsilon: Math.fround(1e-5) }));
    expect(scaleOf(behind('BatchNormalization'))).toEqual(stated);
  });

  it('is none where another node reads the layer, too, or where there is no normalization', () => {
    expect(scaleOf(behind('Relu'))).toBeNull();
    expect(scaleOf(behind('BatchNormalization', { twice: true }))).toBeNull();
  });

  it('keeps the cut exact where it matters: channels that it scales to nothing cost nothing', async () => {
    const graph = behind('BatchNormalization');
    expect(await outputDifference(graph, cutTo(graph, 4))).toBeLessThan(2e-6);
    // Three channels matter, so three bases are all it needs.
    expect(await outputDifference(graph, cutTo(graph, 3))).toBeLessThan(1e-3);
    expect(await outputDifference(graph, cutTo(graph, 2))).toBeGreaterThan(1e-2);
  });

  it('is positive as a weight of outputs, also for γ = 0 everywhere', () => {
    expect([...outputMetric(Float64Array.of(-2, 0, 1), 3)]).toEqual([2, 2e-4, 1]);
    for (const d of outputMetric(new Float64Array(3), 3)) expect(d).toBeGreaterThan(0);
    expect([...outputMetric(null, 2)]).toEqual([1, 1]);
    expect([...outputMetric(Float64Array.of(1, 2, 3), 2)]).toEqual([1, 1]);
  });
});

describe('the basis of the activations', () => {
  /** One layer, its calibration data, and what the runtime finds about its outputs. */
  interface Calibrated {
    readonly graph: Graph;
    readonly x: Tensor;
    readonly moments: Moments;
    readonly matrix: LayerMatrix;
  }

  /** Data whose directions differ much in strength, with a mean: neighbours are alike, and channels mix. */
  function correlated(dims: readonly number[], dtype: 'float32' | 'float16'): Tensor {
    const values = toFloat64(randomTensor(dims, 11));
    const channels = dims[1];
    const inner = dims.slice(2).reduce((product, size) => product * size, 1);
    return fromFloat(
      values.map((v, i) => {
        const c = Math.floor(i / inner) % channels;
        return 0.3 * v * (1 + c) + (i >= inner ? 0.9 * values[i - inner] : 0) + 0.5;
      }),
      dtype,
      dims,
    );
  }

  const layers: Record<
    string,
    {
      node: Parameters<typeof makeNode>;
      x: readonly number[];
      stored: Record<string, Tensor>;
      dtype?: 'float32' | 'float16';
    }
  > = {
    convolution: {
      node: ['Conv', ['x', 'w'], ['y'], { pads: ints([1, 1, 1, 1]), strides: ints([2, 2]) }],
      x: [6, 4, 12, 12],
      stored: { w: randomTensor([10, 4, 3, 3], 1) },
    },
    'convolution with more outputs than inputs': {
      node: ['Conv', ['x', 'w', 'b'], ['y']],
      x: [6, 4, 8, 8],
      stored: { w: randomTensor([12, 4, 1, 1], 1), b: randomTensor([12], 2) },
    },
    'grouped convolution': {
      node: ['Conv', ['x', 'w', 'b'], ['y'], { group: int(2) }],
      x: [6, 4, 8, 8],
      stored: { w: randomTensor([12, 2, 3, 3], 1), b: randomTensor([12], 2) },
    },
    Gemm: {
      node: ['Gemm', ['x', 'w', 'b'], ['y'], { alpha: float(0.5), beta: float(3), transB: int(1) }],
      x: [100, 12],
      stored: { w: randomTensor([8, 12], 1), b: randomTensor([8], 2) },
    },
    MatMul: { node: ['MatMul', ['x', 'w'], ['y']], x: [10, 7, 12], stored: { w: randomTensor([12, 8], 1) } },
    'half-precision convolution': {
      node: ['Conv', ['x', 'w'], ['y']],
      x: [6, 4, 24, 24],
      stored: { w: randomTensor([10, 4, 3, 3], 1, 'float16') },
      dtype: 'float16',
    },
  };

  async function* once(x: Tensor) {
    yield { x };
  }

  async function calibrated({
    node,
    x: dims,
    stored,
    dtype = 'float32',
  }: (typeof layers)[string]): Promise<Calibrated> {
    const graph = makeGraph({
      nodes: [makeNode(...node)],
      inputs: [value('x', ['N', ...dims.slice(1)], dtype)],
      outputs: [value('y', null, dtype)],
      initializers: stored,
    });
    const layer = layerNamed(graph);
    const x = correlated(dims, dtype);
    const output = observedOutput(layer, dims.length);
    const moments = (await collectMoments(graph, metadataOf(), [output], once(x))).get('y') as Moments;
    return { graph, x, moments, matrix: layerMatrix(layer) };
  }

  /** Mean over positions of the squared, weighed distance of two graphs' outputs. */
  async function outputError(a: Graph, b: Graph, x: Tensor, metric: Float64Array): Promise<number> {
    const [y, z] = [(await runGraph(a, { x })).y, (await runGraph(b, { x })).y];
    const axis = layerNamed(a).node.opType === 'MatMul' ? y.dims.length - 1 : 1;
    const inner = y.dims.slice(axis + 1).reduce((product, size) => product * size, 1);
    const [p, q] = [toFloat64(y), toFloat64(z)];
    let error = 0;
    for (let i = 0; i < p.length; i++) error += (metric[Math.floor(i / inner) % metric.length] * (p[i] - q[i])) ** 2;
    return error / (p.length / metric.length);
  }

  const cutBy = ({ graph, moments, matrix }: Calibrated, basis: OutputBasis, rank: number, bias = true): Factors => {
    const outputs = matrix.blocks * matrix.outputs;
    const own = effectiveBias(layerNamed(graph), outputs);
    return factorsOf(matrix, basis, rank, bias ? moments.mean : null, own);
  };

  it.each(Object.entries(layers))(
    'of a %s costs what it says, and less than that of the weights',
    async (_name, layer) => {
      const found = await calibrated(layer);
      const { graph, x, moments, matrix } = found;
      const outputs = matrix.blocks * matrix.outputs;
      const split = { layer: layerNamed(graph), matrix };
      const tolerance = layer.dtype === 'float16' ? 2e-2 : 1e-3;
      for (const metric of [ones(outputs), toFloat64(randomTensor([outputs], 5)).map((d) => 0.2 + Math.abs(d))]) {
        const basis = activationBasis(matrix, moments.covariance, metric);
        const total = sum(basis.energy);
        for (const rank of [1, 2, Math.ceil(basis.size / 2), basis.size]) {
          const after = withFactors(graph, split, cutBy(found, basis, rank)).graph;
          const error = await outputError(graph, after, x, metric);
          const promised = sum(basis.energy.subarray(rank));
          expect(Math.abs(error - promised)).toBeLessThan(tolerance * promised + tolerance * 1e-3 * total);
          const weights = weightBasis(matrix, metric);
          const other = withFactors(graph, split, cutBy(found, weights, rank)).graph;
          expect(error).toBeLessThan((await outputError(graph, other, x, metric)) * (1 + tolerance) + 1e-6 * total);
        }
        for (let b = 0; b < matrix.blocks; b++) {
          const size = basis.size * matrix.outputs;
          const vectors = basis.vectors.subarray(b * size, (b + 1) * size);
          expect(orthonormalityError(vectors, basis.size, matrix.outputs)).toBeLessThan(1e-9);
        }
      }
    },
  );

  it.each(Object.entries(layers))('of a %s keeps the mean of every channel', async (_name, layer) => {
    const found = await calibrated(layer);
    const { graph, x, moments, matrix } = found;
    const basis = activationBasis(matrix, moments.covariance, ones(matrix.blocks * matrix.outputs));
    const after = withFactors(graph, { layer: layerNamed(graph), matrix }, cutBy(found, basis, 1)).graph;
    const output = observedOutput(layerNamed(graph), layer.x.length);
    const mean = (await collectMoments(after, metadataOf(), [output], once(x))).get('y')?.mean as Float64Array;
    const largest = Math.max(...moments.mean.map(Math.abs));
    const tolerance = layer.dtype === 'float16' ? 2e-3 : 1e-5;
    for (const [o, m] of mean.entries()) expect(Math.abs(m - moments.mean[o])).toBeLessThan(tolerance * largest);
  });

  it.each(Object.entries(layers))('of a %s is not worse after a refit', async (_name, layer) => {
    const found = await calibrated(layer);
    const { graph, x, moments, matrix } = found;
    const outputs = matrix.blocks * matrix.outputs;
    const split = { layer: layerNamed(graph), matrix };
    const output = observedOutput(split.layer, layer.x.length);
    // Worse than it need be: without the mean, and of the weights.
    for (const basis of [
      activationBasis(matrix, moments.covariance, ones(outputs)),
      weightBasis(matrix, ones(outputs)),
    ]) {
      const factors = cutBy(found, basis, 2, false);
      const { graph: before, inner } = withFactors(graph, split, factors);
      const cross: CrossMoments = await collectCrossMoments(
        metadataOf(),
        { ...output, graph },
        { ...output, graph: before, value: inner as string },
        once(x),
      );
      const fitted = refit(factors, cross, matrix.blocks, matrix.outputs, 1e-9);
      const after = withFactors(graph, split, fitted).graph;
      const [was, is] = [
        await outputError(graph, before, x, ones(outputs)),
        await outputError(graph, after, x, ones(outputs)),
      ];
      expect(is).toBeLessThan(was * (1 + 1e-6));
      // No rank-2 layer can do better than the basis of the activations.
      const best = sum(activationBasis(matrix, moments.covariance, ones(outputs)).energy.subarray(2));
      expect(is).toBeGreaterThan(best * 0.98);
    }
  });

  it('does not need values that fit into half precision', async () => {
    const { moments } = await calibrated(layers['half-precision convolution']);
    // Sums over 6·22·22 positions of squares above 30 leave its range of 65,504.
    expect(Math.max(...moments.covariance) * moments.count).toBeGreaterThan(65504);
    for (const element of moments.covariance) expect(Number.isFinite(element)).toBe(true);
  });

  it('comes from all positions of all batches', async () => {
    const graph = makeGraph({
      nodes: [makeNode('MatMul', ['x', 'w'], ['y'])],
      inputs: [value('x', ['N', 2])],
      outputs: [value('y')],
      initializers: { w: fromFloat(Float64Array.of(1, 0, 0, 1), 'float32', [2, 2]) },
    });
    const batch = (...values: number[]) => ({
      x: fromFloat(Float64Array.from(values), 'float32', [values.length / 2, 2]),
    });
    async function* batches() {
      yield batch(1, 2, 3, 6);
      yield batch(5, 1);
    }
    const output = observedOutput(layerNamed(graph), 2);
    const moments = (await collectMoments(graph, metadataOf(), [output], batches())).get('y') as Moments;
    expect(moments.count).toBe(3);
    expect([...moments.mean]).toEqual([3, 3]);
    const expected = [8 / 3, -2 / 3, -2 / 3, 14 / 3];
    for (const [i, element] of moments.covariance.entries()) expect(element).toBeCloseTo(expected[i], 12);
  });
});
