/** How a run of one method is made of rounds, each of which prunes and mostly trains. */
import type { PruneSettings } from '../protocol/recipe';
import { hasTarget, trainsSparsely } from './methods';

/** One round: a method, and how much of the unpruned model it leaves. */
export interface Step {
  readonly name: string;
  readonly method: PruneSettings['method'];
  /** 0 to 1. */
  readonly share: number;
  readonly trains: boolean;
}

/** Halvings in a search for an accuracy that goes in one round; 4 leave the share to within 6 %. */
export const HALVINGS = 4;

/** Whether `rounds` means something: double pruning has rounds of its own, others prune bit by bit as they train. */
export function hasRounds({ method }: Pick<PruneSettings, 'method'>): boolean {
  return method !== 'double' && method !== 'gsm' && method !== 'resrep';
}

/** How many rounds of one method the settings ask for. */
export function roundsOf(settings: Pick<PruneSettings, 'method' | 'training'>): number {
  const { training } = settings;
  return hasRounds(settings) && training && training.epochs > 0 ? training.rounds : 1;
}

/**
 * The rounds in which a model is pruned to a share of itself. Equal factors: every round takes the same share of what is
 * left.
 */
export function stepsOf(settings: PruneSettings, share: number): Step[] {
  const { method, double } = settings;
  if (method !== 'double') {
    const rounds = roundsOf(settings);
    return Array.from({ length: rounds }, (_, i) => {
      return { name: `round-${i + 1}`, method, share: share ** ((i + 1) / rounds), trains: true };
    });
  }
  const { channels, bases } = doubleShares(settings, share);
  const channel = { name: 'channels', method: 'channel', share: channels, trains: double.trainBetween } as const;
  const basis = { name: 'bases', method: 'basis', share, trains: true } as const;
  // Channels that go take their part of every basis with them: the bases are found again for what is left.
  return double.order === 'channel-first'
    ? [channel, basis]
    : [{ ...basis, name: 'bases-first', share: bases, trains: double.trainBetween }, channel, basis];
}

/** Shares of the whole that are left after each part of a double pruning to a share. */
export function doubleShares(
  { double }: Pick<PruneSettings, 'double'>,
  share: number,
): { channels: number; bases: number } {
  return { channels: share ** double.channelShare, bases: share ** (1 - double.channelShare) };
}

/**
 * How often a run trains for all the epochs of its training, at most: a search in rounds ends with the first that loses too
 * much. Without epochs that come after a cut.
 */
export function trainingsOf(settings: PruneSettings): number {
  const trainings = stepsOf(settings, 1).filter(({ trains }) => trains).length;
  return searchesAccuracy(settings) && roundsOf(settings) === 1 ? HALVINGS * trainings : trainings;
}

/** Epochs of plain training beside those of the training: after a method that cuts at its end. */
export function epochsAfterCut(settings: Pick<PruneSettings, 'method' | 'gsm' | 'resrep'>): number {
  if (settings.method === 'resrep') return settings.resrep.epochsAfter;
  return trainsSparsely(settings) ? settings.gsm.epochsAfter : 0;
}

/** Whether how far to prune is found by what accuracy is left. */
export function searchesAccuracy(settings: Pick<PruneSettings, 'method' | 'target'>): boolean {
  return settings.target.kind === 'drop' && hasTarget(settings);
}
