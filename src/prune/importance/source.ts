/** What criteria look at: weights, where a layer holds them, and what was measured while the model ran. */
import type { Layer } from '../../analysis/layers';
import { readWeight } from '../../analysis/weights';
import { elementCount } from '../../tensor/dtype';
import { toFloat64 } from '../../tensor/tensor';
import { eachChannel, type GroupedAxis } from '../channels';
import type { Group, MemberWeight } from '../groups';
import type { Wiring } from '../groupsWiring';

/** Squared changes of the loss to first order, one number per position of an axis. */
export interface LossChanges {
  /** Mean over images. */
  readonly fisher: Float64Array;
  /** Mean over batches. */
  readonly taylor: Float64Array;
}

/** Measured on data. Values are those of a group's `outputs`. */
export interface ChannelStatistics {
  /** By value, along the axis of the output. */
  readonly lossChanges?: ReadonlyMap<string, LossChanges>;
  /** Mean square of each position, by value. */
  readonly energies?: ReadonlyMap<string, Float64Array>;
  /**
   * By consumer layer: E[Σ_o Z_c·Z_d] over positions of its output, where Z_c is what input position c contributes to its
   * outputs; row-major, input positions squared.
   */
  readonly contributions?: ReadonlyMap<string, Float64Array>;
}

export interface ImportanceSource {
  readonly wiring: Wiring;
  readonly layers: ReadonlyMap<string, Layer>;
  readonly statistics: ChannelStatistics;
  /** For what is left to chance. */
  readonly seed: number;
}

/** Scores of the channels of a group by each of its members that has a say; or why there are none. */
export type ImportanceRule = (group: Group, source: ImportanceSource) => readonly Float64Array[] | string;

/** Weights of the layers that give a group's channels. */
export const givers = ({ weights }: Group): MemberWeight[] => weights.filter(({ role }) => role !== 'consumer');

/** A layer's weight as it reads it; undefined when its numbers can't be read. */
export function weightOf(
  { layers }: ImportanceSource,
  { layer: name }: MemberWeight,
): { data: Float32Array | Float64Array; dims: readonly number[] } | undefined {
  const layer = layers.get(name);
  const data = layer && readWeight(layer.scope, layer.weight);
  return data ? { data, dims: layer.weight.dims } : undefined;
}

export const unreadable = ({ layer }: MemberWeight): string => `the weights of ${layer} can't be read`;

/** Stored numbers of a vector. */
export function vectorOf({ wiring }: ImportanceSource, { value }: GroupedAxis): Float64Array | undefined {
  const ref = wiring.stored.get(value);
  return ref && toFloat64(ref.read());
}

/** Adds a number of each position of an axis to its channel. */
export function perChannel(values: ArrayLike<number>, axis: GroupedAxis, count: number): Float64Array {
  const sums = new Float64Array(count);
  eachChannel(axis, (position, channel) => {
    sums[channel] += values[position];
  });
  return sums;
}

/** Adds up a function of the elements at each position of an axis. */
export function perPosition(
  { data, dims }: { readonly data: ArrayLike<number>; readonly dims: readonly number[] },
  axis: number,
  measure: (element: number) => number,
): Float64Array {
  const inner = elementCount(dims.slice(axis + 1));
  const size = dims[axis];
  const sums = new Float64Array(size);
  for (let start = 0, position = 0; start < data.length; start += inner, position = (position + 1) % size) {
    let sum = 0;
    for (let i = start; i < start + inner; i++) sum += measure(data[i]);
    sums[position] += sum;
  }
  return sums;
}
