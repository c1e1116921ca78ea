/**
 * What removed channels carried on average goes into the biases of the layers that read them: b_o += Σ_c W_oc·E[x_c] over
 * the removed c. Exact where they are constant and the layer pads nothing.
 */
import type { Layer } from '../analysis/layers';
import { attribute, type Graph, type GraphNode, makeNode, type ValueInfo } from '../graph/graph';
import { freshNames } from '../graph/names';
import { producers } from '../graph/order';
import type { GroupedAxis, Removal } from '../prune/channels';
import type { ChannelGroups } from '../prune/groups';
import type { Axis } from '../prune/groupsWiring';
import type { RemoveChannelsCut } from '../prune/plan';
import { type FloatType, isFloatType } from '../tensor/dtype';
import { fromFloat, memoryTensor, type TensorRef, toFloat64 } from '../tensor/tensor';
import { removalOfCuts } from './channels';
import { withoutDeadWeights } from './deadWeights';
import { layerMatrix } from './layerMatrix';

/** A layer that loses inputs, and the value that it reads them from. */
export interface CompensatedInput {
  readonly layer: string;
  readonly axis: GroupedAxis;
}

/** The inputs whose means `compensateChannels` needs. */
export function compensatedInputs(groups: ChannelGroups, cuts: readonly RemoveChannelsCut[]): CompensatedInput[] {
  const removal = removalOfCuts(groups, cuts);
  const found = new Map<string, CompensatedInput>();
  const weightInputs = new Map(groups.wiring.layers.map(({ name, weightInput }) => [name, weightInput]));
  for (const { layer, input, axis } of groups.groups.flatMap(({ sums }) => sums)) {
    if (layer === null || input === weightInputs.get(layer) || !removal.get(axis.key)?.count) continue;
    found.set(`${layer}\0${axis.key}`, { layer, axis });
  }
  return [...found.values()];
}

/**
 * @param pruned what `removeChannels` made of the same cuts
 * @param means mean of each position of the axis, over images and everything else, by value
 * @param irVersion before 4, initializers are listed among the inputs
 * @returns the graph with new biases; layers whose bias can't take it up (quantized, transposed convolutions) stay
 */
export function compensateChannels(
  groups: ChannelGroups,
  cuts: readonly RemoveChannelsCut[],
  pruned: Graph,
  means: ReadonlyMap<string, Float64Array>,
  irVersion: number,
): Graph {
  const removal = removalOfCuts(groups, cuts);
  const layers = new Map(groups.wiring.layers.map((layer, i) => [layer.name, { layer, at: groups.layers[i].axis }]));
  const shifts = new Map<Layer, Shift>();
  for (const { layer: name, axis } of compensatedInputs(groups, cuts)) {
    const { layer, at } = layers.get(name) as { layer: Layer; at: Axis | null };
    const mean = means.get(axis.value);
    if (!mean || !at || !layer.matrices || !isFloatType(layer.weight.dtype)) continue;
    const values = shiftOf(removal, layer, at, axis, mean);
    if (!values) continue;
    const known = shifts.get(layer)?.values;
    const behind = (groups.wiring.shapeOf(at.value)?.length ?? 0) - at.axis - 1;
    shifts.set(layer, { values: known ? known.map((value, o) => value + values[o]) : values, behind });
  }
  return new Biases(pruned, irVersion).shifted(shifts);
}

/** What is added to each remaining output of a layer, and how many axes its output has behind that of the channels. */
interface Shift {
  readonly values: Float64Array;
  readonly behind: number;
}

/** What the removed inputs of a layer add to each of its remaining outputs; undefined where that is not one number. */
function shiftOf(
  removal: Removal,
  layer: Layer,
  output: Axis,
  { key, size }: GroupedAxis,
  mean: Float64Array,
): Float64Array | undefined {
  const { blocks, outputs, inputs, values } = layerMatrix(layer);
  const each = size / blocks;
  const taps = inputs / each;
  // Outputs of a transposed convolution see different taps.
  if (output.size !== blocks * outputs || !Number.isInteger(taps)) return undefined;
  const isRemoved = removal.get(key)?.isRemoved ?? new Uint8Array(size);
  const shift = new Float64Array(blocks * outputs);
  for (let position = 0; position < size; position++) {
    if (!isRemoved[position]) continue;
    const block = Math.floor(position / each);
    for (let o = 0; o < outputs; o++) {
      const row = (block * outputs + o) * inputs + (position % each) * taps;
      let sum = 0;
      for (let t = 0; t < taps; t++) sum += values[row + t];
      shift[block * outputs + o] += sum * mean[position];
    }
  }
  const gone = removal.get(output.key)?.isRemoved;
  return shift.filter((_, o) => !gone?.[o]);
}

class Biases {
  private readonly fresh: (wish: string) => string;
  private readonly initializers: Map<string, TensorRef>;
  private readonly added: TensorRef[] = [];
  private readonly producer: ReadonlyMap<string, GraphNode>;

  constructor(
    private readonly graph: Graph,
    private readonly irVersion: number,
  ) {
    this.fresh = freshNames(graph);
    this.initializers = new Map(graph.initializers);
    this.producer = producers(graph);
  }

  shifted(shifts: ReadonlyMap<Layer, Shift>): Graph {
    const changed = new Map<GraphNode, readonly GraphNode[]>();
    for (const [layer, shift] of shifts) {
      const node = this.producer.get(layer.node.outputs[0]);
      if (node) changed.set(node, this.withBias(node, layer, shift));
    }
    if (changed.size === 0) return this.graph;
    const listed = this.irVersion >= 4 ? [] : this.added;
    const edited: Graph = {
      ...this.graph,
      nodes: this.graph.nodes.flatMap((node) => changed.get(node) ?? [node]),
      inputs: [
        ...this.graph.inputs,
        ...listed.map(({ name, dtype, dims }): ValueInfo => ({ name, dtype, shape: dims })),
      ],
      initializers: this.initializers,
    };
    return withoutDeadWeights(edited, this.graph);
  }

  /** A new bias where the layer has a plain one or none, else a sum behind it. */
  private withBias(node: GraphNode, layer: Layer, { values, behind }: Shift): GraphNode[] {
    const dtype = layer.weight.dtype as FloatType;
    const port = layer.rule.bias;
    const name = port === undefined ? '' : (node.inputs[port] ?? '');
    const old = this.graph.initializers.get(name);
    const factor = attribute(node, 'beta', 'float') ?? 1;
    const isPlain = old?.dims.length === 1 && old.dims[0] === values.length && isFloatType(old.dtype);
    if (port !== undefined && factor !== 0 && (isPlain || name === '')) {
      const before = old ? toFloat64(old.read()) : new Float64Array(values.length);
      const bias = values.map((value, o) => before[o] + value / factor);
      const inputs = [...node.inputs];
      while (inputs.length < port) inputs.push('');
      inputs[port] = this.store(`${layer.name}.bias`, bias, dtype, [values.length]);
      return [{ ...node, inputs }];
    }
    const dims = [values.length, ...new Array<number>(behind).fill(1)];
    const shift = this.store(`${layer.name}.shift`, values, dtype, dims);
    const product = this.fresh(`${node.outputs[0]}.unshifted`);
    return [
      { ...node, outputs: [product] },
      makeNode('Add', [product, shift], node.outputs, {}, this.fresh(`${layer.name}.shifted`)),
    ];
  }

  private store(wish: string, values: Float64Array, dtype: FloatType, dims: readonly number[]): string {
    const ref = memoryTensor(this.fresh(wish), fromFloat(values, dtype, dims));
    this.initializers.set(ref.name, ref);
    this.added.push(ref);
    return ref.name;
  }
}
