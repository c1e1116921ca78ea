/**
 * What reaches the layers that read a group when its channels are zeros where compactors end: zeros again behind ReLU and
 * its like, but a constant behind a sigmoid, or a depthwise convolution with its normalization. A constant can be put
 * into the bias of what reads it, unless that pads its input.
 */
import type { Layer } from '../analysis/layers';
import { findLayers } from '../analysis/layers';
import { serializeGraph } from '../formats/onnx/serialize';
import { attribute, type Graph, type GraphNode, type ModelMetadata } from '../graph/graph';
import { type Compaction, normalizationOf } from '../prune/compaction/places';
import type { ChannelGroups, Group } from '../prune/groups';
import type { RemoveChannelsCut } from '../prune/plan';
import { removalOfCuts } from '../surgery/channels';
import { compensatedInputs, shiftsOf } from '../surgery/channelsCompensate';
import { takesOffset, withOffset } from '../surgery/reconstruct';
import { float32Tensor, memoryTensor, type Tensor, type TensorRef, toFloat64 } from '../tensor/tensor';
import { outputsOfEach } from './verify';

/** Lowest and highest value at each position of an axis. */
interface Range {
  readonly low: Float64Array;
  readonly high: Float64Array;
}

/** Ranges along axes of values over several inputs, by `value@axis`; what is no number counts for nothing. */
export async function rangesOf(
  graph: Graph,
  metadata: ModelMetadata,
  inputs: readonly Readonly<Record<string, Tensor>>[],
  axes: readonly { readonly value: string; readonly axis: number }[],
): Promise<Map<string, Range>> {
  const values = [...new Set(axes.map(({ value }) => value))].filter((value) => !graph.initializers.has(value));
  const outputs = values.map((name) => ({ name, dtype: null, shape: null }));
  const found = outputs.length
    ? await outputsOfEach(serializeGraph({ ...graph, outputs, valueInfo: [] }, metadata), inputs)
    : [];
  return new Map(
    axes.flatMap(({ value, axis }) => {
      const tensors = found.flatMap((values) => values[value] ?? []);
      return tensors.length ? [[`${value}@${axis}`, rangeOf(tensors, axis)]] : [];
    }),
  );
}

function rangeOf(tensors: readonly Tensor[], axis: number): Range {
  const [{ dims }] = tensors;
  const size = dims[axis];
  const inner = dims.slice(axis + 1).reduce((product, n) => product * n, 1);
  const low = new Float64Array(size).fill(Number.POSITIVE_INFINITY);
  const high = new Float64Array(size).fill(Number.NEGATIVE_INFINITY);
  for (const tensor of tensors) {
    toFloat64(tensor).forEach((value, i) => {
      const position = Math.floor(i / inner) % size;
      if (value < low[position]) low[position] = value;
      if (value > high[position]) high[position] = value;
    });
  }
  return { low, high };
}

const NEGLIGIBLE = 1e-6;

/**
 * Why groups can't be pruned by zeros, by name: found by running the network with half of each group's channels zero and
 * then with the other half, since what other channels add to zeros shows only while these are alive.
 * @param graph with compactors
 */
export async function againstZeros(
  { graph, matrices }: { readonly graph: Graph; readonly matrices: ReadonlyMap<string, string> },
  metadata: ModelMetadata,
  { groups, places }: Compaction,
  { wiring }: ChannelGroups,
  inputs: readonly Readonly<Record<string, Tensor>>[],
): Promise<Map<string, string>> {
  const axes = groups.flatMap(({ group }) => group.sums.map(({ axis }) => axis));
  const halves: Map<string, Range>[] = [];
  for (const half of [0, 1]) {
    const zeroed = withZeros(graph, matrices, places, (channel) => channel % 2 === half);
    halves.push(await rangesOf(zeroed, metadata, inputs, axes));
  }
  const folded = new Set(places.flatMap(({ layers }) => layers));
  const layers = new Map(wiring.layers.map((layer) => [layer.name, layer]));
  // Layers with a compactor of their own get a bias.
  const takes = (name: string): boolean => folded.has(name) || takesOffset(wiring.graph, layers.get(name) as Layer);
  const own = new Set([...folded].map((name) => normalizationOf((layers.get(name) as Layer).node, wiring)));
  // Training may make a constant of what is zero now: by depthwise layers, and normalizations that are not folded.
  const mayShift = ({ members, scales }: Group): boolean =>
    members.some(({ role }) => role === 'follower') ||
    scales.some(({ use }) => !use || !own.has(wiring.nodes[use.node]));
  const reasons = new Map<string, string>();
  for (const { group } of groups) {
    const reason = reasonOf(group, halves, (node) => wiring.nodes[node], takes, mayShift(group));
    if (reason) reasons.set(group.name, reason);
  }
  return reasons;
}

/** The graph with compactors that are the identity but for rows of zeros. */
function withZeros(
  graph: Graph,
  matrices: ReadonlyMap<string, string>,
  places: Compaction['places'],
  isZero: (channel: number) => boolean,
): Graph {
  const initializers = new Map(graph.initializers);
  for (const { name: place, rows } of places) {
    const name = matrices.get(place) as string;
    const { dims } = initializers.get(name) as TensorRef;
    const Q = Float32Array.from({ length: rows.length ** 2 }, (_, i) => {
      const owner = rows[Math.floor(i / rows.length)];
      return i % (rows.length + 1) === 0 && !(owner && isZero(owner.channel)) ? 1 : 0;
    });
    initializers.set(name, memoryTensor(name, float32Tensor(Q, dims)));
  }
  return { ...graph, initializers };
}

/** @param halves ranges while the channels of even, and of odd number are zero */
function reasonOf(
  group: Group,
  halves: readonly ReadonlyMap<string, Range>[],
  nodeAt: (node: number) => GraphNode,
  takes: (layer: string) => boolean,
  mayShift: boolean,
): string | null {
  for (const { node, layer, axis } of group.sums) {
    for (const [i, channel] of axis.channels.entries()) {
      const range = channel < 0 ? undefined : halves[channel % 2].get(`${axis.value}@${axis.axis}`);
      if (!range) continue;
      const [low, high] = [range.low[axis.first + i], range.high[axis.first + i]];
      const isConstant = Math.abs(high - low) <= NEGLIGIBLE * Math.max(1, Math.abs(high));
      if (!isConstant) return 'channels of zeros do not stay constant on their way';
      if (!mayShift && Math.abs(high) <= NEGLIGIBLE) continue;
      if (layer === null) return 'channels of zeros become a constant that nothing can take over';
      if (!takes(layer)) return `channels of zeros become a constant, and ${layer} has no bias to take it`;
      if (pads(nodeAt(node))) return `channels of zeros become a constant, and ${layer} pads its input`;
    }
  }
  return null;
}

function pads(node: GraphNode): boolean {
  const auto = attribute(node, 'auto_pad', 'string') ?? 'NOTSET';
  return (
    node.opType === 'ConvTranspose' ||
    auto.startsWith('SAME') ||
    (attribute(node, 'pads', 'ints') ?? []).some((n) => n > 0)
  );
}

/** The cut graph with the constants that channels of zeros became on their way in the biases of what read them. */
export async function withConstants(
  groups: ChannelGroups,
  metadata: ModelMetadata,
  cuts: readonly RemoveChannelsCut[],
  cut: Graph,
  inputs: readonly Readonly<Record<string, Tensor>>[],
): Promise<Graph> {
  const read = compensatedInputs(groups, cuts).map(({ axis }) => axis);
  const ranges = await rangesOf(groups.wiring.graph, metadata, inputs, read);
  const removal = removalOfCuts(groups, cuts);
  const means = new Map<string, Float64Array>();
  for (const { value, axis, key } of read) {
    const range = ranges.get(`${value}@${axis}`);
    const isRemoved = removal.get(key)?.isRemoved;
    if (!range || !isRemoved) continue;
    const constants = range.low.map((low, i) => (isRemoved[i] ? (low + range.high[i]) / 2 : 0));
    if (constants.some((value) => Math.abs(value) > NEGLIGIBLE)) means.set(value, constants);
  }
  if (means.size === 0) return cut;
  let fitted = cut;
  for (const [name, shift] of shiftsOf(groups, cuts, means)) {
    const layer = findLayers(fitted).find((found) => found.name === name);
    if (layer) fitted = withOffset(fitted, layer, shift);
  }
  return fitted;
}
