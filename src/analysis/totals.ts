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
import { type Scope, type StoredWeight, storedWeight } from './weights';

export interface StoredTotals {
  readonly params: number;
  readonly bytes: number;
  /** How many nodes (and graph outputs) read each stored tensor of the top-level graph, also through Identity, Transpose and the like. */
  readonly uses: ReadonlyMap<string, number>;
  /** Every read of a stored tensor by a node of the top-level graph, and what it counts as there. */
  readonly reads: readonly StoredRead[];
}

export interface StoredRead {
  readonly ref: TensorRef;
  /** The node that reads it as it is stored: an Identity or the like where there is one on the way. */
  readonly reader: GraphNode;
  /** Index of that node's input. */
  readonly input: number;
  /** Statistics count in bytes only; settings do not count. */
  readonly role: 'parameter' | 'statistic' | 'setting';
}

export function storedTotals(graph: Graph): StoredTotals {
  const tally: Tally = { graphs: [graph], parameters: new Map(), statistics: new Map(), uses: new Map(), reads: [] };
  visit({ graph, producer: producers(graph), outer: null }, tally);
  let params = 0;
  let bytes = 0;
  for (const ref of tally.parameters.values()) {
    params += elementCount(ref.dims);
    bytes += byteLength(ref.dtype, elementCount(ref.dims));
  }
  for (const [key, ref] of tally.statistics) {
    if (!tally.parameters.has(key)) bytes += byteLength(ref.dtype, elementCount(ref.dims));
  }
  return { params, bytes, uses: tally.uses, reads: tally.reads };
}

interface Tally {
  /** The graph and its subgraphs: tensors of different graphs may have the same name. */
  readonly graphs: Graph[];
  readonly parameters: Map<string, TensorRef>;
  readonly statistics: Map<string, TensorRef>;
  readonly uses: Map<string, number>;
  readonly reads: StoredRead[];
}

/** Counts a read and returns the tensor's key: its name, after the graph's number when it lies in a subgraph. */
function countUse({ graphs, uses }: Tally, { ref, owner }: StoredWeight): string {
  const position = graphs.indexOf(owner);
  const key = position === 0 ? ref.name : `${position}/${ref.name}`;
  uses.set(key, (uses.get(key) ?? 0) + 1);
  return key;
}

function visit(scope: Scope, tally: Tally): void {
  for (const node of scope.graph.nodes) {
    const settings = opDef(node.opType, node.domain)?.settings;
    for (const [i, name] of node.inputs.entries()) {
      if (!name || PASS_THROUGH.has(node.opType)) continue; // counted where the value is used
      const stored = storedWeight(scope, name);
      if (!stored) continue;
      const key = countUse(tally, stored);
      const role = roleOf(stored, node, i, settings);
      if (role === 'parameter') tally.parameters.set(key, stored.ref);
      if (role === 'statistic') tally.statistics.set(key, stored.ref);
      const reader = stored.via[0] ?? node;
      const input = stored.via.length ? 0 : i;
      if (scope.outer === null) tally.reads.push({ ref: stored.ref, reader, input, role });
    }
    for (const child of subgraphs(node)) {
      tally.graphs.push(child.graph);
      visit({ graph: child.graph, producer: producers(child.graph), outer: scope }, tally);
    }
  }
  for (const { name } of scope.graph.outputs) {
    const stored = storedWeight(scope, name);
    if (stored) countUse(tally, stored);
  }
}

function roleOf(
  { ref, via }: StoredWeight,
  node: GraphNode,
  input: number,
  settings?: readonly number[],
): StoredRead['role'] {
  if (!isParameterLike(ref, node, input, via)) return 'setting';
  if (!settings?.includes(input)) return 'parameter';
  return node.opType === 'BatchNormalization' ? 'statistic' : 'setting';
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
