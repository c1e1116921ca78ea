/** A model in the shape that a plan gives it, for what depends on shapes alone: time. Its new weights are zeros. */
import { type Graph, type GraphNode, standardOpset } from '../graph/graph';
import { freshNames } from '../graph/names';
import type { FactorizeCut } from '../prune/plan';
import { type Replacement, replaceNodes, twoLayers } from '../surgery/factorize';
import { type LayerMatrix, layerMatrix } from '../surgery/layerMatrix';
import { type Decomposed, untouched } from './decompose';
import type { AnyPlan } from './planning';

export function shapedLike({ plan, narrowed }: Pick<AnyPlan, 'plan' | 'narrowed'>): Decomposed {
  const { graph, metadata } = narrowed.model;
  const whole = untouched(narrowed);
  const cuts = plan.cuts.filter((cut): cut is FactorizeCut => cut.kind === 'factorize' && cut.finish === 'two-layers');
  const site = { opset: standardOpset(metadata) ?? 1, fresh: freshNames(graph) };
  const replacements = new Map<GraphNode, Replacement>();
  const owners = new Map(whole.owners);
  for (const { layer: name, rank } of cuts) {
    const layer = narrowed.layers.find((found) => found.name === name);
    if (!layer) continue;
    const matrix = layerMatrix(layer);
    const replacement = twoLayers(layer, matrix, { rank, ...zeros(matrix, rank), bias: null }, site);
    replacements.set(layer.node, replacement);
    for (const node of replacement.nodes) owners.set(node, name);
  }
  const shaped: Graph = replaceNodes(graph, replacements, metadata.irVersion);
  return { graph: shaped, masked: shaped, owners };
}

function zeros({ blocks, outputs, inputs }: LayerMatrix, rank: number): { A: Float64Array; B: Float64Array } {
  return { A: new Float64Array(blocks * rank * inputs), B: new Float64Array(blocks * outputs * rank) };
}
