/** Fresh names that collide with nothing in a graph or its subgraphs. */
import type { Graph } from './graph';
import { subgraphs } from './order';

/** Returns a function that turns a wished name into one no value or node of the graph has, and reserves it. */
export function freshNames(graph: Graph): (wish: string) => string {
  const taken = new Set<string>();
  collect(graph, taken);
  return (wish) => {
    let name = wish;
    for (let i = 2; taken.has(name); i++) name = `${wish}_${i}`;
    taken.add(name);
    return name;
  };
}

function collect(graph: Graph, taken: Set<string>): void {
  for (const value of [...graph.inputs, ...graph.outputs, ...graph.valueInfo]) taken.add(value.name);
  for (const name of graph.initializers.keys()) taken.add(name);
  for (const node of graph.nodes) {
    taken.add(node.name);
    for (const output of node.outputs) taken.add(output);
    for (const child of subgraphs(node)) collect(child.graph, taken);
  }
}
