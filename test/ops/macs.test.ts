/** Multiply-accumulates and matrix forms of every operator that can hold a weight, by running one-layer models. */
import { expect, test } from 'vitest';
import { type Attribute, int, ints, makeNode } from '../../src/graph/graph';
import type { LayerFacts } from '../../src/protocol/facts';
import type { DataType } from '../../src/tensor/dtype';
import type { Tensor } from '../../src/tensor/tensor';
import { factsOf, randomTensor } from '../support/graphs';
import { makeGraph, value } from '../support/onnxBuilder';

interface Case {
  readonly node: {
    readonly op: string;
    readonly inputs: readonly string[];
    readonly attributes?: Record<string, Attribute>;
  };
  /** Shape of the input `x`, or of all inputs. */
  readonly x: readonly number[];
  readonly type?: DataType;
  readonly stored: Readonly<Record<string, Tensor>>;
  readonly expected: Partial<LayerFacts>;
}

const scalar = (value: number): Tensor => ({ dtype: 'float32', dims: [], data: Float32Array.of(value) });
const zero: Tensor = { dtype: 'uint8', dims: [], data: Uint8Array.of(3) };
const conv = (attributes: Record<string, Attribute> = {}, op = 'Conv') => ({ op, inputs: ['x', 'w'], attributes });

const cases: Record<string, Case> = {
  '1-D convolution': {
    node: conv(),
    x: [1, 4, 10],
    stored: { w: randomTensor([6, 4, 3]) },
    expected: { macs: 8 * 6 * 4 * 3, outputShape: [1, 6, 8], matrices: { blocks: 1, rows: 6, cols: 12 } },
  },
  '2-D convolution with stride, asymmetric pads and a bias': {
    node: { op: 'Conv', inputs: ['x', 'w', 'b'], attributes: { strides: ints([2, 1]), pads: ints([0, 1, 2, 0]) } },
    x: [1, 3, 9, 8],
    stored: { w: randomTensor([32, 3, 3, 3]), b: randomTensor([32]) },
    expected: {
      macs: 5 * 7 * 32 * 27,
      params: 32 * 27 + 32,
      outputShape: [1, 32, 5, 7],
      breakEvenRank: (32 * 27) / 59,
    },
  },
  '2-D convolution with SAME padding and stride': {
    node: conv({ auto_pad: { kind: 'string', value: 'SAME_UPPER' }, strides: ints([2, 2]) }),
    x: [1, 16, 7, 7],
    stored: { w: randomTensor([16, 16, 3, 3]) },
    expected: { macs: 16 * 16 * 144, outputShape: [1, 16, 4, 4] },
  },
  '3-D convolution': {
    node: conv(),
    x: [1, 2, 4, 5, 6],
    stored: { w: randomTensor([5, 2, 2, 3, 3]) },
    expected: { macs: 3 * 3 * 4 * 5 * 2 * 18, matrices: { blocks: 1, rows: 5, cols: 36 } },
  },
  'grouped convolution': {
    node: conv({ group: int(4) }),
    x: [1, 32, 6, 6],
    stored: { w: randomTensor([64, 8, 3, 3]) },
    expected: { macs: 16 * 64 * 8 * 9, matrices: { blocks: 4, rows: 16, cols: 72 }, fullRank: 16, reason: null },
  },
  'depthwise convolution': {
    node: conv({ group: int(32) }),
    x: [1, 32, 6, 6],
    stored: { w: randomTensor([32, 1, 3, 3]) },
    expected: {
      macs: 16 * 32 * 9,
      matrices: { blocks: 32, rows: 1, cols: 9 },
      reason: 'depthwise: each group is a matrix of rank 1',
    },
  },
  'transposed convolution': {
    node: conv({ strides: ints([2, 2]) }, 'ConvTranspose'),
    x: [1, 8, 5, 5],
    stored: { w: randomTensor([8, 6, 3, 3]) },
    expected: {
      macs: 25 * 8 * 6 * 9,
      outputShape: [1, 6, 11, 11],
      matrices: { blocks: 1, rows: 8, cols: 54 },
      reason: 'transposed convolutions are left alone by this method',
    },
  },
  'grouped transposed convolution': {
    node: conv({ group: int(2) }, 'ConvTranspose'),
    x: [1, 8, 5, 5],
    stored: { w: randomTensor([8, 6, 3, 3]) },
    expected: { macs: 25 * 8 * 6 * 9, outputShape: [1, 12, 7, 7], matrices: { blocks: 2, rows: 4, cols: 54 } },
  },
  'Gemm with stored [in, out]': {
    node: { op: 'Gemm', inputs: ['x', 'w', 'b'] },
    x: [1, 40],
    stored: { w: randomTensor([40, 30]), b: randomTensor([30]) },
    expected: { macs: 1200, params: 1230, outputShape: [1, 30], matrices: { blocks: 1, rows: 40, cols: 30 } },
  },
  'Gemm with transA and transB': {
    node: { op: 'Gemm', inputs: ['x', 'w'], attributes: { transA: int(1), transB: int(1) } },
    x: [40, 7],
    stored: { w: randomTensor([30, 40]) },
    expected: { macs: 7 * 1200, outputShape: [7, 30], matrices: { blocks: 1, rows: 30, cols: 40 } },
  },
  'MatMul with the weight on the right, over a batch of sequences': {
    node: { op: 'MatMul', inputs: ['x', 'w'] },
    x: [2, 5, 40],
    stored: { w: randomTensor([40, 30]) },
    expected: { macs: 2 * 5 * 40 * 30, outputShape: [2, 5, 30], reason: null },
  },
  'MatMul with the weight on the left': {
    node: { op: 'MatMul', inputs: ['w', 'x'] },
    x: [40, 5],
    stored: { w: randomTensor([30, 40]) },
    expected: { macs: 30 * 40 * 5, outputShape: [30, 5], reason: 'the weight is the left factor of the product' },
  },
  'MatMul with a batch of weights': {
    node: { op: 'MatMul', inputs: ['x', 'w'] },
    x: [4, 5, 8],
    stored: { w: randomTensor([4, 8, 3]) },
    expected: {
      macs: 4 * 5 * 8 * 3,
      matrices: { blocks: 4, rows: 8, cols: 3 },
      reason: 'a batch of weight matrices',
    },
  },
  'MatMul with a vector': {
    node: { op: 'MatMul', inputs: ['x', 'w'] },
    x: [6, 8],
    stored: { w: randomTensor([8]) },
    expected: {
      macs: 48,
      matrices: null,
      fullRank: 0,
      reason: 'a MatMul weight needs at least 2 dimensions, found 1',
    },
  },
  'a matrix of one row': {
    node: { op: 'MatMul', inputs: ['x', 'w'] },
    x: [6, 1],
    stored: { w: randomTensor([1, 8]) },
    expected: { macs: 48, reason: 'a matrix of rank 1' },
  },
  ConvInteger: {
    node: { op: 'ConvInteger', inputs: ['x', 'w', 'xz', 'wz'] },
    x: [1, 4, 6, 6],
    type: 'uint8',
    stored: { w: randomTensor([8, 4, 3, 3], 1, 'uint8'), xz: zero, wz: zero },
    expected: {
      macs: 16 * 8 * 36,
      params: 288,
      bytes: 288,
      reason: 'uint8 weights: prune the float model, then quantize it again',
    },
  },
  QLinearConv: {
    node: { op: 'QLinearConv', inputs: ['x', 'xs', 'xz', 'w', 'ws', 'wz', 'ys', 'yz', 'b'] },
    x: [1, 4, 6, 6],
    type: 'uint8',
    stored: {
      w: randomTensor([8, 4, 3, 3], 1, 'uint8'),
      b: randomTensor([8], 2, 'int32'),
      ...{ xs: scalar(0.1), xz: zero, ws: scalar(0.2), wz: zero, ys: scalar(0.3), yz: zero },
    },
    expected: { macs: 16 * 8 * 36, params: 288 + 8, bytes: 288 + 32 },
  },
  MatMulInteger: {
    node: { op: 'MatMulInteger', inputs: ['x', 'w'] },
    x: [5, 8],
    type: 'uint8',
    stored: { w: randomTensor([8, 3], 1, 'int8') },
    expected: { macs: 120, reason: 'int8 weights: prune the float model, then quantize it again' },
  },
  'QLinearMatMul with the weight on the left': {
    node: { op: 'QLinearMatMul', inputs: ['w', 'ws', 'wz', 'x', 'xs', 'xz', 'ys', 'yz'] },
    x: [8, 3],
    type: 'uint8',
    stored: {
      w: randomTensor([5, 8], 1, 'uint8'),
      ...{ xs: scalar(0.1), xz: zero, ws: scalar(0.2), wz: zero, ys: scalar(0.3), yz: zero },
    },
    expected: { macs: 120, params: 40 },
  },
};

test.each(Object.entries(cases))('%s', async (_name, { node, x, type = 'float32', stored, expected }) => {
  const graph = makeGraph({
    nodes: [makeNode(node.op, node.inputs, ['y'], node.attributes)],
    inputs: [value('x', x, type)],
    outputs: [value('y', null, type)],
    initializers: stored,
  });
  const facts = await factsOf(graph);
  expect(facts.shapesReason).toBeNull();
  expect(facts.layers).toHaveLength(1);
  expect(facts.layers[0]).toMatchObject({ opType: node.op, ...expected });
  expect(facts.totals.macs).toBe(expected.macs);
  // What a layer has is all a model of one layer has.
  expect(facts.totals).toMatchObject({ params: facts.layers[0].params, bytes: facts.layers[0].bytes });
});

test.each(['Conv', 'ConvTranspose', 'Gemm', 'MatMul'])('%s of two computed values is no layer', async (op) => {
  const shape = op.startsWith('Conv') ? [1, 1, 4, 4] : [4, 4];
  const graph = makeGraph({
    nodes: [makeNode('Relu', ['x'], ['w']), makeNode(op, ['x', 'w'], ['y'])],
    inputs: [value('x', shape)],
    outputs: [value('y')],
  });
  expect((await factsOf(graph)).layers).toEqual([]);
});
