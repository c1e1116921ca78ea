/**
 * Trained compactors multiplied into the layers before them: with t = γ/√(v + ε) of the layer's normalization,
 * W' = Q·(t∘W) and b' = Q·(β + (b − μ)∘t), so that layer, normalization and compactor are one layer with a bias.
 * Layers without a compactor keep their normalization.
 */
import type { Layer } from '../analysis/layers';
import { type StoredWeight, storedWeight } from '../analysis/weights';
import { attribute, type Graph, type GraphNode, nodeLabel, type ValueInfo } from '../graph/graph';
import { freshNames } from '../graph/names';
import { producers } from '../graph/order';
import { withStoredTensors } from '../graph/stored';
import { epsilonOf } from '../ops/epsilon';
import { normalizationOf, readersOf } from '../prune/compaction/places';
import type { Wiring } from '../prune/groupsWiring';
import { float32Tensor, memoryTensor, type TensorRef, toFloat64 } from '../tensor/tensor';
import { withoutDeadWeights } from './deadWeights';

/** Q of a layer, D×D by rows. */
export type LayerCompactors = ReadonlyMap<string, Float64Array>;

/**
 * @param wiring of the graph without compactors, with what training made of its weights
 * @param irVersion of the model: before 4, initializers are listed among the inputs
 */
export function foldCompactors(wiring: Wiring, compactors: LayerCompactors, irVersion: number): Graph {
  const { graph } = wiring;
  const fresh = freshNames(graph);
  const scope = { graph, producer: producers(graph), outer: null };
  const read = (name: string): Float64Array => toFloat64((storedWeight(scope, name) as StoredWeight).ref.read());
  const replaced = new Map<GraphNode, GraphNode | null>();
  const values = new Map<string, TensorRef>();
  const added: TensorRef[] = [];
  const changed = new Set<string>();
  for (const layer of wiring.layers) {
    const Q = compactors.get(layer.name);
    if (!Q) continue;
    const { node } = layer;
    const [input, weightName, old] = node.inputs;
    const norm = normalizationOf(node, wiring);
    const { weight, bias } = foldedLayer(
      layer,
      read(weightName),
      old ? read(old) : null,
      norm ? scalesOf(norm, read) : null,
      Q,
    );
    values.set(weightName, stored(weightName, weight, layer.weight.dims));
    // Old files state the shape among the inputs: a bias of another one, like a single number, is replaced.
    const isVector = String(layer.bias?.dims) === String([bias.length]);
    const isOwn = isVector && wiring.stored.has(old) && readersOf(old, wiring).length === 1;
    const biasName = isOwn ? old : fresh(`${layer.name}.bias`);
    const newBias = stored(biasName, bias, [bias.length]);
    if (isOwn) values.set(old, newBias);
    else added.push(newBias);
    const outputs = norm ? norm.outputs.slice(0, 1) : node.outputs;
    if (norm) {
      changed.add(node.outputs[0]);
      replaced.set(norm, null);
    }
    // Without a name, a layer would be called after its output, which is another one now.
    replaced.set(node, { ...node, name: nodeLabel(node), inputs: [input, weightName, biasName], outputs });
  }
  const { nodes, initializers } = withStoredTensors(graph, (name) => values.get(name));
  const listed = irVersion >= 4 ? [] : added;
  const edited: Graph = {
    ...graph,
    nodes: nodes.flatMap((node) => {
      const now = replaced.get(node);
      return now === null ? [] : [now ?? node];
    }),
    inputs: [...graph.inputs, ...listed.map(({ name, dtype, dims }): ValueInfo => ({ name, dtype, shape: dims }))],
    valueInfo: graph.valueInfo.filter(({ name }) => !changed.has(name)),
    initializers: new Map([...initializers, ...added.map((ref) => [ref.name, ref] as const)]),
  };
  return withoutDeadWeights(edited, graph);
}

function stored(name: string, values: Float64Array, dims: readonly number[]): TensorRef {
  return memoryTensor(name, float32Tensor(Float32Array.from(values), dims));
}

/** What a normalization does to each channel: y = scale·x + shift. */
interface Scaling {
  readonly scale: Float64Array;
  readonly shift: Float64Array;
}

function scalesOf(norm: GraphNode, read: (name: string) => Float64Array): Scaling {
  const [gamma, beta, mean, variance] = norm.inputs.slice(1).map(read);
  const epsilon = epsilonOf(norm);
  const scale = gamma.map((g, o) => g / Math.sqrt(variance[o] + epsilon));
  return { scale, shift: beta.map((b, o) => b - mean[o] * scale[o]) };
}

/** Weight in the layer's own order, and bias. */
function foldedLayer(
  { node }: Layer,
  W: Float64Array,
  b: Float64Array | null,
  scaling: Scaling | null,
  Q: Float64Array,
): { weight: Float64Array; bias: Float64Array } {
  const size = Math.sqrt(Q.length);
  const inputs = W.length / size;
  const isTransposed = node.opType === 'Gemm' && attribute(node, 'transB', 'int') !== 1;
  // Output o, input i of the weight lie at o·row + i·column.
  const [row, column] = isTransposed ? [1, size] : [inputs, 1];
  const weight = new Float64Array(W.length);
  const bias = new Float64Array(size);
  for (let d = 0; d < size; d++) {
    for (let o = 0; o < size; o++) {
      const q = Q[d * size + o];
      if (q === 0) continue;
      const factor = q * (scaling?.scale[o] ?? 1);
      bias[d] += q * (scaling?.shift[o] ?? 0) + factor * (b?.[b.length === 1 ? 0 : o] ?? 0);
      for (let i = 0; i < inputs; i++) weight[d * row + i * column] += factor * W[o * row + i * column];
    }
  }
  return { weight, bias };
}
