/**
 * The end of a ResRep run: compactors folded into their layers, channels whose rows have vanished cut, and what that
 * leaves of the model.
 */
import type { Graph } from '../graph/graph';
import type { Check, CompactionReport, Projection } from '../protocol/plan';
import type { PruneSettings } from '../protocol/recipe';
import type { Compaction } from '../prune/compaction/places';
import type { RemoveChannelsCut } from '../prune/plan';
import { missedByRows } from '../prune/target';
import { removeChannels } from '../surgery/channels';
import { foldCompactors } from '../surgery/foldCompactors';
import { type Tensor, toFloat32 } from '../tensor/tensor';
import { withTrained } from '../train/prepare';
import { channelGroups } from './channels';
import { type MaskKeeper, rowNorms, scoresOf } from './maskKeeper';
import { openedWith, projectionAfter, shapesWithout } from './narrowed';
import type { Site } from './resrep';
import { bothNoises } from './verify';
import { withConstants } from './zeroChannels';

export interface Finished {
  readonly graph: Graph;
  readonly projection: Projection;
  readonly report: CompactionReport;
  readonly checks: readonly Check[];
  readonly warnings: readonly string[];
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
  const trained = { ...groups.wiring, graph: withTrained(groups.wiring.graph, tensors) };
  const folded = foldCompactors(trained, perLayer, metadata.irVersion);
  const opened = openedWith(from, folded, from.shapes.values, 'folded');
  const newGroups = await channelGroups(opened);
  const cuts = chosen.flatMap((channels, g): RemoveChannelsCut[] =>
    channels.length ? [{ kind: 'removeChannels', group: compaction.groups[g].group.name, channels }] : [],
  );
  const cut = removeChannels(newGroups, cuts, metadata.irVersion);
  const feeds = bothNoises(folded, from.shapes.inputs ?? {}, settings.seed);
  const graph = await withConstants(newGroups, metadata, cuts, cut, feeds);
  const after = openedWith(from, graph, shapesWithout(opened.shapes.values, newGroups, cuts), 'cut');
  const masked = keeper.masked.flatMap((flags, g) => [...flags].flatMap((flag, c) => (flag ? [largest[g][c]] : [])));
  const { vanished } = settings.resrep;
  const alive = chosen.reduce((sum, channels, g) => sum + channels.filter((c) => largest[g][c] >= vanished).length, 0);
  const gone = masked.filter((norm) => norm < vanished).length;
  const worst = masked.reduce((most, norm) => Math.max(most, norm), 0);
  const count = chosen.reduce((sum, { length }) => sum + length, 0);
  const projection = projectionAfter({
    from,
    after,
    groups,
    lost: new Map(compaction.groups.map(({ group }, g) => [group.name, chosen[g].length])),
    whyWhole: (group) => compaction.declined.get(group) ?? 'none of its rows vanished',
  });
  return {
    graph,
    alive,
    projection: { ...projection, shortfall: shortfallAfter(projection, settings) },
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
    ...(gone === masked.length
      ? { checks: [allVanished(gone, settings)], warnings: [] }
      : { checks: [], warnings: [leftOver(masked.length - gone, worst, settings)] }),
  };
}

function allVanished(rows: number, { resrep: { vanished } }: PruneSettings): Check {
  return { name: 'Masked rows have vanished', passed: true, detail: `all ${rows} of them are below ${vanished}` };
}

/** What became of masked rows that training did not bring to zero. */
function leftOver(rows: number, largest: number, { resrep }: PruneSettings): string {
  const found = `${rows} masked rows have not vanished (the largest norm is ${largest.toPrecision(2)})`;
  const longer = 'A longer training, or a larger λ for masked rows, brings them to zero.';
  return resrep.remainder === 'cut'
    ? `${found} and were cut all the same, as asked. ${longer}`
    : `${found} and stay, so that more channels are left than were masked. ${longer}`;
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

function shortfallAfter({ before, after }: Projection, { target }: PruneSettings): Projection['shortfall'] {
  const share = (after.macs ?? 0) / (before.macs || 1);
  return share > target.value + 1e-9 ? missedByRows(target.value, share) : null;
}
