/**
 * From one global threshold to a rank per layer (algorithm: keep the bases whose score reaches τ, at least one; a layer
 * that would not get cheaper stays whole). The total cost never grows with τ, so the budget is met by bisection.
 */

export interface Candidate {
  /** Scores of the bases in the order they are kept, never increasing. */
  readonly scores: Float64Array;
  /** Cost at a rank; `null` stands for the layer left whole. */
  cost(rank: number | null): number;
  /** Ranks above this leave the layer whole: it would not pay. */
  readonly maxUsefulRank: number;
}

export interface Allocation {
  /** Rank per candidate, null for a layer left whole. */
  readonly ranks: readonly (number | null)[];
  readonly threshold: number;
  readonly cost: number;
  /** Whether the budget was met. */
  readonly met: boolean;
}

/**
 * @param budget upper bound of the summed cost of all candidates
 * @param multiple ranks are rounded up to a multiple of this, within the number of scores
 */
export function allocateRanks(candidates: readonly Candidate[], budget: number, multiple = 1): Allocation {
  const at = (threshold: number): Allocation => {
    const ranks = candidates.map((c) => rankAt(c, threshold, multiple));
    const cost = ranks.reduce<number>((sum, rank, i) => sum + (candidates[i] as Candidate).cost(rank), 0);
    return { ranks, threshold, cost, met: cost <= budget };
  };
  const thresholds = Float64Array.from(new Set(candidates.flatMap((c) => [...c.scores]))).sort();
  const whole = at(Number.NEGATIVE_INFINITY);
  if (whole.met || thresholds.length === 0) return whole;
  let best = at(Number.POSITIVE_INFINITY);
  if (!best.met) return best;
  // The smallest threshold that meets the budget.
  let low = 0;
  let high = thresholds.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const found = at(thresholds[middle] as number);
    if (found.met) {
      best = found;
      high = middle - 1;
    } else low = middle + 1;
  }
  return best;
}

function rankAt({ scores, maxUsefulRank }: Candidate, threshold: number, multiple: number): number | null {
  let kept = 0;
  while (kept < scores.length && (scores[kept] as number) >= threshold) kept++;
  const rank = roundRank(kept, multiple, scores.length);
  return rank <= maxUsefulRank ? rank : null;
}

/** Rounds a rank up to a multiple, at least one multiple and at most the full rank. */
export function roundRank(rank: number, multiple: number, fullRank: number): number {
  return Math.min(fullRank, Math.max(1, Math.ceil(rank / multiple)) * multiple);
}
