/**
 * ResNet-50 for 224×224 images as torchvision builds it (stride 2 in the 3×3 of a block, "v1.5"), with
 * BatchNormalization: the graph of He et al., 2016, table 1. Weights are zeros, made when they are read.
 */
import { float, type Graph, type GraphNode, int, ints, makeNode } from '../../src/graph/graph';
import { elementCount } from '../../src/tensor/dtype';
import { float32Tensor, type TensorRef } from '../../src/tensor/tensor';
import { value } from './onnxBuilder';

/** Blocks per stage, and the channels inside them; outputs have four times as many. */
const stages = [
  { blocks: 3, width: 64 },
  { blocks: 4, width: 128 },
  { blocks: 6, width: 256 },
  { blocks: 3, width: 512 },
];

export function resnet50(): Graph {
  const nodes: GraphNode[] = [];
  const initializers = new Map<string, TensorRef>();
  const store = (name: string, dims: readonly number[]): string => {
    const count = elementCount(dims);
    const read = () => float32Tensor(new Float32Array(count), dims);
    initializers.set(name, { name, dtype: 'float32', dims, bytes: 4 * count, read });
    return name;
  };
  const add = (op: string, inputs: string[], name: string, attributes = {}): string => {
    nodes.push(makeNode(op, inputs, [`${name}_out`], attributes, name));
    return `${name}_out`;
  };
  const conv = (x: string, name: string, from: number, to: number, kernel: number, stride: number): string => {
    const pad = (kernel - 1) / 2;
    const y = add('Conv', [x, store(`${name}.weight`, [to, from, kernel, kernel])], name, {
      strides: ints([stride, stride]),
      pads: ints([pad, pad, pad, pad]),
    });
    const norm = name.replace(/conv(\d)$/, 'bn$1').replace(/downsample\.0$/, 'downsample.1');
    const parameters = ['weight', 'bias', 'running_mean', 'running_var'].map((part) => store(`${norm}.${part}`, [to]));
    return add('BatchNormalization', [y, ...parameters], norm, { epsilon: float(1e-5) });
  };
  const relu = (x: string, name: string): string => add('Relu', [x], name);

  let x = relu(conv('input', 'conv1', 3, 64, 7, 2), 'relu');
  x = add('MaxPool', [x], 'maxpool', { kernel_shape: ints([3, 3]), strides: ints([2, 2]), pads: ints([1, 1, 1, 1]) });
  let channels = 64;
  for (const [stage, { blocks, width }] of stages.entries()) {
    for (let block = 0; block < blocks; block++) {
      const name = `layer${stage + 1}.${block}`;
      const stride = block === 0 && stage > 0 ? 2 : 1;
      let y = relu(conv(x, `${name}.conv1`, channels, width, 1, 1), `${name}.relu1`);
      y = relu(conv(y, `${name}.conv2`, width, width, 3, stride), `${name}.relu2`);
      y = conv(y, `${name}.conv3`, width, 4 * width, 1, 1);
      const shortcut = block === 0 ? conv(x, `${name}.downsample.0`, channels, 4 * width, 1, stride) : x;
      x = relu(add('Add', [y, shortcut], `${name}.add`), `${name}.relu3`);
      channels = 4 * width;
    }
  }
  x = add('Flatten', [add('GlobalAveragePool', [x], 'avgpool')], 'flatten');
  nodes.push(
    makeNode(
      'Gemm',
      [x, store('fc.weight', [1000, channels]), store('fc.bias', [1000])],
      ['output'],
      { transB: int(1) },
      'fc',
    ),
  );
  return {
    name: 'resnet50',
    nodes,
    inputs: [value('input', ['N', 3, 224, 224])],
    outputs: [value('output', ['N', 1000])],
    valueInfo: [],
    initializers,
  };
}
