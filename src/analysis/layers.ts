/**
 * The layers of a model: nodes that multiply by a stored weight matrix (Conv, ConvTranspose, Gemm, MatMul and their
 * quantized forms), also inside control flow. Each layer knows its weight as matrices, and why it can't be factorized
 * when it can't.
 */
import { type Graph, type GraphNode, nodeLabel } from '../graph/graph';
import { producers, subgraphs } from '../graph/order';
import { opDef } from '../ops';
import type { LayerRule, WeightMatrices } from '../ops/op';
import { elementCount } from '../tensor/dtype';
import { isFloatWeight, type Scope, type StoredWeight, storedWeight } from './weights';

export interface Layer {
  /** Unique in the model. */
  readonly name: string;
  readonly node: GraphNode;
  readonly rule: LayerRule;
  readonly scope: Scope;
  /** Names of enclosing nodes and branches; empty at the top level. */
  readonly path: readonly string[];
  readonly weight: StoredWeight;
  /** Which input of the node is the weight. */
  readonly weightInput: number;
  readonly bias: StoredWeight | null;
  readonly matrices: WeightMatrices | null;
  /** Why the layer can't be factorized, or null. */
  readonly reason: string | null;
}

/** The axis of a layer's output that has its channels. @param rank of the output */
export function channelAxis({ node }: Pick<Layer, 'node'>, rank: number): number {
  return node.opType === 'MatMul' ? rank - 1 : 1;
}

/** All layers in graph order, those of subgraphs after the node that holds them. */
export function findLayers(graph: Graph): Layer[] {
  const found: Omit<Layer, 'name'>[] = [];
  collect({ graph, producer: producers(graph), outer: null }, [], found);
  const names = uniqueNames(found);
  return found.map((layer, i) => ({ ...layer, name: names[i] as string }));
}

function collect(scope: Scope, path: readonly string[], found: Omit<Layer, 'name'>[]): void {
  for (const node of scope.graph.nodes) {
    const rule = opDef(node.opType, node.domain)?.layer;
    const layer = rule && layerOf(scope, path, node, rule);
    if (layer) found.push(layer);
    for (const child of subgraphs(node)) {
      const inner: Scope = { graph: child.graph, producer: producers(child.graph), outer: scope };
      collect(inner, [...path, nodeLabel(node), child.name], found);
    }
  }
}

function layerOf(
  scope: Scope,
  path: readonly string[],
  node: GraphNode,
  rule: LayerRule,
): Omit<Layer, 'name'> | undefined {
  const candidates = typeof rule.weight === 'number' ? [rule.weight] : rule.weight;
  for (const weightInput of candidates) {
    const name = node.inputs[weightInput];
    const stored = name ? storedWeight(scope, name) : undefined;
    if (!stored) continue;
    const weight = { ...stored, quantized: quantizedBy(node, rule, weightInput) };
    const biasName = rule.bias === undefined ? undefined : node.inputs[rule.bias];
    const bias = (biasName && storedWeight(scope, biasName)) || null;
    const matrices = rule.matrices(node, weight.dims);
    const base = { node, rule, scope, path, weight, weightInput, bias };
    if (typeof matrices === 'string') return { ...base, matrices: null, reason: matrices };
    return { ...base, matrices, reason: reasonAgainst(base, matrices) };
  }
  return undefined;
}

function quantizedBy(node: GraphNode, rule: LayerRule, weightInput: number): StoredWeight['quantized'] {
  const places = rule.quantization?.(weightInput);
  if (!places) return undefined;
  const named = (input: number | undefined) => (input === undefined ? undefined : node.inputs[input] || undefined);
  return { scale: named(places.scale), zero: named(places.zero), axis: places.axis };
}

/** Why a layer can't be split in two, whatever the rank. */
function reasonAgainst(
  { node, path, weight, weightInput }: Pick<Layer, 'node' | 'path' | 'weight' | 'weightInput'>,
  { blocks, rows, cols }: WeightMatrices,
): string | null {
  if (path.length) return `inside the control flow of ${path[0]} (${path[1]})`;
  if (!isFloatWeight(weight)) {
    return `${weight.ref.dtype} weights: prune the float model, then quantize it again`;
  }
  if (rows === 0 || cols === 0) return 'the weight is empty';
  if (rows === 1 || cols === 1) {
    return blocks > 1 ? 'depthwise: each group is a matrix of rank 1' : 'a matrix of rank 1';
  }
  if (node.opType === 'ConvTranspose') return 'transposed convolutions are left alone by this method';
  if (node.opType === 'MatMul' && (weightInput === 0 || weight.dims.length > 2)) {
    return weightInput === 0 ? 'the weight is the left factor of the product' : 'a batch of weight matrices';
  }
  return null;
}

/** Elements of the weight and the bias. */
export function layerParams({ weight, bias }: Pick<Layer, 'weight' | 'bias'>): number {
  return elementCount(weight.dims) + (bias ? elementCount(bias.dims) : 0);
}

/** min(rows, cols), or 0 without a matrix form. */
export function fullRank({ matrices }: Pick<Layer, 'matrices'>): number {
  return matrices ? Math.min(matrices.rows, matrices.cols) : 0;
}

const GENERATED = /^(onnx::|const_fold|\d+$|_v_|val_|initializer_|node_|fused |new_|.*__\d+(:0)?$)/;

function uniqueNames(layers: readonly Omit<Layer, 'name'>[]): string[] {
  const taken = new Set<string>();
  return layers.map(({ weight, node, path }) => {
    const own = readableWeightName(weight.ref.name) ?? readableNodeName(node);
    const wish = path.length ? `${path.join('/')}/${own}` : own;
    let name = wish;
    for (let i = 2; taken.has(name); i++) name = `${wish}#${i}`;
    taken.add(name);
    return name;
  });
}

/** "layer1.0.conv1" from "layer1.0.conv1.weight"; undefined when an exporter made the name up. */
function readableWeightName(name: string): string | undefined {
  if (!name || GENERATED.test(name)) return undefined;
  const first = (name.split(';')[0] as string)
    .replace(/:\d+$/, '')
    .replace(/(\/(Conv[123]D|DepthwiseConv2dNative|MatMul))?\/ReadVariableOp(_\d+)?$/, '');
  const stem = first
    .replace(/[._/](weight|kernel|depthwise_kernel|pointwise_kernel|W|w)(_quantized|_0)?$/, '')
    .replace(/_w_0$/, '');
  return stem || undefined;
}

/** "layer1.0.conv1" from the exporter's "/layer1/layer1.0/conv1/Conv". */
function readableNodeName(node: GraphNode): string {
  const label = (nodeLabel(node).split(';')[0] as string).replace(/^\//, '');
  const parts = label.split('/');
  if (parts.length > 1 && (parts[parts.length - 1] as string).startsWith(node.opType)) parts.pop();
  const kept = parts.filter((part, i) => !parts[i + 1]?.startsWith(`${part}.`));
  return kept.join('.') || label;
}
