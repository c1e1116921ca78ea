/**
 * ResRep (Ding et al., ICCV 2021): compactors behind the layers that may become narrower, training in which the network
 * remembers and the compactors forget, and a network of the same architecture with fewer channels that computes the same.
 */
import { dataNeeded, nothingToCompact, resRepTarget, resRepTooShort, shapesUnknown, type UserError } from '../errors';
import type { Check, TrainingReport } from '../protocol/plan';
import type { PruneSettings, TrainingSettings } from '../protocol/recipe';
import type { RequestContext } from '../protocol/rpc';
import { type Compaction, compactionOf } from '../prune/compaction/places';
import {
  type CompactionSchedule,
  compactionSchedule,
  NEEDED_REACH,
  type ScheduledRun,
} from '../prune/compaction/schedule';
import { evenRows } from '../prune/compaction/select';
import { WidthCounter } from '../prune/compaction/widths';
import type { ChannelGroups } from '../prune/groups';
import { type CompactedGraph, withCompactors } from '../surgery/compactors';
import { type CompactingOptions, compacting } from '../train/compaction';
import { type AfterCut, cutOnce, trainingOn } from './afterCut';
import { channelGroups } from './channels';
import { type Decomposed, untouched, wholeLayers } from './decompose';
import type { Inputs } from './inputs';
import { MaskKeeper } from './maskKeeper';
import type { OpenedModel } from './models';
import { openedWith } from './narrowed';
import { againstLoss } from './outsideLoss';
import { type Finished, finish } from './resrepFinish';
import { type Pruned, type Round, startOf, type TrainingRound, trainingRequest } from './round';
import { type Scene, within } from './scene';
import { roundedBy } from './suggested';
import { joinedTraining, trainPruned } from './train';
import { stepsPerEpoch } from './trainingData';
import { scheduleOf } from './trainingOptions';
import { bothNoises, requirePassed, sameOnNoise } from './verify';
import { againstZeros } from './zeroChannels';

/**
 * @throws UserError `data-needed`, `resrep-target`, `resrep-too-short`, `nothing-to-compact`, `verification-failed`, and
 *   those of training
 */
export async function resRep(scene: Scene, round: Round, context: RequestContext): Promise<Pruned> {
  const { inputs } = scene;
  const { from, settings, training } = round;
  if (!inputs || !training) throw dataNeeded({ what: 'ResRep' });
  if (scene.settings.target.kind !== 'macs') throw resRepTarget({ kind: scene.settings.target.kind });
  const { epochsAfter } = settings.resrep;
  const part: TrainingRound = { ...round, training, inputs };
  if (epochsAfter === 0) {
    const { graph, found, reference } = await cutByTraining(scene, part, context);
    return { from, decomposed: wholeLayers(graph), reference, ...found };
  }
  // An epoch after the cut takes as much less as there are fewer multiply-accumulates.
  const beforeCut = training.epochs / (training.epochs + settings.target.value * epochsAfter);
  const { graph, found } = await cutOnce(scene, round, () =>
    cutByTraining(scene, part, within(context, [0, beforeCut])),
  );
  const last = await trainPruned(
    trainingOn(trainingRequest(scene, part, wholeLayers(graph)), epochsAfter),
    within(context, [beforeCut, 1]),
  );
  const { training: before, ...rest } = found;
  return {
    ...rest,
    from,
    decomposed: wholeLayers(last.graph),
    reference: last.reference,
    training: joinedTraining(before, { ...before, ...last.report }),
  };
}

/** What was found of a training with compactors. */
interface Found extends Pick<Pruned, 'projection' | 'checks' | 'warnings'> {
  readonly training: TrainingReport;
}

interface Cut extends AfterCut<Found> {
  readonly reference: Pruned['reference'];
}

async function cutByTraining(scene: Scene, round: TrainingRound, context: RequestContext): Promise<Cut> {
  const { from, settings, training, inputs } = round;
  context.progress({ phase: 'calibrate', message: 'Looking for places for compactors', fraction: 0 });
  const { graph: start } = startOf(scene, round, untouched(from));
  const started = start === from.model.graph ? from : openedWith(from, start, from.shapes.values, 'from scratch');
  const site = await siteOf(started, settings);
  const run = runOf(inputs, training);
  const work = compactionWork(site, { ...settings, training }, run);
  if (work.tooShort && !settings.resrep.unchecked) throw work.tooShort;
  const trained = await trainPruned(
    {
      ...trainingRequest(scene, round, work.decomposed),
      compactors: work,
      neighbours: { before: 0, after: settings.resrep.epochsAfter, cost: settings.target.value },
    },
    within(context, [0.02, 0.98]),
  );
  const finished = await finish(site, trained.tensors, work.keeper, settings);
  const same = await sameAsCompacted(site, trained.reference, finished, settings);
  const reference =
    finished.alive > 0
      ? { graph: finished.graph, metadata: from.model.metadata, name: 'the cut graph' }
      : trained.reference;
  return {
    graph: finished.graph,
    reference,
    found: {
      projection: finished.projection,
      checks: [...finished.checks, ...(same.passed ? [same] : [])],
      warnings: [
        ...finished.warnings,
        ...(same.passed ? [] : [`Without these rows the network computes something else: ${same.detail}.`]),
      ],
      training: { ...trained.report, untrained: null, compaction: finished.report },
    },
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
  const unlearnt = againstLoss(groups, settings);
  const first = compactionOf(groups, settings, { ...settings.resrep, against: unlearnt });
  const constant = await againstZeros(
    withCompactors(groups.wiring, first.places),
    metadata,
    first,
    groups,
    bothNoises(from.model.graph, from.shapes.inputs, settings.seed),
  );
  const against = new Map([...unlearnt, ...constant]);
  const compaction = constant.size ? compactionOf(groups, settings, { ...settings.resrep, against }) : first;
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
  /** Why masked rows would not reach zero; null when there is time enough. */
  readonly tooShort: UserError | null;
}

/** The steps of a training, and those of one with other epochs. */
export interface TrainingRun extends Omit<ScheduledRun, 'rows'> {
  readonly epochs: number;
  of(epochs: number): TrainingRun;
}

export function runOf(inputs: Inputs, training: TrainingSettings): TrainingRun {
  const perEpoch = stepsPerEpoch(inputs, training);
  const schedule = scheduleOf(training);
  const of = (epochs: number): TrainingRun => {
    const steps = epochs * perEpoch;
    return { epochs, steps, stepsPerEpoch: perEpoch, rate: (step) => training.lr * schedule(step, steps), of };
  };
  return of(training.epochs);
}

export function compactionWork(
  { compacted, compaction, counter }: Site,
  { resrep, training, ...settings }: PruneSettings & { readonly training: TrainingSettings },
  run: TrainingRun,
): CompactionWork {
  const target = settings.target.value * counter.whole;
  const sizes = compaction.groups.map(({ group }) => group.channels);
  const least = compaction.groups.map(({ least: fewest }) => fewest);
  const even = evenRows(counter, { least, target, multiple: settings.multiple }, sizes);
  const scheduled: Scheduled = (other, rows = Math.max(1, even.count)) =>
    compactionSchedule(resrep, { ...other, rows });
  const schedule = scheduled(run);
  const tooShort = schedule.reach < NEEDED_REACH ? tooShortFor(schedule, run, scheduled) : null;
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
    tooShort,
    keeper: new MaskKeeper({
      compaction,
      counter,
      schedule,
      run,
      target,
      multiple: settings.multiple,
      matrices,
      unchecked: resrep.unchecked,
    }),
  };
}

/** Must pass unless rows were cut that had not vanished. */
async function sameAsCompacted(
  { from }: Site,
  reference: Pruned['reference'],
  { graph, alive }: Finished,
  { seed }: PruneSettings,
): Promise<Check> {
  const { model, shapes } = from;
  const check = await sameOnNoise(
    'Cut network equals the network with compactors',
    [reference, { graph, metadata: model.metadata }],
    { shapes: shapes.inputs ?? {}, seed },
  );
  if (alive === 0) requirePassed(check);
  return check;
}

/** The schedule for a run that masks so many rows. */
type Scheduled = (run: TrainingRun, rows?: number) => CompactionSchedule;

function tooShortFor(
  { reach, expectedEnd, maskedLambda }: CompactionSchedule,
  run: TrainingRun,
  scheduled: Scheduled,
): UserError {
  const lambda = reach > 0 ? (maskedLambda * NEEDED_REACH) / reach : MOST.lambda;
  return resRepTooShort({
    reach,
    needed: NEEDED_REACH,
    steps: run.steps,
    masked: expectedEnd,
    epochs: enoughEpochs(run, (epochs) => scheduled(run.of(epochs)).reach >= NEEDED_REACH),
    // A single row takes a single refresh.
    faster: scheduled(run, 1).reach >= NEEDED_REACH,
    lambda: lambda < MOST.lambda ? roundedBy(Math.ceil, lambda) : null,
  });
}

/** Of a recipe; and no hint is worth looking at longer trainings. */
const MOST = { epochs: 10_000, steps: 5_000_000, lambda: 10 };

/** The fewest epochs that are enough, when more are never worse; null when none are. */
function enoughEpochs(
  { epochs, stepsPerEpoch: perEpoch }: TrainingRun,
  isEnough: (epochs: number) => boolean,
): number | null {
  const most = Math.min(MOST.epochs, Math.floor(MOST.steps / perEpoch));
  let low = epochs;
  let high = epochs;
  while (!isEnough(high)) {
    if (high >= most) return null;
    [low, high] = [high, Math.min(most, 2 * high)];
  }
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (isEnough(middle)) high = middle;
    else low = middle;
  }
  return high;
}
