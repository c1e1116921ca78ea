/**
 * What removed channels carried on average, for the biases of the layers that read them: b_o += Σ_c W_oc·E[x_c] over the
 * removed c. Exact where they are constant and the layer pads nothing.
 */
import type { Layer } from '../analysis/layers';
import { isFloatWeight } from '../analysis/weights';
import type { GroupedAxis, Removal } from '../prune/channels';
import type { ChannelGroups } from '../prune/groups';
import type { Axis } from '../prune/groupsWiring';
import type { RemoveChannelsCut } from '../prune/plan';
import { removalOfCuts } from './channels';
import { layerMatrix } from './layerMatrix';

/** A layer that loses inputs, and the value that it reads them from. */
export interface CompensatedInput {
  readonly layer: string;
  readonly axis: GroupedAxis;
}

/** The layers that lose inputs, and where: `shiftsOf` needs the means there. */
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
 * What the removed inputs add on average to the remaining outputs of each layer that reads them, by layer name; nothing
 * for layers where that is not one number per output (transposed convolutions) or whose weights are no floats.
 * @param means mean of each position of the axis, over images and everything else, by value
 */
export function shiftsOf(
  groups: ChannelGroups,
  cuts: readonly RemoveChannelsCut[],
  means: ReadonlyMap<string, Float64Array>,
): Map<string, Float64Array> {
  const removal = removalOfCuts(groups, cuts);
  const layers = new Map(groups.wiring.layers.map((layer, i) => [layer.name, { layer, at: groups.layers[i].axis }]));
  const shifts = new Map<string, Float64Array>();
  for (const { layer: name, axis } of compensatedInputs(groups, cuts)) {
    const { layer, at } = layers.get(name) as { layer: Layer; at: Axis | null };
    const mean = means.get(axis.value);
    if (!mean || !at || !layer.matrices || !isFloatWeight(layer.weight)) continue;
    const values = shiftOf(removal, layer, at, axis, mean);
    const known = shifts.get(name);
    if (values) shifts.set(name, known ? known.map((value, o) => value + values[o]) : values);
  }
  return shifts;
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
