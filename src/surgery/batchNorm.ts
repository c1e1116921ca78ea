/** The scale that a BatchNormalization puts on each output channel of the layer before it: γ/√(v+ε). */
import type { Layer } from '../analysis/layers';
import { storedWeight } from '../analysis/weights';
import type { GraphNode } from '../graph/graph';
import { epsilonOf } from '../ops/epsilon';
import { toFloat64 } from '../tensor/tensor';

/**
 * Per-channel scale of the BatchNormalization that is the only reader of a layer's output; null without one.
 * @param readers the nodes that read each value
 */
export function batchNormScale(layer: Layer, readers: ReadonlyMap<string, readonly GraphNode[]>): Float64Array | null {
  const next = readers.get(layer.node.outputs[0] as string);
  const node = next?.length === 1 ? (next[0] as GraphNode) : undefined;
  if (node?.opType !== 'BatchNormalization' || node.inputs[0] !== layer.node.outputs[0]) return null;
  const [gamma, variance] = [node.inputs[1], node.inputs[4]].map((name) => {
    const stored = name ? storedWeight(layer.scope, name) : undefined;
    return stored ? toFloat64(stored.ref.read()) : undefined;
  });
  if (!gamma || !variance || gamma.length !== variance.length) return null;
  const epsilon = epsilonOf(node);
  return gamma.map((g, o) => g / Math.sqrt((variance[o] as number) + epsilon));
}
