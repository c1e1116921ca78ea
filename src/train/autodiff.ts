/**
 * Reverse-mode differentiation of a graph: appends the nodes that compute the gradient of a loss, so that the whole is
 * an ordinary graph that any runtime can run. What each operator does is said in its own rule (`src/ops`); this walk
 * only follows the values from the loss back and adds up what meets.
 *
 * The graph must be in the training operator set (see `upgrade.ts`), and stored constants must be initializers.
 */
import { noGradient } from '../errors';
import { type Graph, type GraphNode, nodeLabel, type ValueInfo } from '../graph/graph';
import { readsOf } from '../graph/order';
import { opDef } from '../ops';
import { GradientBuilder, type NodeGradient, type Shape } from '../ops/gradient';
import { valueTypes } from '../ops/types';
import type { DeviceId } from '../runtime/session';
import { type DataType, dataTypes } from '../tensor/dtype';

export interface GradientRequest {
  /** Name of the value to differentiate; several elements count as their sum. */
  readonly loss: string;
  /** Names of initializers, inputs or values inside the graph. */
  readonly wrt: readonly string[];
  /** Shapes of all values between them; null marks axes that change with the batch. */
  readonly shapes: ReadonlyMap<string, Shape>;
  /** Where the graph will run; the CPU unless given. */
  readonly device?: DeviceId;
}

export interface GradientGraph {
  /**
   * The graph with its backward nodes. Initializers among `wrt` that have a gradient have become inputs; the gradients
   * are outputs after the graph's own.
   */
  readonly graph: Graph;
  /** Name of the gradient of each value of `wrt`; one that the loss does not depend on is missing. */
  readonly gradients: ReadonlyMap<string, string>;
}

/**
 * @throws UserError `no-gradient` for an operator without a rule between the loss and a value of `wrt`
 * @throws UserError `shapes-unknown` for a shape that a rule needs and does not get
 */
export function buildGradient(graph: Graph, { loss, wrt, shapes, device = 'cpu' }: GradientRequest): GradientGraph {
  const trained = asInputs(graph, wrt);
  const types = valueTypes(trained);
  const active = dependents(trained, wrt, types);
  // ONNX Runtime 1.30's WebGPU provider mixes up the outputs of grouped convolutions with, say, 9 outputs per group.
  const g = new GradientBuilder(trained, types, withStored(graph, shapes), device === 'cpu');
  const arrived = new Map<string, string[]>();
  const replaced = new Map<GraphNode, GraphNode>();

  g.prefix = 'grad/';
  if (active.has(loss)) arrived.set(loss, [g.expandLike(g.scalar(1, g.typeOf(loss)), [], loss)]);
  /** The sum of all that arrived at a value; every reader of it has been visited by then. */
  const gradientOf = (value: string): string | null => {
    const parts = arrived.get(value);
    if (!parts) return null;
    const total = g.sum(parts);
    arrived.set(value, [total]);
    return total;
  };

  for (const node of [...trained.nodes].reverse()) {
    if (!node.outputs.some((output) => arrived.has(output) && active.has(output))) continue;
    if (![...readsOf(node)].some((value) => active.has(value))) continue;
    g.prefix = `grad/${nodeLabel(node)}/`;
    const rule = ruleOf(node);
    const dOutputs = node.outputs.map(gradientOf);
    const gradients = rule(nodeGradient(node, dOutputs, active, g, replaced), g);
    gradients.forEach((gradient, i) => {
      const input = node.inputs[i];
      if (gradient !== null && active.has(input)) arrived.set(input, [...(arrived.get(input) ?? []), gradient]);
    });
  }

  g.prefix = 'grad/';
  const gradients = new Map<string, string>();
  for (const value of wrt) {
    const gradient = gradientOf(value);
    if (gradient !== null) gradients.set(value, gradient);
  }
  const outputs = [...new Set(gradients.values())].map((name): ValueInfo => {
    return { name, dtype: g.typeOf(name), shape: null };
  });
  const { inputs, initializers } = asInputs(graph, [...gradients.keys()]);
  return {
    graph: {
      ...trained,
      nodes: [...trained.nodes.map((node) => replaced.get(node) ?? node), ...g.nodes],
      inputs,
      initializers: new Map([...initializers, ...g.initializers]),
      outputs: [...trained.outputs, ...outputs],
    },
    gradients,
  };
}

/** The graph with some initializers as inputs. */
function asInputs(graph: Graph, names: readonly string[]): Graph {
  const moved = names.filter((name) => graph.initializers.has(name));
  if (moved.length === 0) return graph;
  const known = new Set(graph.inputs.map((input) => input.name));
  return {
    ...graph,
    initializers: new Map([...graph.initializers].filter(([name]) => !moved.includes(name))),
    inputs: [
      ...graph.inputs,
      ...moved
        .filter((name) => !known.has(name))
        .map((name): ValueInfo => {
          const { dtype, dims } = graph.initializers.get(name) as { dtype: DataType; dims: readonly number[] };
          return { name, dtype, shape: dims };
        }),
    ],
  };
}

/** Values that depend on one of the given ones in a differentiable way. */
function dependents(graph: Graph, values: readonly string[], types: ReadonlyMap<string, DataType>): Set<string> {
  const active = new Set(values);
  for (const node of graph.nodes) {
    if (opDef(node.opType, node.domain)?.gradient === 'none') continue;
    if (![...readsOf(node)].some((value) => active.has(value))) continue;
    for (const output of node.outputs) {
      const type = types.get(output);
      if (output !== '' && (!type || dataTypes[type].kind === 'float')) active.add(output);
    }
  }
  return active;
}

function ruleOf(node: GraphNode) {
  const rule = opDef(node.opType, node.domain)?.gradient;
  if (!rule || rule === 'none') throw noGradient({ opType: node.opType, node: nodeLabel(node) });
  return rule;
}

function withStored(graph: Graph, shapes: ReadonlyMap<string, Shape>): ReadonlyMap<string, Shape> {
  return new Map([...shapes, ...[...graph.initializers].map(([name, { dims }]): [string, Shape] => [name, dims])]);
}

function nodeGradient(
  node: GraphNode,
  dOutputs: readonly (string | null)[],
  active: ReadonlySet<string>,
  g: GradientBuilder,
  replaced: Map<GraphNode, GraphNode>,
): NodeGradient {
  const [X, Y] = [node.inputs[0], node.outputs[0]];
  return {
    node,
    X,
    Y,
    get dY() {
      return dOutputs[0] ?? g.zerosLike(Y);
    },
    inputs: node.inputs,
    outputs: node.outputs,
    dOutputs,
    wants: (input) => active.has(node.inputs[input] ?? ''),
    output(index, type) {
      const current = replaced.get(node) ?? node;
      const known = current.outputs[index];
      if (known) return known;
      const outputs = Array.from(
        { length: Math.max(index + 1, current.outputs.length) },
        (_, i) => current.outputs[i] ?? '',
      );
      outputs[index] = g.declare(`${node.opType}_${index}`, type);
      replaced.set(node, { ...current, outputs });
      return outputs[index];
    },
  };
}
