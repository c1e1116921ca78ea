/**
 * ResNets for CIFAR (He et al., 2016, section 4.2) with random weights, as exporters write them: Conv, normalization and
 * ReLU as nodes of their own, shortcuts by slicing and padding. On request every 3×3 convolution but the first is
 * factorized at the rank where it costs half.
 */
import { float, type Graph, type GraphNode, int, ints, makeNode } from '../src/graph/graph';
import { seededRandom } from '../src/linalg/random';
import { float32Tensor, int64Tensor, memoryTensor, type Tensor, type TensorRef } from '../src/tensor/tensor';

export interface CifarResNet {
  readonly graph: Graph;
  /** Values between the halves of factorized layers. */
  readonly inners: readonly string[];
}

export const imageSide = 32;
export const classCount = 10;
const widths = [16, 32, 64];

/** Rank at which a 3×3 layer's two halves cost half of what it did: r·(9·c_i + c_o) = 9·c_i·c_o / 2. */
export function halfRank(inputs: number, outputs: number): number {
  return Math.max(1, Math.round((9 * inputs * outputs) / 2 / (9 * inputs + outputs)));
}

/** @param depth 6·n + 2: 20, 56 */
export function cifarResNet(depth: number, factorized: boolean): CifarResNet {
  const random = seededRandom(depth);
  const initializers = new Map<string, TensorRef>();
  const nodes: GraphNode[] = [];
  const inners: string[] = [];
  const keep = (name: string, tensor: Tensor): string => {
    initializers.set(name, memoryTensor(name, tensor));
    return name;
  };
  const floats = (name: string, dims: readonly number[], make: () => number): string => {
    const count = dims.reduce((product, n) => product * n, 1);
    return keep(name, float32Tensor(Float32Array.from({ length: count }, make), dims));
  };
  const weight = (name: string, dims: readonly number[]): string => {
    const fanIn = dims.slice(1).reduce((product, n) => product * n, 1);
    return floats(name, dims, () => random.normal() * Math.sqrt(2 / fanIn));
  };
  const conv = (name: string, X: string, inputs: number, outputs: number, stride: number): string => {
    const window = { kernel_shape: ints([3, 3]), strides: ints([stride, stride]), pads: ints([1, 1, 1, 1]) };
    const Y = `${name}/conv`;
    if (factorized && inputs !== 3) {
      const rank = halfRank(inputs, outputs);
      const inner = `${name}/inner`;
      inners.push(inner);
      nodes.push(
        makeNode('Conv', [X, weight(`${name}.a`, [rank, inputs, 3, 3])], [inner], window),
        makeNode('Conv', [inner, weight(`${name}.b`, [outputs, rank, 1, 1])], [Y], { kernel_shape: ints([1, 1]) }),
      );
    } else {
      nodes.push(makeNode('Conv', [X, weight(`${name}.weight`, [outputs, inputs, 3, 3])], [Y], window));
    }
    const statistics = [
      floats(`${name}.gamma`, [outputs], () => 1),
      floats(`${name}.beta`, [outputs], () => 0),
      floats(`${name}.mean`, [outputs], () => 0),
      floats(`${name}.variance`, [outputs], () => 1),
    ];
    nodes.push(makeNode('BatchNormalization', [Y, ...statistics], [`${name}/bn`], { epsilon: float(1e-5) }));
    return `${name}/bn`;
  };
  const relu = (name: string, X: string): string => {
    nodes.push(makeNode('Relu', [X], [`${name}/relu`]));
    return `${name}/relu`;
  };
  const sizes = (name: string, values: readonly number[]): string => keep(name, int64Tensor(values));

  let value = relu('stem', conv('stem', 'x', 3, 16, 1));
  let channels = 16;
  for (const [stage, width] of widths.entries()) {
    for (let block = 0; block < (depth - 2) / 6; block++) {
      const name = `stage${stage}.${block}`;
      const stride = stage > 0 && block === 0 ? 2 : 1;
      const first = relu(`${name}.first`, conv(`${name}.first`, value, channels, width, stride));
      const second = conv(`${name}.second`, first, width, width, 1);
      let shortcut = value;
      if (stride === 2) {
        const extra = (width - channels) / 2;
        nodes.push(
          makeNode(
            'Slice',
            [
              value,
              sizes('starts', [0, 0]),
              sizes('ends', [2 ** 30, 2 ** 30]),
              sizes('axes', [2, 3]),
              sizes('steps', [2, 2]),
            ],
            [`${name}/half`],
          ),
          makeNode('Pad', [`${name}/half`, sizes(`${name}.pads`, [0, extra, 0, 0, 0, extra, 0, 0])], [`${name}/wide`]),
        );
        shortcut = `${name}/wide`;
      }
      nodes.push(makeNode('Add', [second, shortcut], [`${name}/sum`]));
      value = relu(name, `${name}/sum`);
      channels = width;
    }
  }
  nodes.push(
    makeNode('GlobalAveragePool', [value], ['pooled']),
    makeNode('Flatten', ['pooled'], ['features'], { axis: int(1) }),
    makeNode(
      'Gemm',
      ['features', weight('head.weight', [classCount, 64]), floats('head.bias', [classCount], () => 0)],
      ['logits'],
      {
        transB: int(1),
      },
    ),
  );
  return {
    graph: {
      name: `resnet${depth}`,
      nodes,
      inputs: [{ name: 'x', dtype: 'float32', shape: ['N', 3, imageSide, imageSide] }],
      outputs: [{ name: 'logits', dtype: 'float32', shape: ['N', classCount] }],
      valueInfo: [],
      initializers,
    },
    inners,
  };
}
