/**
 * The end of a ResRep run: compactors folded into their layers, channels whose rows have vanished cut, and what that
 * leaves of the model.
 */

import { modelFacts } from '../analysis/facts';
import { findLayers } from '../analysis/layers';
import type { Graph } from '../graph/graph';
import type { Check, CompactionReport, LayerProjection, Projection } from '../protocol/plan';
import type { PruneSettings } from '../protocol/recipe';
import { projectionOf } from '../prune/channelPlan';
import { newShape } from '../prune/channels';
import type { Compaction } from '../prune/compaction/places';
import type { ChannelGroups } from '../prune/groups';
import type { RemoveChannelsCut } from '../prune/plan';
import { shortfallOf } from '../prune/target';
import { removalOfCuts, removeChannels } from '../surgery/channels';
import { foldCompactors } from '../surgery/foldCompactors';
import { type Tensor, toFloat32 } from '../tensor/tensor';
import { channelGroups } from './channels';
import { type MaskKeeper, rowNorms, scoresOf } from './maskKeeper';
import type { OpenedModel } from './models';
import type { Site } from './resrep';
import { noiseInputs } from './verify';
import { withConstants } from './zeroChannels';

export interface Finished {
  readonly graph: Graph;
  readonly projection: Projection;
  readonly report: CompactionReport;
  readonly check: Check;
  /** Rows that were cut though they had not vanished. */
  readonly alive: number;
}

/** Compactors folded, channels cut, and what that leaves. */
export async function finish(
  { from, groups, compaction, compacted, counter }: Site,
  tensors: ReadonlyMap<string, Tensor>,
  keeper: MaskKeeper,
  settings: PruneSettings,
): Promise<Finished> {
  const { metadata } = from.model;
  const matrixOf = (place: string): Float32Array =>
    toFloat32(tensors.get(compacted.matrices.get(place) as string) as Tensor);
  const norms = compaction.places.map(({ name, rows }) => rowNorms(matrixOf(name), rows.length));
  const largest = scoresOf(compaction, norms, 'largest');
  const chosen = chosenToGo(compaction, largest, keeper.masked, settings);
  const perLayer = new Map(
    compaction.places.flatMap(({ name, layers }) =>
      layers.map((layer) => [layer, Float64Array.from(matrixOf(name))] as const),
    ),
  );
  const folded = foldCompactors(groups.wiring, perLayer, tensors, metadata.irVersion);
  const opened = withGraph(from, folded, from.shapes.values);
  const newGroups = await channelGroups(opened);
  const cuts = chosen.flatMap((channels, g): RemoveChannelsCut[] =>
    channels.length ? [{ kind: 'removeChannels', group: compaction.groups[g].group.name, channels }] : [],
  );
  const cut = removeChannels(newGroups, cuts, metadata.irVersion);
  const feeds = noiseInputs(folded, from.shapes.inputs ?? {}, settings.seed);
  const graph = await withConstants(newGroups, metadata, cuts, cut, feeds);
  const removal = removalOfCuts(newGroups, cuts);
  const values = new Map(
    [...opened.shapes.values].map(([value, shape]) => {
      return [value, newShape(newGroups.wiring, removal, value) ?? shape] as const;
    }),
  );
  const after = withGraph(from, graph, values);
  const masked = keeper.masked.flatMap((flags, g) => [...flags].flatMap((flag, c) => (flag ? [largest[g][c]] : [])));
  const { vanished } = settings.resrep;
  const alive = chosen.reduce((sum, channels, g) => sum + channels.filter((c) => largest[g][c] >= vanished).length, 0);
  const gone = masked.filter((norm) => norm < vanished).length;
  const worst = masked.reduce((most, norm) => Math.max(most, norm), 0);
  const count = chosen.reduce((sum, { length }) => sum + length, 0);
  return {
    graph,
    alive,
    projection: projectionAfter(from, after, compaction, groups, chosen, settings),
    report: {
      ...keeper.report(),
      layers: compaction.places.map(({ name, rows }, i) => ({
        layer: name,
        rows: rows.length,
        masked: rows.filter((owner) => owner && chosen[owner.group].includes(owner.channel)).length,
        norms: Array.from(norms[i], (norm) => Number(norm.toPrecision(4))),
      })),
      macs: counter.macs(chosen.map(({ length }) => length)),
      cut: count,
      vanished: gone,
      largest: worst,
    },
    check: {
      name: 'Masked rows have vanished',
      passed: gone === masked.length,
      detail: `${gone} of ${masked.length} masked rows are below ${vanished}, the largest is ${worst.toExponential(1)}; ${count} channels were cut`,
    },
  };
}

/** The channels of each group that are cut. */
function chosenToGo(
  { groups }: Compaction,
  norms: readonly Float64Array[],
  masked: readonly Uint8Array[],
  { resrep: { vanished, remainder }, multiple }: PruneSettings,
): number[][] {
  return groups.map(({ group: { channels }, least }, g) => {
    const goes = (c: number): boolean => norms[g][c] < vanished || (remainder === 'cut' && masked[g][c] === 1);
    const rising = Array.from({ length: channels }, (_, c) => c).sort((a, b) => norms[g][a] - norms[g][b] || a - b);
    const gone = rising.filter(goes);
    const kept = Math.max(least, channels - gone.length);
    const rounded = Math.min(channels, Math.ceil(kept / multiple) * multiple);
    return gone.slice(0, channels - rounded).sort((a, b) => a - b);
  });
}

function withGraph(from: OpenedModel, graph: Graph, values: ReadonlyMap<string, readonly number[]>): OpenedModel {
  const model = { ...from.model, graph };
  const layers = findLayers(graph);
  // A layer that took its normalization in gives that one's output.
  const known = new Map(values);
  const shapes = { ...from.shapes, values: known };
  for (const { node, name } of layers) {
    const before = from.layers.find((layer) => layer.name === name)?.node.outputs[0];
    const shape = before === undefined ? undefined : known.get(before);
    if (shape && !known.has(node.outputs[0])) known.set(node.outputs[0], shape);
  }
  return { ...from, model, layers, shapes, facts: modelFacts(model, layers, shapes), stamp: `${from.stamp}/folded` };
}

function projectionAfter(
  from: OpenedModel,
  after: OpenedModel,
  compaction: Compaction,
  groups: ChannelGroups,
  chosen: readonly (readonly number[])[],
  { target }: PruneSettings,
): Projection {
  const now = new Map(after.facts.layers.map((layer) => [layer.name, layer]));
  const lost = new Map(compaction.groups.map(({ group }, g) => [group.name, chosen[g].length]));
  const known = new Map(groups.layers.map((layer) => [layer.layer, layer]));
  const [before, left] = [from.facts.totals, after.facts.totals];
  const share = (left.macs ?? 0) / (before.macs || 1);
  return {
    before,
    after: left,
    basis: 'weights',
    shortfall: share > target.value + 1e-9 ? shortfallOf(target.value, share) : null,
    groups: groups.groups.map((group) => {
      const kept = group.channels - (lost.get(group.name) ?? 0);
      return projectionOf(group, kept, compaction.declined.get(group.name) ?? 'none of its rows vanished');
    }),
    layers: from.facts.layers.map((layer): LayerProjection => {
      const found = now.get(layer.name) ?? layer;
      const { params, macs, bytes } = found;
      const base = { layer: layer.name, rank: layer.fullRank, error: 0, params, macs, bytes };
      const isNarrow = found.weight.shape.join() !== layer.weight.shape.join();
      if (isNarrow) return { ...base, action: 'narrow', reason: null, channels: found.outputShape?.[1] ?? 0 };
      const reason = known.get(layer.name)?.reason ?? 'all channels it shares stay';
      return { ...base, action: 'keep', reason };
    }),
  };
}
