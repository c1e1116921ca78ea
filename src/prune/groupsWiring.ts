/**
 * A graph as grouping sees it: nodes with their ties, and the axes that ties speak of.
 *
 * A stored vector (a bias, a scale) that several nodes read counts once for each of them, since exporters store equal
 * vectors once: what one layer loses, another keeps, in a copy of its own. Larger tensors that are shared are shared on
 * purpose, and couple their readers.
 */
import type { Layer } from '../analysis/layers';
import { constantValue, type Graph, type GraphNode, nodeLabel } from '../graph/graph';
import { outerReads, producers, subgraphs } from '../graph/order';
import { opDef } from '../ops';
import type { CoupledNode, Dims, Place, Tie } from '../ops/coupling';
import { smallValues } from '../ops/smallValues';
import { dataTypes } from '../tensor/dtype';
import { memoryTensor, type TensorRef } from '../tensor/tensor';

/** What groups are found in. */
export interface ChannelModel {
  readonly graph: Graph;
  /** Version of the standard operator set. */
  readonly opset: number;
  readonly layers: readonly Layer[];
  /** Shapes of the values that `valuesToProbe` names. */
  readonly shapes: ReadonlyMap<string, Dims>;
}

/** One axis of a value, or of a stored vector as one node reads it. */
export interface Axis {
  readonly key: string;
  readonly value: string;
  readonly use: { readonly node: number; readonly input: number } | null;
  readonly axis: number;
  readonly size: number;
}

export interface Wiring extends ChannelModel {
  readonly nodes: readonly GraphNode[];
  readonly stored: ReadonlyMap<string, TensorRef>;
  /** The node that gives each value. */
  readonly producer: ReadonlyMap<string, GraphNode>;
  /** Indices of the nodes that give or read a value themselves. */
  readonly touching: ReadonlyMap<string, readonly number[]>;
  /** Why all of a value is needed: it is an input or output of the model, or read by control flow. */
  readonly needed: ReadonlyMap<string, string>;
  /** Whether a value follows from stored tensors alone. */
  isStatic(value: string): boolean;
  shapeOf(value: string): Dims | undefined;
  /** The ties of a node, or why it has none. */
  ties(node: number): readonly Tie[] | string;
  coupled(node: number): CoupledNode;
  axisOf(node: number, place: Place): Axis;
}

/** The values of a graph whose shapes grouping needs: all that operators with couplings give or read. */
export function valuesToProbe(graph: Graph): string[] {
  const known = graph.nodes.filter((node) => opDef(node.opType, node.domain)?.couplings);
  const values = new Set(known.flatMap((node) => [...node.inputs, ...node.outputs]));
  return [...values].filter((name) => name !== '' && !graph.initializers.has(name));
}

export function wiringOf(model: ChannelModel): Wiring {
  const { graph, opset, shapes } = model;
  const { nodes } = graph;
  const stored = storedTensors(graph);
  const touching = new Map<string, number[]>();
  for (const [i, node] of nodes.entries()) {
    for (const name of new Set([...node.inputs, ...node.outputs])) {
      if (name === '') continue;
      const list = touching.get(name);
      if (list) list.push(i);
      else touching.set(name, [i]);
    }
  }
  const isStatic = staticValues(graph);
  const shapeOf = (value: string): Dims | undefined => stored.get(value)?.dims ?? shapes.get(value);
  const producer = producers(graph);
  const numbers = smallValues(graph, { shapeOf, isFixed: () => false }, producer);
  const coupled = (index: number): CoupledNode => {
    const node = nodes[index];
    return {
      node,
      opset,
      inputs: node.inputs.map((name) => shapeOf(name) ?? []),
      outputs: node.outputs.map((name) => shapeOf(name) ?? []),
      numbers: (i) => numbers(node.inputs[i] ?? '')?.values,
    };
  };
  const known = new Map<number, readonly Tie[] | string>();
  return {
    ...model,
    nodes,
    stored,
    producer,
    touching,
    needed: neededValues(graph),
    isStatic,
    shapeOf,
    coupled,
    ties(index) {
      let found = known.get(index);
      if (!found) {
        found = tiesOf(nodes[index], coupled(index), shapeOf);
        known.set(index, found);
      }
      return found;
    },
    axisOf(index, { side, index: port, axis }) {
      const value = (side === 'input' ? nodes[index].inputs : nodes[index].outputs)[port];
      const size = shapeOf(value)?.[axis] ?? 0;
      const ref = stored.get(value);
      const use = side === 'input' && ref && isVector(ref) ? { node: index, input: port } : null;
      return { key: use ? `${use.node}:${port}#${axis}` : `${value}@${axis}`, value, use, axis, size };
    },
  };
}

/** At most one axis is longer than 1. */
export function isVector({ dims }: Pick<TensorRef, 'dims'>): boolean {
  return dims.filter((size) => size !== 1).length <= 1;
}

function tiesOf(node: GraphNode, op: CoupledNode, shapeOf: Wiring['shapeOf']): readonly Tie[] | string {
  const rule = opDef(node.opType, node.domain)?.couplings;
  if (!rule) return 'nothing is known of which of its channels go together';
  const unknown = [...node.inputs, ...node.outputs].find((name) => name !== '' && !shapeOf(name));
  if (unknown !== undefined) return `the shape of '${unknown}' is not known`;
  return rule(op);
}

/** Initializers and the tensors of `Constant` nodes, except those that can't be cut: packed numbers and texts. */
function storedTensors(graph: Graph): Map<string, TensorRef> {
  const found = new Map<string, TensorRef>();
  for (const [name, ref] of graph.initializers) if (dataTypes[ref.dtype].bits >= 8) found.set(name, ref);
  for (const node of graph.nodes) {
    const value = constantValue(node);
    if (!value || dataTypes[value.dtype].bits < 8) continue;
    found.set(node.outputs[0], 'read' in value ? value : memoryTensor(node.outputs[0], value));
  }
  return found;
}

function staticValues(graph: Graph): (value: string) => boolean {
  const found = new Set<string>(graph.initializers.keys());
  const isFed = new Set(graph.inputs.filter(({ name }) => !graph.initializers.has(name)).map(({ name }) => name));
  for (const node of graph.nodes) {
    const reads = node.inputs.filter((name) => name !== '');
    const isPure = subgraphs(node).length === 0 && !node.opType.startsWith('Random');
    if (isPure && reads.every((name) => found.has(name) && !isFed.has(name))) {
      for (const name of node.outputs) found.add(name);
    }
  }
  return (value) => found.has(value);
}

function neededValues(graph: Graph): Map<string, string> {
  const found = new Map<string, string>();
  for (const { name } of graph.inputs) {
    if (!graph.initializers.has(name)) found.set(name, `they are the model's input '${name}'`);
  }
  for (const { name } of graph.outputs) found.set(name, `they are the model's output '${name}'`);
  for (const node of graph.nodes) {
    for (const { graph: inner } of subgraphs(node)) {
      for (const name of outerReads(inner)) found.set(name, `the control flow of '${nodeLabel(node)}' reads them`);
    }
  }
  return found;
}
