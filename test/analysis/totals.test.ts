/** Parameters and multiply-accumulates of known networks. */
import { afterAll, describe, expect, it, test } from 'vitest';
import { storedTotals } from '../../src/analysis/totals';
import { OpenModels } from '../../src/engine/models';
import { type Graph, makeNode } from '../../src/graph/graph';
import type { ModelFacts } from '../../src/protocol/facts';
import type { Tensor } from '../../src/tensor/tensor';
import { factsOf, randomTensor } from '../support/graphs';
import { makeGraph, value } from '../support/onnxBuilder';
import { resnet50 } from '../support/resnet50';
import { hasShared, sharedFile } from '../support/shared';

test('ResNet-50, stride in the 3×3', async () => {
  const facts = await factsOf(resnet50());
  expect(facts.totals.params).toBe(25_557_032);
  expect(facts.totals.macs).toBe(4_089_184_256);
  expect(facts.layers).toHaveLength(54);
  expect(facts.layers.map((layer) => layer.name)).toEqual(expect.arrayContaining(['conv1', 'layer4.2.conv3', 'fc']));
  // Running statistics are bytes, not parameters.
  const norms = facts.layers.slice(0, -1).reduce((sum, { weight }) => sum + weight.shape[0], 0);
  expect(facts.totals.bytes).toBe(4 * (25_557_032 + 2 * norms));
});

/** ResNet for CIFAR with 6n + 2 layers and parameter-free shortcuts (He et al., 2016, section 4.2). */
function cifarResNet(n: number): { macs: number; params: number } {
  let macs = 32 * 32 * 16 * 27;
  let params = 16 * 27 + 2 * 16;
  let from = 16;
  for (const [stage, width] of [16, 32, 64].entries()) {
    const side = 32 >> stage;
    for (let layer = 0; layer < 2 * n; layer++) {
      macs += side * side * width * from * 9;
      params += width * from * 9 + 2 * width; // BatchNormalization's scale and offset
      from = width;
    }
  }
  return { macs: macs + 640, params: params + 650 };
}

/** MobileNet v1 (Howard et al., 2017, table 1) of width 1/4, for 224×224 images and 1000 classes. */
function mobileNetQuarter(): { macs: number; params: number } {
  const stages = [
    [64, 1],
    [128, 2],
    [128, 1],
    [256, 2],
    [256, 1],
    [512, 2],
    ...Array.from({ length: 5 }, () => [512, 1]),
    [1024, 2],
    [1024, 1],
  ];
  let side = 112;
  let channels = 8;
  let macs = side * side * channels * 27;
  let params = channels * 27 + 2 * channels;
  for (const [width, stride] of stages) {
    side /= stride;
    const to = width / 4;
    macs += side * side * channels * (9 + to);
    params += channels * (9 + to) + 2 * (channels + to);
    channels = to;
  }
  return { macs: macs + channels * 1000, params: params + channels * 1000 + 1000 };
}

/** VGG-19 for 224×224 images (Simonyan & Zisserman, 2015, configuration E). */
function vgg19(): { macs: number; params: number } {
  let [macs, params, side, from] = [0, 0, 224, 3];
  for (const [width, layers] of [
    [64, 2],
    [128, 2],
    [256, 4],
    [512, 4],
    [512, 4],
  ]) {
    for (let i = 0; i < layers; i++) {
      macs += side * side * width * from * 9;
      params += width * from * 9 + width;
      from = width;
    }
    side /= 2;
  }
  for (const [inputs, outputs] of [
    [512 * 49, 4096],
    [4096, 4096],
    [4096, 1000],
  ]) {
    macs += inputs * outputs;
    params += inputs * outputs + outputs;
  }
  return { macs, params };
}

describe.skipIf(!hasShared)('models of the shared folder', () => {
  const models = new OpenModels();
  afterAll(() => models.closeAll());

  const expected: [string, { macs: number; params: number }][] = [
    ['resnet20_cifar10', cifarResNet(3)],
    ['resnet56_cifar10', cifarResNet(9)],
    ['mobilenet_v1_025_imagenet', mobileNetQuarter()],
    ['light_vgg19', vgg19()],
    ['light_resnet50', { macs: 4_089_184_256, params: 25_557_032 }],
    // Batch normalization folded into the convolutions: a bias instead of scale and offset.
    ['resnet20_cifar10_bnfused', { macs: 40_551_040, params: 269_722 - 688 }],
    ['resnet20_cifar10_int8_qdq', { macs: 40_551_040, params: 269_722 - 688 }],
  ];
  it('are of the sizes that are published', () => {
    expect(cifarResNet(3)).toEqual({ macs: 40_551_040, params: 269_722 });
    expect(cifarResNet(9)).toEqual({ macs: 125_485_696, params: 853_018 });
    expect(mobileNetQuarter()).toEqual({ macs: 41_030_272, params: 470_072 });
    expect(vgg19()).toEqual({ macs: 19_632_062_464, params: 143_667_240 });
  });

  it.each(expected)('%s', async (name, totals) => {
    const { facts } = await models.withShapes(sharedFile(`data/models/${name}.onnx`));
    expect(facts.shapesReason).toBeNull();
    expect(facts.totals).toMatchObject(totals);
  });
});

describe('stored tensors', () => {
  /** Two layers that share a weight, one of them seen through Identity; a constant, a scalar and an unread tensor. */
  const shared = makeGraph({
    nodes: [
      makeNode('Identity', ['w'], ['v']),
      makeNode('MatMul', ['x', 'w'], ['a']),
      makeNode('MatMul', ['a', 'v'], ['b']),
      makeNode('Constant', [], ['c'], { value_floats: { kind: 'floats', value: [1, 2, 3, 4] } }),
      makeNode('Add', ['b', 'c'], ['d']),
      makeNode('Mul', ['d', 's'], ['y']),
    ],
    inputs: [value('x', [2, 4])],
    outputs: [value('y'), value('w')],
    initializers: {
      w: randomTensor([4, 4]),
      s: { dtype: 'float32', dims: [], data: Float32Array.of(2) },
      unread: randomTensor([100]),
    },
  });

  it('count once, unread ones and scalars not', () => {
    expect(storedTotals(shared)).toMatchObject({ params: 16 + 4, bytes: 4 * 20 });
  });

  it('know how often they are read, graph outputs included', () => {
    expect(Object.fromEntries(storedTotals(shared).uses)).toEqual({ w: 3, c: 1, s: 1 });
  });

  it('are told apart by the graph they lie in', async () => {
    const branch = (weight: Tensor): Graph =>
      makeGraph({
        nodes: [makeNode('MatMul', ['x', 'w'], ['p']), makeNode('MatMul', ['p', 'top'], ['q'])],
        inputs: [],
        outputs: [value('q')],
        initializers: { w: weight },
      });
    const graph = makeGraph({
      nodes: [
        makeNode('If', ['condition'], ['y'], {
          then_branch: { kind: 'graph', value: branch(randomTensor([4, 8], 1)) },
          else_branch: { kind: 'graph', value: branch(randomTensor([4, 8], 2)) },
        }),
      ],
      inputs: [value('condition', [], 'bool'), value('x', [2, 4])],
      outputs: [value('y')],
      initializers: { top: randomTensor([8, 4]) },
    });
    const { params, uses } = storedTotals(graph);
    expect(params).toBe(3 * 32);
    expect(uses.get('top')).toBe(2);
    const facts: ModelFacts = await factsOf(graph);
    expect(facts.totals.macs).toBeNull();
    expect(facts.layers.map((layer) => [layer.name, layer.macs, layer.macsReason])).toEqual(
      ['then_branch', 'else_branch'].flatMap((name) =>
        ['w', 'top'].map((weight) => [
          `y/${name}/${weight}`,
          null,
          'inside the control flow of y: it may run never or many times',
        ]),
      ),
    );
  });
});
