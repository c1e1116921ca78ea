/**
 * What each input channel contributes to a layer's outputs (He, Zhang and Sun, 2017): with Z_c the outputs that channel c
 * alone would give, G = E[Σ_o Z_c·Z_d] over images and positions. The runtime computes all Z_c at once, as a convolution
 * with one group per input channel, and their products; only C×C numbers come back.
 */
import type { Layer } from '../analysis/layers';
import { readWeight } from '../analysis/weights';
import { serializeGraph } from '../formats/onnx/serialize';
import { type Graph, type GraphNode, int, type ModelMetadata, makeNode } from '../graph/graph';
import { freshNames } from '../graph/names';
import { upstream } from '../graph/order';
import { float32Tensor, int64Tensor, memoryTensor, type Tensor, toFloat64 } from '../tensor/tensor';
import type { Feeds } from './moments';
import { createSession, type SessionOptions } from './session';

/**
 * @returns C×C row-major; null for layers other than convolutions of one group and matrix products of vectors, and for
 *   weights that are not float32
 */
export async function collectContributions(
  graph: Graph,
  metadata: ModelMetadata,
  layer: Layer,
  batches: AsyncIterable<Feeds>,
  options: SessionOptions & { readonly signal?: AbortSignal } = {},
): Promise<Float64Array | null> {
  const program = contributionGraph(graph, layer);
  if (!program) return null;
  const session = await createSession(serializeGraph(program.graph, metadata), {
    ...options,
    label: 'the contribution program',
  });
  const { channels } = program;
  const sum = new Float64Array(channels * channels);
  let count = 0;
  try {
    for await (const feeds of batches) {
      options.signal?.throwIfAborted();
      const found = (await session.run(feeds))[program.output] as Tensor;
      const images = found.dims[0];
      const data = toFloat64(found);
      for (let n = 0; n < images; n++) {
        for (let i = 0; i < sum.length; i++) sum[i] += data[n * sum.length + i];
      }
      count += images;
    }
  } finally {
    await session.release();
  }
  return sum.map((product) => product / (count || 1));
}

interface ContributionGraph {
  readonly graph: Graph;
  /** Products [N, C, C]. */
  readonly output: string;
  readonly channels: number;
}

function contributionGraph(graph: Graph, layer: Layer): ContributionGraph | null {
  const { node, weight, weightInput, matrices } = layer;
  const values = weight.dtype === 'float32' ? readWeight(layer.scope, layer.weight) : undefined;
  if (!values || matrices?.blocks !== 1 || weightInput !== 1) return null;
  const fresh = freshNames(graph);
  const name = (part: string): string => fresh(`contributions/${part}`);
  const [X] = node.inputs;
  const nodes: GraphNode[] = [...upstream(graph, [X])];
  const [outputs, inputs] =
    matrices.outputsAre === 'rows' ? [matrices.rows, matrices.cols] : [matrices.cols, matrices.rows];
  const channels = node.opType === 'Conv' ? (weight.dims[1] ?? 0) : inputs;
  const kernel = inputs / channels;
  // Filter (c, o): what output o takes of input channel c.
  const split = new Float32Array(channels * outputs * kernel);
  for (let c = 0; c < channels; c++) {
    for (let o = 0; o < outputs; o++) {
      for (let k = 0; k < kernel; k++) {
        const column = c * kernel + k;
        const from = matrices.outputsAre === 'rows' ? o * inputs + column : column * outputs + o;
        split[(c * outputs + o) * kernel + k] = values[from];
      }
    }
  }
  const initializers = new Map(graph.initializers);
  const store = (ref: ReturnType<typeof memoryTensor>): string => {
    initializers.set(ref.name, ref);
    return ref.name;
  };
  const z = name('each');
  if (node.opType === 'Conv') {
    const dims = [channels * outputs, 1, ...weight.dims.slice(2)];
    const W = store(memoryTensor(name('weight'), float32Tensor(split, dims)));
    nodes.push({
      ...node,
      name: '',
      inputs: [X, W],
      outputs: [z],
      attributes: new Map([...node.attributes, ['group', int(channels)]]),
    });
  } else if (node.opType === 'Gemm' || node.opType === 'MatMul') {
    // As a convolution over single pixels; what comes before the last axis counts as images.
    const column = name('column');
    const shape = store(memoryTensor(name('shape'), int64Tensor([-1, channels, 1])));
    const W = store(memoryTensor(name('weight'), float32Tensor(split, [channels * outputs, 1, 1])));
    nodes.push(makeNode('Reshape', [X, shape], [column]), makeNode('Conv', [column, W], [z], { group: int(channels) }));
  } else return null;
  const rows = name('rows');
  const columns = name('columns');
  const products = name('products');
  const shape = store(memoryTensor(name('rows.shape'), int64Tensor([0, channels, -1])));
  nodes.push(
    makeNode('Reshape', [z, shape], [rows]),
    makeNode('Transpose', [rows], [columns], { perm: { kind: 'ints', value: [0, 2, 1] } }),
    makeNode('MatMul', [rows, columns], [products]),
  );
  const used = new Set(nodes.flatMap((n) => n.inputs));
  return {
    graph: {
      ...graph,
      nodes,
      valueInfo: [],
      initializers: new Map([...initializers].filter(([key]) => used.has(key))),
      inputs: graph.inputs.filter((input) => !graph.initializers.has(input.name) || used.has(input.name)),
      outputs: [{ name: products, dtype: 'float32', shape: null }],
    },
    output: products,
    channels,
  };
}
