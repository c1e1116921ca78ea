/**
 * The channel method in the engine: the groups of coupled channels of an opened model, how much each channel matters (by
 * its weights or by images), and the plan.
 */
import { dataNeeded, shapesUnknown } from '../errors';
import { standardOpset } from '../graph/graph';
import type { Sensitivity } from '../protocol/plan';
import type { PruneSettings } from '../protocol/recipe';
import { type ChannelPlan, type ChannelScores, planChannels } from '../prune/channelPlan';
import { type ChannelGroups, findGroups } from '../prune/groups';
import { valuesToProbe } from '../prune/groupsWiring';
import { type Criterion, importanceOf } from '../prune/importance';
import type { ChannelStatistics } from '../prune/importance/source';
import { probeShapes } from '../runtime/shapes';
import { isMeasuredCriterion } from '../settings/images';
import type { OpenedModel } from './models';

const found = new WeakMap<OpenedModel, Promise<ChannelGroups>>();

/**
 * Groups of a model, found once.
 * @throws UserError `shapes-unknown`
 */
export function channelGroups(opened: OpenedModel): Promise<ChannelGroups> {
  const groups = found.get(opened) ?? find(opened);
  found.set(opened, groups);
  groups.catch(() => found.delete(opened));
  return groups;
}

async function find({ model: { graph, metadata }, layers, shapes }: OpenedModel): Promise<ChannelGroups> {
  if (!shapes.inputs) throw shapesUnknown({ reason: shapes.reason ?? 'they are not known' });
  const all = await probeShapes(graph, metadata, layers, valuesToProbe(graph), shapes.inputs);
  return findGroups({ graph, opset: standardOpset(metadata) ?? 1, layers, shapes: all });
}

/** What images tell of a model's channels; small enough to send between threads. */
export interface ChannelKnowledge {
  /** What the statistics are for. */
  readonly criterion: Criterion;
  readonly statistics: ChannelStatistics;
  /** null unless the allocation goes by it. */
  readonly sensitivity: Sensitivity | null;
}

/**
 * What the settings ask for.
 * @param known of the images; null when there are none, or not yet: `auto` then goes by the weights, else by what the
 *   images were looked at for
 * @throws UserError `data-needed` for a criterion that needs images
 */
export function planOfChannels(
  opened: OpenedModel,
  groups: ChannelGroups,
  settings: PruneSettings,
  known: ChannelKnowledge | null,
): ChannelPlan {
  const { statistics = null, sensitivity = null } = known ?? {};
  const { criterion: asked } = settings.channel;
  const criterion = asked === 'auto' ? (known?.criterion ?? 'l2') : asked;
  if (isMeasuredCriterion(criterion) && !statistics)
    throw dataNeeded({ what: `the criterion ${criterion}`, instead: 'a criterion of the weights, such as l2' });
  const source = {
    wiring: groups.wiring,
    layers: new Map(opened.layers.map((layer) => [layer.name, layer])),
    statistics: statistics ?? {},
    seed: settings.seed,
  };
  const scores: ChannelScores = new Map(
    groups.groups.map((group) => [group.name, importanceOf(group, criterion, source, settings.channel)]),
  );
  return planChannels({ facts: opened.facts, groups, scores, criterion, sensitivity }, settings);
}
