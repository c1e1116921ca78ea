/** New values for what a graph stores. */
import type { DataType } from '../tensor/dtype';
import { renamedTensor, type TensorRef } from '../tensor/tensor';
import { constantValue, type Graph, type GraphNode } from './graph';

/**
 * The graph with other tensors in place of stored ones, be they initializers or `Constant` nodes.
 * @param replacement of a tensor by the name of its value; undefined leaves it alone
 */
export function withStoredTensors(
  graph: Graph,
  replacement: (name: string, dtype: DataType) => TensorRef | undefined,
): Graph {
  const initializers = new Map(graph.initializers);
  for (const [name, { dtype }] of graph.initializers) {
    const tensor = replacement(name, dtype);
    if (tensor) initializers.set(name, tensor);
  }
  const nodes = graph.nodes.map((node): GraphNode => {
    const old = constantValue(node);
    const tensor = old && replacement(node.outputs[0], old.dtype);
    if (!tensor) return node;
    // A list of numbers in an attribute of its own becomes a tensor.
    const value = 'read' in old ? renamedTensor(old.name, tensor) : tensor;
    return { ...node, attributes: new Map([['value', { ...node.attributes.get('value'), kind: 'tensor', value }]]) };
  });
  return { ...graph, nodes, initializers };
}
