/** Splitting a layer changes nothing at full rank, whatever the operator's settings. */
import { describe, expect, it, test } from 'vitest';
import { type Attribute, float, type Graph, int, ints, makeNode } from '../../src/graph/graph';
import { factorsOf } from '../../src/surgery/bases';
import { hasPlainBias, replaceNodes } from '../../src/surgery/factorize';
import type { DataType } from '../../src/tensor/dtype';
import { type Tensor, toFloat64 } from '../../src/tensor/tensor';
import { metadataOf, randomTensor, runGraph } from '../support/graphs';
import { makeGraph, value } from '../support/onnxBuilder';
import { cutTo, layerNamed, outputDifference, splitOf, withFactors } from '../support/surgery';

interface Case {
  readonly op?: string;
  readonly x: readonly number[];
  readonly w: readonly number[];
  readonly b?: readonly number[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly dtype?: DataType;
  readonly opset?: number;
}

const cases: Record<string, Case> = {
  'stride 2': { x: [2, 8, 9, 9], w: [12, 8, 3, 3], attributes: { strides: ints([2, 2]) } },
  'dilation 2': { x: [2, 8, 9, 9], w: [12, 8, 3, 3], attributes: { dilations: ints([2, 2]) } },
  'groups 2': { x: [2, 8, 9, 9], w: [12, 4, 3, 3], attributes: { group: int(2) } },
  'groups 2 with a bias': { x: [2, 8, 9, 9], w: [12, 4, 3, 3], b: [12], attributes: { group: int(2) } },
  'asymmetric pads': { x: [2, 8, 9, 9], w: [12, 8, 3, 3], attributes: { pads: ints([0, 2, 1, 3]) } },
  'SAME padding': {
    x: [2, 8, 9, 9],
    w: [6, 8, 3, 2],
    attributes: { auto_pad: { kind: 'string', value: 'SAME_LOWER' } },
  },
  'kernel_shape and pads with a bias': {
    x: [2, 8, 9, 9],
    w: [12, 8, 3, 3],
    b: [12],
    attributes: { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]), strides: ints([2, 1]) },
  },
  '1×1 with more inputs': { x: [2, 24, 5, 5], w: [6, 24, 1, 1], b: [6] },
  '1×1 with more outputs': { x: [2, 6, 5, 5], w: [24, 6, 1, 1], b: [24] },
  'fewer inputs than outputs': { x: [2, 1, 9, 9], w: [12, 1, 3, 3], b: [12] },
  '1-D': { x: [2, 8, 9], w: [6, 8, 3], b: [6], attributes: { pads: ints([1, 0]) } },
  '3-D': { x: [2, 3, 4, 5, 6], w: [8, 3, 2, 2, 2] },
  'half precision': { x: [2, 8, 9, 9], w: [12, 8, 3, 3], b: [12], dtype: 'float16' },
  Gemm: { op: 'Gemm', x: [3, 16], w: [16, 10] },
  'Gemm with a bias': { op: 'Gemm', x: [3, 16], w: [16, 10], b: [10] },
  'Gemm, transB, alpha and beta': {
    op: 'Gemm',
    x: [3, 16],
    w: [10, 16],
    b: [10],
    attributes: { transB: int(1), alpha: float(0.5), beta: float(-2) },
  },
  'Gemm, transA and alpha': { op: 'Gemm', x: [16, 3], w: [16, 10], attributes: { transA: int(1), alpha: float(3) } },
  'Gemm, transA, transB and a row of biases': {
    op: 'Gemm',
    x: [16, 3],
    w: [10, 16],
    b: [1, 10],
    attributes: { transA: int(1), transB: int(1) },
  },
  'Gemm with one bias for all': { op: 'Gemm', x: [3, 16], w: [16, 10], b: [1] },
  'Gemm with a scalar bias': { op: 'Gemm', x: [3, 16], w: [16, 10], b: [], attributes: { beta: float(2) } },
  'Gemm with a bias for each row': { op: 'Gemm', x: [10, 16], w: [16, 10], b: [10, 1] },
  'Gemm with a bias for each element': { op: 'Gemm', x: [3, 16], w: [16, 10], b: [3, 10] },
  'Gemm that needs a bias (opset 9)': {
    op: 'Gemm',
    x: [3, 16],
    w: [10, 16],
    b: [10],
    attributes: { transB: int(1) },
    opset: 9,
  },
  'Gemm in double precision': { op: 'Gemm', x: [3, 16], w: [16, 10], b: [10], dtype: 'float64' },
  MatMul: { op: 'MatMul', x: [3, 16], w: [16, 10] },
  'MatMul over sequences': { op: 'MatMul', x: [2, 5, 16], w: [16, 24] },
  'MatMul of a vector': { op: 'MatMul', x: [16], w: [16, 24] },
  'MatMul in half precision': { op: 'MatMul', x: [3, 16], w: [16, 10], dtype: 'float16' },
  'MatMul in double precision': { op: 'MatMul', x: [3, 16], w: [16, 10], dtype: 'float64' },
};

function graphOf({ op = 'Conv', x, w, b, attributes, dtype = 'float32' }: Case): Graph {
  return makeGraph({
    nodes: [makeNode(op, b ? ['x', 'w', 'b'] : ['x', 'w'], ['y'], attributes, 'layer')],
    inputs: [value('x', x, dtype)],
    outputs: [value('y', null, dtype)],
    initializers: { w: randomTensor(w, 1, dtype, 0.3), ...(b ? { b: randomTensor(b, 2, dtype) } : {}) },
  });
}

/** Rounding of the sums; a half-precision layer rounds the values between its two layers, too. */
const tolerances: Partial<Record<DataType, number>> = { float32: 2e-6, float64: 1e-14, float16: 2e-3 };

describe.each(Object.entries(cases))('%s', (_name, layer) => {
  const graph = graphOf(layer);
  const metadata = metadataOf({ opset: layer.opset ?? 17 });
  const tolerance = tolerances[layer.dtype ?? 'float32'] as number;
  const { basis, matrix } = splitOf(graph);

  it('is the same in two layers of full rank', async () => {
    const after = cutTo(graph, basis.size, { metadata });
    expect(after.nodes.length).toBeGreaterThan(1);
    expect(after.initializers.has('w')).toBe(false);
    expect(await outputDifference(graph, after, metadata)).toBeLessThan(tolerance);
  });

  it('is the same recombined at full rank', async () => {
    const after = cutTo(graph, basis.size, { metadata, finish: 'recombined' });
    expect(after.nodes.map((node) => node.opType)).toEqual([layer.op ?? 'Conv']);
    expect(await outputDifference(graph, after, metadata)).toBeLessThan(tolerance);
  });

  it('is the same in two layers and recombined, cut in half', async () => {
    const rank = Math.ceil(basis.size / 2);
    const [two, one] = (['two-layers', 'recombined'] as const).map((finish) =>
      cutTo(graph, rank, { metadata, finish }),
    );
    expect(await outputDifference(two, one, metadata)).toBeLessThan(tolerance);
    expect(await outputDifference(graph, one, metadata)).toBeGreaterThan(tolerance);
  });

  it('takes a bias of its own, where the old one is the same everywhere', async () => {
    const split = splitOf(graph);
    const outputs = matrix.blocks * matrix.outputs;
    const isPlain = !['Gemm with a bias for each row', 'Gemm with a bias for each element'].includes(_name);
    expect(hasPlainBias(split.layer, outputs)).toBe(isPlain);
    if (!isPlain) return;
    const factors = factorsOf(matrix, basis, 1);
    const bias = Float64Array.from({ length: outputs }, (_, o) => o / 4);
    const finishes = (['two-layers', 'recombined'] as const).map(
      (finish) => withFactors(graph, split, { ...factors, bias }, { metadata, finish }).graph,
    );
    for (const after of finishes) {
      // With an input of zeros, the bias is all there is.
      const { y } = await runGraph(after, { x: zeros(layer.x, layer.dtype) }, metadata);
      const axis = layer.op ? y.dims.length - 1 : 1;
      const inner = y.dims.slice(axis + 1).reduce((product, size) => product * size, 1);
      const values = [...toFloat64(y)];
      expect(values).toEqual(values.map((_, i) => (Math.floor(i / inner) % outputs) / 4));
    }
    expect(await outputDifference(finishes[0], finishes[1], metadata)).toBeLessThan(tolerance);
  });
});

function zeros(dims: readonly number[], dtype: DataType = 'float32'): Tensor {
  return randomTensor(dims, 1, dtype, 0);
}

test('depthwise convolutions are left alone', () => {
  const graph = graphOf({ x: [1, 8, 9, 9], w: [8, 1, 3, 3], attributes: { group: int(8) } });
  expect(() => layerNamed(graph)).toThrow('depthwise');
});

describe('what surrounds a layer', () => {
  const pads = { pads: ints([1, 1, 1, 1]) };
  const half = (graph: Graph, name?: string) => cutTo(graph, Math.ceil(splitOf(graph, name).basis.size / 2), { name });

  it('keeps its names: the output is what others read and what the model gives', async () => {
    const graph = makeGraph({
      nodes: [
        makeNode('Conv', ['x', 'w'], ['h'], pads),
        makeNode('Relu', ['h'], ['a']),
        makeNode('Add', ['h', 'a'], ['y']),
      ],
      inputs: [value('x', [1, 8, 6, 6])],
      outputs: [value('y'), value('h', [1, 8, 6, 6])],
      initializers: { w: randomTensor([8, 8, 3, 3]) },
    });
    const after = cutTo(graph, 8);
    expect(after.outputs).toBe(graph.outputs);
    expect(after.nodes.slice(2)).toEqual(graph.nodes.slice(1));
    expect(await outputDifference(graph, after)).toBeLessThan(2e-6);
  });

  it('may have taken the names that are wished for', async () => {
    const graph = makeGraph({
      nodes: [
        makeNode('Relu', ['x'], ['w/basis'], {}, 'n/basis'),
        makeNode('MatMul', ['w/basis', 'w.weight'], ['y'], {}, 'n'),
      ],
      inputs: [value('x', [2, 8])],
      outputs: [value('y')],
      initializers: { 'w.weight': randomTensor([8, 8]), 'w.basis.weight': randomTensor([1]) },
    });
    const after = cutTo(graph, 8);
    const names = [...after.nodes.map((node) => node.name), ...after.nodes.flatMap((node) => node.outputs)];
    expect(new Set(names).size).toBe(names.length);
    expect(await outputDifference(graph, after)).toBeLessThan(2e-6);
  });

  it('keeps a weight that another layer reads, and its output', async () => {
    const graph = makeGraph({
      nodes: [makeNode('MatMul', ['x', 'tied'], ['h']), makeNode('MatMul', ['h', 'tied'], ['y'])],
      inputs: [value('x', [2, 8])],
      outputs: [value('h'), value('y')],
      initializers: { tied: randomTensor([8, 8]) },
    });
    const after = half(graph, 'tied#2');
    expect([...after.initializers.keys()]).toContain('tied');
    expect(after.nodes[0]).toBe(graph.nodes[0]);
    const x = randomTensor([2, 8], 9);
    const [a, b] = [await runGraph(graph, { x }), await runGraph(after, { x })];
    expect(b.h).toEqual(a.h);
    expect(b.y).not.toEqual(a.y);
  });

  it('loses what only made the old weight, and nothing else that is unused', async () => {
    const constant: Attribute = {
      kind: 'tensor',
      value: { name: '', dtype: 'float32', dims: [8, 8], bytes: 256, read: () => randomTensor([8, 8]) },
    };
    const graph = makeGraph({
      nodes: [
        makeNode('Constant', [], ['c'], { value: constant }),
        makeNode('Identity', ['c'], ['i']),
        makeNode('Transpose', ['i'], ['w'], { perm: ints([1, 0]) }),
        makeNode('MatMul', ['x', 'w'], ['y']),
        makeNode('Identity', ['spare'], ['nobody']),
        makeNode('Relu', ['x'], ['nobody else']),
      ],
      inputs: [value('x', [2, 8])],
      outputs: [value('y')],
      initializers: { spare: randomTensor([3]), unread: randomTensor([4]) },
    });
    const after = cutTo(graph, 8);
    expect(after.nodes.map((node) => node.opType)).toEqual(['MatMul', 'MatMul', 'Identity', 'Relu']);
    expect([...after.initializers.keys()].slice(0, 2)).toEqual(['spare', 'unread']);
    expect(await outputDifference(graph, after)).toBeLessThan(2e-6);
  });

  it('keeps what else reads a part of that chain', () => {
    const graph = makeGraph({
      nodes: [
        makeNode('Identity', ['s'], ['i']),
        makeNode('Transpose', ['i'], ['w'], { perm: ints([1, 0]) }),
        makeNode('MatMul', ['x', 'w'], ['h']),
        makeNode('Add', ['h', 'i'], ['y']),
      ],
      inputs: [value('x', [8, 8])],
      outputs: [value('y')],
      initializers: { s: randomTensor([8, 8]) },
    });
    expect(cutTo(graph, 4).nodes.map((node) => node.opType)).toEqual(['Identity', 'MatMul', 'MatMul', 'Add']);
  });

  it('keeps a weight that only a branch of control flow reads besides', () => {
    const branch = makeGraph({
      nodes: [makeNode('MatMul', ['h', 'w'], ['q'])],
      inputs: [],
      outputs: [value('q')],
    });
    const graph = makeGraph({
      nodes: [
        makeNode('MatMul', ['x', 'w'], ['h']),
        makeNode('If', ['c'], ['y'], {
          then_branch: { kind: 'graph', value: branch },
          else_branch: { kind: 'graph', value: branch },
        }),
      ],
      inputs: [value('x', [2, 8]), value('c', [], 'bool')],
      outputs: [value('y')],
      initializers: { w: randomTensor([8, 8]) },
    });
    expect([...cutTo(graph, 4).initializers.keys()]).toContain('w');
  });

  it('lists initializers among the inputs in files of IR version 3, as that demands', async () => {
    const graph = makeGraph({
      nodes: [makeNode('Conv', ['x', 'w', 'b'], ['y'], pads)],
      inputs: [value('x', [1, 8, 6, 6]), value('w', [12, 8, 3, 3]), value('b', [12])],
      outputs: [value('y', [1, 12, 6, 6])],
      initializers: { w: randomTensor([12, 8, 3, 3]), b: randomTensor([12]) },
    });
    const metadata = metadataOf({ opset: 9, irVersion: 3 });
    const after = cutTo(graph, 12, { metadata });
    expect(after.inputs.map((input) => input.name).sort()).toEqual(['x', ...after.initializers.keys()].sort());
    expect(await outputDifference(graph, after, metadata)).toBeLessThan(2e-6);
    // Later versions do not want that: an input can be overridden by whoever runs the model.
    expect(cutTo(graph, 12).inputs.map((input) => input.name)).toEqual(['x', 'b']);
  });

  it('may be a cast from another float type', async () => {
    const graph = makeGraph({
      nodes: [makeNode('Cast', ['s'], ['w'], { to: int(1) }), makeNode('Conv', ['x', 'w'], ['y'], pads)],
      inputs: [value('x', [1, 8, 6, 6])],
      outputs: [value('y')],
      initializers: { s: randomTensor([12, 8, 3, 3], 1, 'float16') },
    });
    const after = cutTo(graph, 12);
    expect([...after.initializers.values()].map((ref) => ref.dtype)).toEqual(['float32', 'float32']);
    expect(await outputDifference(graph, after)).toBeLessThan(2e-6);
  });

  it('is not touched when nothing is replaced', () => {
    const graph = graphOf(cases.Gemm);
    expect(replaceNodes(graph, new Map(), 8)).toBe(graph);
  });
});
