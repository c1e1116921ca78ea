/**
 * Compactors multiplied into the convolutions before them inside a training graph: W' = Q·W and b' = Q·b. The products
 * are of weights, not of activations, so that a step costs hardly more than without compactors; gradients reach Q and W
 * through them.
 */
import { GraphBuilder } from '../graph/builder';
import type { Graph, GraphNode } from '../graph/graph';
import { consumers, producers } from '../graph/order';
import { valueTypes } from '../ops/types';

/**
 * @param graph with normalization folded where it can be
 * @param compactors names of the matrices' initializers; those behind anything but a convolution stay as they are
 */
export function mergeCompactors(graph: Graph, compactors: ReadonlySet<string>): Graph {
  if (compactors.size === 0) return graph;
  const readers = consumers(graph);
  const producer = producers(graph);
  const g = new GraphBuilder(graph, valueTypes(graph));
  const replaced = new Map<GraphNode, readonly GraphNode[]>();
  for (const node of graph.nodes) {
    const conv = producer.get(node.inputs[0] ?? '');
    if (node.opType !== 'Conv' || !compactors.has(node.inputs[1]) || conv?.opType !== 'Conv') continue;
    const dims = dimsOfWeight(graph, producer, conv.inputs[1]);
    if (readers.get(node.inputs[0])?.length !== 1 || !dims) continue;
    const first = g.nodes.length;
    const [X, W, bias] = conv.inputs;
    const Q = g.reshape(node.inputs[1], [dims[0], dims[0]]);
    const weight = g.reshape(g.matMul(Q, g.reshape(W, [dims[0], -1])), dims);
    const shift = bias ? [g.reshape(g.matMul(Q, g.reshape(bias, [dims[0], 1])), [dims[0]])] : [];
    replaced.set(conv, []);
    replaced.set(node, [
      ...g.nodes.slice(first),
      { ...conv, inputs: [X, weight, ...shift], outputs: [node.outputs[0]] },
    ]);
  }
  return {
    ...graph,
    nodes: graph.nodes.flatMap((node) => replaced.get(node) ?? [node]),
    initializers: new Map([...graph.initializers, ...g.initializers]),
  };
}

/** Of a stored weight, or of one that normalization was folded into. */
function dimsOfWeight(
  graph: Graph,
  producer: ReadonlyMap<string, GraphNode>,
  weight: string,
): readonly number[] | undefined {
  const node = producer.get(weight);
  const stored = node?.opType === 'Mul' ? node.inputs[0] : weight;
  return graph.initializers.get(stored)?.dims;
}
