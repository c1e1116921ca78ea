/**
 * What layers are fitted to after a cut: their outputs in the unpruned model, of which earlier rounds may have left only
 * some channels.
 */
import type { CrossMoments } from '../analysis/moments';
import type { Graph } from '../graph/graph';
import type { ChannelGroups } from '../prune/groups';
import type { RemoveChannelsCut } from '../prune/plan';
import { keptOf, removalOfCuts } from '../surgery/channels';

/** Channels of layers' outputs that are left, by value; all where a value is absent. */
export type ChannelsLeft = ReadonlyMap<string, readonly number[]>;

export interface FitTarget {
  readonly graph: Graph;
  readonly left: ChannelsLeft;
}

/** The channels that cuts leave of those that were left before. */
export function leftAfter(groups: ChannelGroups, cuts: readonly RemoveChannelsCut[], before: ChannelsLeft) {
  const removal = removalOfCuts(groups, cuts);
  const left = new Map(before);
  for (const { axis } of groups.layers) {
    const cut = axis ? removal.get(axis.key) : undefined;
    if (!cut) continue;
    const known = before.get(cut.value);
    left.set(
      cut.value,
      keptOf(cut).map((channel) => known?.[channel] ?? channel),
    );
  }
  return left;
}

/** Moments of the target's value with those of the outputs Y that are left. */
export function momentsLeft(moments: CrossMoments, value: string, left: ChannelsLeft): CrossMoments {
  const kept = left.get(value);
  if (!kept) return moments;
  const width = moments.meanZ.length;
  const crossYZ = new Float64Array(kept.length * width);
  for (const [i, o] of kept.entries()) crossYZ.set(moments.crossYZ.subarray(o * width, (o + 1) * width), i * width);
  return { ...moments, meanY: Float64Array.from(kept, (o) => moments.meanY[o]), crossYZ };
}
