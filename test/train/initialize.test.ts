import { describe, expect, test } from 'vitest';
import { type Graph, int, ints, makeNode } from '../../src/graph/graph';
import { elementCount } from '../../src/tensor/dtype';
import { fromFloat, memoryTensor, type Tensor, toFloat64 } from '../../src/tensor/tensor';
import { initialize } from '../../src/train/initialize';
import { makeGraph, value } from '../support/onnxBuilder';
import { toyModel } from '../support/training';

const filled = (dims: readonly number[], fill = 7, dtype: 'float32' | 'float16' = 'float32'): Tensor =>
  fromFloat(new Float64Array(elementCount(dims)).fill(fill), dtype, dims);
const valuesOf = (graph: Graph, name: string): number[] => {
  const ref = graph.initializers.get(name);
  if (!ref) throw new Error(`no '${name}'`);
  return Array.from(toFloat64(ref.read()));
};
const largest = (values: readonly number[]): number => values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
const variance = (values: readonly number[]): number => values.reduce((sum, v) => sum + v * v, 0) / values.length;

/** One node with a weight in the middle. */
function oneLayer(opType: string, dims: readonly number[], attributes = {}, weightInput = 1): Graph {
  const inputs = weightInput === 1 ? ['x', 'w'] : ['w', 'x'];
  return makeGraph({
    nodes: [makeNode(opType, inputs, ['y'], attributes)],
    inputs: [value('x')],
    outputs: [value('y')],
    initializers: { w: filled(dims) },
  });
}

describe('weights', () => {
  test.each([
    ['Conv', [64, 16, 3, 3], {}, 1, 16 * 9, 64 * 9],
    ['Conv in groups', [64, 4, 3, 3], { group: int(4) }, 1, 4 * 9, 16 * 9],
    ['ConvTranspose', [32, 16, 4, 4], { strides: ints([2, 2]) }, 1, 32 * 4, 16 * 16],
    ['Gemm', [96, 40], {}, 1, 96, 40],
    ['Gemm with a transposed weight', [96, 40], { transB: int(1) }, 1, 40, 96],
    ['MatMul', [96, 40], {}, 1, 96, 40],
    ['MatMul with the weight on the left', [96, 40], {}, 0, 40, 96],
  ] as const)('of %s spread by what an output sums up', (name, dims, attributes, input, fanIn, fanOut) => {
    const graph = oneLayer(name.split(' ')[0], dims, attributes, input);
    const he = valuesOf(initialize(graph, { seed: 1 }), 'w');
    expect(largest(he)).toBeLessThanOrEqual(Math.sqrt(6 / fanIn) * (1 + 1e-6));
    expect(variance(he) / (2 / fanIn)).toBeCloseTo(1, 1);
    const xavier = valuesOf(initialize(graph, { seed: 1, weights: 'xavier' }), 'w');
    expect(largest(xavier)).toBeLessThanOrEqual(Math.sqrt(6 / (fanIn + fanOut)) * (1 + 1e-6));
    expect(variance(xavier) / (2 / (fanIn + fanOut))).toBeCloseTo(1, 1);
    expect(new Set(he).size).toBeGreaterThan(0.9 * he.length);
  });

  test('follow from the seed', () => {
    const graph = toyModel();
    const of = (seed: number): number[] => valuesOf(initialize(graph, { seed }), 'convA.weight');
    expect(of(3)).toEqual(of(3));
    expect(of(3)).not.toEqual(of(4));
  });

  test('keep their type, also in half precision and as constants', () => {
    const graph: Graph = {
      ...makeGraph({
        nodes: [
          makeNode('Constant', [], ['w'], {
            value: { kind: 'tensor', value: memoryTensor('held', filled([8, 4], 7, 'float16')) },
          }),
          makeNode('MatMul', ['x', 'w'], ['z']),
          makeNode('Add', ['z', 'b'], ['y']),
        ],
        inputs: [value('x', ['N', 8], 'float16')],
        outputs: [value('y', ['N', 4], 'float16')],
        initializers: { b: filled([4], 7, 'float16') },
      }),
    };
    const made = initialize(graph, { seed: 1 });
    const held = made.nodes[0].attributes.get('value');
    if (held?.kind !== 'tensor') throw new Error('no tensor');
    expect(held.value.dtype).toBe('float16');
    expect(new Set(toFloat64(held.value.read())).size).toBeGreaterThan(16);
    expect(made.initializers.get('b')?.dtype).toBe('float16');
    expect(valuesOf(made, 'b')).toEqual([0, 0, 0, 0]);
  });
});

test('biases become 0 and normalization the identity', () => {
  const made = initialize(toyModel(), { seed: 1 });
  const only = (name: string): number[] => [...new Set(valuesOf(made, name))];
  expect(only('head.bias')).toEqual([0]);
  expect(only('bn.weight')).toEqual([1]);
  expect(only('bn.bias')).toEqual([0]);
  expect(only('bn.mean')).toEqual([0]);
  expect(only('bn.variance')).toEqual([1]);
});

test('what belongs to no layer stays the very same, and so does the graph that was given', () => {
  const graph = makeGraph({
    nodes: [
      makeNode('Gemm', ['x', 'w', 'b'], ['z']),
      makeNode('Mul', ['z', 'scale'], ['m']),
      makeNode('Gather', ['m', 'rows'], ['y']),
    ],
    inputs: [value('x', ['N', 6])],
    outputs: [value('y')],
    initializers: {
      w: filled([6, 5]),
      b: filled([5]),
      scale: filled([5]),
      rows: { dtype: 'int64', dims: [1], data: BigInt64Array.of(0n) },
    },
  });
  const made = initialize(graph, { seed: 1 });
  expect(made.initializers.get('scale')).toBe(graph.initializers.get('scale'));
  expect(made.initializers.get('rows')).toBe(graph.initializers.get('rows'));
  expect(made.nodes).toEqual(graph.nodes);
  expect([...made.initializers.keys()]).toEqual([...graph.initializers.keys()]);
  expect(new Set(valuesOf(graph, 'w'))).toEqual(new Set([7]));
  expect(new Set(valuesOf(made, 'b'))).toEqual(new Set([0]));
});
