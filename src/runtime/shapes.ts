/**
 * Concrete shapes by running the model once (no shape rule per operator). The probe keeps the model's graph but not
 * its weight: a layer's output shape does not depend on how many input channels it sums over, so every layer reads a
 * single input channel with a weight of zeros that is a small fraction of the real one. That makes the probe exact
 * and cheap for models of any size, and only its `Shape` outputs come back.
 */
import type { Layer } from '../analysis/layers';
import { shapesUnknown } from '../errors';
import { serializeGraph } from '../formats/onnx/serialize';
import {
  attribute,
  type Graph,
  type GraphNode,
  int,
  type ModelMetadata,
  makeNode,
  standardOpset,
  type ValueInfo,
} from '../graph/graph';
import { freshNames } from '../graph/names';
import { upstream } from '../graph/order';
import { byteLength, elementCount } from '../tensor/dtype';
import { dataFromBytes, int64Tensor, memoryTensor, type Tensor, type TensorRef } from '../tensor/tensor';
import { createSession } from './session';

export type InputShapes = Readonly<Record<string, readonly number[]>>;

/** Tensors above this that no layer owns (embeddings) are made inside the probe instead of being copied into it. */
const LARGE_BYTES = 4 * 2 ** 20;
/** Inputs of the probe may not be larger than this. */
const MAX_INPUT_ELEMENTS = 2 ** 28;

/** The inputs a user must feed: graph inputs that are not initializers too. */
export function realInputs(graph: Graph): ValueInfo[] {
  return graph.inputs.filter((input) => !graph.initializers.has(input.name));
}

/**
 * Sizes for every input: what the user gave, what the model declares, and defaults for the rest: batch 1, images of
 * 224, sequences of 128.
 * @throws UserError `shapes-unknown` for an input without a declared rank or type, or a given shape that contradicts the model
 */
export function inputShapes(graph: Graph, given: InputShapes = {}): Record<string, number[]> {
  const shapes: Record<string, number[]> = {};
  for (const { name, shape, dtype } of realInputs(graph)) {
    const wish = Object.hasOwn(given, name) ? given[name] : undefined;
    if (!dtype) throw shapesUnknown({ reason: `input '${name}' is not a tensor` });
    if (!shape && !wish) throw shapesUnknown({ reason: `input '${name}' declares no shape` });
    const declared = shape ?? (wish as readonly number[]);
    if (wish && wish.length !== declared.length) {
      throw shapesUnknown({
        reason: `input '${name}' has ${declared.length} dimensions, but ${wish.length} sizes were given`,
      });
    }
    shapes[name] = declared.map((size, axis) => {
      if (typeof size === 'number' && size > 0) {
        if (wish && wish[axis] !== size && axis > 0) {
          throw shapesUnknown({ reason: `axis ${axis} of input '${name}' is ${size}, but ${wish[axis]} was given` });
        }
        return size;
      }
      return wish?.[axis] ?? defaultSize(declared, axis, String(size));
    });
    if (elementCount(shapes[name] as number[]) > MAX_INPUT_ELEMENTS) {
      throw shapesUnknown({ reason: `input '${name}' would have ${(shapes[name] as number[]).join('×')} elements` });
    }
  }
  return shapes;
}

function defaultSize(shape: readonly (number | string)[], axis: number, name: string): number {
  if (axis === 0) return 1;
  if (shape.length === 4) {
    const channelsLast = typeof shape[3] === 'number' && shape[3] <= 4 && typeof shape[1] !== 'number';
    if (channelsLast ? axis < 3 : axis > 1) return 224;
    return 3;
  }
  return /seq|len|time|token/i.test(name) || shape.length === 2 ? 128 : 1;
}

/** Inputs of the given sizes: 0.5 for floats (so that divisions stay finite), 0 for everything else. */
export function dummyInputs(graph: Graph, shapes: Readonly<Record<string, readonly number[]>>): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  for (const { name, dtype } of realInputs(graph)) {
    const dims = shapes[name] as readonly number[];
    const type = dtype as NonNullable<typeof dtype>;
    const data = dataFromBytes(type, new Uint8Array(byteLength(type, elementCount(dims))));
    if (type === 'float32' || type === 'float64') (data as Float32Array).fill(0.5);
    if (type === 'float16') (data as Uint16Array).fill(0x3800);
    feeds[name] = { dtype: type, dims, data };
  }
  return feeds;
}

/**
 * Shapes of some top-level values.
 * @param values names of values of the top-level graph
 * @returns shape by value name; values the probe could not compute are missing
 */
export async function probeShapes(
  graph: Graph,
  metadata: ModelMetadata,
  layers: readonly Layer[],
  values: Iterable<string>,
  shapes: Readonly<Record<string, readonly number[]>>,
): Promise<Map<string, readonly number[]>> {
  const known = new Map<string, readonly number[]>(Object.entries(shapes));
  const wanted = [...new Set(values)].filter((name) => name !== '' && !known.has(name));
  if (wanted.length === 0) return known;
  const probe = probeGraph(graph, metadata, layers, wanted);
  // Before IR version 4, initializers would have to be listed as inputs.
  const header = { ...metadata, irVersion: Math.max(metadata.irVersion, 4) };
  const session = await createSession(serializeGraph(probe.graph, header), {
    optimize: 'off',
    threads: 1,
    label: 'the shape probe',
  });
  try {
    const results = await session.run(dummyInputs(probe.graph, shapes));
    for (const [value, output] of probe.outputs) {
      known.set(value, Array.from((results[output] as Tensor).data as BigInt64Array, Number));
    }
  } finally {
    await session.release();
  }
  return known;
}

function probeGraph(graph: Graph, metadata: ModelMetadata, layers: readonly Layer[], values: readonly string[]) {
  const fresh = freshNames(graph);
  const initializers = new Map<string, TensorRef>();
  const byNode = new Map(layers.filter((layer) => layer.path.length === 0).map((layer) => [layer.node, layer]));
  const opset = standardOpset(metadata) ?? 1;
  const nodes: GraphNode[] = [];
  const zero = fresh('probe_zero');
  initializers.set(zero, memoryTensor(zero, int64Tensor([0])));
  for (const node of upstream(graph, values)) {
    const layer = byNode.get(node);
    nodes.push(...((layer && thinned(layer, opset, zero, fresh, initializers)) ?? [node]));
  }
  const outputs = new Map(values.map((value) => [value, fresh(`probe_shape_${value}`)]));
  for (const [value, output] of outputs) nodes.push(makeNode('Shape', [value], [output]));
  // ConstantOfShape came with opset 9.
  const made = opset >= 9 ? largeTensors(graph, nodes, fresh, initializers) : [];
  const reads = new Set([...made, ...nodes].flatMap((node) => [...node.inputs]));
  const whole = graph.nodes.some((node) =>
    [...node.attributes.values()].some((a) => a.kind === 'graph' || a.kind === 'graphs'),
  );
  for (const [name, ref] of graph.initializers) {
    if (!initializers.has(name) && (whole || reads.has(name)) && !made.some((n) => n.outputs[0] === name))
      initializers.set(name, ref);
  }
  return {
    graph: {
      name: 'probe',
      nodes: [...made, ...nodes],
      inputs: realInputs(graph),
      outputs: [...outputs.values()].map((name): ValueInfo => ({ name, dtype: 'int64', shape: [''] })),
      valueInfo: [],
      initializers,
    } satisfies Graph,
    outputs,
  };
}

/** The layer over one input channel only; undefined when its pattern is not one we can thin. */
function thinned(
  layer: Layer,
  opset: number,
  zero: string,
  fresh: (wish: string) => string,
  initializers: Map<string, TensorRef>,
): GraphNode[] | undefined {
  const { node, weight, weightInput } = layer;
  const dims = weight.dims;
  const X = node.inputs[0] as string;
  if (weight.via.some((n) => n.opType === 'DequantizeLinear') || weight.ref.bytes < 1024) return undefined;
  const thin = (axis: number, small: readonly number[], changes: GraphNode['attributes'] = new Map()): GraphNode[] => {
    const W = fresh('probe_weight');
    const type = weight.dtype;
    initializers.set(
      W,
      memoryTensor(W, {
        dtype: type,
        dims: small,
        data: dataFromBytes(type, new Uint8Array(byteLength(type, elementCount(small)))),
      }),
    );
    const slice = fresh('probe_channel');
    const inputs = node.inputs.map((name, i) => (i === 0 ? slice : i === weightInput ? W : name));
    return [
      makeNode('Gather', [X, zero], [slice], { axis: int(axis) }),
      { ...node, inputs, attributes: new Map([...node.attributes, ...changes]) },
    ];
  };
  switch (node.opType) {
    case 'Conv':
      return thin(1, [dims[0] as number, 1, ...dims.slice(2)], new Map([['group', int(1)]]));
    case 'ConvTranspose': {
      const groups = attribute(node, 'group', 'int') ?? 1;
      return thin(1, [1, (dims[1] as number) * groups, ...dims.slice(2)], new Map([['group', int(1)]]));
    }
    case 'Gemm': {
      const transB = attribute(node, 'transB', 'int') === 1;
      const transA = attribute(node, 'transA', 'int') === 1;
      return thin(transA ? 0 : 1, transB ? [dims[0] as number, 1] : [1, dims[1] as number]);
    }
    case 'MatMul':
      // Gather counts axes from the end since opset 11.
      return weightInput === 1 && dims.length === 2 && opset >= 11 ? thin(-1, [1, dims[1] as number]) : undefined;
    default:
      return undefined;
  }
}

/** Nodes that make large tensors of zeros in place of stored ones. */
function largeTensors(
  graph: Graph,
  nodes: readonly GraphNode[],
  fresh: (wish: string) => string,
  initializers: Map<string, TensorRef>,
): GraphNode[] {
  const reads = new Set(nodes.flatMap((node) => [...node.inputs]));
  const made: GraphNode[] = [];
  for (const [name, ref] of graph.initializers) {
    if (!reads.has(name) || ref.bytes <= LARGE_BYTES || ref.dtype !== 'float32') continue;
    const shape = fresh('probe_dims');
    initializers.set(shape, memoryTensor(shape, int64Tensor(ref.dims)));
    made.push(makeNode('ConstantOfShape', [shape], [name]));
  }
  return made;
}
