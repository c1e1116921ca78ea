/** What normalizations add to a variance, so that its root is no division by zero. */
import { attribute, type GraphNode } from '../graph/graph';

/** Attributes are float32, and so is ONNX's default. */
export function epsilonOf(node: GraphNode): number {
  return attribute(node, 'epsilon', 'float') ?? Math.fround(1e-5);
}
