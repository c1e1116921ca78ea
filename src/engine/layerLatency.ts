/** Attributes profiled kernels to layers: the runtime names a fused kernel after a node or value further down. */
import type { Graph, GraphNode } from '../graph/graph';
import { consumers } from '../graph/order';

/** Operators that ONNX Runtime fuses into the convolution or product before them. */
const FUSED = new Set([
  'BatchNormalization',
  'Relu',
  'LeakyRelu',
  'Clip',
  'Sigmoid',
  'Tanh',
  'HardSigmoid',
  'HardSwish',
  'Add',
  'Mul',
  'Sum',
]);
const LONGEST_CHAIN = 4;

/**
 * Milliseconds by owner.
 * @param owners which layer each node of the graph belongs to
 * @param times milliseconds by the runtime's name of a kernel
 */
export function latencyByLayer(
  graph: Graph,
  owners: ReadonlyMap<GraphNode, string>,
  times: ReadonlyMap<string, number>,
): Map<string, number> {
  const readers = consumers(graph);
  const claims = new Map<string, { layer: string; distance: number }>();
  for (const [node, layer] of owners) {
    let reached: GraphNode[] = [node];
    for (let distance = 0; distance <= LONGEST_CHAIN && reached.length; distance++) {
      for (const at of reached) {
        for (const name of [at.name, ...at.outputs]) {
          const known = claims.get(name);
          if (name && (!known || distance <= known.distance)) claims.set(name, { layer, distance });
        }
      }
      reached = reached
        .flatMap((at) => at.outputs.flatMap((name) => readers.get(name) ?? []))
        .filter((next) => FUSED.has(next.opType));
    }
  }
  const found = new Map<string, number>();
  for (const [kernel, milliseconds] of times) {
    const claim = claims.get(kernel) ?? claims.get(kernel.replace(/_nchwc$/, ''));
    if (claim) found.set(claim.layer, (found.get(claim.layer) ?? 0) + milliseconds);
  }
  return found;
}
