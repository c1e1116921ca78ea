/**
 * BatchNormalization's statistics while training: updated by every step, or measured again in one pass.
 * Source: the operator page of BatchNormalization; Ioffe and Szegedy, 2015.
 */
import { serializeGraph } from '../formats/onnx/serialize';
import { attribute, float, type Graph, type GraphNode, int, type ModelMetadata, type ValueInfo } from '../graph/graph';
import { freshNames } from '../graph/names';
import { createSession, type SessionOptions } from '../runtime/session';
import { float32Tensor, memoryTensor, type Tensor, toFloat32 } from '../tensor/tensor';
import type { TrackedTensor } from './trainingGraph';

interface Normalization {
  readonly node: GraphNode;
  /** Initializers of the running mean and variance. */
  readonly mean: string;
  readonly variance: string;
  /** What the node says they become. */
  readonly nextMean: string;
  readonly nextVariance: string;
}

/** ONNX's default: the share of the old statistics that stays. */
const DEFAULT_MOMENTUM = 0.9;

/** Every BatchNormalization with stored statistics of its own, in training form. */
function inTraining(graph: Graph, momentum: number | null): { graph: Graph; found: Normalization[] } {
  const fresh = freshNames(graph);
  const found: Normalization[] = [];
  const owned = new Set<string>();
  const nodes = graph.nodes.map((node) => {
    const [, , , mean, variance] = node.inputs;
    if (node.opType !== 'BatchNormalization' || !graph.initializers.has(mean) || !graph.initializers.has(variance)) {
      return node;
    }
    // Statistics that two nodes share have no one value after a step.
    if (owned.has(mean) || owned.has(variance)) return node;
    owned.add(mean).add(variance);
    const nextMean = fresh(`${mean}/next`);
    const nextVariance = fresh(`${variance}/next`);
    const keeps = momentum ?? attribute(node, 'momentum', 'float') ?? DEFAULT_MOMENTUM;
    const trained: GraphNode = {
      ...node,
      outputs: [node.outputs[0], nextMean, nextVariance],
      attributes: new Map([...node.attributes, ['training_mode', int(1)], ['momentum', float(keeps)]]),
    };
    found.push({ node: trained, mean, variance, nextMean, nextVariance });
    return trained;
  });
  return { graph: { ...graph, nodes }, found };
}

/** The graph with batch statistics in use, and the running ones as tensors that every step replaces. */
export function withTrainedNormalization(graph: Graph): { graph: Graph; tracked: TrackedTensor[] } {
  const { graph: trained, found } = inTraining(graph, null);
  const dims = (name: string): readonly number[] => graph.initializers.get(name)?.dims ?? [];
  return {
    graph: trained,
    tracked: found.flatMap(({ mean, variance, nextMean, nextVariance }) => [
      { name: mean, dims: dims(mean), next: nextMean },
      { name: variance, dims: dims(variance), next: nextVariance },
    ]),
  };
}

/**
 * Mean and variance of what each BatchNormalization sees over some batches, each normalized by its own statistics as in
 * training. Batches weigh by their images; the variance over all is the mean variance plus the variance of the means.
 * @returns the new statistics by the name of their initializer
 */
export async function estimateStatistics(
  graph: Graph,
  metadata: ModelMetadata,
  batches: AsyncIterable<{ readonly feeds: Readonly<Record<string, Tensor>>; readonly count: number }>,
  options: SessionOptions = {},
): Promise<Map<string, Tensor>> {
  const { graph: trained, found } = inTraining(graph, 0);
  if (found.length === 0) return new Map();
  const outputs = found.flatMap(({ nextMean, nextVariance }) => [nextMean, nextVariance]);
  const program: Graph = {
    ...trained,
    outputs: outputs.map((name): ValueInfo => ({ name, dtype: 'float32', shape: null })),
    valueInfo: [],
  };
  const session = await createSession(serializeGraph(program, metadata), {
    ...options,
    label: 'the statistics program',
  });
  const sums = found.map(({ mean }) => {
    const channels = graph.initializers.get(mean)?.dims[0] ?? 0;
    return { mean: new Float64Array(channels), square: new Float64Array(channels) };
  });
  let images = 0;
  try {
    for await (const { feeds, count } of batches) {
      const results = await session.run(feeds);
      for (const [i, { nextMean, nextVariance }] of found.entries()) {
        const mean = toFloat32(results[nextMean]);
        const variance = toFloat32(results[nextVariance]);
        mean.forEach((m, c) => {
          sums[i].mean[c] += count * m;
          sums[i].square[c] += count * (variance[c] + m * m);
        });
      }
      images += count;
    }
  } finally {
    await session.release();
  }
  if (images === 0) return new Map();
  return new Map(
    found.flatMap(({ mean, variance }, i) => {
      const means = sums[i].mean.map((sum) => sum / images);
      const variances = sums[i].square.map((sum, c) => Math.max(0, sum / images - means[c] ** 2));
      const tensor = (values: Float64Array): Tensor => float32Tensor(Float32Array.from(values), [values.length]);
      return [[mean, tensor(means)] as const, [variance, tensor(variances)] as const];
    }),
  );
}

/** The graph with some stored tensors replaced by others of the same shape. */
export function withStored(graph: Graph, tensors: ReadonlyMap<string, Tensor>): Graph {
  if (tensors.size === 0) return graph;
  return {
    ...graph,
    initializers: new Map(
      [...graph.initializers].map(([name, ref]) => {
        const tensor = tensors.get(name);
        return [name, tensor ? memoryTensor(name, tensor) : ref];
      }),
    ),
  };
}
