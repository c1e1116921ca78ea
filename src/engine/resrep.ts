/**
 * ResRep (Ding et al., ICCV 2021): compactors behind the layers that may become narrower, training in which the network
 * remembers and the compactors forget, and a network of the same architecture with fewer channels that computes the same.
 */

import { modelFacts } from '../analysis/facts';
import { findLayers } from '../analysis/layers';
import {
  dataNeeded,
  nothingToCompact,
  resRepTarget,
  resRepTooShort,
  shapesUnknown,
  verificationFailed,
} from '../errors';
import { serializeGraph } from '../formats/onnx/serialize';
import type { Graph } from '../graph/graph';
import type { Check, CompactionReport, LayerProjection, Projection } from '../protocol/plan';
import type { PruneSettings, TrainingSettings } from '../protocol/recipe';
import type { RequestContext } from '../protocol/rpc';
import { projectionOf } from '../prune/channelPlan';
import { newShape } from '../prune/channels';
import { type Compaction, compactionOf } from '../prune/compaction/places';
import { compactionSchedule, NEEDED_REACH, type ScheduledRun } from '../prune/compaction/schedule';
import { evenRows } from '../prune/compaction/select';
import { WidthCounter } from '../prune/compaction/widths';
import type { ChannelGroups } from '../prune/groups';
import type { RemoveChannelsCut } from '../prune/plan';
import { shortfallOf } from '../prune/target';
import { removalOfCuts, removeChannels } from '../surgery/channels';
import { compensatedInputs, shiftsOf } from '../surgery/channelsCompensate';
import { type CompactedGraph, withCompactors } from '../surgery/compactors';
import { foldCompactors } from '../surgery/foldCompactors';
import { withOffset } from '../surgery/reconstruct';
import { type Tensor, toFloat32 } from '../tensor/tensor';
import { type CompactingOptions, compacting } from '../train/compaction';
import { channelGroups } from './channels';
import type { Decomposed } from './decompose';
import type { Inputs } from './inputs';
import { MaskKeeper, rowNorms, scoresOf } from './maskKeeper';
import type { OpenedModel } from './models';
import type { Pruned, Round } from './prunedModel';
import { resumesTraining, type Scene, within } from './scene';
import { trainPruned } from './train';
import { stepsPerEpoch } from './trainingData';
import { scheduleOf } from './trainingOptions';
import { noiseInputs, outputsOf, relativeDifference } from './verify';
import { againstZeros, rangesOf } from './zeroChannels';

/** Sums in another order, with the weights' precision. */
const TOLERANCE = 1e-3;

/**
 * @throws UserError `data-needed`, `resrep-target`, `resrep-too-short`, `nothing-to-compact`, `verification-failed`, and
 *   those of training
 */
export async function resRep(scene: Scene, round: Round, context: RequestContext): Promise<Pruned> {
  const { base, inputs, session, tools } = scene;
  const { from, settings, training } = round;
  if (!inputs || !training) throw dataNeeded({ what: 'ResRep' });
  if (scene.settings.target.kind !== 'macs') throw resRepTarget({ kind: scene.settings.target.kind });
  context.progress({ phase: 'calibrate', message: 'Looking for places for compactors', fraction: 0 });
  const site = await siteOf(from, settings);
  const run = runOf(inputs, training);
  const work = compactionWork(site, { ...settings, training }, run);
  const trained = await trainPruned(
    {
      opened: base,
      decomposed: work.decomposed,
      settings: { ...settings, training },
      inputs,
      session,
      compactors: work,
      checkpoint: scene.checkpoint,
      run: scene.identity,
      part: round.name,
      resume: resumesTraining(scene),
      pause: tools.pause,
    },
    within(context, [0.02, 0.98]),
  );
  const finished = await finish(site, trained.tensors, work.keeper, settings);
  const check = await sameAsCompacted(site, trained.reference, finished, settings);
  const reference =
    finished.alive > 0
      ? { graph: finished.graph, metadata: from.model.metadata, name: 'the cut graph' }
      : trained.reference;
  const decomposed: Decomposed = {
    graph: finished.graph,
    masked: finished.graph,
    owners: new Map(findLayers(finished.graph).map(({ node, name }) => [node, name])),
  };
  return {
    from,
    projection: finished.projection,
    decomposed,
    reference,
    checks: [finished.check, check],
    training: { ...trained.report, untrained: null, compaction: finished.report },
  };
}

/** A model with places for compactors. */
export interface Site {
  readonly from: OpenedModel;
  readonly groups: ChannelGroups;
  readonly compaction: Compaction;
  readonly compacted: CompactedGraph;
  readonly counter: WidthCounter;
}

export async function siteOf(from: OpenedModel, settings: PruneSettings): Promise<Site> {
  const { metadata } = from.model;
  const groups = await channelGroups(from);
  const whole = from.facts.totals.macs;
  if (!from.shapes.inputs || whole === null) {
    throw shapesUnknown({ reason: from.shapes.reason ?? 'the cost of a layer is not known' });
  }
  const first = compactionOf(groups, settings, settings.resrep);
  const against = await againstZeros(
    withCompactors(groups.wiring, first.places),
    metadata,
    first,
    groups,
    noiseInputs(from.model.graph, from.shapes.inputs, settings.seed),
  );
  const compaction = against.size ? compactionOf(groups, settings, { ...settings.resrep, against }) : first;
  if (compaction.groups.length === 0) throw nothingToCompact({ declined: [...compaction.declined] });
  return {
    from,
    groups,
    compaction,
    compacted: withCompactors(groups.wiring, compaction.places),
    counter: new WidthCounter(
      groups,
      compaction.groups.map(({ group }) => group),
      whole,
    ),
  };
}

/** What training needs to know of compactors. */
export interface CompactionWork {
  readonly decomposed: Decomposed;
  readonly names: readonly string[];
  readonly optimizer: ReturnType<typeof compacting>;
  readonly keeper: MaskKeeper;
}

export function runOf(inputs: Inputs, training: TrainingSettings): Omit<ScheduledRun, 'rows'> {
  const perEpoch = stepsPerEpoch(inputs, training);
  const steps = training.epochs * perEpoch;
  const schedule = scheduleOf(training);
  return { steps, stepsPerEpoch: perEpoch, rate: (step) => training.lr * schedule(step, steps) };
}

/** @throws UserError `resrep-too-short` unless the settings say to start anyway */
export function compactionWork(
  { compacted, compaction, counter }: Site,
  { resrep, training, ...settings }: PruneSettings & { readonly training: TrainingSettings },
  run: Omit<ScheduledRun, 'rows'>,
): CompactionWork {
  const target = settings.target.value * counter.whole;
  const sizes = compaction.groups.map(({ group }) => group.channels);
  const least = compaction.groups.map(({ least: fewest }) => fewest);
  const even = evenRows(counter, { least, target }, sizes);
  const schedule = compactionSchedule(resrep, { ...run, rows: Math.max(1, even.count) });
  if (schedule.reach < NEEDED_REACH && !resrep.unchecked) {
    throw resRepTooShort({
      reach: schedule.reach,
      needed: NEEDED_REACH,
      steps: run.steps,
      masked: schedule.expectedEnd,
      lambda: schedule.reach > 0 ? (schedule.maskedLambda * NEEDED_REACH) / schedule.reach : null,
    });
  }
  const rows = compaction.places.flatMap(({ rows: owners }) => owners);
  const options: CompactingOptions = {
    compactors: compaction.places.map(({ name, rows: { length } }) => ({
      name: compacted.matrices.get(name) as string,
      size: length,
    })),
    lambda: schedule.lambda,
    maskedLambda: schedule.maskedLambda,
    momentum: schedule.momentum,
    canGo: Float32Array.from(rows, (owner) => (owner ? 1 : 0)),
    others: { momentum: training.momentum, nesterov: training.nesterov },
  };
  const { graph, matrices } = compacted;
  return {
    decomposed: { graph, masked: graph, owners: new Map() },
    names: options.compactors.map(({ name }) => name),
    optimizer: compacting(options),
    keeper: new MaskKeeper({ compaction, counter, schedule, run, target, matrices, unchecked: resrep.unchecked }),
  };
}

interface Finished {
  readonly graph: Graph;
  readonly projection: Projection;
  readonly report: CompactionReport;
  readonly check: Check;
  /** Rows that were cut though they had not vanished. */
  readonly alive: number;
}

/** Compactors folded, channels cut, and what that leaves. */
async function finish(
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
  const graph = await withConstants(opened, newGroups, cuts, cut, settings.seed);
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

/** Constants that channels of zeros became on their way, in the biases of what read them. */
async function withConstants(
  { model: { graph, metadata }, shapes }: OpenedModel,
  groups: ChannelGroups,
  cuts: readonly RemoveChannelsCut[],
  cut: Graph,
  seed: number,
): Promise<Graph> {
  const read = compensatedInputs(groups, cuts).map(({ axis }) => axis);
  const ranges = await rangesOf(graph, metadata, noiseInputs(graph, shapes.inputs ?? {}, seed), read);
  const removal = removalOfCuts(groups, cuts);
  const means = new Map<string, Float64Array>();
  for (const { value, axis, key } of read) {
    const range = ranges.get(`${value}@${axis}`);
    const isRemoved = removal.get(key)?.isRemoved;
    if (!range || !isRemoved) continue;
    const constants = range.low.map((low, i) => (isRemoved[i] ? (low + range.high[i]) / 2 : 0));
    if (constants.some((value) => Math.abs(value) > NEGLIGIBLE)) means.set(value, constants);
  }
  if (means.size === 0) return cut;
  let fitted = cut;
  for (const [name, shift] of shiftsOf(groups, cuts, means)) {
    const layer = findLayers(fitted).find((found) => found.name === name);
    if (layer) fitted = withOffset(fitted, layer, shift);
  }
  return fitted;
}

const NEGLIGIBLE = 1e-4;

async function sameAsCompacted(
  { from }: Site,
  reference: Pruned['reference'],
  { graph, alive }: Finished,
  { seed }: PruneSettings,
): Promise<Check> {
  const { model, shapes } = from;
  const feeds = noiseInputs(model.graph, shapes.inputs ?? {}, seed);
  const expected = await outputsOf(serializeGraph(reference.graph, reference.metadata), feeds);
  const found = await outputsOf(serializeGraph(graph, model.metadata), feeds);
  const worst = Math.max(...Object.entries(expected).map(([name, tensor]) => relativeDifference(tensor, found[name])));
  const check: Check = {
    name: 'Cut network equals the network with compactors',
    passed: worst <= TOLERANCE,
    detail: `largest difference ${worst.toExponential(1)} of the largest output, tolerance ${TOLERANCE}${alive ? `; ${alive} rows that had not vanished were cut, as asked` : ''}`,
  };
  if (!check.passed && alive === 0) throw verificationFailed({ check: check.name, detail: check.detail });
  return check;
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
