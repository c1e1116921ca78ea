/**
 * From one global threshold to a rank per layer (keep the bases whose score reaches τ, at least one; a layer
 * that would not get cheaper stays whole). The total cost never grows with τ, so the budget is met by bisection.
 */

export interface Candidate {
  /** Scores of the bases in the order they are kept, never increasing. */
  readonly scores: Float64Array;
  /** Ranks above this leave the layer whole: it would not pay. */
  readonly maxUsefulRank: number;
}

/** Rank per candidate, null for a layer left whole. */
export type Ranks = readonly (number | null)[];

export interface Allocation {
  readonly ranks: Ranks;
  readonly threshold: number;
  /** Whether the budget was met. */
  readonly met: boolean;
}

/**
 * @param cost of all candidates together
 * @param budget upper bound of that cost
 * @param multiple ranks are rounded up to a multiple of this, within the number of scores
 * @returns the ranks of the smallest threshold that meets the budget, or of the largest one when none does
 */
export function allocateRanks(
  candidates: readonly Candidate[],
  cost: (ranks: Ranks) => number,
  budget: number,
  multiple = 1,
): Allocation {
  const at = (threshold: number): Allocation => {
    const ranks = candidates.map((candidate) => rankAt(candidate, threshold, multiple));
    return { ranks, threshold, met: cost(ranks) <= budget };
  };
  const none: Allocation = { ranks: candidates.map(() => null), threshold: Number.NEGATIVE_INFINITY, met: false };
  if (cost(none.ranks) <= budget) return { ...none, met: true };
  const thresholds = Float64Array.from(new Set(candidates.flatMap((candidate) => [...candidate.scores]))).sort();
  let best = at(Number.POSITIVE_INFINITY);
  let low = 0;
  let high = best.met ? thresholds.length - 1 : -1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = at(thresholds[middle]);
    if (found.met) {
      best = found;
      high = middle - 1;
    } else low = middle + 1;
  }
  return best;
}

function rankAt({ scores, maxUsefulRank }: Candidate, threshold: number, multiple: number): number | null {
  let kept = 0;
  while (kept < scores.length && scores[kept] >= threshold) kept++;
  const rank = roundRank(kept, multiple, scores.length);
  return rank <= maxUsefulRank ? rank : null;
}

/** Rounds a rank up to a multiple, at least one multiple and at most the full rank. */
export function roundRank(rank: number, multiple: number, fullRank: number): number {
  return Math.min(fullRank, Math.max(1, Math.ceil(rank / multiple)) * multiple);
}
