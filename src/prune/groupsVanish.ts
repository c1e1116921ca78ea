/**
 * Groups that can go as a whole: on every axis they live on, channels of another group stay. What a residual network
 * adds to its shortcut when it gets wider is such a group; a layer of its own is none.
 */
import type { Group } from './groups';

/**
 * @param owners by axis, the group of each position, −1 for none
 * @returns for each group whether all its channels may be removed, whatever else is
 */
export function vanishing(
  groups: readonly Pick<Group, 'axes' | 'reason'>[],
  owners: ReadonlyMap<string, Int32Array>,
): boolean[] {
  const others = groups.map(({ axes }, g) =>
    axes.map(({ key }) => [...new Set(owners.get(key))].filter((owner) => owner !== g)),
  );
  const can = groups.map(({ reason }, g): boolean | null =>
    reason || others[g].some(({ length }) => length === 0) ? false : null,
  );
  const stays = (owner: number): boolean => owner < 0 || can[owner] === false;
  for (const [g, axes] of others.entries()) {
    if (can[g] === false) continue;
    const anchors = axes.map((found) => found.find(stays) ?? found.find((owner) => can[owner] === null));
    can[g] = !anchors.includes(undefined);
    // What this one leans on has to stay.
    if (can[g]) for (const anchor of anchors as number[]) if (anchor >= 0) can[anchor] = false;
  }
  return can.map(Boolean);
}
