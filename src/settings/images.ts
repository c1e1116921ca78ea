/** What of a method is learned from images, as far as the settings alone tell. */
import type { PruneSettings } from '../protocol/recipe';

type Criterion = PruneSettings['channel']['criterion'];
type Score = PruneSettings['basis']['score'];

/** Which criteria of channels are measured on images; `auto` is where there are any. */
const CRITERIA: Readonly<Record<Criterion, boolean>> = {
  auto: true,
  l1: false,
  l2: false,
  'bn-scale': false,
  fpgm: false,
  taylor: true,
  fisher: true,
  activation: true,
  lasso: true,
  random: false,
};

/** Which scores of bases need gradients on images. */
const SCORES = {
  energy: false,
  'energy-per-mac': false,
  'taylor-per-mac': true,
  'fisher-per-mac': true,
} as const satisfies Record<Score, boolean>;

export type MeasuredScore = { [S in Score]: (typeof SCORES)[S] extends true ? S : never }[Score];

export function isMeasuredCriterion(criterion: Criterion): boolean {
  return CRITERIA[criterion];
}

export function isMeasuredScore(score: Score): score is MeasuredScore {
  return SCORES[score];
}

/** Whether bases come from the activations on images. */
export function usesActivations({ method, basis: { basis }, data }: PruneSettings): boolean {
  return method === 'basis' && (basis === 'activations' || (basis === 'auto' && data !== undefined));
}

/**
 * Whether there is something to learn from the settings' images before anything is pruned. Of double pruning that is what
 * matters to the channels: its bases are those of a model that is not there yet.
 */
export function learnsFromImages(settings: PruneSettings): boolean {
  const { method, data, channel } = settings;
  if (!data) return false;
  if (method !== 'channel' && method !== 'double') return usesActivations(settings);
  return isMeasuredCriterion(channel.criterion) || channel.allocation === 'sensitivity';
}

/** Whether the model's own answers say nothing of what it is to learn, and so nothing of the images it expects. */
export function learnsAnew({ transfer, training }: PruneSettings): boolean {
  return transfer !== undefined || training?.initial === 'random';
}
