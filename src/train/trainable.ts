/**
 * Which stored tensors of a model are trained. The choices are nested: each one trains what the one before it does.
 */
import { headLayer } from '../analysis/head';
import { findLayers, type Layer } from '../analysis/layers';
import type { Graph } from '../graph/graph';
import { consumers } from '../graph/order';
import { dataTypes, elementCount } from '../tensor/dtype';

/**
 * `head`: the classifier; `scaling`: also one factor per kept basis; `bn`: also normalization's affine parameters and
 * biases; `small`: also 1×1 convolutions and dense layers; `all`: every weight.
 */
export const trainChoices = ['head', 'scaling', 'bn', 'small', 'all'] as const;
export type TrainChoice = (typeof trainChoices)[number];

export interface Trainable {
  /** Name of the initializer. */
  readonly name: string;
  readonly dims: readonly number[];
  /** Whether weight decay applies: to weights, not to biases, normalization and scaling factors. */
  readonly decays: boolean;
}

/** Inputs of normalizations that are trained: scale and offset. */
const AFFINE: Readonly<Record<string, readonly number[]>> = {
  BatchNormalization: [1, 2],
  InstanceNormalization: [1, 2],
  LayerNormalization: [1, 2],
  GroupNormalization: [1, 2],
};

/**
 * Tensors of the top-level graph that the choice trains, in graph order, each once. Scaling factors are added to the
 * graph by `withScaling` and are not among them. Quantized and computed weights are left out.
 */
export function trainableTensors(graph: Graph, choice: TrainChoice): Trainable[] {
  const level = trainChoices.indexOf(choice);
  const atLeast = (wanted: TrainChoice): boolean => level >= trainChoices.indexOf(wanted);
  const layers = findLayers(graph).filter((layer) => layer.path.length === 0);
  const byNode = new Map(layers.map((layer) => [layer.node, layer]));
  const heads = headLayers(graph, layers);
  const readers = consumers(graph);
  const found = new Map<string, Trainable>();
  const add = (name: string | undefined, decays: boolean): void => {
    const ref = name ? graph.initializers.get(name) : undefined;
    if (!ref || found.has(ref.name) || dataTypes[ref.dtype].kind !== 'float' || elementCount(ref.dims) === 0) return;
    found.set(ref.name, { name: ref.name, dims: ref.dims, decays });
  };
  for (const node of graph.nodes) {
    const layer = byNode.get(node);
    if (layer) {
      const isTrained = heads.has(layer) || atLeast('all') || (atLeast('small') && isSmall(layer));
      if (isTrained) add(layer.weight.ref.name, true);
      if (isTrained || atLeast('bn')) {
        add(layer.bias?.ref.name, false);
        for (const name of addedBias(graph, layer, readers)) add(name, false);
      }
    }
    if (atLeast('bn')) for (const input of AFFINE[node.opType] ?? []) add(node.inputs[input], false);
    if (atLeast('all') && node.opType === 'PRelu') add(node.inputs[1], false);
  }
  return [...found.values()];
}

/** The classifier: the last layer before the outputs, and the layer before it when the two are halves of one. */
function headLayers(graph: Graph, layers: readonly Layer[]): Set<Layer> {
  const last = headLayer(graph, layers);
  if (!last) return new Set();
  const first = layers.find(
    (layer) =>
      layer.node.outputs[0] === last.node.inputs[0] && layer.node.opType === last.node.opType && isSmall(layer),
  );
  return new Set(first ? [first, last] : [last]);
}

/** 1×1 convolutions and dense layers. */
function isSmall({ node, weight, matrices }: Layer): boolean {
  if (node.opType === 'Gemm' || node.opType === 'MatMul') return true;
  return node.opType === 'Conv' && matrices?.blocks === 1 && elementCount(weight.dims.slice(2)) === 1;
}

/** A stored vector that an Add right after the layer puts on its outputs. */
export function addedBias(graph: Graph, { node, matrices }: Layer, readers: ReturnType<typeof consumers>): string[] {
  const next = readers.get(node.outputs[0]);
  if (node.opType !== 'MatMul' || next?.length !== 1 || next[0].opType !== 'Add' || !matrices) return [];
  const outputs = matrices.outputsAre === 'rows' ? matrices.rows : matrices.cols;
  return next[0].inputs.filter((name) => {
    const dims = graph.initializers.get(name)?.dims;
    return dims !== undefined && elementCount(dims) === outputs;
  });
}
