/** Runs the nodes that a function emits through a graph builder, in float32 and with ONNX Runtime. */
import { GraphBuilder } from '../../src/graph/builder';
import type { Graph, ValueInfo } from '../../src/graph/graph';
import { valueTypes } from '../../src/ops/types';
import type { Tensor } from '../../src/tensor/tensor';
import { buildGradient } from '../../src/train/autodiff';
import { specialize } from '../../src/train/specialize';
import { metadataOf, runGraph } from './graphs';

export type Inputs = Readonly<Record<string, Tensor>>;

/** The operator set of training programs. */
const opset = 18;

function inputsOf(inputs: Inputs): ValueInfo[] {
  return Object.entries(inputs).map(([name, { dtype, dims }]) => ({
    name,
    dtype,
    shape: dims.map((size, axis) => (axis === 0 ? 'N' : size)),
  }));
}

/** @param emit gets the builder and the names of the inputs; gives the values wanted */
export function emitted(inputs: Inputs, emit: (g: GraphBuilder) => Readonly<Record<string, string>>) {
  const empty: Graph = {
    name: 'snippet',
    nodes: [],
    inputs: inputsOf(inputs),
    outputs: [],
    valueInfo: [],
    initializers: new Map(),
  };
  const g = new GraphBuilder(empty, valueTypes(empty));
  const wanted = emit(g);
  const graph: Graph = {
    ...empty,
    nodes: g.nodes,
    initializers: g.initializers,
    outputs: [...new Set(Object.values(wanted))].map((name) => ({ name, dtype: g.typeOf(name), shape: null })),
  };
  return { graph, wanted };
}

/** The values by the names the function gave them. */
export async function runEmitted(
  inputs: Inputs,
  emit: (g: GraphBuilder) => Readonly<Record<string, string>>,
): Promise<Record<string, Tensor>> {
  const { graph, wanted } = emitted(inputs, emit);
  const results = await runGraph(graph, inputs, metadataOf({ opset }));
  return Object.fromEntries(Object.entries(wanted).map(([key, value]) => [key, results[value]]));
}

/** A scalar loss and its gradient for one of the inputs. */
export async function lossAndGradient(
  inputs: Inputs,
  wrt: string,
  emit: (g: GraphBuilder) => string,
): Promise<{ loss: number; gradient: number[] }> {
  const { graph, wanted } = emitted(inputs, (g) => ({ loss: emit(g) }));
  const forward = await specialize(graph, metadataOf({ opset }));
  const { graph: program, gradients } = buildGradient(forward.graph, {
    loss: wanted.loss,
    wrt: [wrt],
    shapes: forward.shapes,
  });
  const results = await runGraph(program, inputs, forward.metadata);
  const gradient = results[gradients.get(wrt) as string];
  return { loss: Number(results[wanted.loss].data[0]), gradient: Array.from(gradient.data as Float32Array) };
}
