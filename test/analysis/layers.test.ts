/** How weights are found behind what exporters put around them, and what layers are called. */
import { describe, expect, it, test } from 'vitest';
import { findLayers, type Layer } from '../../src/analysis/layers';
import { isFloatWeight, readWeight } from '../../src/analysis/weights';
import { type Attribute, type Graph, type GraphNode, int, ints, makeNode } from '../../src/graph/graph';
import { dataTypes } from '../../src/tensor/dtype';
import { fromFloat, int64Tensor, memoryTensor, type Tensor, toFloat64 } from '../../src/tensor/tensor';
import { factsOf, randomTensor, runGraph } from '../support/graphs';
import { makeGraph, value } from '../support/onnxBuilder';

const tensorAttribute = (tensor: Tensor): Attribute => ({ kind: 'tensor', value: memoryTensor('', tensor) });
const cast = (to: keyof typeof dataTypes) => ({ to: int(dataTypes[to].code) });
const stored = randomTensor([3, 4]);
const floats = (...values: number[]): Tensor => fromFloat(Float64Array.from(values), 'float32', [values.length]);

interface Pattern {
  /** Nodes that make `w`, of shape [4, 3]. */
  readonly nodes: readonly GraphNode[];
  readonly initializers?: Readonly<Record<string, Tensor>>;
  /** Name of the stored tensor, and operators from it to the layer. */
  readonly tensor: string;
  readonly via: readonly string[];
  readonly isPrunable: boolean;
}

const patterns: Record<string, Pattern> = {
  initializer: { nodes: [], initializers: { w: randomTensor([4, 3]) }, tensor: 'w', via: [], isPrunable: true },
  Identity: {
    nodes: [makeNode('Identity', ['s'], ['t']), makeNode('Identity', ['t'], ['w'])],
    initializers: { s: randomTensor([4, 3]) },
    tensor: 's',
    via: ['Identity', 'Identity'],
    isPrunable: true,
  },
  Transpose: {
    nodes: [makeNode('Transpose', ['s'], ['w'])],
    initializers: { s: stored },
    tensor: 's',
    via: ['Transpose'],
    isPrunable: true,
  },
  Constant: {
    nodes: [makeNode('Constant', [], ['w'], { value: tensorAttribute(randomTensor([4, 3])) })],
    tensor: 'w',
    via: [],
    isPrunable: true,
  },
  'Constant behind Transpose': {
    nodes: [
      makeNode('Constant', [], ['c'], { value: tensorAttribute(stored) }),
      makeNode('Transpose', ['c'], ['w'], { perm: ints([1, 0]) }),
    ],
    tensor: 'c',
    via: ['Transpose'],
    isPrunable: true,
  },
  ConstantOfShape: {
    nodes: [makeNode('ConstantOfShape', ['s'], ['w'], { value: tensorAttribute(floats(0.25)) })],
    initializers: { s: int64Tensor([4, 3]) },
    tensor: 'w',
    via: [],
    isPrunable: true,
  },
  'Cast from half precision': {
    nodes: [makeNode('Cast', ['s'], ['w'], cast('float32'))],
    initializers: { s: randomTensor([4, 3], 1, 'float16') },
    tensor: 's',
    via: ['Cast'],
    isPrunable: true,
  },
  'Cast from integers': {
    nodes: [makeNode('Cast', ['s'], ['w'], cast('float32'))],
    initializers: { s: randomTensor([4, 3], 1, 'int8') },
    tensor: 's',
    via: ['Cast'],
    isPrunable: false,
  },
  'DequantizeLinear per tensor': {
    nodes: [makeNode('DequantizeLinear', ['s', 'scale', 'zero'], ['w'])],
    initializers: {
      s: randomTensor([4, 3], 1, 'uint8'),
      scale: { dtype: 'float32', dims: [], data: Float32Array.of(0.5) },
      zero: { dtype: 'uint8', dims: [], data: Uint8Array.of(3) },
    },
    tensor: 's',
    via: ['DequantizeLinear'],
    isPrunable: false,
  },
  'DequantizeLinear per channel, then Transpose': {
    nodes: [
      makeNode('DequantizeLinear', ['s', 'scale'], ['t'], { axis: int(-2) }),
      // ONNX Runtime 1.30 aborts the process on this pattern when the permutation is left to its default.
      makeNode('Transpose', ['t'], ['w'], { perm: ints([1, 0]) }),
    ],
    initializers: { s: randomTensor([3, 4], 1, 'int8'), scale: floats(0.5, 2, 3) },
    tensor: 's',
    via: ['DequantizeLinear', 'Transpose'],
    isPrunable: false,
  },
};

/** y = x·w with the nodes that make w; `w` is an output too, so that ONNX Runtime says what it is. */
function withPattern({ nodes, initializers }: Pattern): Graph {
  return makeGraph({
    nodes: [...nodes, makeNode('MatMul', ['x', 'w'], ['y'])],
    inputs: [value('x', [2, 4])],
    outputs: [value('y'), value('w')],
    initializers,
  });
}

describe('weights', () => {
  it.each(Object.entries(patterns))('given as %s are read as the runtime sees them', async (_name, pattern) => {
    const graph = withPattern(pattern);
    const [layer, ...others] = findLayers(graph);
    expect(others).toEqual([]);
    expect(layer.weight.ref.name).toBe(pattern.tensor);
    expect(layer.weight.via.map((node) => node.opType)).toEqual(pattern.via);
    expect(isFloatWeight(layer.weight)).toBe(pattern.isPrunable);
    const { w } = await runGraph(graph, { x: randomTensor([2, 4]) });
    expect(layer.weight.dims).toEqual(w.dims);
    if (pattern.isPrunable) expect(layer.weight.dtype).toBe(w.dtype);
    expect([...readWeight(layer.scope, layer.weight)!]).toEqual([...toFloat64(w)]);
    expect((await factsOf(graph)).totals.macs).toBe(24);
  });

  it('that are computed from the input are none', () => {
    const pattern = { ...patterns.Identity, nodes: [makeNode('Relu', ['s'], ['w'])] };
    expect(findLayers(withPattern(pattern))).toEqual([]);
  });

  const unreadable: [string, Tensor][] = [
    ['float8e4m3fn', { dtype: 'float8e4m3fn', dims: [4, 3], data: new Uint8Array(12) }],
    ['int4', { dtype: 'int4', dims: [4, 3], data: new Uint8Array(6) }],
  ];
  it.each(unreadable)('of type %s are declined, not misread', (dtype, tensor) => {
    const pattern = {
      ...patterns.Identity,
      nodes: [makeNode('DequantizeLinear', ['s', 'scale'], ['w'])],
      initializers: { s: tensor, scale: floats(1) },
    };
    const [layer] = findLayers(withPattern(pattern));
    expect(layer.reason).toBe(`${dtype} weights: prune the float model, then quantize it again`);
    expect(readWeight(layer.scope, layer.weight)).toBeNull();
  });

  const quantized: [string, string[], number[], number, string | null][] = [
    ['QLinearConv', ['x', 'one', 'none', 'w', 'scale', 'zero', 'one', 'none'], [3, 2, 3, 3], 0, 'scale'],
    ['ConvInteger', ['x', 'w', '', 'zero'], [3, 2, 3, 3], 0, null],
    ['MatMulInteger', ['x', 'w', '', 'zero'], [4, 3], 1, null],
    ['QLinearMatMul', ['w', 'scale', 'zero', 'x', 'one', 'none', 'one', 'none'], [3, 4], 0, 'scale'],
  ];
  it.each(quantized)('of %s mean what their scales and zero points say', async (op, inputs, dims, axis, scale) => {
    const w = randomTensor(dims, 1, 'uint8');
    const zero: Tensor = { dtype: 'uint8', dims: [3], data: Uint8Array.of(1, 5, 200) };
    for (const [scales, zeros] of [
      [floats(0.5, 2, 3), zero],
      [
        { ...floats(0.25), dims: [] },
        { dtype: 'uint8', dims: [], data: Uint8Array.of(7) },
      ],
    ] as [Tensor, Tensor][]) {
      const graph = makeGraph({
        nodes: [makeNode(op, inputs, ['y'])],
        inputs: [value('x', null, 'uint8')],
        outputs: [value('y')],
        initializers: { w, scale: scales, zero: zeros, one: floats(1), none: { ...zeros, data: new Uint8Array(3) } },
      });
      const [layer] = findLayers(graph);
      // DequantizeLinear is the same arithmetic; without a scale it is taken as 1.
      const ones = { ...scales, data: (scales.data as Float32Array).map(() => 1) };
      const oracle = makeGraph({
        nodes: [makeNode('DequantizeLinear', ['w', 'scale', 'zero'], ['d'], { axis: int(axis) })],
        inputs: [value('w', dims, 'uint8')],
        outputs: [value('d')],
        initializers: { scale: scale ? scales : ones, zero: zeros },
      });
      const { d } = await runGraph(oracle, { w });
      expect([...readWeight(layer.scope, layer.weight)!]).toEqual([...toFloat64(d)]);
    }
  });

  it('of an endless chain of Identity end the search', () => {
    const graph = withPattern({ ...patterns.Identity, nodes: [makeNode('Identity', ['w'], ['w'])] });
    expect(findLayers(graph)).toEqual([]);
  });
});

/** A layer of a weight and a node with these names. */
function named(weight: string, node = '', output = 'y'): Layer['name'] {
  const graph = makeGraph({
    nodes: [makeNode('Conv', ['x', weight], [output], {}, node)],
    inputs: [value('x', [1, 2, 4, 4])],
    outputs: [value(output)],
    initializers: { [weight]: randomTensor([2, 2, 3, 3]) },
  });
  return findLayers(graph)[0].name;
}

describe('layers', () => {
  const names: [string, string, string, string][] = [
    ['layer1.0.conv1', 'layer1.0.conv1.weight', '/layer1/layer1.0/conv1/Conv', 'PyTorch'],
    ['features.0', 'features.0.weight', 'Conv_0', 'older PyTorch'],
    ['layer1.0.conv1', 'onnx::Conv_193', '/layer1/layer1.0/conv1/Conv', 'PyTorch with folded weights'],
    ['Conv_12', '221', 'Conv_12', 'PyTorch 1.2'],
    ['block_1/conv', 'block_1/conv/kernel', 'whatever', 'Keras'],
    ['conv2d', 'conv2d/Conv2D/ReadVariableOp:0', 'functional/conv2d/Conv2D', 'tf2onnx'],
    ['dense', 'dense_W', '', 'Keras to ONNX'],
    ['gpu_0/conv1', 'gpu_0/conv1_w_0', '', 'Caffe2'],
    ['conv1', 'conv1_weight_quantized', '', 'ONNX quantization'],
    ['y', 'val_3', '', 'no name but the output'],
  ];
  it.each(names)('is called %s for the weight %s of node %s (%s)', (expected, weight, node) => {
    expect(named(weight, node)).toBe(expected);
  });

  it('that share a weight get a number', () => {
    const graph = makeGraph({
      nodes: ['a', 'b', 'c'].map((out, i) => makeNode('MatMul', [['x', 'a', 'b'][i], 'tied.weight'], [out])),
      inputs: [value('x', [2, 4])],
      outputs: [value('c')],
      initializers: { 'tied.weight': randomTensor([4, 4]) },
    });
    expect(findLayers(graph).map((layer) => layer.name)).toEqual(['tied', 'tied#2', 'tied#3']);
  });

  it('of another operator set are not taken for ours', () => {
    const graph = makeGraph({
      nodes: [makeNode('Conv', ['x', 'w'], ['y'], {}, '', 'com.example')],
      inputs: [value('x', [1, 2, 4, 4])],
      outputs: [value('y')],
      initializers: { w: randomTensor([2, 2, 3, 3]) },
    });
    expect(findLayers(graph)).toEqual([]);
  });
});

test('a model that cannot be run keeps its weights-only facts and says why', async () => {
  const graph = makeGraph({
    nodes: [
      makeNode('Conv', ['x', 'w'], ['h']),
      makeNode('Mystery', ['h'], ['g']),
      makeNode('Gemm', ['g', 'v'], ['y']),
    ],
    inputs: [value('x', [1, 2, 4, 4])],
    outputs: [value('y', [1, 5])],
    initializers: { w: randomTensor([2, 2, 3, 3]), v: randomTensor([8, 5]) },
  });
  const facts = await factsOf(graph);
  expect(facts.shapes).toBeNull();
  expect(facts.shapesReason).toMatch(/Mystery/);
  expect(facts.totals).toMatchObject({ params: 36 + 40, macs: null });
  // The last layer's shape is declared; the first one's is not.
  expect(facts.layers.map(({ macs, macsReason }) => [macs, macsReason])).toEqual([
    [null, facts.shapesReason],
    [40, null],
  ]);
});
