/**
 * BatchNormalization with stored statistics, written into the convolution before it: W' = W·γr and
 * b' = (b − μ)·γr + β with r = 1/√(v + ε). The nodes work on weights instead of activations, so that training passes
 * over each activation fewer times; gradients still reach W, γ and β through them. What is frozen the runtime folds
 * into constants.
 */
import { GraphBuilder } from '../graph/builder';
import { attribute, type Graph, type GraphNode } from '../graph/graph';
import { consumers, producers } from '../graph/order';
import { epsilonOf } from '../ops/epsilon';
import { valueTypes } from '../ops/types';

/** @param graph at the training operator set, stored tensors as initializers */
export function foldNormalization(graph: Graph): Graph {
  const readers = consumers(graph);
  const producer = producers(graph);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const g = new GraphBuilder(graph, valueTypes(graph));
  const replaced = new Map<GraphNode, readonly GraphNode[]>();
  for (const node of graph.nodes) {
    const conv = producer.get(node.inputs[0] ?? '');
    if (node.opType !== 'BatchNormalization' || attribute(node, 'training_mode', 'int') === 1) continue;
    if (conv?.opType !== 'Conv' || outputs.has(node.inputs[0]) || readers.get(node.inputs[0])?.length !== 1) continue;
    const weight = graph.initializers.get(conv.inputs[1]);
    const rank = weight?.dims.length ?? sizeOfComputed(graph, producer, conv.inputs[1]);
    if (rank === undefined || node.inputs.slice(1).some((name) => !graph.initializers.has(name))) continue;
    const [X, W, bias] = conv.inputs;
    const [, gamma, beta, mean, variance] = node.inputs;
    const first = g.nodes.length;
    const deviation = g.sqrt(g.add(variance, epsilonOf(node)));
    const scale = g.div(gamma, deviation);
    const shape = [-1, ...Array.from({ length: rank - 1 }, () => 1)];
    const foldedWeight = g.mul(W, g.reshape(scale, shape));
    const centre = bias ? g.sub(bias, mean) : g.neg(mean);
    const foldedBias = g.add(g.mul(centre, scale), beta);
    replaced.set(conv, []);
    replaced.set(node, [
      ...g.nodes.slice(first),
      { ...conv, inputs: [X, foldedWeight, foldedBias], outputs: [node.outputs[0]] },
    ]);
  }
  return {
    ...graph,
    nodes: graph.nodes.flatMap((node) => replaced.get(node) ?? [node]),
    initializers: new Map([...graph.initializers, ...g.initializers]),
  };
}

/** The rank of a weight that scaling factors were multiplied into. */
function sizeOfComputed(graph: Graph, producer: ReadonlyMap<string, GraphNode>, weight: string): number | undefined {
  const node = producer.get(weight);
  return node?.opType === 'Mul' ? graph.initializers.get(node.inputs[0])?.dims.length : undefined;
}
