/** The search for the largest cut that a target of accuracy allows. */
import { dataNeeded, labelsNeeded } from '../errors';
import type { PruneSettings } from '../protocol/recipe';
import type { RequestContext } from '../protocol/rpc';
import { HALVINGS, roundsOf } from '../settings/rounds';
import { prunedModel } from './prunedModel';
import { accuracyOf, type Pruned } from './round';
import { nextModel, pruneToShare, type RoundReport, reportOf, roundContext, shareOfNow, together } from './rounds';
import type { Scene } from './scene';
import { trainingOf } from './trainingOptions';

/** Images on which the accuracy is held against the target while searching. */
const SEARCH_IMAGES = 2000;
const LEAST_SHARE = 0.05;
/** Share of the last round that the next one keeps, where a search goes on from trained models. */
const STEP = 0.8;

/** A share of the multiply-accumulates, tried. */
type Attempt = (share: number, index: number) => Promise<Pruned>;

interface Limit {
  /** Accuracy of the unpruned model, and the least that is allowed. */
  readonly whole: number;
  readonly least: number;
}

/**
 * The smallest model whose accuracy, after training, is at most so many points below the unpruned one's. In one round:
 * by halving the range of shares, every trial from the unpruned model. In several: step by step from the last good
 * model, until one falls below the limit.
 * @throws UserError `data-needed`, `labels-needed`
 */
export async function pruneToDrop(scene: Scene, context: RequestContext): Promise<Pruned> {
  const { settings, base, evaluation } = scene;
  if (!evaluation) throw dataNeeded({ what: 'a target of accuracy', instead: 'another target' });
  if (!evaluation.dataset.labelled) throw labelsNeeded({ path: evaluation.dataset.path, use: 'drop' });
  const accuracy = async (graph: Pruned['decomposed']['graph']): Promise<number> =>
    (await accuracyOf(graph, scene, evaluation, quiet(context), SEARCH_IMAGES)) as number;
  const whole = await accuracy(base.model.graph);
  const limit = { whole, least: whole - settings.target.value / 100 };
  const rounds = roundsOf(settings);
  /** null when it loses too much. */
  const good = async (attempt: Attempt, share: number, index: number, count: number): Promise<Pruned | null> => {
    context.signal.throwIfAborted();
    const found = await attempt(share, index);
    const reached = await accuracy(found.decomposed.graph);
    context.progress({
      phase: 'evaluate',
      message: `${(100 * share).toFixed(1)} % of the multiply-accumulates: ${(100 * (reached - whole)).toFixed(2)} points`,
      fraction: (index + 1) / count,
    });
    return reached >= limit.least ? found : null;
  };
  const best = await (rounds > 1 ? stepByStep(scene, rounds, good, context) : byHalving(scene, good, context));
  // How little was tried says nothing to somebody who asked for an accuracy.
  return best ? { ...best, projection: { ...best.projection, shortfall: null } } : untouchedBy(scene, limit, context);
}

type Judge = (attempt: Attempt, share: number, index: number, count: number) => Promise<Pruned | null>;

async function byHalving(scene: Scene, good: Judge, context: RequestContext): Promise<Pruned | null> {
  const attempt: Attempt = (share, index) =>
    pruneToShare(
      { ...scene, stages: scene.stages.within(`share-${share}`) },
      { kind: 'macs', share },
      roundContext(context, { index, count: HALVINGS, trained: index, trainings: HALVINGS }, 'Trial'),
    );
  let best: Pruned | null = null;
  let [low, high] = [LEAST_SHARE, 1];
  for (let i = 0; i < HALVINGS; i++) {
    const share = (low + high) / 2;
    const found = await good(attempt, share, i, HALVINGS);
    if (found) [best, high] = [found, share];
    else low = share;
  }
  return best;
}

async function stepByStep(scene: Scene, rounds: number, good: Judge, context: RequestContext): Promise<Pruned | null> {
  const { settings, base } = scene;
  const training = trainingOf(settings);
  const reports: RoundReport[] = [];
  let from = base;
  let best: Pruned | null = null;
  const attempt: Attempt = (share, index) => {
    const target = { kind: 'macs', value: shareOfNow({ kind: 'macs', share }, base, from) } as const;
    return prunedModel(
      scene,
      {
        from,
        settings: { ...settings, target },
        training,
        name: `share-${share}`,
      },
      roundContext(context, { index, count: rounds, trained: index, trainings: rounds }),
    );
  };
  for (let i = 0; i < rounds; i++) {
    const share = STEP ** (i + 1);
    const found = await good(attempt, share, i, rounds);
    if (!found) break;
    reports.push(reportOf(found));
    best = together(found, reports, { kind: 'macs', share }, base);
    if (i < rounds - 1) from = await nextModel(scene, `drop-${i + 1}`, found);
  }
  return best;
}

/** The unpruned model, when nothing can go. */
async function untouchedBy(scene: Scene, { whole }: Limit, context: RequestContext): Promise<Pruned> {
  const { settings, base } = scene;
  const nothing: PruneSettings = { ...settings, method: 'fine-tune' };
  const round = { from: base, settings: nothing, training: null, name: 'whole' };
  const unpruned = await prunedModel(scene, round, quiet(context));
  const shortfall = `No pruning stayed within ${settings.target.value} points of ${(100 * whole).toFixed(2)} %: the model is left as it is.`;
  return { ...unpruned, projection: { ...unpruned.projection, shortfall } };
}

function quiet({ signal }: RequestContext): RequestContext {
  return { signal, progress: () => {} };
}
