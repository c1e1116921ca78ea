/** Sparse initializers: read as the tensors they stand for, written small, and read by ONNX Runtime. */
import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { openModel } from '../../src/formats';
import { serializeGraph } from '../../src/formats/onnx/serialize';
import { SparseTensorRef, withSparseInitializers } from '../../src/formats/onnx/sparse';
import { writeOnnx } from '../../src/formats/onnx/write';
import { type Graph, int, makeNode } from '../../src/graph/graph';
import { float32Tensor, type Tensor, toFloat32 } from '../../src/tensor/tensor';
import { metadataOf, randomTensor, runGraph } from '../support/graphs';
import { makeGraph, modelBytes, temporaryFolder, value } from '../support/onnxBuilder';
import { decodeModel } from '../support/onnxProto';

/** A layer of which every tenth weight is not zero, and one of which every second is not. */
function layers(): Graph {
  const thinned = (tensor: Tensor, every: number): Tensor =>
    float32Tensor(
      toFloat32(tensor).map((number, i) => (i % every ? 0 : number)),
      tensor.dims,
    );
  return makeGraph({
    nodes: [
      makeNode('Gemm', ['x', 'few'], ['h'], { transB: int(1) }),
      makeNode('Gemm', ['h', 'many', 'bias'], ['y'], { transB: int(1) }),
    ],
    inputs: [value('x', ['N', 20])],
    outputs: [value('y', ['N', 4])],
    initializers: {
      few: thinned(randomTensor([30, 20], 1), 10),
      many: thinned(randomTensor([4, 30], 2), 2),
      bias: float32Tensor(new Float32Array(4), [4]),
    },
  });
}

const names = new Set(['few', 'many']);
const x = randomTensor([3, 20], 3);

/** A file of the layers with what is sparse enough stored so. */
function written(): string {
  const folder = temporaryFolder();
  const dense = path.join(folder, 'dense.onnx');
  fs.writeFileSync(dense, modelBytes(layers()));
  const model = openModel(dense);
  const output = path.join(folder, 'sparse.onnx');
  writeOnnx(model, withSparseInitializers(model.graph, names), output, { overwrite: false });
  model.close();
  expect(fs.statSync(output).size).toBeLessThan(0.6 * fs.statSync(dense).size);
  return output;
}

test('what takes less room so is sparse; the rest, and what was not asked for, stays dense', () => {
  const sparse = withSparseInitializers(layers(), names);
  const kinds = [...sparse.initializers].map(([name, ref]) => [name, ref instanceof SparseTensorRef]);
  expect(kinds).toEqual([
    ['few', true],
    ['many', false],
    ['bias', false],
  ]);
});

test('a written file is read back as the same numbers, and ONNX Runtime computes the same', async () => {
  const file = written();
  const model = openModel(file);
  const graph = layers();
  for (const [name, ref] of graph.initializers) {
    const found = model.graph.initializers.get(name);
    expect(found?.read()).toEqual(ref.read());
    expect(found?.bytes).toBe(ref.bytes);
  }
  const [expected, found] = [await runGraph(graph, { x }), await runGraph(model.graph, { x })];
  expect(found.y).toEqual(expected.y);
  const sparse: { values: { name: string }; dims: unknown[] }[] = decodeModel(fs.readFileSync(file)).graph
    .sparseInitializer;
  expect(sparse.map(({ values }) => values.name)).toEqual(['few']);
  expect(sparse[0].dims.map(Number)).toEqual([30, 20]);
  model.close();
});

test('unchanged it is written back byte for byte, and with another tensor changed it keeps its bytes', () => {
  const file = written();
  const model = openModel(file);
  const again = path.join(path.dirname(file), 'again.onnx');
  writeOnnx(model, model.graph, again, { overwrite: false });
  expect(Buffer.compare(fs.readFileSync(again), fs.readFileSync(file))).toBe(0);
  const initializers = new Map(model.graph.initializers);
  initializers.set('bias', { ...layers().initializers.get('bias'), read: () => randomTensor([4], 9) } as never);
  const changed = path.join(path.dirname(file), 'changed.onnx');
  writeOnnx(model, { ...model.graph, initializers }, changed, { overwrite: false });
  const reopened = openModel(changed);
  expect(reopened.graph.initializers.get('few')).toBeInstanceOf(SparseTensorRef);
  expect(reopened.graph.initializers.get('few')?.read()).toEqual(layers().initializers.get('few')?.read());
  expect(fs.statSync(changed).size).toBe(fs.statSync(file).size);
  reopened.close();
  model.close();
});

test('indices per axis are read as well; indices outside are refused when they are read', () => {
  const int64 = (numbers: number[], dims: number[]) =>
    ({
      name: 'i',
      dtype: 'int64',
      dims,
      bytes: 8 * numbers.length,
      read: () => ({ data: BigInt64Array.from(numbers, BigInt) }),
    }) as never;
  const values = {
    name: 'v',
    dtype: 'float32',
    dims: [2],
    bytes: 8,
    read: () => float32Tensor(Float32Array.of(5, 7), [2]),
  } as const;
  const byAxis = new SparseTensorRef('w', [2, 3], values, int64([0, 2, 1, 0], [2, 2]));
  expect(byAxis.read()).toEqual(float32Tensor(Float32Array.of(0, 0, 5, 7, 0, 0), [2, 3]));
  for (const place of [6, -1]) {
    const outside = new SparseTensorRef('w', [2, 3], values, int64([0, place], [2]));
    expect(() => outside.read()).toThrow(expect.objectContaining({ code: 'sparse-index' }));
  }
});

test('a small file that stands for an enormous tensor is carried along unread', () => {
  const folder = temporaryFolder();
  const huge = new SparseTensorRef(
    'huge',
    [2 ** 15, 2 ** 15],
    { name: 'huge', dtype: 'float32', dims: [1], bytes: 4, read: () => float32Tensor(Float32Array.of(1), [1]) },
    {
      name: 'i',
      dtype: 'int64',
      dims: [1],
      bytes: 8,
      read: () => ({ dtype: 'int64', dims: [1], data: BigInt64Array.of(5n) }),
    },
  );
  const graph = makeGraph({
    nodes: [makeNode('Identity', ['x'], ['y'])],
    inputs: [value('x', [1])],
    outputs: [value('y', [1])],
  });
  const file = path.join(folder, 'huge.onnx');
  const withHuge = { ...graph, initializers: new Map([['huge', huge]]) };
  fs.writeFileSync(file, serializeGraph(withHuge, metadataOf()));
  const model = openModel(file);
  expect(model.graph.initializers.has('huge')).toBe(false);
  expect(model.graph.sparseInitializers).toEqual(['huge']);
  const renamed = path.join(folder, 'renamed.onnx');
  writeOnnx(model, { ...model.graph, name: 'other' }, renamed, { overwrite: false });
  const again = openModel(renamed);
  expect(again.graph.sparseInitializers).toEqual(['huge']);
  again.close();
  model.close();
});
