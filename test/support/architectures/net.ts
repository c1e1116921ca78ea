/** Builds small networks with random weights, layer by layer, as exporters write them. */
import {
  type Attribute,
  float,
  type Graph,
  type GraphNode,
  int,
  ints,
  makeNode,
  type ValueInfo,
} from '../../../src/graph/graph';
import type { DataType } from '../../../src/tensor/dtype';
import { fromFloat, int64Tensor, memoryTensor, type Tensor, type TensorRef } from '../../../src/tensor/tensor';
import { randomTensor } from '../graphs';
import { value } from '../onnxBuilder';

export interface ConvOptions {
  readonly kernel?: number;
  readonly stride?: number;
  readonly groups?: number;
  readonly bias?: boolean;
}

export class Net {
  private readonly nodes: GraphNode[] = [];
  private readonly inputs: ValueInfo[] = [];
  private readonly outputs: ValueInfo[] = [];
  private readonly initializers = new Map<string, TensorRef>();
  private readonly counts = new Map<string, number>();
  /** Channels of a value, where convolutions need to know them. */
  private readonly widths = new Map<string, number>();
  private seed = 1;

  input(name: string, shape: readonly (number | string)[], dtype: DataType = 'float32'): string {
    this.inputs.push(value(name, shape, dtype));
    if (typeof shape[1] === 'number') this.widths.set(name, shape[1]);
    return name;
  }

  output(name: string, from: string, dtype: DataType = 'float32'): void {
    this.nodes.push(makeNode('Identity', [from], [name]));
    this.outputs.push(value(name, null, dtype));
  }

  graph(): Graph {
    const { nodes, inputs, outputs, initializers } = this;
    return { name: 'architecture', nodes, inputs, outputs, valueInfo: [], initializers };
  }

  width(x: string): number {
    const found = this.widths.get(x);
    if (found === undefined) throw new Error(`the channels of ${x} are not known`);
    return found;
  }

  store(name: string, tensor: Tensor): string {
    this.initializers.set(name, memoryTensor(name, tensor));
    return name;
  }

  ints(values: readonly number[], dims?: readonly number[]): string {
    return this.store(this.name('ints'), int64Tensor(values, dims));
  }

  floats(values: readonly number[], dims: readonly number[] = [values.length]): string {
    return this.store(this.name('floats'), fromFloat(Float64Array.from(values), 'float32', dims));
  }

  random(name: string, dims: readonly number[], spread = 0.5): string {
    return this.store(name, randomTensor(dims, this.seed++, 'float32', spread));
  }

  /** A node with one output; its width is that of its first input unless another is given. */
  op(
    opType: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    width = this.widths.get(inputs[0]),
  ): string {
    return this.ops(opType, inputs, 1, attributes, width)[0];
  }

  ops(
    opType: string,
    inputs: readonly string[],
    count: number,
    attributes: Readonly<Record<string, Attribute>> = {},
    width?: number,
  ): string[] {
    const name = this.name(opType);
    const outputs = Array.from({ length: count }, (_, i) => (count === 1 ? `${name}_out` : `${name}_out${i}`));
    this.nodes.push(makeNode(opType, inputs, outputs, attributes, name));
    if (width !== undefined) for (const output of outputs) this.widths.set(output, width);
    return outputs;
  }

  conv(name: string, x: string, to: number, { kernel = 1, stride = 1, groups = 1, bias = false }: ConvOptions = {}) {
    const from = this.width(x);
    const pad = Math.floor(kernel / 2);
    const weight = this.random(
      `${name}.weight`,
      [to, from / groups, kernel, kernel],
      1 / Math.sqrt((from / groups) * kernel),
    );
    const inputs = bias ? [x, weight, this.random(`${name}.bias`, [to])] : [x, weight];
    const attributes = {
      kernel_shape: ints([kernel, kernel]),
      strides: ints([stride, stride]),
      pads: ints([pad, pad, pad, pad]),
    };
    this.nodes.push(
      makeNode('Conv', inputs, [name], groups === 1 ? attributes : { ...attributes, group: int(groups) }, name),
    );
    this.widths.set(name, to);
    return name;
  }

  /** Doubles the resolution. */
  upConv(name: string, x: string, to: number, groups = 1): string {
    const weight = this.random(`${name}.weight`, [this.width(x), to / groups, 2, 2], 0.3);
    const bias = this.random(`${name}.bias`, [to]);
    this.nodes.push(
      makeNode(
        'ConvTranspose',
        [x, weight, bias],
        [name],
        { kernel_shape: ints([2, 2]), strides: ints([2, 2]), group: int(groups) },
        name,
      ),
    );
    this.widths.set(name, to);
    return name;
  }

  batchNorm(name: string, x: string): string {
    const C = this.width(x);
    const variance = randomTensor([C], this.seed++);
    const positive = (variance.data as Float32Array).map((v) => 0.5 + v * v);
    const parameters = [
      this.random(`${name}.weight`, [C], 1),
      this.random(`${name}.bias`, [C]),
      this.random(`${name}.running_mean`, [C]),
      this.store(`${name}.running_var`, { ...variance, data: positive }),
    ];
    return this.op('BatchNormalization', [x, ...parameters], { epsilon: float(1e-5) });
  }

  /** Convolution, normalization and activation, as most networks have it. */
  block(name: string, x: string, to: number, options: ConvOptions & { readonly act?: string | null } = {}): string {
    const y = this.batchNorm(`${name}.bn`, this.conv(name, x, to, options));
    return options.act === null ? y : this.op(options.act ?? 'Relu', [y]);
  }

  gemm(name: string, x: string, from: number, to: number): string {
    const weight = this.random(`${name}.weight`, [to, from], 1 / Math.sqrt(from));
    this.nodes.push(makeNode('Gemm', [x, weight, this.random(`${name}.bias`, [to])], [name], { transB: int(1) }, name));
    this.widths.set(name, to);
    return name;
  }

  /** X·W + b on the last axis. */
  linear(name: string, x: string, from: number, to: number): string {
    const weight = this.random(`${name}.weight`, [from, to], 1 / Math.sqrt(from));
    const product = this.op('MatMul', [x, weight]);
    return this.op('Add', [product, this.random(`${name}.bias`, [to])]);
  }

  layerNorm(name: string, x: string, size: number): string {
    const parameters = [this.random(`${name}.weight`, [size]), this.random(`${name}.bias`, [size])];
    return this.op('LayerNormalization', [x, ...parameters], { axis: int(-1), epsilon: float(1e-5) });
  }

  reshape(x: string, shape: readonly number[], width?: number): string {
    return this.op('Reshape', [x, this.ints(shape)], {}, width);
  }

  transpose(x: string, perm: readonly number[], width?: number): string {
    return this.op('Transpose', [x], { perm: ints(perm) }, width);
  }

  concat(values: readonly string[], axis = 1): string {
    const width = values.reduce((sum, x) => sum + (this.widths.get(x) ?? 0), 0);
    return this.op('Concat', values, { axis: int(axis) }, width);
  }

  add = (a: string, b: string): string => this.op('Add', [a, b]);
  relu = (x: string): string => this.op('Relu', [x]);
  pool = (x: string): string => this.op('MaxPool', [x], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) });

  /** Mean over positions, and a classifier. */
  head(x: string, classes = 4): void {
    const C = this.width(x);
    this.output('y', this.gemm('head', this.op('Flatten', [this.op('GlobalAveragePool', [x])]), C, classes));
  }

  private name(wish: string): string {
    const count = (this.counts.get(wish) ?? 0) + 1;
    this.counts.set(wish, count);
    return `${wish}_${count}`;
  }
}
