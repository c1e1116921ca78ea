/** Groups that a training can't prune, since its loss does not depend on their channels. */
import type { Graph, GraphNode } from '../graph/graph';
import { upstream } from '../graph/order';
import { opDef } from '../ops';
import type { PruneSettings } from '../protocol/recipe';
import { producersOf } from '../prune/compaction/places';
import type { ChannelGroups } from '../prune/groups';

/**
 * Why groups can't be pruned by training, by name: only the loss `match` looks at other outputs than the first.
 */
export function againstLoss(
  { groups, wiring }: ChannelGroups,
  { training }: Pick<PruneSettings, 'training'>,
): Map<string, string> {
  const outputs = training?.loss === 'match' ? wiring.graph.outputs : wiring.graph.outputs.slice(0, 1);
  const learning = learningNodes(
    wiring.graph,
    outputs.map(({ name }) => name),
  );
  const idle = new Set(
    wiring.layers.filter(({ node, path }) => path.length === 0 && !learning.has(node)).map(({ name }) => name),
  );
  return new Map(
    groups.flatMap((group) => {
      const layer = producersOf(group).find((name) => idle.has(name));
      return layer === undefined ? [] : [[group.name, `${layer}: the loss does not depend on its outputs`]];
    }),
  );
}

/** Nodes that a gradient reaches. */
function learningNodes(graph: Graph, outputs: readonly string[]): Set<GraphNode> {
  const nodes = graph.nodes.filter(({ opType, domain }) => opDef(opType, domain)?.gradient !== 'none');
  return new Set(upstream({ ...graph, nodes }, outputs));
}
