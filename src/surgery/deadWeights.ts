/**
 * Removes what an edit left unread: nodes that only served replaced weights (Constant, Identity, Transpose, …), stored
 * tensors, and their entries among the graph's inputs. Whatever was unread before the edit is left alone: it is the
 * user's, not ours.
 */
import type { Graph, GraphNode } from '../graph/graph';
import { consumers, readsOf } from '../graph/order';

/** @param before the graph before the edit */
export function withoutDeadWeights(graph: Graph, before: Graph): Graph {
  const wasRead = consumers(before);
  const reads = new Map<string, number>();
  for (const node of graph.nodes) for (const name of readsOf(node)) reads.set(name, (reads.get(name) ?? 0) + 1);
  for (const output of graph.outputs) reads.set(output.name, (reads.get(output.name) ?? 0) + 1);

  const dead = new Set<GraphNode>();
  // Backwards: a node dies after the nodes that read it.
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i] as GraphNode;
    const unread = node.outputs.every((name) => !name || !reads.get(name));
    if (!unread || !node.outputs.some((name) => wasRead.has(name))) continue;
    dead.add(node);
    for (const name of readsOf(node)) reads.set(name, (reads.get(name) ?? 1) - 1);
  }
  const freed = new Set([...graph.initializers.keys()].filter((name) => !reads.get(name) && wasRead.has(name)));
  if (dead.size === 0 && freed.size === 0) return graph;
  return {
    ...graph,
    nodes: graph.nodes.filter((node) => !dead.has(node)),
    inputs: graph.inputs.filter((input) => !freed.has(input.name)),
    initializers: new Map([...graph.initializers].filter(([name]) => !freed.has(name))),
  };
}
