/**
 * Basis scaling factors (Wong, Kashyap & Moradi, arXiv 2108.02893): one trained factor per kept basis of a factorized
 * layer, all 1 at the start. In the training graph they multiply the columns of layer B's weight, y = B·diag(s)·A·x + b,
 * so that layer A stays frozen; afterwards they are multiplied into B's stored weight and nothing of them is left in the
 * model.
 */
import { GraphBuilder } from '../graph/builder';
import type { Graph, GraphNode } from '../graph/graph';
import { consumers } from '../graph/order';
import { groupsOf } from '../ops/convolution';
import { valueTypes } from '../ops/types';
import { float32Tensor, memoryTensor, type Tensor, toFloat32 } from '../tensor/tensor';
import type { Trainable } from './trainable';

export interface ScaledPair {
  /** Name of the factors' initializer, [r]. */
  readonly factors: string;
  /** Name of layer B's stored weight. */
  readonly weight: string;
  /** How the factors spread over that weight: sizes of its axes, 1 where they do not vary. */
  readonly shape: readonly number[];
}

export interface ScaledGraph {
  readonly graph: Graph;
  readonly pairs: readonly ScaledPair[];
  readonly trainables: readonly Trainable[];
}

/**
 * Puts factors on the second layer of each pair; grouped convolutions are left as they are.
 * @param inners names of the values between layer A and layer B
 */
export function withScaling(graph: Graph, inners: Iterable<string>): ScaledGraph {
  const readers = consumers(graph);
  const g = new GraphBuilder(graph, valueTypes(graph));
  const initializers = new Map(graph.initializers);
  const replaced = new Map<GraphNode, readonly GraphNode[]>();
  const pairs: ScaledPair[] = [];
  const trainables: Trainable[] = [];
  for (const inner of inners) {
    const [node] = readers.get(inner) ?? [];
    const weight = node && graph.initializers.get(node.inputs[1]);
    const shape = node && weight && spread(node, weight.dims);
    if (!shape) continue;
    const size = shape.reduce((product, n) => product * n, 1);
    const factors = g.declare(`${inner}/factors`, weight.dtype);
    initializers.set(factors, memoryTensor(factors, float32Tensor(new Float32Array(size).fill(1), [size])));
    const before = g.nodes.length;
    const scaled = g.mul(weight.name, g.reshape(factors, shape));
    const added = g.nodes.slice(before);
    replaced.set(node, [...added, { ...node, inputs: node.inputs.map((name, i) => (i === 1 ? scaled : name)) }]);
    pairs.push({ factors, weight: weight.name, shape });
    trainables.push({ name: factors, dims: [size], decays: false });
  }
  return {
    graph: {
      ...graph,
      nodes: graph.nodes.flatMap((node) => replaced.get(node) ?? [node]),
      initializers: new Map([...initializers, ...g.initializers]),
    },
    pairs,
    trainables,
  };
}

/** B's weight with its factors multiplied in. */
export function foldScaling(weight: Tensor, { shape }: ScaledPair, factors: Tensor): Tensor {
  const values = toFloat32(weight);
  const s = toFloat32(factors);
  const axis = shape.findIndex((n) => n !== 1);
  const inner = weight.dims.slice(axis + 1).reduce((product, n) => product * n, 1);
  const data = values.map((value, i) => value * (axis < 0 ? s[0] : s[Math.floor(i / inner) % shape[axis]]));
  return float32Tensor(data, weight.dims);
}

/** The shape in which factors meet layer B's weight; undefined where no one axis counts the bases. */
function spread(node: GraphNode, dims: readonly number[]): number[] | undefined {
  const axis = node.opType === 'MatMul' ? 0 : 1;
  if (!['Conv', 'Gemm', 'MatMul'].includes(node.opType) || groupsOf(node) !== 1) return undefined;
  return dims.map((size, i) => (i === axis ? size : 1));
}
