/**
 * Pruning to a target in one or several rounds, and the search for the largest cut that a target of accuracy allows.
 * Between rounds the two layers of a pair are multiplied into one again, so that the next round finds a basis for what
 * the trained network computes now, and a layer that is not worth splitting yet stays whole (algorithms 1.5 to 1.7).
 */
import { labelsNeeded } from '../errors';
import type { Check, Progress, Projection, TrainingReport } from '../protocol/plan';
import type { PruneSettings } from '../protocol/recipe';
import type { RequestContext } from '../protocol/rpc';
import { type CountedKind, countedTarget } from '../prune/target';
import type { OpenedModel } from './models';
import { joinedProjection } from './planning';
import { accuracyOf, type Pruned, prunedModel } from './prunedModel';
import { recombine } from './recombine';
import { doubleShares, type Scene, trainingOf, within } from './scene';
import { withLoss } from './train';

/** One round: a method, and how much of the unpruned model it leaves. */
interface Step {
  readonly name: string;
  readonly method: PruneSettings['method'];
  readonly share: number;
  readonly trains: boolean;
}

/** @throws UserError of whatever a round meets */
export async function pruneInRounds(scene: Scene, context: RequestContext): Promise<Pruned> {
  const { settings } = scene;
  if (settings.target.kind === 'drop' && settings.method !== 'fine-tune') return pruneToDrop(scene, context);
  const { target } = countedTarget(settings.target);
  return throughSteps(scene, stepsOf(settings, shareOf(target, scene.base)), target.kind, context);
}

/** Equal factors: every round takes the same share of what is left. */
function stepsOf(settings: PruneSettings, share: number): Step[] {
  const { method, double } = settings;
  if (method === 'double') {
    const { channels, bases } = doubleShares(settings, share);
    const channel = { name: 'channels', method: 'channel', share: channels, trains: double.trainBetween } as const;
    const basis = { name: 'bases', method: 'basis', share, trains: true } as const;
    // Channels that go take their part of every basis with them: the bases are found again for what is left.
    return double.order === 'channel-first'
      ? [channel, basis]
      : [{ ...basis, name: 'bases-first', share: bases, trains: double.trainBetween }, channel, basis];
  }
  const rounds = trainingOf(settings)?.rounds ?? 1;
  return Array.from({ length: rounds }, (_, i) => {
    return { name: `round-${i + 1}`, method, share: share ** ((i + 1) / rounds), trains: true };
  });
}

function shareOf({ kind, value }: { kind: CountedKind; value: number }, { facts }: OpenedModel): number {
  return kind === 'bytes' && value > 1 ? Math.min(1, value / facts.totals.bytes) : Math.min(1, value);
}

/** What a finished round leaves for a run that is resumed. */
interface RoundReport {
  readonly training: TrainingReport | null;
  readonly checks: readonly Check[];
  readonly projection: Projection;
}

async function throughSteps(
  scene: Scene,
  steps: readonly Step[],
  kind: CountedKind,
  context: RequestContext,
): Promise<Pruned> {
  const training = trainingOf(scene.settings);
  const reports: RoundReport[] = [];
  let from = scene.base;
  for (const [i, { name, method, share, trains }] of steps.entries()) {
    const isLast = i === steps.length - 1;
    const done = isLast ? null : scene.stages.finished<RoundReport>(name);
    if (done) {
      reports.push(done.report);
      from = await reopened(scene, done.path);
      continue;
    }
    const pruned = await prunedModel(
      scene,
      {
        from,
        settings: { ...scene.settings, method, target: { kind, value: shareOfNow(share, kind, scene.base, from) } },
        training: training && trains ? withLoss(scene.settings, training) : null,
        name,
      },
      roundContext(context, i, steps.length),
    );
    reports.push(reportOf(pruned));
    if (isLast) return together(pruned, reports);
    from = await nextModel(scene, name, pruned, reportOf(pruned));
  }
  throw new Error('a run has at least one round');
}

/** The same amount as a share of what is there now. */
function shareOfNow(share: number, kind: CountedKind, base: OpenedModel, now: OpenedModel): number {
  const [before, left] = [base, now].map(({ facts }) => facts.totals[kind] ?? 0);
  return Math.min(1, (share * before) / (left || 1));
}

function reportOf({ training, checks, projection }: Pruned): RoundReport {
  return { training, checks, projection };
}

/** The last round with what the ones before it reported. */
function together(last: Pruned, reports: readonly RoundReport[]): Pruned {
  const narrowed = reports.find(({ projection }) => projection.groups);
  const isBasis = last.projection.groups === undefined;
  return {
    ...last,
    projection: narrowed && isBasis ? joinedProjection(narrowed.projection, last.projection) : last.projection,
    checks: reports.flatMap(({ checks }) => checks),
    training: joined(reports.map(({ training }) => training)),
  };
}

/** The pruned model from its own file; two layers that were one are one again. */
async function nextModel(scene: Scene, name: string, pruned: Pruned, report: RoundReport): Promise<OpenedModel> {
  const isNarrowed = pruned.projection.groups !== undefined;
  const graph = isNarrowed ? pruned.decomposed.graph : recombine(pruned.from, pruned.decomposed);
  return reopened(scene, scene.stages.finish(name, pruned.from.model, graph, report).path);
}

function reopened({ tools, settings }: Scene, path: string): Promise<OpenedModel> {
  return tools.models.withShapes(path, settings.shapes);
}

/** Progress of one of several rounds of equal length, and its training's steps among all steps. */
export function roundContext(context: RequestContext, index: number, count: number): RequestContext {
  if (count === 1) return context;
  const { signal, progress } = within(context, [index / count, (index + 1) / count]);
  return {
    signal,
    progress: (now: Progress) =>
      progress({
        ...now,
        message: `Round ${index + 1} of ${count}: ${now.message}`,
        ...(now.training
          ? {
              training: {
                ...now.training,
                step: now.training.step + index * now.training.steps,
                steps: now.training.steps * count,
                epoch: now.training.epoch + index * now.training.epochs,
                epochs: now.training.epochs * count,
                secondsLeft: now.training.secondsLeft === null ? null : secondsLeft(now.training, count - index - 1),
              },
            }
          : {}),
      }),
  };
}

function secondsLeft({ secondsLeft, steps, step }: NonNullable<Progress['training']>, more: number): number {
  const perStep = (secondsLeft as number) / Math.max(1, steps - step);
  return (secondsLeft as number) + more * steps * perStep;
}

/** The reports of consecutive trainings as one. */
function joined(reports: readonly (TrainingReport | null)[]): TrainingReport | null {
  const known = reports.filter((report) => report !== null);
  const last = known.at(-1);
  if (!last) return null;
  const seconds = known.reduce((sum, report) => sum + report.seconds, 0);
  return {
    ...last,
    losses: known.flatMap(({ losses }) => losses),
    epochs: known.flatMap(({ epochs }) => epochs),
    seconds,
    imagesPerSecond: known.reduce((sum, { imagesPerSecond, seconds: s }) => sum + imagesPerSecond * s, 0) / seconds,
  };
}

/** Images on which the accuracy is held against the target while searching. */
const SEARCH_IMAGES = 2000;
/** Halvings of the range of shares: 4 leave it to within 6 %. */
const HALVINGS = 4;
const LEAST_SHARE = 0.05;
/** Share of the last round that the next one keeps, where a search goes on from trained models. */
const STEP = 0.8;

/**
 * The smallest model whose accuracy, after training, is at most so many points below the unpruned one's. In one round:
 * by halving the range of shares, every trial from the unpruned model. In several: step by step from the last good
 * model, until one falls below the limit.
 * @throws UserError `labels-needed`
 */
async function pruneToDrop(scene: Scene, context: RequestContext): Promise<Pruned> {
  const { settings, base, evaluation } = scene;
  if (!evaluation?.dataset.labelled) throw labelsNeeded({ path: evaluation?.dataset.path ?? 'The dataset' });
  const training = trainingOf(settings);
  const accuracy = (pruned: Pruned): Promise<number | null> =>
    accuracyOf(pruned.decomposed.graph, scene, evaluation, quiet(context), SEARCH_IMAGES);
  const whole = (await accuracyOf(base.model.graph, scene, evaluation, quiet(context), SEARCH_IMAGES)) as number;
  const limit = whole - settings.target.value / 100;
  const rounds = settings.method === 'double' ? 1 : (training?.rounds ?? 1);
  const trials = rounds > 1 ? rounds : HALVINGS;
  const attempt = async (from: OpenedModel, share: number, i: number): Promise<Pruned | null> => {
    const value = shareOfNow(share, 'macs', base, from);
    const asked: PruneSettings = { ...settings, target: { kind: 'macs', value } };
    const step = { from, settings: asked, training: training && withLoss(settings, training), name: `share-${share}` };
    const trial = roundContext(context, i, trials);
    const found =
      settings.method === 'double'
        ? await throughSteps(
            { ...scene, stages: scene.stages.within(step.name) },
            stepsOf(settings, share),
            'macs',
            trial,
          )
        : await prunedModel(scene, step, trial);
    const reached = (await accuracy(found)) as number;
    context.progress({
      phase: 'evaluate',
      message: `${(100 * share).toFixed(1)} % of the multiply-accumulates: ${(100 * (reached - whole)).toFixed(2)} points`,
      fraction: (i + 1) / trials,
    });
    return reached >= limit ? found : null;
  };
  const reports: RoundReport[] = [];
  let best: Pruned | null = null;
  let [low, high] = [LEAST_SHARE, 1];
  let from = base;
  for (let i = 0; i < trials; i++) {
    context.signal.throwIfAborted();
    const share = rounds > 1 ? STEP ** (i + 1) : (low + high) / 2;
    const found = await attempt(from, share, i);
    if (found) {
      best = found;
      high = share;
      if (rounds > 1) {
        reports.push(reportOf(found));
        from = await nextModel(scene, `drop-${i + 1}`, found, reportOf(found));
      }
    } else {
      low = share;
      if (rounds > 1) break;
    }
  }
  if (best) return rounds > 1 ? together(best, reports) : best;
  const nothing: PruneSettings = { ...settings, method: 'fine-tune' };
  const step = { from: base, settings: nothing, training: null, name: 'whole' };
  const unpruned = await prunedModel(scene, step, quiet(context));
  const shortfall = `No pruning stayed within ${settings.target.value} points of ${(100 * whole).toFixed(2)} %: the model is left as it is.`;
  return { ...unpruned, projection: { ...unpruned.projection, shortfall } };
}

function quiet({ signal }: RequestContext): RequestContext {
  return { signal, progress: () => {} };
}
