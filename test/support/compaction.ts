/** Places for compactors in graphs made in code, and the cuts of channels whose rows are zeros. */
import type { PruneSettings } from '../../src/protocol/recipe';
import { type Compaction, compactionOf, type PlaceOptions } from '../../src/prune/compaction/places';
import type { ChannelGroups } from '../../src/prune/groups';
import type { RemoveChannelsCut } from '../../src/prune/plan';

/** By default all that are inside of blocks, to any width. */
export function placesOf(
  groups: ChannelGroups,
  options: Partial<PlaceOptions> = {},
  settings: Partial<Pick<PruneSettings, 'protect' | 'groups'>> = {},
): Compaction {
  return compactionOf(groups, { protect: [], groups: [], ...settings }, { followers: false, minRows: 1, ...options });
}

/** @param isGone of the index of a group and a channel */
export function cutsOf(
  { groups }: Compaction,
  isGone: (group: number, channel: number) => boolean,
): RemoveChannelsCut[] {
  return groups.map(({ group: { name, channels } }, g) => ({
    kind: 'removeChannels',
    group: name,
    channels: Array.from({ length: channels }, (_, c) => c).filter((c) => isGone(g, c)),
  }));
}
