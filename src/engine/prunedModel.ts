/** One round of pruning: calibrate, plan, decompose, fit again, train. */
import { dataNeeded, scoreNeedsActivations } from '../errors';
import type { Graph } from '../graph/graph';
import type { Check, Projection } from '../protocol/plan';
import type { PruneSettings } from '../protocol/recipe';
import type { RequestContext } from '../protocol/rpc';
import { isMeasuredScore, usesActivations } from '../settings/images';
import { channelGroups, planOfChannels } from './channels';
import { cutChannels } from './cutChannels';
import { type Decomposed, decompose, untouched } from './decompose';
import { fitTarget } from './fitTarget';
import { gsm } from './gsm';
import type { OpenedModel } from './models';
import { projectPlan } from './projection';
import { resRep } from './resrep';
import { accuracyOf, type Pruned, type Round, startOf, trainingRequest, withGraph } from './round';
import { learningRequest, type Scene, within } from './scene';
import { trainPruned } from './train';

/** Parts of a round and their share of its time. */
const SHARES = { calibrate: [0, 0.33], decompose: [0.33, 1], train: [1, 1] } as const;
const SHARES_WITH_TRAINING = { calibrate: [0, 0.04], decompose: [0.04, 0.17], train: [0.17, 1] } as const;

export async function prunedModel(scene: Scene, round: Round, context: RequestContext): Promise<Pruned> {
  const { from, settings, training } = round;
  if (settings.method === 'gsm') return gsm(scene, round, context);
  if (settings.method === 'resrep') return resRep(scene, round, context);
  const { base, inputs, evaluation } = scene;
  const shares = training ? SHARES_WITH_TRAINING : SHARES;
  const site = { from, target: fitTarget(base, from) };
  const { projection, decomposed: cut, checks } = await surgery(scene, site, settings, context, shares);
  if (!training || !inputs) {
    const reference = { graph: cut.masked, metadata: from.model.metadata, name: 'the masked model' };
    return { from, projection, decomposed: cut, reference, checks, training: null };
  }
  const decomposed = startOf(scene, round, cut);
  const untrained = evaluation && (await accuracyOf(decomposed.graph, scene, evaluation, context));
  const trained = await trainPruned(
    trainingRequest(scene, { ...round, training, inputs }, decomposed),
    within(context, shares.train),
  );
  return {
    from,
    projection,
    decomposed: withGraph(decomposed, trained.graph),
    reference: trained.reference,
    checks,
    training: { ...trained.report, untrained },
  };
}

interface Surgery {
  readonly projection: Projection;
  readonly decomposed: Decomposed;
  readonly checks: readonly Check[];
}

/** The model to cut, and what its layers are fitted to. */
interface Site {
  readonly from: OpenedModel;
  readonly target: Graph;
}

type Shares = typeof SHARES | typeof SHARES_WITH_TRAINING;

function surgery(
  scene: Scene,
  site: Site,
  settings: PruneSettings,
  context: RequestContext,
  shares: Shares,
): Promise<Surgery> {
  switch (settings.method) {
    case 'fine-tune':
      return unpruned(site.from, settings);
    case 'channel':
      return channelSurgery(scene, site, settings, context, shares);
    case 'basis':
      return basisSurgery(scene, site, settings, context, shares);
    case 'gsm':
      throw new Error('this method prunes by training');
    case 'double':
      throw new Error('double pruning is made of rounds of the two methods');
    case 'resrep':
      throw new Error('ResRep cuts after training');
    default:
      return settings.method satisfies never;
  }
}

async function unpruned(from: OpenedModel, settings: PruneSettings): Promise<Surgery> {
  const { projection } = projectPlan(from, settings, null, null);
  return { projection, decomposed: untouched(from), checks: [] };
}

async function channelSurgery(
  scene: Scene,
  { from, target }: Site,
  settings: PruneSettings,
  context: RequestContext,
  shares: Shares,
): Promise<Surgery> {
  const { inputs, session, tools } = scene;
  const request = learningRequest(scene, from, settings);
  const groups = await channelGroups(from);
  const known = inputs ? await tools.channelKnowledge(request, within(context, shares.calibrate)) : null;
  const { plan, projection } = planOfChannels(from, groups, settings, known);
  const cut = await cutChannels(
    { from, groups, cuts: plan.cuts, target, settings, inputs, session },
    within(context, shares.decompose),
  );
  return { projection, ...cut };
}

async function basisSurgery(
  scene: Scene,
  { from, target }: Site,
  settings: PruneSettings,
  context: RequestContext,
  shares: Shares,
): Promise<Surgery> {
  const { inputs, session, tools } = scene;
  const request = learningRequest(scene, from, settings);
  const wanted = usesActivations(settings);
  if (wanted && !settings.data) throw dataNeeded({ what: 'the activation basis', instead: 'the basis of the weights' });
  const { score } = settings.basis;
  if (!wanted && isMeasuredScore(score)) {
    if (settings.data) throw scoreNeedsActivations({ score });
    throw dataNeeded({ what: `the score ${score}`, instead: 'a score of the energy' });
  }
  const calibration = wanted ? await tools.calibration(request, within(context, shares.calibrate)) : null;
  const { plan, projection } = projectPlan(from, settings, calibration, await tools.weightEnergies(from, settings));
  const decomposed = await decompose(
    from,
    target,
    plan,
    settings,
    calibration,
    inputs,
    session,
    within(context, shares.decompose),
  );
  return { projection, decomposed, checks: [] };
}
