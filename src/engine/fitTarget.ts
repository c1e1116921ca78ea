/**
 * What layers are fitted to after a cut. As long as a model is as wide as the unpruned one, each round makes good what
 * earlier ones lost. A narrower model is fitted to itself: its channels carry what they can of those that are gone, and
 * are best kept as they are. (ResNet-20 at half of its MACs, double pruning without training: 84.60 % fitted to itself,
 * 79.84 % to the channels of the unpruned model that are left; docs/results.md.)
 */
import type { CrossMoments } from '../analysis/moments';
import type { Graph } from '../graph/graph';
import type { ChannelGroups } from '../prune/groups';
import type { RemoveChannelsCut } from '../prune/plan';
import { keptOf, removalOfCuts } from '../surgery/channels';
import type { OpenedModel } from './models';

/** The graph that layers of a model are fitted to. @param base the unpruned model */
export function fitTarget(base: OpenedModel, from: OpenedModel): Graph {
  const sizes = new Map(base.layers.map(({ name, weight }) => [name, String(weight.dims)]));
  const isAsWide = from.layers.every(({ name, weight }) => sizes.get(name) === String(weight.dims));
  return (isAsWide ? base : from).model.graph;
}

/** Channels of layers' outputs that stay, by value; all where a value is absent. */
export type ChannelsLeft = ReadonlyMap<string, readonly number[]>;

/** The channels that cuts leave. */
export function leftAfter(groups: ChannelGroups, cuts: readonly RemoveChannelsCut[]): ChannelsLeft {
  const removal = removalOfCuts(groups, cuts);
  return new Map(
    groups.layers.flatMap(({ axis }) => {
      const cut = axis ? removal.get(axis.key) : undefined;
      return cut ? [[cut.value, keptOf(cut)] as const] : [];
    }),
  );
}

/** Moments of the target's value with those of the outputs Y that stay. */
export function momentsLeft(moments: CrossMoments, value: string, left: ChannelsLeft): CrossMoments {
  const kept = left.get(value);
  if (!kept) return moments;
  const width = moments.meanZ.length;
  const crossYZ = new Float64Array(kept.length * width);
  for (const [i, o] of kept.entries()) crossYZ.set(moments.crossYZ.subarray(o * width, (o + 1) * width), i * width);
  return { ...moments, meanY: Float64Array.from(kept, (o) => moments.meanY[o]), crossYZ };
}
