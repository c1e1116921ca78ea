/**
 * The channel method: which channels of which groups go, from scores that say how much each matters. Scores come in as
 * arguments; three ways of sharing the cut between groups are offered. Costs are exact: what one group saves depends on
 * what others lose, and every trial is counted anew.
 */
import type { ModelFacts, Totals } from '../protocol/facts';
import type { GroupDetail, GroupProjection, LayerProjection, Projection, Sensitivity } from '../protocol/plan';
import type { PruneSettings } from '../protocol/recipe';
import { stepOf } from '../settings/multiples';
import { narrowedLayers } from './channelProjection';
import { type Removal, removalOf } from './channels';
import { costModel } from './channelsCost';
import type { ChannelGroups, Group } from './groups';
import { matchAny, matchOverrides, withoutMatch } from './match';
import type { RemoveChannelsCut } from './plan';
import { countedTarget, shortfallOf } from './target';

export interface ChannelInput {
  readonly facts: ModelFacts;
  readonly groups: ChannelGroups;
  /**
   * By group name, one per channel: the smaller, the less it matters, in all groups alike. Why a group has none stands in
   * their place.
   */
  readonly scores: ChannelScores;
  /** By which criterion they were found, for people. */
  readonly criterion: string;
  /** Measured damage, for the allocation by sensitivity. */
  readonly sensitivity: Sensitivity | null;
}

export interface ChannelPlan {
  readonly plan: { readonly cuts: readonly RemoveChannelsCut[] };
  readonly projection: Projection;
  readonly details: ReadonlyMap<string, GroupDetail>;
}

export type ChannelScores = ReadonlyMap<string, Float64Array | string>;

/** What happens to one group. */
interface Choice {
  readonly group: Group;
  /** Why nothing is removed, whatever the target. */
  readonly reason: string | null;
  /** Channels from the least to the most important. */
  readonly order: Uint32Array;
  readonly scores: Float64Array;
  /** Fewest channels that may stay. */
  readonly least: number;
  /** Channels that stay because somebody said so; null when the target decides. */
  readonly fixed: number | null;
}

/** The plan that the settings ask for, what it projects to, and the scores behind it. */
export function planChannels(input: ChannelInput, settings: PruneSettings): ChannelPlan {
  const { facts, groups } = input;
  const { target, assumed } = countedTarget(settings.target);
  const choices = groups.groups.map((group) => choose(group, input, settings));
  const model = costModel(groups.wiring);
  const before = facts.totals;
  const total = before[target.kind] ?? 0;
  const budget = target.kind === 'bytes' && target.value > 1 ? target.value : target.value * total;
  const removal = (kept: readonly number[]): Removal =>
    removalOf(
      choices.map(({ group, order }, i) => ({
        axes: group.axes,
        channels: order.subarray(0, group.channels - kept[i]),
      })),
    );
  const cost = (kept: readonly number[]): number => total - (model.saved(removal(kept))[target.kind] ?? 0);
  const { kept, met } = allocate(choices, cost, budget, input, settings);
  const cut = removal(kept);
  const saved = model.saved(cut);
  const after: Totals = {
    params: before.params - saved.params,
    bytes: before.bytes - saved.bytes,
    macs: before.macs === null || saved.macs === null ? null : before.macs - saved.macs,
  };
  const unmatched = withoutMatch(
    [...settings.protect, ...settings.groups.map(({ match }) => match)],
    [...facts.layers.map(({ name }) => name), ...groups.groups.map(({ name }) => name)],
  );
  const reached = after[target.kind] ?? 0;
  return {
    plan: {
      cuts: choices.flatMap(({ group, order }, i): RemoveChannelsCut[] =>
        kept[i] === group.channels
          ? []
          : [
              {
                kind: 'removeChannels',
                group: group.name,
                channels: [...order.subarray(0, group.channels - kept[i])].sort((a, b) => a - b),
              },
            ],
      ),
    },
    projection: {
      before,
      after,
      layers: layersOf(input, cut, choices, kept),
      groups: choices.map(({ group, reason }, i) => projectionOf(group, kept[i], reason)),
      basis: 'weights',
      shortfall: met ? null : shortfallOf(budget / (total || 1), reached / (total || 1)),
      ...(unmatched.length ? { unmatched } : {}),
      ...(assumed ? { assumed } : {}),
    },
    details: new Map(
      choices.map(({ group, order, scores }, i) => {
        const stays = new Uint8Array(group.channels).fill(1);
        for (const channel of order.subarray(0, group.channels - kept[i])) stays[channel] = 0;
        return [group.name, { group: group.name, criterion: input.criterion, importance: scores, kept: stays }];
      }),
    ),
  };
}

function layersOf(
  { facts, groups }: ChannelInput,
  cut: Removal,
  choices: readonly Choice[],
  kept: readonly number[],
): LayerProjection[] {
  const dropped = new Map(choices.map((choice, i) => [choice.group.name, importanceOf(choice, kept[i])]));
  const narrowed = narrowedLayers(groups.wiring, cut);
  const known = new Map(groups.layers.map((layer) => [layer.layer, layer]));
  return facts.layers.map((layer): LayerProjection => {
    const changed = narrowed.get(layer.name);
    const { fullRank: rank, params, macs, bytes } = layer;
    const base = { layer: layer.name, rank, error: 0 };
    if (changed) {
      const { outputs = [], inputs = [] } = known.get(layer.name) ?? {};
      const error = droppedShare(outputs, dropped) || droppedShare(inputs, dropped);
      return { ...base, action: 'narrow', reason: null, ...changed, error };
    }
    const reason = known.get(layer.name)?.reason ?? 'all channels it shares stay';
    return { ...base, action: 'keep', reason, params, macs, bytes };
  });
}

interface Importance {
  readonly dropped: number;
  readonly whole: number;
}

/** Importance of all channels of a group, and of those that go. */
function importanceOf({ group, order, scores }: Choice, kept: number): Importance {
  const sum = (channels: Uint32Array): number => channels.reduce((total, channel) => total + scores[channel], 0);
  return { dropped: sum(order.subarray(0, group.channels - kept)), whole: sum(order) };
}

function droppedShare(groups: readonly string[], importance: ReadonlyMap<string, Importance>): number {
  let [dropped, whole] = [0, 0];
  for (const name of groups) {
    dropped += importance.get(name)?.dropped ?? 0;
    whole += importance.get(name)?.whole ?? 0;
  }
  return whole > 0 ? dropped / whole : 0;
}

/** A group for the screen. @param reason why it stays whole, should it */
export function projectionOf(group: Group, kept: number, reason: string | null): GroupProjection {
  const { name, channels, block, members, inexact, savings } = group;
  const mean = (of: (cost: Group['savings'][number]) => number): number =>
    savings.length ? savings.reduce((sum, cost) => sum + of(cost), 0) / savings.length : 0;
  return {
    name,
    channels,
    kept,
    block,
    members,
    reason: kept < channels ? null : (reason ?? 'every channel matters more than others do'),
    inexact,
    perChannel: {
      macs: savings.some(({ macs }) => macs === null) ? null : mean(({ macs }) => macs as number),
      params: mean(({ params }) => params),
    },
  };
}

function choose(group: Group, { scores: all }: ChannelInput, settings: PruneSettings): Choice {
  const { channel, multiple } = settings;
  const override = matchOverrides(settings.groups)(group.name);
  const found = all.get(group.name) ?? 'its channels have no scores';
  const scores = typeof found === 'string' ? null : found;
  const known = scores ?? new Float64Array(group.channels);
  const order = Uint32Array.from(known, (_, i) => i).sort((a, b) => known[a] - known[b] || a - b);
  const step = stepOf(group.block, multiple);
  const base = { group, order, scores: known };
  const whole = (reason: string): Choice => ({ ...base, reason, least: group.channels, fixed: group.channels });
  if (group.reason) return whole(group.reason);
  if (override?.keep) return whole('locked');
  const isProtected = matchAny(settings.protect);
  const guarded = group.members.find(({ layer, role }) => role !== 'consumer' && isProtected(layer));
  if (guarded && override?.ratio === undefined) return whole(`protected with ${guarded.layer}`);
  if (group.inexact && !channel.inexact && override?.ratio === undefined) return whole(group.inexact);
  if (typeof found === 'string') return whole(found);
  if (override?.ratio !== undefined) {
    const kept = rounded(override.ratio * group.channels, step, group);
    return { ...base, reason: kept === group.channels ? 'set to all its channels' : null, least: kept, fixed: kept };
  }
  const fewest = (1 - channel.mostRemoved) * group.channels;
  // To the nearer step where that may be none at all: a group of 16 in multiples of 16 goes or stays.
  const least = rounded(fewest < step / 2 && group.canVanish ? 0 : fewest, step, group);
  const reason = least === group.channels ? `too few channels to remove multiples of ${multiple}` : null;
  return { ...base, reason, least, fixed: null };
}

/** Up to full steps; at least one of them, unless all channels can go. */
function rounded(channels: number, step: number, { channels: all, canVanish }: Group): number {
  if (canVanish && channels === 0) return 0;
  return Math.min(all, Math.max(1, Math.ceil(channels / step - 1e-9)) * step);
}

/** Channels kept of every group: the most that the budget allows. */
function allocate(
  choices: readonly Choice[],
  cost: (kept: readonly number[]) => number,
  budget: number,
  input: ChannelInput,
  settings: PruneSettings,
): { kept: readonly number[]; met: boolean } {
  const levels = levelsOf(choices, input, settings);
  const at = (level: number): number[] =>
    choices.map((choice) => {
      if (choice.fixed !== null) return choice.fixed;
      const step = stepOf(choice.group.block, settings.multiple);
      return Math.max(choice.least, rounded(levels.kept(choice, level), step, choice.group));
    });
  const untouched = choices.map(({ group, fixed }) => fixed ?? group.channels);
  if (cost(untouched) <= budget) return { kept: untouched, met: true };
  let [low, high] = [0, levels.count - 1];
  let best = at(high);
  const met = cost(best) <= budget;
  while (met && low <= high) {
    const middle = (low + high) >> 1;
    const kept = at(middle);
    if (cost(kept) <= budget) {
      best = kept;
      high = middle - 1;
    } else low = middle + 1;
  }
  return { kept: best, met };
}

/** Levels of pruning, the last the strongest, and what each leaves of a group. */
interface Levels {
  readonly count: number;
  kept(choice: Choice, level: number): number;
}

const UNIFORM_LEVELS = 1000;

function levelsOf(choices: readonly Choice[], { sensitivity }: ChannelInput, { channel }: PruneSettings): Levels {
  const open = choices.filter(({ fixed }) => fixed === null);
  if (channel.allocation === 'uniform') {
    return { count: UNIFORM_LEVELS + 1, kept: ({ group }, level) => group.channels * (1 - level / UNIFORM_LEVELS) };
  }
  if (channel.allocation === 'sensitivity' && sensitivity) {
    const damages = new Map(sensitivity.groups.map(({ name, damage }) => [name, damage]));
    const limits = Float64Array.from(new Set(sensitivity.groups.flatMap(({ damage }) => damage))).sort();
    return {
      count: limits.length,
      kept: ({ group }, level) =>
        group.channels * (1 - bearableRatio(sensitivity.ratios, damages.get(group.name) ?? [], limits[level])),
    };
  }
  const thresholds = Float64Array.from(new Set(open.flatMap(({ scores }) => [...scores]))).sort();
  return {
    count: thresholds.length,
    // Scores up to the threshold go.
    kept: ({ scores }, level) => scores.reduce((count, score) => count + Number(score > thresholds[level]), 0),
  };
}

/** The largest share whose damage, and that of every smaller one, stays within the limit; linear between measurements. */
function bearableRatio(ratios: readonly number[], damage: readonly number[], limit: number): number {
  let [ratio, last] = [0, 0];
  for (const [i, found] of damage.entries()) {
    if (found > limit) return ratio + (ratios[i] - ratio) * Math.min(1, Math.max(0, (limit - last) / (found - last)));
    [ratio, last] = [ratios[i], found];
  }
  return ratio;
}
