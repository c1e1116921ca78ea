import { describe, expect, test } from 'vitest';
import { openModel } from '../../src/formats';
import { serializeGraph } from '../../src/formats/onnx/serialize';
import {
  type Attribute,
  float,
  type Graph,
  int,
  ints,
  type ModelMetadata,
  makeNode,
  string,
} from '../../src/graph/graph';
import { validateGraph } from '../../src/graph/validate';
import { createSession } from '../../src/runtime/session';
import { dummyInputs, inputShapes } from '../../src/runtime/shapes';
import { float32Tensor, int64Tensor, type Tensor } from '../../src/tensor/tensor';
import { TRAINING_OPSET, trainingMetadata, upgradeGraph } from '../../src/train/upgrade';
import { filled } from '../support/gradient';
import { metadataOf } from '../support/graphs';
import { makeGraph, value } from '../support/onnxBuilder';
import { hasShared, sharedFile } from '../support/shared';

const uniform = (dims: readonly number[], seed = 0): Tensor =>
  float32Tensor(
    Float32Array.from(
      filled(
        dims.reduce((a, b) => a * b, 1),
        seed,
      ),
    ),
    dims,
  );
const floats = (values: readonly number[], dims: readonly number[] = [values.length]): Tensor =>
  float32Tensor(Float32Array.from(values), dims);

async function run(graph: Graph, metadata: ModelMetadata, feeds: Record<string, Tensor>): Promise<Tensor[]> {
  const session = await createSession(serializeGraph(graph, metadata), { threads: 1 });
  const results = await session.run(feeds);
  await session.release();
  return graph.outputs.map((output) => results[output.name]);
}

/** Runs a graph before and after: same outputs. */
async function checkUpgrade(graph: Graph, metadata: ModelMetadata, feeds: Record<string, Tensor>): Promise<Graph> {
  const upgraded = upgradeGraph(graph, metadata);
  validateGraph(upgraded);
  expect(trainingMetadata(metadata).opsets.get('')).toBe(TRAINING_OPSET);
  const before = await run(graph, metadata, feeds);
  const after = await run(upgraded, trainingMetadata(metadata), feeds);
  before.forEach((tensor, i) => {
    expect(after[i].dims).toEqual(tensor.dims);
    expect(after[i].data).toEqual(tensor.data);
  });
  return upgraded;
}

interface Row {
  readonly name: string;
  readonly op: string;
  readonly opset: number;
  readonly dims: readonly number[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Inputs after the first. */
  readonly stored?: readonly Tensor[];
  readonly outputs?: number;
  /** What the operator is called afterwards. */
  readonly becomes?: string;
}

const floatList = (values: readonly number[]): Attribute => ({ kind: 'floats', value: values });

const rows: Row[] = [
  {
    name: 'BatchNormalization 7',
    op: 'BatchNormalization',
    opset: 7,
    dims: [2, 2, 3],
    attributes: { spatial: int(1) },
    stored: [floats([1, 2]), floats([3, 4]), floats([0.5, -0.5]), floats([1, 2])],
  },
  {
    name: 'Slice 1',
    op: 'Slice',
    opset: 9,
    dims: [4, 5, 6],
    attributes: { starts: ints([1, -3]), ends: ints([3, 6]), axes: ints([0, 2]) },
  },
  {
    name: 'Slice 1 without axes',
    op: 'Slice',
    opset: 9,
    dims: [4, 5],
    attributes: { starts: ints([1, 2]), ends: ints([3, 2 ** 63]) },
  },
  { name: 'TopK 1', op: 'TopK', opset: 9, dims: [3, 7], attributes: { k: int(2) }, outputs: 2 },
  {
    name: 'Upsample 7',
    op: 'Upsample',
    opset: 7,
    dims: [1, 2, 3, 3],
    attributes: { mode: string('nearest'), scales: floatList([1, 1, 2, 3]) },
    becomes: 'Resize',
  },
  {
    name: 'Upsample 9',
    op: 'Upsample',
    opset: 9,
    dims: [1, 2, 3, 3],
    attributes: { mode: string('linear') },
    stored: [floats([1, 1, 2, 2])],
    becomes: 'Resize',
  },
  {
    name: 'Resize 10 nearest',
    op: 'Resize',
    opset: 10,
    dims: [1, 1, 4, 5],
    attributes: { mode: string('nearest') },
    stored: [floats([1, 1, 1.5, 2])],
  },
  {
    name: 'Resize 10 nearest, smaller',
    op: 'Resize',
    opset: 10,
    dims: [1, 1, 4, 5],
    attributes: { mode: string('nearest') },
    stored: [floats([1, 1, 0.5, 0.6])],
  },
  {
    name: 'Resize 10 linear',
    op: 'Resize',
    opset: 10,
    dims: [1, 1, 4, 5],
    attributes: { mode: string('linear') },
    stored: [floats([1, 1, 2, 1.7])],
  },
  { name: 'Clip 6', op: 'Clip', opset: 10, dims: [9], attributes: { min: float(-0.25), max: float(0.5) } },
  { name: 'Clip 6 with a maximum', op: 'Clip', opset: 10, dims: [9], attributes: { max: float(0.5) } },
  { name: 'Clip 6 without bounds', op: 'Clip', opset: 7, dims: [9] },
  { name: 'Pad 2', op: 'Pad', opset: 10, dims: [2, 3], attributes: { pads: ints([0, 1, 2, 0]), value: float(1.5) } },
  {
    name: 'Pad 2 reflect',
    op: 'Pad',
    opset: 10,
    dims: [3, 4],
    attributes: { pads: ints([1, 2, 2, 0]), mode: string('reflect') },
  },
  {
    name: 'Scatter 9',
    op: 'Scatter',
    opset: 10,
    dims: [3, 3],
    attributes: { axis: int(1) },
    stored: [int64Tensor([0, 2], [1, 2]), floats([7, 8], [1, 2])],
    becomes: 'ScatterElements',
  },
  { name: 'Dropout 7', op: 'Dropout', opset: 7, dims: [5], attributes: { ratio: float(0.4) } },
  { name: 'Softmax 1 of rows', op: 'Softmax', opset: 11, dims: [3, 4] },
  { name: 'Softmax 1 from axis 1', op: 'Softmax', opset: 11, dims: [2, 3, 4] },
  { name: 'Softmax 1 from axis 2', op: 'Softmax', opset: 9, dims: [2, 3, 4, 2], attributes: { axis: int(2) } },
  {
    name: 'LogSoftmax 1 along the last axis',
    op: 'LogSoftmax',
    opset: 11,
    dims: [2, 3, 4],
    attributes: { axis: int(-1) },
  },
  { name: 'Hardmax 1', op: 'Hardmax', opset: 12, dims: [2, 3, 4] },
  {
    name: 'ReduceSum 1',
    op: 'ReduceSum',
    opset: 12,
    dims: [2, 3, 4],
    attributes: { axes: ints([1, 2]), keepdims: int(0) },
  },
  { name: 'ReduceSum 1 of all', op: 'ReduceSum', opset: 11, dims: [2, 3] },
  {
    name: 'Split 2',
    op: 'Split',
    opset: 11,
    dims: [2, 6],
    attributes: { axis: int(1), split: ints([1, 2, 3]) },
    outputs: 3,
  },
  { name: 'Split 2 evenly', op: 'Split', opset: 11, dims: [2, 6], attributes: { axis: int(1) }, outputs: 3 },
  { name: 'Split 13 evenly', op: 'Split', opset: 13, dims: [4, 2], outputs: 2 },
  { name: 'Squeeze 1', op: 'Squeeze', opset: 11, dims: [1, 3, 1], attributes: { axes: ints([0, 2]) } },
  { name: 'Squeeze 1 of all', op: 'Squeeze', opset: 11, dims: [1, 3, 1] },
  { name: 'Unsqueeze 1', op: 'Unsqueeze', opset: 11, dims: [3], attributes: { axes: ints([0, 2]) } },
  {
    name: 'RoiAlign 10',
    op: 'RoiAlign',
    opset: 15,
    dims: [1, 1, 6, 6],
    attributes: { output_height: int(2), output_width: int(2) },
    stored: [floats([0.5, 1, 4, 4.5], [1, 4]), int64Tensor([0])],
  },
  ...[
    'ReduceL1',
    'ReduceL2',
    'ReduceLogSum',
    'ReduceLogSumExp',
    'ReduceMax',
    'ReduceMean',
    'ReduceMin',
    'ReduceProd',
    'ReduceSumSquare',
  ].map(
    (op): Row => ({
      name: `${op} 13`,
      op,
      opset: 13,
      dims: [2, 3, 4],
      attributes: { axes: ints([0, -1]), keepdims: int(0) },
    }),
  ),
];

describe('upgradeGraph keeps what a model computes', () => {
  test.each(rows.map((row) => [row.name, row] as const))('%s', async (_name, row) => {
    const stored = (row.stored ?? []).map((tensor, i) => [`s${i}`, tensor] as const);
    const outputs = Array.from({ length: row.outputs ?? 1 }, (_, i) => `y${i}`);
    const graph = makeGraph({
      nodes: [makeNode(row.op, ['x', ...stored.map(([name]) => name)], outputs, row.attributes)],
      inputs: [value('x', row.dims)],
      outputs: outputs.map((name, i) => value(name, null, row.op === 'TopK' && i === 1 ? 'int64' : 'float32')),
      initializers: Object.fromEntries(stored),
    });
    // Logarithms want positive values.
    const x = uniform(row.dims);
    const feeds = { x: { ...x, data: (x.data as Float32Array).map(row.op === 'ReduceLogSum' ? Math.abs : (v) => v) } };
    const upgraded = await checkUpgrade(graph, metadataOf({ opset: row.opset, irVersion: 4 }), feeds);
    expect(upgraded.nodes.map((node) => node.opType)).toContain(row.becomes ?? row.op);
  });

  test('inside of control flow', async () => {
    const branch = (name: string, low: number): Graph =>
      makeGraph({
        name,
        nodes: [makeNode('Clip', ['x'], [`${name}_y`], { min: float(low) })],
        inputs: [],
        outputs: [value(`${name}_y`)],
      });
    const graph = makeGraph({
      nodes: [
        makeNode('If', ['condition'], ['y'], {
          then_branch: { kind: 'graph', value: branch('a', 0) },
          else_branch: { kind: 'graph', value: branch('b', 0.5) },
        }),
      ],
      inputs: [value('x', [4]), value('condition', [], 'bool')],
      outputs: [value('y')],
    });
    for (const condition of [0, 1]) {
      const feeds: Record<string, Tensor> = {
        x: uniform([4]),
        condition: { dtype: 'bool', dims: [], data: Uint8Array.of(condition) },
      };
      await checkUpgrade(graph, metadataOf({ opset: 10, irVersion: 4 }), feeds);
    }
  });

  test.skipIf(!hasShared).each(['face_detector_rfb320', 'resnet20_cifar10', 'basic_pitch_audio'])(
    '%s',
    async (name) => {
      const model = openModel(sharedFile(`data/models/${name}.onnx`));
      try {
        const feeds = dummyInputs(model.graph, inputShapes(model.graph));
        await checkUpgrade(model.graph, model.metadata, feeds);
      } finally {
        model.close();
      }
    },
  );
});

test('a model in a newer operator set keeps it', () => {
  const graph = makeGraph({
    nodes: [makeNode('Relu', ['x'], ['y'])],
    inputs: [value('x', [1])],
    outputs: [value('y', [1])],
  });
  expect(upgradeGraph(graph, metadataOf({ opset: 21, irVersion: 4 }))).toBe(graph);
  expect(trainingMetadata(metadataOf({ opset: 21, irVersion: 4 })).opsets.get('')).toBe(21);
});

test('a model that is too old is refused', () => {
  const graph = makeGraph({ nodes: [], inputs: [value('x', [1])], outputs: [value('x', [1])] });
  expect(() => upgradeGraph(graph, metadataOf({ opset: 6, irVersion: 4 }))).toThrow(/operator set 6; training needs 7/);
});
