/** What a multiple makes of the number of channels that stay. */
import { stepOf } from '../src/settings/multiples';
import { askedChannels, type GroupRow, isRemovable } from './groups';

export interface Rounded {
  /** What was asked for by hand; null when the plan chose. */
  readonly from: number | null;
  readonly multiple: number;
}

/** null when the number of channels was not rounded. */
export function roundedKept(group: GroupRow, multiple: number): Rounded | null {
  const { projection } = group;
  const { kept, channels } = projection;
  if (multiple === 1 || kept === channels || !isRemovable(projection)) return null;
  const asked = askedChannels(group);
  if (kept > asked) return { from: asked, multiple };
  return kept % stepOf(projection.block, multiple) === 0 ? { from: null, multiple } : null;
}
