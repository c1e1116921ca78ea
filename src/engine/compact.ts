/**
 * A sparse model without the channels that became idle: those that no layer reads any more, as all weights for them are
 * zero, and those that are always zero themselves. Taking them out changes nothing; it goes on until none is left, since
 * what only an idle channel needed is idle as well.
 */
import type { Graph } from '../graph/graph';
import type { Projection } from '../protocol/plan';
import type { ChannelGroups, Group, MemberWeight } from '../prune/groups';
import { givers, type ImportanceSource, perChannel, perPosition, weightOf } from '../prune/importance/source';
import type { RemoveChannelsCut } from '../prune/plan';
import { channelGroups } from './channels';
import type { Decomposed } from './decompose';
import type { OpenedModel } from './models';
import { layersIn, openedWith, projectionAfter, withoutChannels } from './narrowed';
import { bothNoises } from './verify';
import { rangesOf } from './zeroChannels';

export interface Compact {
  readonly decomposed: Decomposed;
  readonly projection: Projection;
  readonly removed: number;
}

/**
 * @param graph the sparse model, with the layers of `from`
 * @throws UserError `shapes-unknown`
 */
export async function compact(from: OpenedModel, graph: Graph, seed: number): Promise<Compact> {
  const first = await channelGroups(from);
  const lost = new Map<string, number>();
  let opened = openedWith(from, graph, from.shapes.values, 'sparse');
  for (;;) {
    const groups = await channelGroups(opened);
    const cuts = await idleChannels(opened, groups, seed);
    if (cuts.length === 0) break;
    for (const { group, channels } of cuts) lost.set(group, (lost.get(group) ?? 0) + channels.length);
    opened = withoutChannels(opened, groups, cuts);
  }
  const cut = opened.model.graph;
  const whyWhole = (): string => 'every channel has weights that are not zero';
  return {
    decomposed: { graph: cut, masked: graph, owners: layersIn(cut, from) },
    projection: projectionAfter({ from, after: opened, groups: first, lost, whyWhole }),
    removed: [...lost.values()].reduce((sum, count) => sum + count, 0),
  };
}

async function idleChannels(
  { model: { graph, metadata }, layers, shapes }: OpenedModel,
  groups: ChannelGroups,
  seed: number,
): Promise<RemoveChannelsCut[]> {
  const source: ImportanceSource = {
    wiring: groups.wiring,
    layers: new Map(layers.map((layer) => [layer.name, layer])),
    statistics: {},
    seed,
  };
  const free = groups.groups.filter(({ reason, inexact }) => reason === null && inexact === null);
  const sums = free.flatMap((group) => group.sums.map(({ axis }) => axis));
  const ranges = await rangesOf(graph, metadata, bothNoises(graph, shapes.inputs ?? {}, seed), sums);
  return free.flatMap((group): RemoveChannelsCut[] => {
    const read = sizes(group, readers(group), source);
    const given = sizes(group, givers(group), source);
    const isRead = group.sums.some(({ layer }) => layer === null) ? null : read;
    const strength = new Float64Array(group.channels);
    for (const { axis } of group.sums) {
      const range = ranges.get(`${axis.value}@${axis.axis}`);
      if (!range) return [];
      const largest = range.low.map((low, i) => Math.max(Math.abs(low), Math.abs(range.high[i])));
      perChannel(largest, axis, group.channels).forEach((value, channel) => {
        strength[channel] += value;
      });
    }
    // Zero on noise alone proves nothing: nothing may go into the channel either.
    const idle = Array.from({ length: group.channels }, (_, channel) => channel).filter(
      (channel) => isRead?.[channel] === 0 || (given?.[channel] === 0 && strength[channel] === 0),
    );
    const channels = idle.length === group.channels && !group.canVanish ? idle.slice(1) : idle;
    return channels.length ? [{ kind: 'removeChannels', group: group.name, channels }] : [];
  });
}

/** Weights of the layers that add a group's channels up. */
function readers({ weights }: Group): MemberWeight[] {
  return weights.filter(({ role }) => role === 'consumer');
}

/** Σ|w| of each channel over the members' weights; null where some can't be read or there are none. */
function sizes(group: Group, members: readonly MemberWeight[], source: ImportanceSource): Float64Array | null {
  if (members.length === 0) return null;
  const total = new Float64Array(group.channels);
  for (const member of members) {
    const weight = weightOf(source, member);
    if (!weight) return null;
    const positions = perPosition(weight, member.axis.axis, Math.abs);
    perChannel(positions, member.axis, group.channels).forEach((size, channel) => {
      total[channel] += size;
    });
  }
  return total;
}
