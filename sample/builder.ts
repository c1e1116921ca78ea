/** A network under construction, which can be run as far as it goes. */
import { serializeGraph } from '../src/formats/onnx/serialize';
import { type Attribute, type Graph, type GraphNode, makeNode } from '../src/graph/graph';
import { createSession } from '../src/runtime/session';
import { float32Tensor, memoryTensor, type TensorRef } from '../src/tensor/tensor';

/** Preprocessed images, [count, C, H, W]. */
export interface Images {
  readonly data: Float32Array;
  readonly dims: readonly [number, number, number, number];
}

/** Gets the network's output for some images, of which `first` is the index of the first. */
export type Visit = (data: Float32Array, dims: readonly number[], first: number) => void;

const imagesPerRun = 64;
const header = { irVersion: 8, opsets: new Map([['', 17]]) };

export class NetworkBuilder {
  /** The value that the network ends in so far. */
  output = 'images';
  readonly #nodes: GraphNode[] = [];
  readonly #initializers = new Map<string, TensorRef>();

  /** @param input [C, H, W] */
  constructor(
    private readonly name: string,
    private readonly input: readonly number[],
  ) {}

  /** Adds a weight and returns its name. */
  weight(name: string, data: Float32Array, dims: readonly number[]): string {
    this.#initializers.set(name, memoryTensor(name, float32Tensor(data, dims)));
    return name;
  }

  /** Adds a node that reads the output so far, then the weights. */
  add(
    opType: string,
    output: string,
    weights: readonly string[] = [],
    attributes: Record<string, Attribute> = {},
  ): void {
    this.join(opType, output, [this.output, ...weights], attributes);
  }

  /** Adds a node that reads the values named. */
  join(opType: string, output: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}): void {
    this.#nodes.push(makeNode(opType, inputs, [output], attributes, `/${output}/${opType}`));
    this.output = output;
  }

  /** The model as an ONNX file. */
  serialize(outputShape: Graph['outputs'][number]['shape'] = null): Uint8Array {
    const graph: Graph = {
      name: this.name,
      nodes: this.#nodes,
      inputs: [{ name: 'images', dtype: 'float32', shape: ['N', ...this.input] }],
      outputs: [{ name: this.output, dtype: 'float32', shape: outputShape }],
      valueInfo: [],
      initializers: this.#initializers,
    };
    return serializeGraph(graph, header);
  }

  async run(images: Images, visit: Visit): Promise<void> {
    const [count, ...shape] = images.dims;
    const size = shape.reduce((a, b) => a * b);
    const session = this.#nodes.length > 0 ? await createSession(this.serialize()) : null;
    for (let first = 0; first < count; first += imagesPerRun) {
      const dims = [Math.min(imagesPerRun, count - first), ...shape];
      const given = float32Tensor(images.data.subarray(first * size, (first + dims[0]) * size), dims);
      const result = session ? Object.values(await session.run({ images: given }))[0] : given;
      visit(result.data as Float32Array, result.dims, first);
    }
    await session?.release();
  }
}
