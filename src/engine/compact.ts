/**
 * A sparse model without the channels that became idle: those that no layer reads any more, as all weights for them are
 * zero, and those that are always zero themselves. Taking them out changes nothing; it goes on until none is left, since
 * what only an idle channel needed is idle as well.
 */
import { modelFacts } from '../analysis/facts';
import { findLayers } from '../analysis/layers';
import { storedTotals } from '../analysis/totals';
import type { Graph, GraphNode } from '../graph/graph';
import type { LayerProjection, Projection } from '../protocol/plan';
import { projectionOf } from '../prune/channelPlan';
import { newShape } from '../prune/channels';
import type { ChannelGroups, Group, MemberWeight } from '../prune/groups';
import { givers, type ImportanceSource, perChannel, perPosition, weightOf } from '../prune/importance/source';
import type { RemoveChannelsCut } from '../prune/plan';
import { removalOfCuts, removeChannels } from '../surgery/channels';
import { channelGroups } from './channels';
import type { Decomposed } from './decompose';
import type { OpenedModel } from './models';
import { noiseInputs } from './verify';
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
  let opened = openedWith(from, graph, from.shapes.values);
  for (let removed = true; removed; ) {
    const groups = await channelGroups(opened);
    const cuts = await idleChannels(opened, groups, seed);
    removed = cuts.length > 0;
    if (!removed) break;
    for (const { group, channels } of cuts) lost.set(group, (lost.get(group) ?? 0) + channels.length);
    const cut = removeChannels(groups, cuts, from.model.metadata.irVersion);
    const removal = removalOfCuts(groups, cuts);
    const values = new Map(
      [...opened.shapes.values].map(
        ([value, shape]) => [value, newShape(groups.wiring, removal, value) ?? shape] as const,
      ),
    );
    opened = openedWith(from, cut, values);
  }
  const named = new Map(
    from.layers.filter(({ path }) => !path.length).map(({ node, name }) => [node.outputs[0], name]),
  );
  const owners = new Map<GraphNode, string>();
  for (const node of opened.model.graph.nodes) {
    const owner = named.get(node.outputs[0]);
    if (owner !== undefined) owners.set(node, owner);
  }
  return {
    decomposed: { graph: opened.model.graph, masked: graph, owners },
    projection: projectionAfter(from, opened, first, lost),
    removed: [...lost.values()].reduce((sum, count) => sum + count, 0),
  };
}

/** A graph in memory as an opened model. */
function openedWith(from: OpenedModel, graph: Graph, values: ReadonlyMap<string, readonly number[]>): OpenedModel {
  const model = { ...from.model, graph };
  const layers = findLayers(graph);
  const shapes = { ...from.shapes, values };
  const facts = modelFacts(model, layers, shapes);
  return { ...from, model, layers, shapes, facts, uses: storedTotals(graph).uses, stamp: `${from.stamp}/compact` };
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
  const ranges = await rangesOf(graph, metadata, noiseInputs(graph, shapes.inputs ?? {}, seed), sums);
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

function projectionAfter(
  from: OpenedModel,
  after: OpenedModel,
  groups: ChannelGroups,
  lost: ReadonlyMap<string, number>,
): Projection {
  const now = new Map(after.facts.layers.map((layer) => [layer.name, layer]));
  const known = new Map(groups.layers.map((layer) => [layer.layer, layer]));
  return {
    before: from.facts.totals,
    after: after.facts.totals,
    basis: 'weights',
    shortfall: null,
    groups: groups.groups.map((group) =>
      projectionOf(group, group.channels - (lost.get(group.name) ?? 0), 'every channel has weights that are not zero'),
    ),
    layers: from.facts.layers.map((layer): LayerProjection => {
      const found = now.get(layer.name) ?? layer;
      const { params, macs, bytes } = found;
      const base = { layer: layer.name, rank: layer.fullRank, error: 0, params, macs, bytes };
      if (found.weight.shape.join() !== layer.weight.shape.join()) {
        return { ...base, action: 'narrow', reason: null, channels: found.outputShape?.[1] ?? 0 };
      }
      return { ...base, action: 'keep', reason: known.get(layer.name)?.reason ?? 'all channels it shares stay' };
    }),
  };
}
