/**
 * Parameters and bytes of a whole graph. A parameter is an element of a stored float or quantized tensor that some
 * node reads as more than a setting; BatchNormalization's running statistics are weights in bytes, not parameters.
 * Each stored tensor counts once, however many nodes share it.
 */
import type { Graph, GraphNode } from '../graph/graph';
import { producers, subgraphs } from '../graph/order';
import { opDef } from '../ops';
import { byteLength, dataTypes, elementCount } from '../tensor/dtype';
import type { TensorRef } from '../tensor/tensor';
import { type Scope, storedWeight } from './weights';

export interface StoredTotals {
  readonly params: number;
  readonly bytes: number;
  /** How many nodes (and graph outputs) read each stored tensor of the top-level graph, also through Identity, Transpose and the like. */
  readonly uses: ReadonlyMap<string, number>;
}

export function storedTotals(graph: Graph): StoredTotals {
  const parameters = new Map<string, TensorRef>();
  const statistics = new Map<string, TensorRef>();
  const uses = new Map<string, number>();
  const scope: Scope = { graph, producer: producers(graph), outer: null };
  visit(scope, '', parameters, statistics, uses);
  for (const { name } of graph.outputs) {
    const stored = storedWeight(scope, name);
    if (stored) uses.set(stored.ref.name, (uses.get(stored.ref.name) ?? 0) + 1);
  }
  let params = 0;
  let bytes = 0;
  for (const ref of parameters.values()) {
    params += elementCount(ref.dims);
    bytes += byteLength(ref.dtype, elementCount(ref.dims));
  }
  for (const [key, ref] of statistics) if (!parameters.has(key)) bytes += byteLength(ref.dtype, elementCount(ref.dims));
  return { params, bytes, uses };
}

function visit(
  scope: Scope,
  prefix: string,
  parameters: Map<string, TensorRef>,
  statistics: Map<string, TensorRef>,
  uses: Map<string, number>,
): void {
  for (const [position, node] of scope.graph.nodes.entries()) {
    for (const [i, name] of node.inputs.entries()) {
      if (!name) continue;
      const stored = storedWeight(scope, name);
      if (!stored || PASS_THROUGH.has(node.opType)) continue; // counted where the value is used
      // A name may stand for different tensors in different subgraphs.
      const key =
        scope.graph.initializers.has(stored.ref.name) || scope.producer.has(stored.ref.name)
          ? prefix + stored.ref.name
          : stored.ref.name;
      uses.set(key, (uses.get(key) ?? 0) + 1);
      if (!isParameterLike(stored.ref, node, i, stored.via)) continue;
      if (!opDef(node.opType, node.domain)?.settings?.includes(i)) parameters.set(key, stored.ref);
      else if (node.opType === 'BatchNormalization') statistics.set(key, stored.ref);
    }
    for (const child of subgraphs(node)) {
      const inner: Scope = { graph: child.graph, producer: producers(child.graph), outer: scope };
      visit(inner, `${prefix}${position}/${child.name}/`, parameters, statistics, uses);
    }
  }
}

/** Float tensors that are no scalar constants; integers only where an operator reads them as quantized weights. */
function isParameterLike(ref: TensorRef, node: GraphNode, input: number, via: readonly GraphNode[]): boolean {
  const { kind } = dataTypes[ref.dtype];
  if (kind === 'float') return ref.dims.length > 0;
  if (kind !== 'int') return false;
  if (via.some((n) => n.opType === 'DequantizeLinear')) return ref.dims.length > 0;
  const rule = opDef(node.opType, node.domain)?.layer;
  return !!rule && ([rule.weight].flat().includes(input) || rule.bias === input);
}

const PASS_THROUGH = new Set([
  'Identity',
  'Transpose',
  'DequantizeLinear',
  'Cast',
  'Constant',
  'ConstantOfShape',
  'Shape',
]);
