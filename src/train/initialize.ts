/**
 * A model from scratch: its stored tensors as they are before any training. Weights are drawn uniformly, so wide that
 * signals keep their size from layer to layer: by the number of inputs where ReLU follows (He et al., 2015), or by
 * inputs and outputs (Glorot and Bengio, 2010). Biases become 0, normalization the identity.
 */
import { findLayers, type Layer } from '../analysis/layers';
import { isFloatWeight, type StoredWeight, storedWeight } from '../analysis/weights';
import { attribute, type Graph } from '../graph/graph';
import { consumers, producers } from '../graph/order';
import { type Random, seededRandom } from '../linalg/random';
import { elementCount } from '../tensor/dtype';
import { float32Tensor, type Tensor } from '../tensor/tensor';
import { withTrained } from './prepare';
import { addedBias } from './trainable';

export interface Initialization {
  readonly seed: number;
  /** `he`: within ±√(6/inputs); `xavier`: within ±√(6/(inputs + outputs)). */
  readonly weights?: 'he' | 'xavier';
}

/** What a normalization starts with, by its input: scale 1, offset 0, and for statistics mean 0 and variance 1. */
const NORMALIZATIONS: Readonly<Record<string, readonly number[]>> = {
  BatchNormalization: [1, 0, 0, 1],
  InstanceNormalization: [1, 0],
  LayerNormalization: [1, 0],
  GroupNormalization: [1, 0],
};

/**
 * The graph with the weights of its layers drawn anew, in graph order, and the biases and normalizations that go with
 * them reset. Everything else is left as it is: quantized weights, layers inside control flow, other stored tensors.
 */
export function initialize(graph: Graph, { seed, weights = 'he' }: Initialization): Graph {
  const random = seededRandom(seed);
  const scope = { graph, producer: producers(graph), outer: null };
  const readers = consumers(graph);
  const drawn = new Map<string, Tensor>();
  const set = (stored: StoredWeight | null | undefined, next: () => number): void => {
    if (!stored || !isFloatWeight(stored) || drawn.has(stored.ref.name)) return;
    const { name, dims } = stored.ref;
    drawn.set(name, float32Tensor(Float32Array.from({ length: elementCount(dims) }, next), dims));
  };
  const byNode = new Map(
    findLayers(graph)
      .filter(({ path }) => path.length === 0)
      .map((layer) => [layer.node, layer]),
  );
  for (const node of graph.nodes) {
    const layer = byNode.get(node);
    if (layer?.matrices) {
      set(layer.weight, uniform(random, rangeOf(layer, weights)));
      set(layer.bias, () => 0);
      for (const name of addedBias(graph, layer, readers)) set(storedWeight(scope, name), () => 0);
    }
    for (const [i, start] of (NORMALIZATIONS[node.opType] ?? []).entries()) {
      const name = node.inputs[1 + i];
      if (name) set(storedWeight(scope, name), () => start);
    }
  }
  return withTrained(graph, drawn);
}

function uniform(random: Random, range: number): () => number {
  return () => range * (2 * random.uniform() - 1);
}

/** The largest size of a layer's new weights. */
function rangeOf(layer: Layer, weights: 'he' | 'xavier'): number {
  const { inputs, outputs } = fans(layer);
  return Math.sqrt(6 / Math.max(1, weights === 'he' ? inputs : inputs + outputs));
}

/** How many inputs an output sums up, and how many outputs an input goes to. */
function fans({ node, weight, weightInput, matrices }: Layer): { inputs: number; outputs: number } {
  const { rows, cols, outputsAre } = matrices as NonNullable<Layer['matrices']>;
  if (node.opType === 'ConvTranspose') {
    // Strides spread the inputs out, so that an output meets only some of the taps.
    const taps = elementCount(weight.dims.slice(2)) / elementCount(attribute(node, 'strides', 'ints') ?? []);
    return { inputs: rows * taps, outputs: cols };
  }
  if (node.opType === 'Conv') return { inputs: cols, outputs: rows * elementCount(weight.dims.slice(2)) };
  const isRight = outputsAre === 'cols' && !(node.opType === 'MatMul' && weightInput === 0);
  return isRight ? { inputs: rows, outputs: cols } : { inputs: cols, outputs: rows };
}
