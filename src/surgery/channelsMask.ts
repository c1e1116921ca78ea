/** The same plan as a removal of channels, as a mask: the whole graph with zeros where channels would be added up. */
import { type Graph, type GraphNode, makeNode } from '../graph/graph';
import { freshNames } from '../graph/names';
import { valueTypes } from '../ops/types';
import type { ChannelGroups } from '../prune/groups';
import type { RemoveChannelsCut } from '../prune/plan';
import { isFloatType } from '../tensor/dtype';
import { fromFloat, memoryTensor } from '../tensor/tensor';
import { removalOfCuts } from './channels';

/**
 * The whole graph with the channels multiplied by zero wherever they are added up. Its outputs are those of
 * `removeChannels` when every group of the cuts is exact.
 * @throws UserError as `removeChannels`
 */
export function maskChannels(groups: ChannelGroups, cuts: readonly RemoveChannelsCut[]): Graph {
  const removal = removalOfCuts(groups, cuts);
  const { graph, nodes } = groups.wiring;
  const types = valueTypes(graph);
  const fresh = freshNames(graph);
  const initializers = new Map(graph.initializers);
  const masks = new Map<number, GraphNode[]>();
  const inputs = new Map<number, string[]>();
  const done = new Set<string>();
  for (const { node, input, axis } of groups.groups.flatMap(({ sums }) => sums)) {
    const cut = removal.get(axis.key);
    const place = `${node}:${input}@${axis.axis}`;
    const value = (inputs.get(node) ?? nodes[node].inputs)[input];
    const dtype = types.get(nodes[node].inputs[input]);
    if (!cut?.count || !dtype || !isFloatType(dtype) || done.has(place)) continue;
    done.add(place);
    const rank = groups.wiring.shapeOf(axis.value)?.length ?? 0;
    const dims = Array.from({ length: rank }, (_, at) => (at === axis.axis ? axis.size : 1));
    const mask = fresh(`${value}.mask`);
    const kept = Float64Array.from(cut.isRemoved, (removed) => 1 - removed);
    initializers.set(mask, memoryTensor(mask, fromFloat(kept, dtype, dims)));
    const product = fresh(`${value}.masked`);
    masks.set(node, [...(masks.get(node) ?? []), makeNode('Mul', [value, mask], [product], {}, product)]);
    inputs.set(node, (inputs.get(node) ?? [...nodes[node].inputs]).with(input, product));
  }
  const masked = graph.nodes.flatMap((node, i) => [
    ...(masks.get(i) ?? []),
    inputs.has(i) ? { ...node, inputs: inputs.get(i) as string[] } : node,
  ]);
  return { ...graph, nodes: masked, initializers };
}
