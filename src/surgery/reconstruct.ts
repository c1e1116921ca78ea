/**
 * New weights for a layer whose inputs lost channels, by least squares on what it should give (He, Zhang and Sun, 2017,
 * with the asymmetric form of Zhang et al., 2016): with P the patches that the layer sees in the pruned network and Y the
 * original layer's outputs, the W and b that bring W·P + b closest to Y, starting from the weights that are left.
 */
import type { Layer } from '../analysis/layers';
import type { CrossMoments } from '../analysis/moments';
import { attribute, type Graph, type GraphNode, int, ints, makeNode } from '../graph/graph';
import { freshNames } from '../graph/names';
import { consumers } from '../graph/order';
import { elementCount, type FloatType, isFloatType } from '../tensor/dtype';
import { float32Tensor, fromFloat, memoryTensor, type TensorRef, toFloat64 } from '../tensor/tensor';
import { layerMatrix, toLayerOrder } from './layerMatrix';
import { refit } from './refit';

/** A value that holds a layer's input patches as channels: per group the inputs, each with all positions of the kernel. */
export interface Patches {
  readonly graph: Graph;
  readonly value: string;
  /** Channels in all, and groups. */
  readonly width: number;
  readonly blocks: number;
}

/**
 * The graph with a layer's patches as a value, from a convolution with filters of a single one each.
 * @returns null for layers of other kinds, and those with more inputs per output than `widest`
 */
export function withPatches(
  graph: Graph,
  { node, weight, matrices, weightInput }: Layer,
  widest: number,
): Patches | null {
  if (!matrices || weightInput !== 1 || weight.dtype !== 'float32') return null;
  const width = matrices.outputsAre === 'rows' ? matrices.cols : matrices.rows;
  if (width > widest) return null;
  const { blocks } = matrices;
  if (node.opType !== 'Conv') {
    const isKnown = node.opType === 'MatMul' || (node.opType === 'Gemm' && attribute(node, 'transA', 'int') !== 1);
    return isKnown && blocks === 1 ? { graph, value: node.inputs[0], width, blocks } : null;
  }
  const kernel = weight.dims.slice(2);
  const positions = elementCount(kernel);
  const channels = (width / positions) * blocks;
  const ones = new Float32Array(channels * positions * positions);
  for (let filter = 0; filter < channels * positions; filter++) ones[filter * positions + (filter % positions)] = 1;
  const fresh = freshNames(graph);
  const W = fresh('patches.weight');
  const value = fresh('patches');
  const attributes = new Map([
    ...node.attributes,
    ['group', int(channels)] as const,
    ['kernel_shape', ints(kernel)] as const,
  ]);
  const patch: GraphNode = { ...makeNode('Conv', [node.inputs[0], W], [value]), attributes };
  const stored = memoryTensor(W, float32Tensor(ones, [channels * positions, 1, ...kernel]));
  return {
    graph: { ...graph, nodes: [...graph.nodes, patch], initializers: new Map([...graph.initializers, [W, stored]]) },
    value,
    width: width * blocks,
    blocks,
  };
}

/** Whether new values in place of the stored weight change this layer and nothing else. */
function isOwn(graph: Graph, { node, weight, weightInput }: Layer): boolean {
  const { name } = weight.ref;
  return node.inputs[weightInput] === name && graph.initializers.has(name) && consumers(graph).get(name)?.length === 1;
}

/**
 * Where an offset of a layer's outputs goes without a new tensor: its bias, that of the sum behind it, or the mean of the
 * normalization behind it.
 */
interface Offset {
  readonly ref: TensorRef;
  /** What a unit of offset changes there. */
  readonly sign: 1 | -1;
  /** Whether the layer's own outputs, as its node gives them, have it in them. */
  readonly isInside: boolean;
}

function offsetOf(graph: Graph, { node, bias }: Layer, outputs: number): Offset | null {
  const readers = consumers(graph);
  const own = (name: string | undefined): TensorRef | null => {
    const ref = name ? graph.initializers.get(name) : undefined;
    const isOwn = ref && (readers.get(ref.name)?.length ?? 0) === 1 && elementCount(ref.dims) === outputs;
    return isOwn && isFloatType(ref.dtype) ? ref : null;
  };
  if (bias) {
    const beta = attribute(node, 'beta', 'float') ?? 1;
    const ref = beta === 1 ? own(bias.ref.name) : null;
    return ref && { ref, sign: 1, isInside: true };
  }
  const next = readers.get(node.outputs[0]) ?? [];
  if (next.length !== 1) return null;
  if (next[0].opType === 'BatchNormalization') {
    const ref = own(next[0].inputs[3]);
    return ref && { ref, sign: -1, isInside: false };
  }
  if (next[0].opType !== 'Add' || node.opType !== 'MatMul') return null;
  const ref = own(next[0].inputs.find((name) => graph.initializers.has(name)));
  return ref && { ref, sign: 1, isInside: false };
}

/** Whether {@link withOffset} finds a place. */
export function takesOffset(graph: Graph, layer: Layer): boolean {
  return offsetOf(graph, layer, outputsOf(layer)) !== null;
}

/** Whether new weights and a new bias can be written for a layer alone, without new tensors. */
export function canBeFitted(graph: Graph, layer: Layer): boolean {
  const isPlain = (attribute(layer.node, 'alpha', 'float') ?? 1) === 1;
  return isPlain && isOwn(graph, layer) && offsetOf(graph, layer, outputsOf(layer)) !== null;
}

function outputsOf({ matrices }: Layer): number {
  return matrices ? matrices.blocks * (matrices.outputsAre === 'rows' ? matrices.rows : matrices.cols) : 0;
}

/**
 * The graph with the layer fitted again.
 * @param layer of `graph`, the pruned one
 * @param moments of the original outputs that are left and of the patches
 * @param ridge λ relative to the mean diagonal of Cov(P)
 */
export function reconstructed(graph: Graph, layer: Layer, moments: CrossMoments, ridge: number): Graph {
  const offset = offsetOf(graph, layer, outputsOf(layer));
  if (!offset) return graph;
  const matrix = layerMatrix(layer);
  const { blocks, outputs } = matrix;
  const start = { rank: matrix.inputs, A: new Float64Array(0), B: matrix.values, bias: null };
  const { B, bias } = refit(start, moments, blocks, outputs, ridge);
  const values = toLayerOrder(layer, { ...matrix, values: B });
  // The fit gives a bias anew where the layer has its own; elsewhere it comes on top.
  const before = offset.isInside ? new Float64Array(blocks * outputs) : toFloat64(offset.ref.read());
  const shifted = before.map((value, o) => value + offset.sign * (bias as Float64Array)[o]);
  return withValues(graph, [
    [layer.weight.ref, values],
    [offset.ref, shifted],
  ]);
}

/**
 * The graph with an offset added to a layer's outputs; the same graph where there is no place for one.
 * @param added one number per output
 */
export function withOffset(graph: Graph, layer: Layer, added: Float64Array): Graph {
  const offset = offsetOf(graph, layer, added.length);
  if (!offset) return graph;
  const before = toFloat64(offset.ref.read());
  return withValues(graph, [[offset.ref, before.map((value, o) => value + offset.sign * added[o])]]);
}

function withValues(graph: Graph, changes: readonly (readonly [TensorRef, Float64Array])[]): Graph {
  const initializers = new Map(graph.initializers);
  for (const [{ name, dtype, dims }, values] of changes) {
    initializers.set(name, memoryTensor(name, fromFloat(values, dtype as FloatType, dims)));
  }
  return { ...graph, initializers };
}
