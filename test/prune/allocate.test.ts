import { describe, expect, it, test } from 'vitest';
import { seededRandom } from '../../src/linalg/random';
import { allocateRanks, type Candidate, type Ranks, roundRank } from '../../src/prune/allocate';

interface Layer extends Candidate {
  readonly whole: number;
  /** Cost of one basis. */
  readonly each: number;
}

const costOf = (layers: readonly Layer[]) => (ranks: Ranks) =>
  ranks.reduce<number>((sum, rank, i) => sum + (rank === null ? layers[i].whole : rank * layers[i].each), 0);

/** Random layers with descending scores, some equal between layers, for which half to nine tenths of the ranks pay. */
function randomLayers(seed: number): Layer[] {
  const random = seededRandom(seed);
  return Array.from({ length: 1 + random.index(4) }, () => {
    const size = 1 + random.index(12);
    const scores = Float64Array.from({ length: size }, () => random.index(20))
      .sort()
      .reverse();
    const each = 1 + random.index(9);
    const maxUsefulRank = Math.floor(size * (0.5 + 0.4 * random.uniform()));
    return { scores, each, maxUsefulRank, whole: (maxUsefulRank + 0.5) * each };
  });
}

/** The definition, tried threshold by threshold. */
function bruteForce(layers: readonly Layer[], budget: number, multiple: number) {
  const thresholds = [
    Number.NEGATIVE_INFINITY,
    ...layers.flatMap(({ scores }) => [...scores]),
    Number.POSITIVE_INFINITY,
  ];
  const at = (threshold: number) => {
    const ranks = layers.map(({ scores, maxUsefulRank }) => {
      const kept = scores.filter((score) => score >= threshold).length;
      const rank = Math.min(scores.length, multiple * Math.max(1, Math.ceil(kept / multiple)));
      return threshold === Number.NEGATIVE_INFINITY || rank > maxUsefulRank ? null : rank;
    });
    return { ranks, threshold, met: costOf(layers)(ranks) <= budget };
  };
  const all = thresholds.sort((a, b) => a - b).map(at);
  return { all, best: all.find(({ met }) => met) ?? all[all.length - 1] };
}

describe('allocateRanks', () => {
  it.each([1, 4, 8])('finds the smallest threshold that meets the budget, in multiples of %i', (multiple) => {
    for (let seed = 0; seed < 200; seed++) {
      const layers = randomLayers(seed);
      const whole = costOf(layers)(layers.map(() => null));
      for (const share of [1.1, 1, 0.8, 0.5, 0.3, 0.05]) {
        const { all, best } = bruteForce(layers, share * whole, multiple);
        const found = allocateRanks(layers, costOf(layers), share * whole, multiple);
        // With some thresholds the ranks of neighbours are the same: the smallest is the one that counts.
        expect(found).toEqual(best);
        const costs = all.map(({ ranks }) => costOf(layers)(ranks));
        expect(costs).toEqual([...costs].sort((a, b) => b - a));
      }
    }
  });

  it('keeps all layers whole when that is cheap enough', () => {
    const layers = randomLayers(1);
    const found = allocateRanks(layers, costOf(layers), Number.POSITIVE_INFINITY);
    expect(found).toEqual({ ranks: layers.map(() => null), threshold: Number.NEGATIVE_INFINITY, met: true });
  });

  it('goes as low as it can when the budget is out of reach', () => {
    const layers = [{ scores: Float64Array.of(5, 4, 3, 2), each: 1, whole: 4, maxUsefulRank: 3 }];
    expect(allocateRanks(layers, costOf(layers), 0)).toEqual({
      ranks: [1],
      threshold: Number.POSITIVE_INFINITY,
      met: false,
    });
  });

  it('has nothing to decide without layers', () => {
    expect(allocateRanks([], () => 3, 3)).toMatchObject({ ranks: [], met: true });
    expect(allocateRanks([], () => 3, 2)).toMatchObject({ ranks: [], met: false });
  });
});

test.each([
  [0, 1, 16, 1],
  [5, 1, 16, 5],
  [0, 8, 16, 8],
  [5, 4, 16, 8],
  [9, 8, 16, 16],
  [9, 8, 12, 12],
  [3, 32, 10, 10],
])('rank %i in multiples of %i of %i is %i', (rank, multiple, fullRank, expected) => {
  expect(roundRank(rank, multiple, fullRank)).toBe(expected);
});
