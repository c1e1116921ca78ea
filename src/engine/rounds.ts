/**
 * Pruning to a target in one or several rounds. Between rounds the two layers of a pair are multiplied into one again, so
 * that the next round finds a basis for what the trained network computes now, and a layer that is not worth splitting
 * yet stays whole.
 */
import type { Check, Progress, Projection, TrainingProgress, TrainingReport } from '../protocol/plan';
import type { RequestContext } from '../protocol/rpc';
import { type CountedKind, countedTarget, shareOf, shortfallOf } from '../prune/target';
import { stepsOf } from '../settings/rounds';
import { amongAll, type Neighbours } from './inTurn';
import type { OpenedModel } from './models';
import { joinedProjection } from './planning';
import { prunedModel } from './prunedModel';
import { recombine } from './recombine';
import type { Pruned } from './round';
import { type Scene, within } from './scene';
import { joinedTraining } from './train';
import { trainingOf } from './trainingOptions';

/** How much of the unpruned model may stay. */
export interface CountedShare {
  readonly kind: CountedKind;
  readonly share: number;
}

/**
 * Prunes to a target that is counted.
 * @throws UserError of whatever a round meets
 */
export function pruneInRounds(scene: Scene, context: RequestContext): Promise<Pruned> {
  const { target } = countedTarget(scene.settings.target);
  return pruneToShare(scene, { kind: target.kind, share: shareOf(target, scene.base.facts.totals) }, context);
}

/** All rounds that the settings ask for, each from the model that the one before left. */
export async function pruneToShare(scene: Scene, target: CountedShare, context: RequestContext): Promise<Pruned> {
  const { settings, base, stages } = scene;
  const training = trainingOf(settings);
  const steps = stepsOf(settings, target.share);
  const plan = { count: steps.length, trainings: steps.filter(({ trains }) => trains).length };
  const reports: RoundReport[] = [];
  let from = base;
  for (const [i, { name, method, share, trains }] of steps.entries()) {
    const isLast = i === steps.length - 1;
    const done = isLast ? null : stages.finished<RoundReport>(name);
    if (done) {
      reports.push(done.report);
      from = await reopened(scene, done.path);
      continue;
    }
    const value = shareOfNow({ ...target, share }, base, from);
    const pruned = await prunedModel(
      scene,
      {
        from,
        settings: { ...settings, method, target: { kind: target.kind, value } },
        training: trains ? training : null,
        name,
      },
      roundContext(context, { ...plan, index: i, trained: steps.slice(0, i).filter((step) => step.trains).length }),
    );
    reports.push(reportOf(pruned));
    if (isLast) return together(pruned, reports, target, base);
    from = await nextModel(scene, name, pruned);
  }
  throw new Error('a run has at least one round');
}

/** The same amount as a share of what is there now. */
export function shareOfNow({ kind, share }: CountedShare, base: OpenedModel, now: OpenedModel): number {
  const [before, left] = [base, now].map(({ facts }) => facts.totals[kind] ?? 0);
  return Math.min(1, (share * before) / (left || 1));
}

/** What a finished round leaves, also for a run that is resumed. */
export interface RoundReport {
  readonly training: TrainingReport | null;
  readonly checks: readonly Check[];
  readonly projection: Projection;
}

export function reportOf({ training, checks, projection }: Pruned): RoundReport {
  return { training, checks, projection };
}

/** The last round with what the ones before it reported. */
export function together(
  last: Pruned,
  reports: readonly RoundReport[],
  { kind, share }: CountedShare,
  base: OpenedModel,
): Pruned {
  // A later round of the same method says all that it changes; layers that lost channels before stay narrow.
  const narrowing = reports.slice(0, -1).filter(({ projection }) => projection.groups);
  const projection = narrowing.reduceRight(
    (later, report) => joinedProjection(report.projection, later),
    last.projection,
  );
  const [training, ...later] = reports.flatMap(({ training }) => training ?? []);
  const total = base.facts.totals[kind];
  // A round's own target is a share of what the round before it left.
  const shortfall =
    projection.shortfall && total && reports.length > 1
      ? shortfallOf(share, (projection.after[kind] ?? 0) / total)
      : projection.shortfall;
  return {
    ...last,
    projection: { ...projection, shortfall },
    checks: reports.flatMap(({ checks }) => checks),
    training: training ? joinedTraining(training, ...later) : null,
  };
}

/** The pruned model from its own file; two layers that were one are one again. */
export async function nextModel(scene: Scene, name: string, pruned: Pruned): Promise<OpenedModel> {
  const isNarrowed = pruned.projection.groups !== undefined;
  const graph = isNarrowed ? pruned.decomposed.graph : recombine(pruned.from, pruned.decomposed);
  const { path } = scene.stages.finish(name, pruned.from.model, graph, reportOf(pruned));
  return reopened(scene, path);
}

async function reopened({ tools, settings, base }: Scene, path: string): Promise<OpenedModel> {
  // Models that were not asked for lately are closed, and every round reads this one.
  tools.models.get(base.model.path);
  return tools.models.withShapes(path, settings.shapes);
}

/** One of several rounds of equal length, some of which train. */
export interface RoundPlace {
  readonly index: number;
  readonly count: number;
  /** Trainings before this one, and in all. */
  readonly trained: number;
  readonly trainings: number;
}

/** Progress of a round within all of them, and its training's steps among all steps. */
export function roundContext(
  context: RequestContext,
  { index, count, trained, trainings }: RoundPlace,
  word = 'Round',
): RequestContext {
  if (count === 1) return context;
  const { signal, progress } = within(context, [index / count, (index + 1) / count]);
  const place = (now: TrainingProgress): Neighbours => ({
    before: trained * now.epochs,
    after: (trainings - trained - 1) * now.epochs,
  });
  return {
    signal,
    progress: (now: Progress) =>
      progress({
        ...now,
        message: `${word} ${index + 1} of ${count}: ${now.message}`,
        ...(now.training ? { training: amongAll(now.training, place(now.training)) } : {}),
      }),
  };
}
