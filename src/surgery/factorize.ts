/**
 * Splits a layer in two (docs/basis.md): layer A projects onto the kept basis and holds all strides, pads and
 * dilations; layer B maps back and holds the bias. Nothing downstream changes, and the values between are new, so
 * every declared shape of the model stays true.
 */
import type { Layer } from '../analysis/layers';
import { isFloatWeight, readWeight } from '../analysis/weights';
import { attribute, float, type Graph, type GraphNode, int, ints, makeNode, type ValueInfo } from '../graph/graph';
import { multiply, transpose } from '../linalg/matrix';
import { elementCount, type FloatType } from '../tensor/dtype';
import { fromFloat, memoryTensor, type TensorRef } from '../tensor/tensor';
import { withoutDeadWeights } from './deadWeights';
import { type LayerMatrix, toLayerOrder } from './layerMatrix';

/** The two factors of a layer: W ≈ B·A per block, and the bias the pair needs. */
export interface Factors {
  /** Rank per block. */
  readonly rank: number;
  /** blocks × rank × inputs. */
  readonly A: Float64Array;
  /** blocks × outputs × rank. */
  readonly B: Float64Array;
  /** The new bias of all outputs; null keeps the layer's own. */
  readonly bias: Float64Array | null;
}

/** What replaces a layer's node. */
export interface Replacement {
  readonly nodes: readonly GraphNode[];
  readonly initializers: readonly TensorRef[];
  /** Name of the value between A and B; null when there is only one layer. */
  readonly inner: string | null;
}

/** The model that a replacement goes into. */
export interface Site {
  /** Version of its standard operator set. */
  readonly opset: number;
  /** Names that are not taken in it. */
  fresh(wish: string): string;
}

/** Two nodes in place of the layer's one. */
export function twoLayers(layer: Layer, matrix: LayerMatrix, factors: Factors, { opset, fresh }: Site): Replacement {
  const { blocks, outputs, inputs } = matrix;
  const { rank } = factors;
  const dtype = layer.weight.dtype as FloatType;
  const node = layer.node;
  const inner = fresh(`${layer.name}/basis`);
  const nameA = fresh(`${layer.name}.basis.weight`);
  const nameB = fresh(`${layer.name}.scaling.weight`);
  const nodeName = (part: string): string => (node.name ? fresh(`${node.name}/${part}`) : '');
  const initializers: TensorRef[] = [];
  const store = (name: string, values: Float64Array, dims: readonly number[]): string => {
    initializers.push(memoryTensor(name, fromFloat(values, dtype, dims)));
    return name;
  };
  const bias = factors.bias
    ? store(fresh(`${layer.name}.scaling.bias`), factors.bias, [blocks * outputs])
    : ownBias(layer);
  const X = node.inputs[0] as string;
  const Y = node.outputs[0] as string;

  if (node.opType === 'Conv') {
    const kernel = layer.weight.dims.slice(2);
    const ones = kernel.map(() => 1);
    store(nameA, factors.A, [blocks * rank, inputs / elementCount(kernel), ...kernel]);
    store(nameB, factors.B, [blocks * outputs, rank, ...ones]);
    return {
      nodes: [
        { ...node, name: nodeName('basis'), inputs: [X, nameA], outputs: [inner] },
        makeNode(
          'Conv',
          bias ? [inner, nameB, bias] : [inner, nameB],
          [Y],
          { kernel_shape: ints(ones), group: int(blocks) },
          nodeName('scaling'),
        ),
      ],
      initializers,
      inner,
    };
  }
  if (node.opType === 'Gemm') {
    // alpha is in the factors; beta stays with the bias it belongs to.
    const beta = factors.bias ? undefined : attribute(node, 'beta', 'float');
    store(nameA, factors.A, [rank, inputs]);
    store(nameB, factors.B, [outputs, rank]);
    // Gemm could not do without a bias before opset 11.
    const none = opset < 11 ? [store(fresh(`${layer.name}.basis.bias`), new Float64Array(1), [])] : [];
    return {
      nodes: [
        makeNode(
          'Gemm',
          [X, nameA, ...none],
          [inner],
          { transA: node.attributes.get('transA'), transB: int(1) },
          nodeName('basis'),
        ),
        makeNode(
          'Gemm',
          bias ? [inner, nameB, bias] : [inner, nameB],
          [Y],
          { transB: int(1), beta: beta === undefined ? undefined : float(beta) },
          nodeName('scaling'),
        ),
      ],
      initializers,
      inner,
    };
  }
  // MatMul: X [..., k] · A' [k, r] · B' [r, c].
  store(nameA, transpose(factors.A, rank, inputs), [inputs, rank]);
  store(nameB, transpose(factors.B, outputs, rank), [rank, outputs]);
  const product = bias ? fresh(`${layer.name}/product`) : Y;
  const nodes = [
    makeNode('MatMul', [X, nameA], [inner], {}, nodeName('basis')),
    makeNode('MatMul', [inner, nameB], [product], {}, nodeName('scaling')),
  ];
  if (bias) nodes.push(makeNode('Add', [product, bias], [Y], {}, nodeName('bias')));
  return { nodes, initializers, inner };
}

/** One node of the original shape again: W' = B·A. */
export function recombined(layer: Layer, matrix: LayerMatrix, factors: Factors, { fresh }: Site): Replacement {
  const { blocks, outputs, inputs } = matrix;
  const dtype = layer.weight.dtype as FloatType;
  const product: LayerMatrix = { ...matrix, values: multiplyBlocks(factors, blocks, outputs, inputs) };
  const weight = memoryTensor(
    fresh(`${layer.name}.recombined.weight`),
    fromFloat(toLayerOrder(layer, product), dtype, layer.weight.dims),
  );
  const initializers = [weight];
  const { node } = layer;
  const inputsOf = node.inputs.map((name, i) => (i === layer.weightInput ? weight.name : name));
  const attributes = new Map(node.attributes);
  attributes.delete('alpha'); // is in the factors
  if (!factors.bias) return { nodes: [{ ...node, inputs: inputsOf, attributes }], initializers, inner: null };
  const bias = memoryTensor(fresh(`${layer.name}.recombined.bias`), fromFloat(factors.bias, dtype, [blocks * outputs]));
  initializers.push(bias);
  if (layer.rule.bias === undefined) {
    const value = fresh(`${layer.name}/product`);
    return {
      nodes: [{ ...node, inputs: inputsOf, outputs: [value] }, makeNode('Add', [value, bias.name], node.outputs, {})],
      initializers,
      inner: null,
    };
  }
  inputsOf[layer.rule.bias] = bias.name;
  attributes.delete('beta');
  return { nodes: [{ ...node, inputs: inputsOf, attributes }], initializers, inner: null };
}

/** Whether the layer adds the same stored number, or none, to an output everywhere: what a new bias could replace. */
export function hasPlainBias(layer: Layer, outputs: number): boolean {
  const { bias } = layer;
  if (!ownBias(layer)) return true;
  if (!bias || !isFloatWeight(bias)) return false;
  const count = elementCount(bias.dims);
  // A Gemm's may also differ from row to row.
  return count === (bias.dims.at(-1) ?? 1) && (count === 1 || count === outputs);
}

/** The layer's bias as it acts on each output (Gemm's beta included), zeros without one; null when it is not plain. */
export function effectiveBias(layer: Layer, outputs: number): Float64Array | null {
  if (!hasPlainBias(layer, outputs)) return null;
  const values = layer.bias && readWeight(layer.scope, layer.bias);
  if (!values) return new Float64Array(outputs);
  const beta = attribute(layer.node, 'beta', 'float') ?? 1;
  return Float64Array.from({ length: outputs }, (_, o) => beta * (values.length === 1 ? values[0] : values[o]));
}

function ownBias({ node, rule }: Layer): string | undefined {
  return (rule.bias !== undefined && node.inputs[rule.bias]) || undefined;
}

function multiplyBlocks({ A, B, rank }: Factors, blocks: number, outputs: number, inputs: number): Float64Array {
  const out = new Float64Array(blocks * outputs * inputs);
  for (let b = 0; b < blocks; b++) {
    const left = B.subarray(b * outputs * rank, (b + 1) * outputs * rank);
    const right = A.subarray(b * rank * inputs, (b + 1) * rank * inputs);
    out.set(multiply(left, right, outputs, rank, inputs), b * outputs * inputs);
  }
  return out;
}

/** Replaces nodes by others and drops what nothing reads any more: the old weights, and nodes that only served them. */
export function replaceNodes(
  graph: Graph,
  replacements: ReadonlyMap<GraphNode, Replacement>,
  irVersion: number,
): Graph {
  if (replacements.size === 0) return graph;
  const nodes = graph.nodes.flatMap((node) => replacements.get(node)?.nodes ?? [node]);
  const initializers = new Map(graph.initializers);
  for (const { initializers: added } of replacements.values()) for (const ref of added) initializers.set(ref.name, ref);
  // Until IR version 4, every initializer had to be a graph input too.
  const listed = irVersion >= 4 ? [] : [...initializers.values()].filter((ref) => !graph.initializers.has(ref.name));
  const inputs = [...graph.inputs, ...listed.map(({ name, dtype, dims }): ValueInfo => ({ name, dtype, shape: dims }))];
  return withoutDeadWeights({ ...graph, nodes, inputs: listed.length ? inputs : graph.inputs, initializers }, graph);
}
