/** Derived relations of a graph: who produces and who reads a value. Never stored in the graph itself. */
import type { Graph, GraphNode } from './graph';

/** The node that produces each value. */
export function producers(graph: Graph): Map<string, GraphNode> {
  const map = new Map<string, GraphNode>();
  for (const node of graph.nodes) for (const output of node.outputs) if (output) map.set(output, node);
  return map;
}

/** The nodes that read each value, including reads from inside their subgraphs; a node appears once per value. */
export function consumers(graph: Graph): Map<string, GraphNode[]> {
  const map = new Map<string, GraphNode[]>();
  for (const node of graph.nodes) {
    for (const name of readsOf(node)) {
      const list = map.get(name);
      if (list) list.push(node);
      else map.set(name, [node]);
    }
  }
  return map;
}

/** Names of all values a node reads: its inputs, and what its subgraphs take from outside. */
export function readsOf(node: GraphNode): Set<string> {
  const reads = new Set(node.inputs.filter((name) => name !== ''));
  for (const child of subgraphs(node)) for (const name of outerReads(child.graph)) reads.add(name);
  return reads;
}

/** Names that a subgraph reads but does not define. */
export function outerReads(graph: Graph): Set<string> {
  const defined = new Set<string>(graph.initializers.keys());
  for (const input of graph.inputs) defined.add(input.name);
  const reads = new Set<string>();
  for (const node of graph.nodes) {
    for (const name of readsOf(node)) if (!defined.has(name)) reads.add(name);
    for (const output of node.outputs) defined.add(output);
  }
  for (const output of graph.outputs) if (!defined.has(output.name)) reads.add(output.name);
  return reads;
}

/** The graphs held in a node's attributes: branches of If, bodies of Loop and Scan. */
export function subgraphs(node: GraphNode): { name: string; graph: Graph }[] {
  const found: { name: string; graph: Graph }[] = [];
  for (const [name, attribute] of node.attributes) {
    if (attribute.kind === 'graph') found.push({ name, graph: attribute.value });
    else if (attribute.kind === 'graphs')
      found.push(...attribute.value.map((graph, i) => ({ name: `${name}[${i}]`, graph })));
  }
  return found;
}

/** The nodes needed to compute some values, in graph order. */
export function upstream(graph: Graph, values: Iterable<string>): GraphNode[] {
  const producer = producers(graph);
  const needed = new Set<GraphNode>();
  const stack = [...values];
  while (stack.length) {
    const node = producer.get(stack.pop() as string);
    if (!node || needed.has(node)) continue;
    needed.add(node);
    stack.push(...readsOf(node));
  }
  return graph.nodes.filter((node) => needed.has(node));
}
