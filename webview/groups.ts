/** Groups of coupled channels as the views show them: numbered, with the override that names each. */
import type { GroupProjection, Projection } from '../src/protocol/plan';
import type { GroupOverride, PruneSettings } from '../src/protocol/recipe';

export type Role = GroupProjection['members'][number]['role'];

export interface GroupRow {
  /** From 0, in the order of the network; what is shown counts from 1. */
  readonly index: number;
  readonly projection: GroupProjection;
  /** The override that names exactly this group. */
  readonly override: GroupOverride | null;
  /** What each layer does in it; one that gives and reads the channels counts as giving them. */
  readonly roles: ReadonlyMap<string, Role>;
}

/** What a plan's layers lose; the table has other columns for each. */
export type PlanKind = 'bases' | 'channels' | 'both';

export function planKind(projection: Projection | null, settings: PruneSettings | null): PlanKind {
  if (projection?.groups === undefined) return 'bases';
  return settings?.method === 'double' ? 'both' : 'channels';
}

export function groupRows(projection: Projection | null, settings: PruneSettings | null): readonly GroupRow[] {
  const overrides = new Map(settings?.groups.map((override) => [override.match, override]));
  return (projection?.groups ?? []).map((group, index): GroupRow => {
    const roles = new Map<string, Role>();
    for (const { layer, role } of group.members) if (!gives(roles.get(layer))) roles.set(layer, role);
    return { index, projection: group, override: overrides.get(group.name) ?? null, roles };
  });
}

/** Whether the channels are outputs of a layer with this role. */
export function gives(role: Role | undefined): boolean {
  return role === 'producer' || role === 'follower';
}

/** By layer, the first group that its outputs belong to. */
export function groupsByLayer(groups: readonly GroupRow[]): ReadonlyMap<string, GroupRow> {
  const found = new Map<string, GroupRow>();
  for (const group of groups) {
    for (const [layer, role] of group.roles) if (gives(role) && !found.has(layer)) found.set(layer, group);
  }
  return found;
}

/** Channels that stay as the user asked for them, before rounding to a multiple. */
export function askedChannels({ projection, override }: GroupRow): number {
  if (override?.keep || override?.ratio === undefined) return projection.kept;
  return Math.min(projection.channels, Math.max(1, Math.round(override.ratio * projection.channels)));
}

/** Whether channels of the group can be removed at all: of those that can't, a channel saves nothing. */
export function isRemovable({ perChannel }: GroupProjection): boolean {
  return perChannel.params > 0;
}

/** Other layers of the group, by what they do there. */
export function othersOf({ roles }: GroupRow, layer: string): readonly string[] {
  return [...roles.keys()].filter((name) => name !== layer);
}
