/**
 * Second moments of layer outputs over calibration data, of which bases and refits are made (docs/basis.md): the runtime
 * computes F·Fᵀ and the row sums of F, a layer's output as [channels, positions], and only c×c numbers come back, to be
 * summed in float64.
 */
import { channelAxis, type Layer } from '../analysis/layers';
import type { CrossMoments, Moments } from '../analysis/moments';
import { serializeGraph } from '../formats/onnx/serialize';
import { reduceSum } from '../graph/build';
import {
  type Graph,
  type GraphNode,
  int,
  ints,
  type ModelMetadata,
  makeNode,
  standardOpset,
  type ValueInfo,
} from '../graph/graph';
import { freshNames } from '../graph/names';
import { upstream } from '../graph/order';
import { type DataType, dataTypes } from '../tensor/dtype';
import { int64Tensor, memoryTensor, type Tensor, type TensorRef, toFloat64 } from '../tensor/tensor';
import { createSession, type SessionOptions } from './session';

/** One batch of inputs. */
export type Feeds = Readonly<Record<string, Tensor>>;

/** A value whose moments are wanted: its type and rank, and which axis counts channels. */
export interface Observed {
  readonly value: string;
  readonly dtype: DataType;
  readonly rank: number;
  readonly channelAxis: number;
}

/** A layer's output, whose number of axes is known from running the model. */
export function observedOutput(layer: Layer, rank: number): Observed {
  const { node, weight } = layer;
  return { value: node.outputs[0] as string, dtype: weight.dtype, rank, channelAxis: channelAxis(layer, rank) };
}

/**
 * Moments of many values in one pass over the data.
 * @param batches anything that yields feeds; stops early when the signal fires
 */
export async function collectMoments(
  graph: Graph,
  metadata: ModelMetadata,
  observed: readonly Observed[],
  batches: AsyncIterable<Feeds>,
  options: SessionOptions & { onBatch?: () => void; signal?: AbortSignal } = {},
): Promise<Map<string, Moments>> {
  const program = momentProgram(graph, metadata, observed);
  const session = await createSession(serializeGraph(program.graph, metadata), {
    ...options,
    label: 'the calibration program',
  });
  const sums = observed.map(() => new PairSums());
  try {
    for await (const feeds of batches) {
      options.signal?.throwIfAborted();
      const results = await session.run(feeds);
      program.outputs.forEach((output, i) => {
        (sums[i] as PairSums).add(results, output);
      });
      options.onBatch?.();
    }
  } finally {
    await session.release();
  }
  return new Map(observed.map(({ value }, i) => [value, (sums[i] as PairSums).moments()]));
}

interface MomentOutputs {
  readonly product: string;
  readonly sum: string;
  readonly size: string;
}

/** Running float64 sums of F·Fᵀ and of F over positions. */
class PairSums {
  private product = new Float64Array(0);
  private sum = new Float64Array(0);
  private count = 0;

  add(results: Readonly<Record<string, Tensor>>, { product, sum, size }: MomentOutputs): void {
    const p = toFloat64(results[product] as Tensor);
    const s = toFloat64(results[sum] as Tensor);
    if (!this.count) {
      this.product = new Float64Array(p.length);
      this.sum = new Float64Array(s.length);
    }
    addInto(this.product, p);
    addInto(this.sum, s);
    this.count += Number(((results[size] as Tensor).data as BigInt64Array)[1]);
  }

  moments(): Moments {
    const { count, sum, product } = this;
    const mean = sum.map((s) => s / (count || 1));
    return { count, mean, covariance: centred(product, mean, mean, count) };
  }
}

function addInto(total: Float64Array, part: Float64Array): void {
  for (let i = 0; i < total.length; i++) total[i] = (total[i] as number) + (part[i] as number);
}

/** E[a bᵀ] − E[a] E[b]ᵀ from the sum of a bᵀ. */
function centred(product: Float64Array, a: Float64Array, b: Float64Array, count: number): Float64Array {
  const out = new Float64Array(product.length);
  for (let i = 0; i < a.length; i++) {
    for (let j = 0; j < b.length; j++) {
      out[i * b.length + j] =
        (product[i * b.length + j] as number) / (count || 1) - (a[i] as number) * (b[j] as number);
    }
  }
  return out;
}

function momentProgram(graph: Graph, metadata: ModelMetadata, observed: readonly Observed[]) {
  const fresh = freshNames(graph);
  const kit = flattenKit(fresh, metadata);
  const nodes: GraphNode[] = [
    ...upstream(
      graph,
      observed.map((o) => o.value),
    ),
  ];
  const outputs = observed.map((o): MomentOutputs => {
    const F = kit.flatten(o, nodes);
    return { product: kit.product(F, F, nodes), sum: kit.sum(F, nodes), size: kit.size(F, nodes) };
  });
  return {
    graph: kit.graph(
      graph,
      nodes,
      outputs.flatMap((o) => [o.product, o.sum, o.size]),
    ),
    outputs,
  };
}

/** Emits the nodes that turn values into [channels, positions] and multiply them. */
function flattenKit(fresh: (wish: string) => string, metadata: ModelMetadata) {
  const opset = standardOpset(metadata) ?? 1;
  const initializers: TensorRef[] = [];
  const constant = (values: readonly number[]): string => {
    const name = fresh('moment_constant');
    initializers.push(memoryTensor(name, int64Tensor(values)));
    return name;
  };
  const flat = constant([0, -1]); // keeps axis 0, joins the rest
  const axis1 = constant([1]);
  const emit = (nodes: GraphNode[], node: (output: string) => GraphNode): string => {
    const output = fresh('moment');
    nodes.push(node(output));
    return output;
  };
  return {
    flatten({ value, dtype, rank, channelAxis: axis }: Observed, nodes: GraphNode[]): string {
      const perm = [axis, ...Array.from({ length: rank }, (_, i) => i).filter((i) => i !== axis)];
      const { bits } = dataTypes[dtype];
      const to = int(dataTypes.float32.code);
      // Sums over thousands of positions leave the range of 16-bit floats.
      const wide = bits < 32 ? emit(nodes, (output) => makeNode('Cast', [value], [output], { to })) : value;
      const moved = emit(nodes, (output) => makeNode('Transpose', [wide], [output], { perm: ints(perm) }));
      return emit(nodes, (output) => makeNode('Reshape', [moved, flat], [output]));
    },
    product(a: string, b: string, nodes: GraphNode[]): string {
      const turned = emit(nodes, (output) => makeNode('Transpose', [b], [output], { perm: ints([1, 0]) }));
      return emit(nodes, (output) => makeNode('MatMul', [a, turned], [output]));
    },
    sum: (a: string, nodes: GraphNode[]): string =>
      emit(nodes, (output) => reduceSum(opset, a, { values: [1], tensor: axis1 }, output)),
    size: (a: string, nodes: GraphNode[]): string => emit(nodes, (output) => makeNode('Shape', [a], [output])),
    graph(source: Graph, nodes: readonly GraphNode[], outputs: readonly string[]): Graph {
      return {
        name: 'moments',
        nodes,
        inputs: source.inputs.filter((input) => !source.initializers.has(input.name)),
        outputs: outputs.map((name): ValueInfo => ({ name, dtype: null, shape: null })),
        valueInfo: [],
        initializers: new Map([...source.initializers, ...initializers.map((ref) => [ref.name, ref] as const)]),
      };
    },
  };
}

/**
 * Joint moments of Y in one graph and Z in another, fed with the same batches. Each graph runs only as far as its value.
 */
export async function collectCrossMoments(
  metadata: ModelMetadata,
  y: Observed & { readonly graph: Graph },
  z: Observed & { readonly graph: Graph },
  batches: AsyncIterable<Feeds>,
  options: SessionOptions & { signal?: AbortSignal } = {},
): Promise<CrossMoments> {
  const [runY, runZ] = await Promise.all([prefixSession(y, metadata, options), prefixSession(z, metadata, options)]);
  const pair = await createSession(serializeGraph(pairProgram(metadata, y, z), metadata), {
    ...options,
    label: 'the refit program',
  });
  let YZ = new Float64Array(0);
  let ZZ = new Float64Array(0);
  let sumY = new Float64Array(0);
  let sumZ = new Float64Array(0);
  let count = 0;
  try {
    for await (const feeds of batches) {
      options.signal?.throwIfAborted();
      const Y = await runY.run(feeds, [y.value]);
      const Z = await runZ.run(feeds, [z.value]);
      const found = await pair.run({ Y: Y[y.value] as Tensor, Z: Z[z.value] as Tensor });
      const [yz, zz, sy, sz] = ['YZ', 'ZZ', 'sumY', 'sumZ'].map((name) => toFloat64(found[name] as Tensor));
      if (!count) {
        YZ = new Float64Array(yz.length);
        ZZ = new Float64Array(zz.length);
        sumY = new Float64Array(sy.length);
        sumZ = new Float64Array(sz.length);
      }
      addInto(YZ, yz);
      addInto(ZZ, zz);
      addInto(sumY, sy);
      addInto(sumZ, sz);
      count += Number(((found.size as Tensor).data as BigInt64Array)[1]);
    }
  } finally {
    await Promise.all([runY.release(), runZ.release(), pair.release()]);
  }
  const meanY = sumY.map((s) => s / (count || 1));
  const meanZ = sumZ.map((s) => s / (count || 1));
  return { meanY, meanZ, crossYZ: centred(YZ, meanY, meanZ, count), covarianceZ: centred(ZZ, meanZ, meanZ, count) };
}

function prefixSession(
  { graph, value }: { graph: Graph; value: string },
  metadata: ModelMetadata,
  options: SessionOptions,
) {
  const nodes = upstream(graph, [value]);
  const prefix: Graph = {
    name: 'prefix',
    nodes,
    inputs: graph.inputs.filter((input) => !graph.initializers.has(input.name)),
    outputs: [{ name: value, dtype: null, shape: null }],
    valueInfo: [],
    initializers: graph.initializers,
  };
  return createSession(serializeGraph(prefix, metadata), { ...options, label: 'a part of the model' });
}

function pairProgram(metadata: ModelMetadata, y: Observed, z: Observed): Graph {
  const ports = [
    { ...y, name: 'Y' },
    { ...z, name: 'Z' },
  ];
  const empty: Graph = {
    name: 'pair',
    nodes: [],
    inputs: ports.map(
      ({ name, dtype, rank }): ValueInfo => ({ name, dtype, shape: Array.from({ length: rank }, () => '') }),
    ),
    outputs: [],
    valueInfo: [],
    initializers: new Map(),
  };
  const kit = flattenKit(freshNames(empty), metadata);
  const nodes: GraphNode[] = [];
  const FY = kit.flatten({ ...y, value: 'Y' }, nodes);
  const FZ = kit.flatten({ ...z, value: 'Z' }, nodes);
  const named: [string, string][] = [
    ['YZ', kit.product(FY, FZ, nodes)],
    ['ZZ', kit.product(FZ, FZ, nodes)],
    ['sumY', kit.sum(FY, nodes)],
    ['sumZ', kit.sum(FZ, nodes)],
    ['size', kit.size(FY, nodes)],
  ];
  for (const [name, value] of named) nodes.push(makeNode('Identity', [value], [name]));
  return kit.graph(
    empty,
    nodes,
    named.map(([name]) => name),
  );
}
