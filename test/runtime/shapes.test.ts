import { afterAll, describe, expect, it, test } from 'vitest';
import { findLayers } from '../../src/analysis/layers';
import { openModel } from '../../src/formats';
import { serializeGraph } from '../../src/formats/onnx/serialize';
import { float, type Graph, int, ints, type ModelMetadata, makeNode } from '../../src/graph/graph';
import { createSession } from '../../src/runtime/session';
import { dummyInputs, inputShapes, probeShapes } from '../../src/runtime/shapes';
import { int64Tensor } from '../../src/tensor/tensor';
import { metadataOf, randomTensor } from '../support/graphs';
import { makeGraph, value } from '../support/onnxBuilder';
import { hasShared, sharedFile } from '../support/shared';

/** What layers of the top level read and write, without what is stored. */
function layerValues(graph: Graph): string[] {
  const layers = findLayers(graph).filter((layer) => layer.path.length === 0);
  const stored = new Set(graph.initializers.keys());
  const names = layers.flatMap(({ node, weightInput, rule }) => [
    ...node.inputs.filter((_, i) => i !== weightInput && i !== rule.bias),
    ...node.outputs,
  ]);
  return [...new Set(names)].filter((name) => name !== '' && !stored.has(name));
}

/** The shapes of values in a run of the model as it is, with all its weights. */
async function shapesOfRun(
  graph: Graph,
  metadata: ModelMetadata,
  values: readonly string[],
  shapes: Readonly<Record<string, readonly number[]>>,
): Promise<Map<string, readonly number[]>> {
  const outputs = values.map((name) => ({ name, dtype: null, shape: null }));
  const session = await createSession(serializeGraph({ ...graph, outputs, valueInfo: [] }, metadata), {
    optimize: 'off',
  });
  try {
    const results = await session.run(dummyInputs(graph, shapes));
    return new Map(Object.entries(results).map(([name, { dims }]) => [name, dims]));
  } finally {
    await session.release();
  }
}

async function checkProbe(graph: Graph, metadata: ModelMetadata, given: Record<string, number[]> = {}): Promise<void> {
  const shapes = inputShapes(graph, given);
  const inputs = new Set(Object.keys(shapes));
  const values = layerValues(graph).filter((name) => !inputs.has(name));
  expect(values.length).toBeGreaterThan(0);
  const probed = await probeShapes(graph, metadata, findLayers(graph), values, shapes);
  const run = await shapesOfRun(graph, metadata, values, shapes);
  for (const [name, dims] of run) expect([name, probed.get(name)]).toEqual([name, [...dims]]);
}

describe.skipIf(!hasShared)('the probe gives the shapes of a real run', () => {
  const close: (() => void)[] = [];
  afterAll(() => {
    for (const each of close) each();
  });
  it.each([
    'resnet20_cifar10',
    'resnet20_cifar10_bnfused',
    'resnet20_cifar10_int8_qdq',
    'resnet20_external/resnet20',
    'resnet56_cifar10',
    'vgg8_cifar10',
    'mobilenet_v1_025_imagenet',
    'face_detector_rfb320',
    'basic_pitch_audio',
    'light_resnet50',
  ])('of %s', async (name) => {
    const model = openModel(sharedFile(`data/models/${name}.onnx`));
    close.push(() => model.close());
    await checkProbe(model.graph, model.metadata);
  });
});

const large = randomTensor([64, 32, 3, 3]);
const graphs: Record<string, Graph> = {
  'a chain of reshapes that depends on the input': makeGraph({
    nodes: [
      makeNode('Conv', ['x', 'w'], ['a'], { pads: ints([1, 1, 1, 1]), strides: ints([2, 2]) }),
      makeNode('Shape', ['a'], ['s']),
      makeNode('Gather', ['s', 'first'], ['n']),
      makeNode('Gather', ['s', 'second'], ['c']),
      makeNode('Concat', ['n', 'c', 'rest'], ['t'], { axis: int(0) }),
      makeNode('Reshape', ['a', 't'], ['b']),
      makeNode('Transpose', ['b'], ['d'], { perm: ints([0, 2, 1]) }),
      makeNode('MatMul', ['d', 'v'], ['y']),
    ],
    inputs: [value('x', ['batch', 32, 'height', 'width'])],
    outputs: [value('y')],
    initializers: {
      w: large,
      v: randomTensor([64, 40]),
      first: int64Tensor([0]),
      second: int64Tensor([1]),
      rest: int64Tensor([-1]),
    },
  }),
  'transposed and grouped convolutions': makeGraph({
    nodes: [
      makeNode('ConvTranspose', ['x', 'w'], ['a'], {
        group: int(4),
        strides: ints([2, 3]),
        output_padding: ints([1, 2]),
      }),
      makeNode('Conv', ['a', 'v', 'b'], ['y'], { group: int(2), dilations: ints([2, 1]) }),
    ],
    inputs: [value('x', [1, 32, 5, 6])],
    outputs: [value('y')],
    initializers: { w: randomTensor([32, 4, 3, 3]), v: randomTensor([24, 8, 3, 3]), b: randomTensor([24]) },
  }),
  'products with transposed operands': makeGraph({
    nodes: [
      makeNode('Gemm', ['x', 'w'], ['a'], { transA: int(1), transB: int(1), alpha: float(2) }),
      makeNode('MatMul', ['left', 'a'], ['y']),
    ],
    inputs: [value('x', [40, 'rows'])],
    outputs: [value('y')],
    initializers: { w: randomTensor([30, 40]), left: randomTensor([20, 128]) },
  }),
  'a weight that is large and not a layer’s': makeGraph({
    nodes: [makeNode('Gather', ['table', 'x'], ['a']), makeNode('MatMul', ['a', 'w'], ['y'])],
    inputs: [value('x', ['batch', 'tokens'], 'int64')],
    outputs: [value('y')],
    initializers: { table: randomTensor([20_000, 64]), w: randomTensor([64, 32]) },
  }),
  'half precision': makeGraph({
    nodes: [makeNode('Conv', ['x', 'w'], ['y'])],
    inputs: [value('x', [1, 32, 9, 9], 'float16')],
    outputs: [value('y', null, 'float16')],
    initializers: { w: randomTensor([64, 32, 3, 3], 1, 'float16') },
  }),
};

test.each(Object.entries(graphs))('the probe sees through %s', async (name, graph) => {
  await checkProbe(graph, metadataOf());
  if (name.startsWith('a chain')) await checkProbe(graph, metadataOf(), { x: [3, 32, 10, 22] });
});

test('the probe computes shapes of old operator sets', async () => {
  const graph = makeGraph({
    nodes: [
      makeNode('Conv', ['x', 'w'], ['a']),
      makeNode('Flatten', ['a'], ['f']),
      makeNode('MatMul', ['f', 'v'], ['y']),
    ],
    inputs: [value('x', [1, 32, 5, 5]), value('w', [64, 32, 3, 3]), value('v', [576, 10])],
    outputs: [value('y')],
    initializers: { w: large, v: randomTensor([576, 10]) },
  });
  for (const opset of [7, 8, 9, 11, 13]) await checkProbe(graph, metadataOf({ opset, irVersion: 3 }));
});

describe('sizes of inputs', () => {
  type Shape = readonly (number | string)[] | null;
  const sizes = (shape: Shape, given?: number[], dtype?: 'float32') =>
    inputShapes(makeGraph({ nodes: [], inputs: [{ name: 'x', dtype: dtype ?? 'float32', shape }], outputs: [] }), {
      ...(given ? { x: given } : {}),
    }).x;

  const defaults: [string, Shape, number[]][] = [
    ['what is declared', [2, 3, 32, 40], [2, 3, 32, 40]],
    ['a batch of one', ['N', 3, 32, 32], [1, 3, 32, 32]],
    ['images of 224', ['N', 3, 'h', 'w'], [1, 3, 224, 224]],
    ['images with the channels last', ['N', 'h', 'w', 3], [1, 224, 224, 3]],
    ['three channels', ['N', '', '', ''], [1, 3, 224, 224]],
    ['sequences of 128', ['batch', 'sequence', 768], [1, 128, 768]],
    ['rows of 128', ['batch', ''], [1, 128]],
    ['one of anything else', ['batch', 'heads', 64], [1, 1, 64]],
    ['no axes', [], []],
    ['sizes of 0 or less, which are free', [0, 3, -1, 32], [1, 3, 224, 32]],
  ];
  it.each(defaults)('are %s', (_name, shape, expected) => {
    expect(sizes(shape)).toEqual(expected);
  });

  it('may be given where they are free, and must be where nothing is declared', () => {
    expect(sizes(['N', 3, 'h', 'w'], [4, 3, 96, 64])).toEqual([4, 3, 96, 64]);
    expect(sizes(null, [2, 5])).toEqual([2, 5]);
  });

  it.each([
    ['another number of axes', [1, 3, 32, 32], [3, 32, 32], 'has 4 dimensions, but 3 sizes were given'],
    ['another size', ['N', 3, 32, 32], [1, 1, 32, 32], "axis 1 of input 'x' is 3, but 1 was given"],
    ['nothing to go by', null, undefined, "input 'x' declares no shape"],
    ['more than can be run', ['N', 3, 'h', 'w'], [1, 3, 100_000, 100_000], '1×3×100000×100000 elements'],
  ] as [string, Shape, number[] | undefined, string][])('are refused: %s', (_name, shape, given, message) => {
    expect(() => sizes(shape, given)).toThrow(message);
  });

  it('are not asked of inputs that are initializers', () => {
    const graph = makeGraph({
      nodes: [],
      inputs: [value('x', [1, 2]), value('w', [2, 2])],
      outputs: [],
      initializers: { w: randomTensor([2, 2]) },
    });
    expect(inputShapes(graph)).toEqual({ x: [1, 2] });
  });
});
