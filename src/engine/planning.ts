/** What settings would do to a model, whatever their method, from what is known of it so far. */
import { UserError } from '../errors';
import type { GroupDetail, LayerDetail, LayerProjection, Projection } from '../protocol/plan';
import type { PruneSettings } from '../protocol/recipe';
import { planChannels } from '../prune/channelPlan';
import { compactionOf } from '../prune/compaction/places';
import type { Plan } from '../prune/plan';
import { countedTarget, shareOf, shortfallOf } from '../prune/target';
import { doubleShares } from '../settings/rounds';
import type { Calibrated } from './calibration';
import { type ChannelKnowledge, channelGroups, planOfChannels } from './channels';
import type { OpenedModel } from './models';
import { withoutChannels } from './narrowed';
import { againstLoss } from './outsideLoss';
import { projectPlan } from './projection';
import type { WeightEnergies } from './singularValues';

/** What was learned from images earlier; null where nothing was. */
export interface KnownOfImages {
  calibration(opened: OpenedModel, settings: PruneSettings, folder: string): Calibrated | null;
  channels(opened: OpenedModel, settings: PruneSettings, folder: string): ChannelKnowledge | null;
  weightEnergies(opened: OpenedModel, settings: PruneSettings): Promise<WeightEnergies>;
}

export interface AnyPlan {
  /** Cuts of channels come before cuts of bases. */
  readonly plan: Plan;
  /** What the cuts of bases apply to: the model without the channels that go. */
  readonly narrowed: OpenedModel;
  readonly projection: Projection;
  readonly details: ReadonlyMap<string, LayerDetail>;
  readonly groupDetails: ReadonlyMap<string, GroupDetail>;
}

export async function planFor(
  opened: OpenedModel,
  settings: PruneSettings,
  folder: string,
  known: KnownOfImages,
): Promise<AnyPlan> {
  switch (settings.method) {
    case 'basis':
    case 'gsm':
    case 'fine-tune': {
      const calibrated = known.calibration(opened, settings, folder);
      const energies = calibrated ? null : await known.weightEnergies(opened, settings);
      return { ...projectPlan(opened, settings, calibrated, energies), narrowed: opened, groupDetails: new Map() };
    }
    case 'channel':
      return channelPlan(opened, settings, folder, known);
    case 'resrep':
      return resRepPlan(opened, settings);
    case 'double':
      return doublePlan(opened, settings, folder, known);
    default:
      return settings.method satisfies never;
  }
}

async function channelPlan(
  opened: OpenedModel,
  settings: PruneSettings,
  folder: string,
  known: KnownOfImages,
): Promise<AnyPlan> {
  const groups = await channelGroups(opened);
  const found = known.channels(opened, settings, folder);
  const { plan, projection, details } = planAsFarAsKnown(opened, groups, settings, found);
  const narrowed = withoutChannels(opened, groups, plan.cuts);
  return { plan, projection, narrowed, details: new Map(), groupDetails: details };
}

/** Which channels go is found by training: what is shown takes the same share everywhere. */
async function resRepPlan(opened: OpenedModel, settings: PruneSettings): Promise<AnyPlan> {
  const groups = await channelGroups(opened);
  const { groups: open, declined } = compactionOf(groups, settings, {
    ...settings.resrep,
    against: againstLoss(groups, settings),
  });
  const scores = new Map(
    groups.groups.map(({ name, channels }) => [name, declined.get(name) ?? new Float64Array(channels)]),
  );
  const least = settings.resrep.minRows / Math.max(1, ...open.map(({ group }) => group.channels));
  const even: PruneSettings = {
    ...settings,
    channel: { ...settings.channel, allocation: 'uniform', mostRemoved: 1 - Math.min(1, least) },
  };
  const input = { facts: opened.facts, groups, scores, criterion: 'training', sensitivity: null };
  const { plan, projection } = planChannels(input, even);
  return {
    plan,
    projection: {
      ...projection,
      groups: projection.groups?.map((group) => {
        const reason = declined.get(group.name);
        return reason ? { ...group, reason } : group;
      }),
      assumed: 'The run finds by training which channels go. What is shown takes the same share of every group.',
    },
    narrowed: withoutChannels(opened, groups, plan.cuts),
    details: new Map(),
    groupDetails: new Map(),
  };
}

/** Before the images were looked at, the weights stand in for them. */
function planAsFarAsKnown(...[opened, groups, settings, known]: Parameters<typeof planOfChannels>) {
  try {
    return planOfChannels(opened, groups, settings, known);
  } catch (error) {
    if (!(error instanceof UserError) || error.code !== 'data-needed') throw error;
    const byWeights = { ...settings, channel: { ...settings.channel, criterion: 'l2' as const } };
    return planOfChannels(opened, groups, byWeights, known);
  }
}

/** Channels first, then the bases of what is left, by their weights. */
async function doublePlan(
  opened: OpenedModel,
  settings: PruneSettings,
  folder: string,
  known: KnownOfImages,
): Promise<AnyPlan> {
  const { target, assumed } = countedTarget(settings.target);
  const { kind } = target;
  const share = shareOf(target, opened.facts.totals);
  const total = opened.facts.totals[kind] ?? 0;
  const asked = { ...settings, target: { kind, value: doubleShares(settings, share).channels } };
  const first = await channelPlan(opened, asked, folder, known);
  const { narrowed } = first;
  const left = narrowed.facts.totals[kind] ?? 0;
  const rest = { ...settings, target: { kind, value: Math.min(1, (share * total) / (left || 1)) } };
  const second = projectPlan(narrowed, rest, null, await known.weightEnergies(narrowed, rest));
  const projection = joinedProjection(first.projection, second.projection);
  return {
    plan: { cuts: [...first.plan.cuts, ...second.plan.cuts] },
    projection: {
      ...projection,
      shortfall: projection.shortfall && shortfallOf(share, (projection.after[kind] ?? 0) / (total || 1)),
      ...(assumed ? { assumed } : {}),
    },
    narrowed,
    details: second.details,
    groupDetails: first.groupDetails,
  };
}

/** The projection of a later cut after one of channels, as one: what is left of each layer, and by what. */
export function joinedProjection(channels: Projection, later: Projection): Projection {
  const before = new Map(channels.layers.map((layer) => [layer.layer, layer]));
  const groups = new Map(later.groups?.map((group) => [group.name, group]));
  return {
    ...later,
    before: channels.before,
    groups: channels.groups?.map((group) => {
      const { kept, reason } = groups.get(group.name) ?? group;
      return { ...group, kept, reason: kept < group.channels ? null : reason };
    }),
    layers: later.layers.map((layer): LayerProjection => {
      const narrow = before.get(layer.layer);
      if (narrow?.action !== 'narrow' || layer.action === 'narrow') return layer;
      if (layer.action === 'keep') return { ...layer, action: 'narrow', reason: null, ...lost(narrow) };
      return { ...layer, channels: narrow.channels };
    }),
  };
}

function lost({ channels, error }: LayerProjection): Pick<LayerProjection, 'channels' | 'error'> {
  return { channels, error };
}
