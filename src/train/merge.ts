/** Two models as one graph that reads the same inputs: a network and the teacher it learns from. */
import type { Attribute, Graph, GraphNode } from '../graph/graph';
import { subgraphs } from '../graph/order';
import { renamedTensor, type TensorRef } from '../tensor/tensor';

/**
 * The graph with another one beside it, whose names get a prefix; inputs of equal names are shared.
 * @returns the joined graph, and what the other graph's values are called in it
 */
export function beside(graph: Graph, other: Graph, prefix: string): { graph: Graph; nameOf(value: string): string } {
  const shared = new Set(graph.inputs.map((input) => input.name));
  const nameOf = (value: string): string => (value === '' || shared.has(value) ? value : `${prefix}${value}`);
  return {
    graph: {
      ...graph,
      nodes: [...graph.nodes, ...other.nodes.map((node) => renamed(node, nameOf))],
      inputs: [...graph.inputs, ...other.inputs.filter((input) => !shared.has(input.name))],
      initializers: new Map([...graph.initializers, ...renamedTensors(other, nameOf)]),
    },
    nameOf,
  };
}

function renamed(node: GraphNode, nameOf: (value: string) => string): GraphNode {
  const attributes = new Map(node.attributes);
  for (const { name } of subgraphs(node)) {
    const held = node.attributes.get(name) as Attribute;
    if (held.kind === 'graph') attributes.set(name, { kind: 'graph', value: inner(held.value, nameOf) });
  }
  return { ...node, name: '', inputs: node.inputs.map(nameOf), outputs: node.outputs.map(nameOf), attributes };
}

/** A subgraph's own names are renamed like the outer ones it reads. */
function inner(graph: Graph, nameOf: (value: string) => string): Graph {
  return {
    ...graph,
    nodes: graph.nodes.map((node) => renamed(node, nameOf)),
    inputs: graph.inputs.map((input) => ({ ...input, name: nameOf(input.name) })),
    outputs: graph.outputs.map((output) => ({ ...output, name: nameOf(output.name) })),
    valueInfo: [],
    initializers: renamedTensors(graph, nameOf),
  };
}

function renamedTensors(graph: Graph, nameOf: (value: string) => string): Map<string, TensorRef> {
  return new Map(
    [...graph.initializers].map(([name, ref]): [string, TensorRef] => [nameOf(name), renamedTensor(nameOf(name), ref)]),
  );
}
