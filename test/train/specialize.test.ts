import { describe, expect, test } from 'vitest';
import { int, makeNode } from '../../src/graph/graph';
import { float32Tensor, int64Tensor, memoryTensor } from '../../src/tensor/tensor';
import { specialize } from '../../src/train/specialize';
import { metadataOf } from '../support/graphs';
import { makeGraph, value } from '../support/onnxBuilder';

const metadata = metadataOf();

const weight = float32Tensor(Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]);

/** x [N, 3] → y [N, 2] → z [2, N] → flat [2·N] */
const graph = makeGraph({
  nodes: [
    makeNode('MatMul', ['x', 'w'], ['y']),
    makeNode('Transpose', ['y'], ['z']),
    makeNode('Reshape', ['z', 'all'], ['flat']),
  ],
  inputs: [value('x', ['N', 3])],
  outputs: [value('flat', [''])],
  initializers: { w: weight, all: int64Tensor([-1]) },
});

describe('specialize', () => {
  test('finds which axes change with the batch', async () => {
    const { shapes } = await specialize(graph, metadata);
    expect(Object.fromEntries(shapes)).toEqual({
      x: [null, 3],
      w: [3, 2],
      all: [1],
      y: [null, 2],
      z: [2, null],
      flat: [null],
    });
  });

  test('takes a fixed batch size as it is', async () => {
    const fixed = { ...graph, inputs: [value('x', [4, 3])] };
    const { shapes } = await specialize(fixed, metadata);
    expect(shapes.get('z')).toEqual([2, 4]);
  });

  test('takes a model that runs with one batch size only as it is', async () => {
    const stiff = makeGraph({
      nodes: [makeNode('Reshape', ['x', 'target'], ['y'])],
      inputs: [value('x', ['N', 6])],
      outputs: [value('y', [])],
      initializers: { target: int64Tensor([1, 2, 3]) },
    });
    expect((await specialize(stiff, metadata)).shapes.get('y')).toEqual([1, 2, 3]);
  });

  test('stores constants, and takes initializers off the inputs', async () => {
    const old = makeGraph({
      nodes: [
        makeNode('Constant', [], ['w'], { value: { kind: 'tensor', value: memoryTensor('w', weight) } }),
        makeNode('Gemm', ['x', 'w', 'b'], ['y']),
      ],
      inputs: [value('x', ['N', 3]), value('b', [2])],
      outputs: [value('y', ['N', 2])],
      initializers: { b: float32Tensor(Float32Array.of(1, 2), [2]) },
    });
    const result = await specialize(old, metadata);
    expect(result.graph.nodes.map((node) => node.opType)).toEqual(['Gemm']);
    expect([...result.graph.initializers.keys()].sort()).toEqual(['b', 'w']);
    expect(result.graph.inputs.map((input) => input.name)).toEqual(['x']);
    expect(result.metadata.opsets.get('')).toBe(18);
  });

  test('computes what follows from shapes, but for the batch', async () => {
    const shaped = makeGraph({
      nodes: [
        makeNode('Shape', ['x'], ['s']),
        makeNode('Gather', ['s', 'one'], ['channels'], { axis: int(0) }),
        makeNode('Mul', ['channels', 'two'], ['double']),
        makeNode('Gather', ['s', 'zero'], ['batch'], { axis: int(0) }),
        makeNode('Concat', ['batch', 'double', 'rest'], ['target'], { axis: int(0) }),
        makeNode('Reshape', ['x', 'target'], ['y']),
      ],
      inputs: [value('x', ['N', 3, 4])],
      outputs: [value('y', ['N', 6, 2])],
      initializers: {
        zero: int64Tensor([0]),
        one: int64Tensor([1]),
        two: int64Tensor([2]),
        rest: int64Tensor([-1]),
      },
    });
    const { graph: result, shapes } = await specialize(shaped, metadata);
    expect(result.nodes.map((node) => node.opType)).toEqual(['Shape', 'Gather', 'Concat', 'Reshape']);
    expect(Array.from(result.initializers.get('double')!.read().data, Number)).toEqual([6]);
    expect(shapes.get('y')).toEqual([null, 6, 2]);
  });

  test('leaves what comes from weights alone', async () => {
    const rotated = makeGraph({
      nodes: [makeNode('Transpose', ['w'], ['wt']), makeNode('Gemm', ['x', 'wt'], ['y'])],
      inputs: [value('x', ['N', 2])],
      outputs: [value('y', ['N', 3])],
      initializers: { w: weight },
    });
    const { graph: result } = await specialize(rotated, metadata);
    expect(result.nodes.map((node) => node.opType)).toEqual(['Transpose', 'Gemm']);
  });
});
