/** A pruned and trained graph back in its original architecture: two layers multiplied into one. */
import { findLayers, type Layer } from '../analysis/layers';
import { type Graph, type GraphNode, standardOpset } from '../graph/graph';
import { freshNames } from '../graph/names';
import { effectiveBias, type Factors, type Replacement, recombined, replaceNodes } from '../surgery/factorize';
import { layerMatrix } from '../surgery/layerMatrix';
import { renamedTensor, toFloat64 } from '../tensor/tensor';
import type { Decomposed } from './decompose';
import type { OpenedModel } from './models';

/**
 * @param from the model that was decomposed
 * @param decomposed with the values it has after training
 * @returns the graph of `from` with the function of `decomposed`
 */
export function recombine({ model: { graph, metadata }, layers }: OpenedModel, decomposed: Decomposed): Graph {
  const trained = decomposed.graph;
  const halves = new Map<string, Layer[]>();
  for (const layer of findLayers(trained)) {
    const owner = decomposed.owners.get(layer.node);
    if (owner !== undefined) halves.set(owner, [...(halves.get(owner) ?? []), layer]);
  }
  const constants = new Map(trained.nodes.filter(isConstant).map((node) => [node.outputs[0], node]));
  const current: Graph = {
    ...graph,
    nodes: graph.nodes.map((node) => (isConstant(node) ? (constants.get(node.outputs[0]) ?? node) : node)),
    initializers: new Map([...graph.initializers].map(([name, ref]) => [name, trained.initializers.get(name) ?? ref])),
  };
  const site = { opset: standardOpset(metadata) ?? 1, fresh: freshNames(graph) };
  const replacements = new Map<GraphNode, Replacement>();
  for (const layer of layers) {
    const [first, second] = halves.get(layer.name) ?? [];
    if (!first || !second) continue;
    const [A, B] = [layerMatrix(first), layerMatrix(second)];
    const outputs = B.blocks * B.outputs;
    const bias = second.bias ? effectiveBias(second, outputs) : addedBias(decomposed, layer, outputs);
    const factors: Factors = { rank: A.outputs, A: A.values, B: B.values, bias };
    const matrix = { blocks: A.blocks, outputs: B.outputs, inputs: A.inputs, values: new Float64Array(0) };
    replacements.set(layer.node, recombined(layer, matrix, factors, site));
  }
  const whole = replaceNodes(current, replacements, metadata.irVersion);
  return withOldNames(whole, layers, replacements);
}

/** Layers are called after their weights: what a recipe says of one has to find it in the next round, too. */
function withOldNames(
  graph: Graph,
  layers: readonly Layer[],
  replacements: ReadonlyMap<GraphNode, Replacement>,
): Graph {
  const taken = new Set([...graph.initializers.keys(), ...graph.nodes.flatMap(({ outputs }) => outputs)]);
  const renamed = new Map<string, string>();
  for (const { node, weight } of layers) {
    const now = replacements.get(node)?.initializers[0].name;
    // Weights that other layers share are still there.
    if (now === undefined || taken.has(weight.ref.name)) continue;
    renamed.set(now, weight.ref.name);
    taken.add(weight.ref.name);
  }
  const nameOf = (name: string): string => renamed.get(name) ?? name;
  return {
    ...graph,
    nodes: graph.nodes.map((node) =>
      node.inputs.some((name) => renamed.has(name)) ? { ...node, inputs: node.inputs.map(nameOf) } : node,
    ),
    inputs: graph.inputs.map((info) => (renamed.has(info.name) ? { ...info, name: nameOf(info.name) } : info)),
    initializers: new Map(
      [...graph.initializers].map(([name, ref]) => [
        nameOf(name),
        renamed.has(name) ? renamedTensor(nameOf(name), ref) : ref,
      ]),
    ),
  };
}

/** The bias that a factorized MatMul got in an Add of its own; null without one. */
function addedBias({ graph, owners }: Decomposed, layer: Layer, outputs: number): Float64Array | null {
  if (layer.rule.bias !== undefined) return null;
  const add = graph.nodes.find((node) => node.opType === 'Add' && owners.get(node) === layer.name);
  const stored = add && graph.initializers.get(add.inputs[1]);
  if (!stored) return null;
  const values = toFloat64(stored.read());
  return values.length === outputs ? values : null;
}

function isConstant(node: GraphNode): boolean {
  return node.opType === 'Constant';
}
