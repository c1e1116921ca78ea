/**
 * The forward graph as a training program needs it: in the training operator set, its stored tensors all initializers,
 * its shape arithmetic done as far as it does not depend on the batch, and with the shapes of its values.
 *
 * Shapes come from running the model at two batch sizes: axes that differ change with the batch. Values computed from
 * shapes alone (the pad amounts that exporters leave in a graph, targets of Reshape) come from running that part of
 * the graph for both; those that agree become constants.
 */
import { findLayers } from '../analysis/layers';
import { UserError } from '../errors';
import { serializeGraph } from '../formats/onnx/serialize';
import { attribute, constantValue, type Graph, type GraphNode, type ModelMetadata } from '../graph/graph';
import { readsOf, subgraphs, upstream } from '../graph/order';
import type { Shape } from '../ops/gradient';
import { valueTypes } from '../ops/types';
import { createSession } from '../runtime/session';
import { type InputShapes, inputShapes, probeShapes } from '../runtime/shapes';
import { type DataType, dataTypes } from '../tensor/dtype';
import { int64Tensor, memoryTensor, renamedTensor, type Tensor, type TensorRef } from '../tensor/tensor';
import { trainingMetadata, upgradeGraph } from './upgrade';

export interface ForwardGraph {
  readonly graph: Graph;
  /** Says the operator set of the graph. */
  readonly metadata: ModelMetadata;
  /** Shapes of all tensors of floats at the top level, inputs and initializers included; null marks axes that change with the batch. */
  readonly shapes: ReadonlyMap<string, Shape>;
}

/**
 * @param given sizes of inputs, as for {@link inputShapes}; their batch axis is left free
 * @throws UserError `opset-too-old`, `shapes-unknown`, `model-does-not-load`, `model-does-not-run`
 */
export async function specialize(
  graph: Graph,
  metadata: ModelMetadata,
  given: InputShapes = {},
): Promise<ForwardGraph> {
  const header = trainingMetadata(metadata);
  const upgraded = withConstantsStored(upgradeGraph(graph, metadata));
  const probed = await probeTwice(upgraded, header, inputShapes(upgraded, given));
  const stored = [...upgraded.initializers].map(([name, { dims }]) => [name, dims] as const);
  const sizes = [new Map([...probed[0], ...stored]), new Map([...probed[1], ...stored])] as const;
  const folded = await withShapesFolded(upgraded, header, sizes);
  const shapes = new Map<string, Shape>();
  for (const [name, one] of sizes[0]) {
    const two = sizes[1].get(name);
    shapes.set(
      name,
      one.map((size, axis) => (two?.[axis] === size ? size : null)),
    );
  }
  for (const [name, { dims }] of folded.initializers) shapes.set(name, dims);
  return { graph: folded, metadata: header, shapes };
}

function isFloat(type: DataType | undefined): boolean {
  return type === undefined || dataTypes[type].kind === 'float';
}

type Sizes = ReadonlyMap<string, readonly number[]>;

/** Shapes of all values at two batch sizes; at one and the same when the model's batch size is fixed. */
async function probeTwice(
  graph: Graph,
  metadata: ModelMetadata,
  inputs: Readonly<Record<string, readonly number[]>>,
): Promise<readonly [Sizes, Sizes]> {
  const types = valueTypes(graph);
  const layers = findLayers(graph);
  const values = graph.nodes.flatMap((node) => node.outputs).filter((name) => types.get(name) !== undefined);
  const probe = (batch: number): Promise<Sizes> =>
    probeShapes(graph, metadata, layers, values, withBatch(graph, inputs, batch));
  const two = await probe(2).catch((error: unknown) => {
    if (error instanceof UserError) return undefined;
    throw error;
  });
  if (!two) {
    const fixed = await probeShapes(graph, metadata, layers, values, inputs);
    return [fixed, fixed];
  }
  return [two, await probe(3)];
}

/** Sizes with another batch, where the model leaves the first axis free. */
function withBatch(
  graph: Graph,
  inputs: Readonly<Record<string, readonly number[]>>,
  batch: number,
): Record<string, readonly number[]> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, [first, ...rest]]) => {
      const declared = graph.inputs.find((input) => input.name === name)?.shape?.[0];
      const isFree = typeof declared !== 'number' || declared <= 0;
      return [name, first === undefined ? [] : [isFree ? batch : first, ...rest]];
    }),
  );
}

/** `Constant` nodes as initializers; initializers are no inputs any more, so that runtimes take them for constants. */
function withConstantsStored(graph: Graph): Graph {
  const initializers = new Map(graph.initializers);
  const nodes = graph.nodes.filter((node) => {
    const value = constantValue(node);
    const [name] = node.outputs;
    if (!value) return true;
    initializers.set(name, 'read' in value ? renamedTensor(name, value) : memoryTensor(name, value));
    return false;
  });
  return {
    ...graph,
    nodes,
    initializers,
    inputs: graph.inputs.filter((input) => !graph.initializers.has(input.name)),
  };
}

/** Replaces what follows from shapes alone and is the same for both batch sizes by constants. */
async function withShapesFolded(graph: Graph, metadata: ModelMetadata, sizes: readonly [Sizes, Sizes]): Promise<Graph> {
  const types = valueTypes(graph);
  const fromShapes = new Map<string, GraphNode>();
  for (const node of graph.nodes) {
    const isShape = node.opType === 'Shape' && node.domain === '';
    const isComputed =
      subgraphs(node).length === 0 &&
      node.inputs.some((input) => input !== '') &&
      node.inputs.every((input) => input === '' || fromShapes.has(input) || graph.initializers.has(input)) &&
      // What comes from weights alone stays as it is: they may be trained.
      (node.inputs.some((input) => fromShapes.has(input)) ||
        node.outputs.every((output) => !isFloat(types.get(output))));
    if (isShape ? sizes[0].has(node.inputs[0]) : isComputed) {
      for (const output of node.outputs) if (types.has(output)) fromShapes.set(output, node);
    }
  }
  if (fromShapes.size === 0) return graph;
  const [one, two] = await Promise.all(sizes.map((known) => evaluate(graph, metadata, [...fromShapes.keys()], known)));
  const initializers = new Map(graph.initializers);
  for (const name of fromShapes.keys()) {
    const value = one[name];
    if (String(value.data) === String(two[name].data)) initializers.set(name, memoryTensor(name, value));
  }
  return withoutUnread({
    ...graph,
    initializers,
    nodes: graph.nodes.filter((node) => !node.outputs.every((output) => output === '' || initializers.has(output))),
  });
}

/** Runs the part of a graph that computes from shapes, with the shapes given. */
async function evaluate(
  graph: Graph,
  metadata: ModelMetadata,
  values: readonly string[],
  sizes: Sizes,
): Promise<Record<string, Tensor>> {
  const types = valueTypes(graph);
  const initializers = new Map<string, TensorRef>();
  const nodes = graph.nodes.filter((node) => {
    if (node.opType !== 'Shape') return values.includes(node.outputs[0]);
    const [name] = node.outputs;
    const dims = sizes.get(node.inputs[0]);
    if (!dims) return false;
    const range = [attribute(node, 'start', 'int') ?? 0, attribute(node, 'end', 'int') ?? dims.length];
    initializers.set(name, memoryTensor(name, int64Tensor(dims.slice(...range))));
    return false;
  });
  for (const node of nodes) {
    for (const input of node.inputs) {
      const stored = graph.initializers.get(input);
      if (stored) initializers.set(input, stored);
    }
  }
  const computed = values.filter((name) => !initializers.has(name));
  const results = Object.fromEntries(
    values.filter((name) => initializers.has(name)).map((name) => [name, (initializers.get(name) as TensorRef).read()]),
  );
  if (computed.length === 0) return results;
  const program: Graph = {
    name: 'shapes',
    nodes,
    inputs: [],
    outputs: computed.map((name) => ({ name, dtype: types.get(name) ?? null, shape: null })),
    valueInfo: [],
    initializers,
  };
  const session = await createSession(serializeGraph(program, metadata), {
    optimize: 'off',
    threads: 1,
    label: 'the shape arithmetic',
  });
  try {
    return { ...results, ...(await session.run({})) };
  } finally {
    await session.release();
  }
}

/** Without nodes and initializers that the outputs do not need. */
function withoutUnread(graph: Graph): Graph {
  const nodes = upstream(
    graph,
    graph.outputs.map((output) => output.name),
  );
  const read = new Set([...nodes.flatMap((node) => [...readsOf(node)]), ...graph.outputs.map((output) => output.name)]);
  return { ...graph, nodes, initializers: new Map([...graph.initializers].filter(([name]) => read.has(name))) };
}
