/**
 * Checks what every other part takes for granted about a graph: each value has one definition, and it comes before
 * its first use. Source: https://github.com/onnx/onnx/blob/main/docs/IR.md ("Graphs", "Names Within a Graph").
 *
 * Inner graphs see the values of outer ones. They may define a name again: runtimes take the innermost, and files
 * that do so exist.
 */
import { cyclicGraph, duplicateValue, undefinedOutput, undefinedValue, valueBeforeDefinition } from '../errors';
import { type Graph, type GraphNode, nodeLabel } from './graph';
import { producers, readsOf, subgraphs } from './order';

interface Scope {
  readonly graph: Graph;
  readonly defined: ReadonlySet<string>;
  readonly outer: Scope | null;
}

/** @throws UserError `duplicate-value`, `undefined-value`, `undefined-output`, `value-before-definition`, `cyclic-graph` */
export function validateGraph(graph: Graph): void {
  validate(graph, null);
}

function validate(graph: Graph, outer: Scope | null): void {
  const defined = new Set<string>();
  const define = (value: string): void => {
    if (defined.has(value)) throw duplicateValue({ value });
    defined.add(value);
  };
  for (const input of graph.inputs) define(input.name);
  // Before IR version 4, initializers are the default values of inputs and bear their names.
  for (const name of graph.initializers.keys()) defined.add(name);
  for (const name of graph.sparseInitializers ?? []) defined.add(name);
  const scope: Scope = { graph, defined, outer };
  for (const node of graph.nodes) {
    for (const input of node.inputs) if (input !== '' && !isVisible(input, scope)) throw notDefined(scope, node, input);
    for (const child of subgraphs(node)) validate(child.graph, scope);
    for (const output of node.outputs) if (output !== '') define(output);
  }
  for (const { name } of graph.outputs) if (!isVisible(name, scope)) throw undefinedOutput({ value: name });
}

function isVisible(name: string, scope: Scope | null): boolean {
  for (let at = scope; at; at = at.outer) if (at.defined.has(name)) return true;
  return false;
}

function notDefined(scope: Scope, node: GraphNode, value: string): Error {
  const where = { value, node: nodeLabel(node) };
  for (let at: Scope | null = scope; at; at = at.outer) {
    const producer = producers(at.graph).get(value);
    if (!producer) continue;
    return isCyclic(at.graph) ? cyclicGraph(where) : valueBeforeDefinition({ ...where, producer: nodeLabel(producer) });
  }
  return undefinedValue(where);
}

/** Whether no order of the nodes defines every value before its use (Kahn, 1962). */
function isCyclic(graph: Graph): boolean {
  const producer = producers(graph);
  const readers = new Map<GraphNode, GraphNode[]>();
  const waiting = new Map<GraphNode, number>();
  for (const node of graph.nodes) {
    const needed = new Set([...readsOf(node)].map((name) => producer.get(name)).filter((n) => n !== undefined));
    waiting.set(node, needed.size);
    for (const other of needed) {
      const list = readers.get(other);
      if (list) list.push(node);
      else readers.set(other, [node]);
    }
  }
  const ready = graph.nodes.filter((node) => waiting.get(node) === 0);
  let done = 0;
  for (let node = ready.pop(); node; node = ready.pop()) {
    done++;
    for (const reader of readers.get(node) ?? []) {
      const left = (waiting.get(reader) ?? 0) - 1;
      waiting.set(reader, left);
      if (left === 0) ready.push(reader);
    }
  }
  return done < graph.nodes.length;
}
