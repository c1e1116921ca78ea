/** Networks written down layer after layer, with names as exporters give them. */
import { type Attribute, float, type Graph, type GraphNode, int, ints, makeNode } from '../src/graph/graph';
import { float32Tensor, memoryTensor, type TensorRef } from '../src/tensor/tensor';

/** Every layer reads what the one before it gives. Weights are zeros: to be initialized and trained. */
export class NetworkBuilder {
  readonly #nodes: GraphNode[] = [];
  readonly #initializers = new Map<string, TensorRef>();
  readonly #input: readonly number[];
  #output: string;
  #channels: number;

  /** @param input [C, H, W] */
  constructor(
    private readonly name: string,
    input: readonly [number, number, number],
    private readonly inputName = 'images',
  ) {
    this.#input = input;
    this.#output = inputName;
    this.#channels = input[0];
  }

  /** A convolution of stride 1. @param pad pixels of zeros on every side */
  conv(name: string, channels: number, kernel: number, { pad = 0, bias = false } = {}): this {
    const inputs = [this.#weight(`${name}.weight`, [channels, this.#channels, kernel, kernel])];
    if (bias) inputs.push(this.#weight(`${name}.bias`, [channels]));
    this.#channels = channels;
    return this.#add('Conv', name, inputs, {
      kernel_shape: ints([kernel, kernel]),
      pads: ints([pad, pad, pad, pad]),
    });
  }

  normalization(name: string): this {
    const parts = ['weight', 'bias', 'running_mean', 'running_var'];
    const weights = parts.map((part) => this.#weight(`${name}.${part}`, [this.#channels]));
    return this.#add('BatchNormalization', name, weights, { epsilon: float(1e-5) });
  }

  relu(name: string): this {
    return this.#add('Relu', name);
  }

  /** Halves height and width. */
  maxPool(name: string): this {
    return this.#add('MaxPool', name, [], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) });
  }

  /** The average of every channel. */
  averagePool(name: string): this {
    return this.#add('GlobalAveragePool', name);
  }

  /** @param features how many there are, where it is not one per channel */
  flatten(name: string, features = this.#channels): this {
    this.#channels = features;
    return this.#add('Flatten', name, [], { axis: int(1) });
  }

  /** @param output name of what it gives, when that is another than its own */
  dense(name: string, units: number, output = name): this {
    const weights = [this.#weight(`${name}.weight`, [units, this.#channels]), this.#weight(`${name}.bias`, [units])];
    this.#channels = units;
    return this.#add('Gemm', output, weights, { transB: int(1) });
  }

  /** The network, whose output [N, channels] is what the last layer gives. */
  graph(): Graph {
    return {
      name: this.name,
      nodes: this.#nodes,
      inputs: [{ name: this.inputName, dtype: 'float32', shape: ['N', ...this.#input] }],
      outputs: [{ name: this.#output, dtype: 'float32', shape: ['N', this.#channels] }],
      valueInfo: [],
      initializers: this.#initializers,
    };
  }

  #weight(name: string, dims: readonly number[]): string {
    const count = dims.reduce((product, size) => product * size, 1);
    this.#initializers.set(name, memoryTensor(name, float32Tensor(new Float32Array(count), dims)));
    return name;
  }

  #add(
    opType: string,
    output: string,
    weights: readonly string[] = [],
    attributes: Record<string, Attribute> = {},
  ): this {
    this.#nodes.push(makeNode(opType, [this.#output, ...weights], [output], attributes, `/${output}/${opType}`));
    this.#output = output;
    return this;
  }
}

/** What the files of these networks say beside their graphs. */
export const metadata = {
  irVersion: 8,
  producerName: 'espalier',
  producerVersion: '',
  opsets: new Map([['', 17]]),
  properties: new Map<string, string>(),
  functions: [],
};
