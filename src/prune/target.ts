/** Targets that are counted, and what stands in for those that only a run can measure. */
import type { Totals } from '../protocol/facts';
import type { PruneTarget } from '../protocol/recipe';

export type CountedKind = 'macs' | 'params' | 'bytes';

export interface CountedTarget {
  readonly kind: CountedKind;
  readonly value: number;
}

/** Share of the multiply-accumulates shown for a target that says nothing of them. */
const SHOWN_SHARE = 0.7;

/** What a projection goes by. */
export function countedTarget({ kind, value }: PruneTarget): { target: CountedTarget; assumed: string | null } {
  if (isCounted(kind)) return { target: { kind, value }, assumed: null };
  const share = kind === 'latency' ? Math.min(1, value) : SHOWN_SHARE;
  const what = kind === 'drop' ? 'accuracy' : 'latency';
  return {
    target: { kind: 'macs', value: share },
    assumed: `The run finds by measuring how far it can prune for this ${what}. What is shown is for ${Math.round(100 * share)} % of the multiply-accumulates.`,
  };
}

export function isCounted(kind: PruneTarget['kind']): kind is CountedKind {
  return kind === 'macs' || kind === 'params' || kind === 'bytes';
}

/** A target as the share of a model that may stay. */
export function shareOf({ kind, value }: CountedTarget, totals: Totals): number {
  return Math.min(1, kind === 'bytes' && value > 1 ? value / (totals.bytes || 1) : value);
}

/** Why a plan does not reach a target, for people. */
export function shortfallOf(share: number, reached: number): string {
  return `The target of ${percent(share)} can't be met: what is locked, protected or unsuitable leaves at least ${percent(reached)}.`;
}

/** That a training which finds out itself what can go did not reach its target, for people. */
export function missedByRows(share: number, left: number): string {
  return `The target of ${percent(share)} was not met: the rows that vanished leave ${percent(left)} of the multiply-accumulates.`;
}

const percent = (part: number): string => `${(100 * part).toFixed(1)} %`;
