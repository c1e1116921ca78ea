/**
 * Which rows are masked: the smallest of all compactors, until what is left meets the target. Chosen from scratch each
 * time, so that a row that was masked is let go when others have become smaller (Ding et al., 2021). Rows that are
 * skipped, because their group is as narrow as it may be, count for nothing.
 */
import type { WidthCounter } from './widths';

export interface RowSelection {
  /** 1 where the channel is masked, by group. */
  readonly masked: readonly Uint8Array[];
  readonly count: number;
  /** Multiply-accumulates without the masked channels. */
  readonly macs: number;
  /** Whether that meets the target. */
  readonly met: boolean;
}

export interface SelectionRequest {
  /** By group and channel: the smaller, the sooner it goes. */
  readonly scores: readonly Float64Array[];
  /** Fewest channels of each group. */
  readonly least: readonly number[];
  /** Multiply-accumulates. */
  readonly target: number;
  /** Most channels that may be masked. */
  readonly most: number;
}

export function selectRows(counter: WidthCounter, { scores, least, target, most }: SelectionRequest): RowSelection {
  const order = scores
    .flatMap((values, group) => Array.from(values, (score, channel) => ({ score, group, channel })))
    .sort((a, b) => a.score - b.score || a.group - b.group || a.channel - b.channel);
  const masked = scores.map(({ length }) => new Uint8Array(length));
  const removed = new Int32Array(scores.length);
  let macs = counter.whole;
  let count = 0;
  for (const { group, channel } of order) {
    if (macs <= target || count >= most) break;
    if (scores[group].length - removed[group] <= least[group]) continue;
    macs -= counter.saving(removed, group);
    removed[group]++;
    masked[group][channel] = 1;
    count++;
  }
  return { masked, count, macs, met: macs <= target };
}

/** How many rows a target takes when every group gives the same share: a guess before anything is known of the rows. */
export function evenRows(counter: WidthCounter, request: Pick<SelectionRequest, 'least' | 'target'>, sizes: number[]) {
  const scores = sizes.map((size) => Float64Array.from({ length: size }, (_, i) => (i + 0.5) / size));
  const { count, met, macs } = selectRows(counter, { ...request, scores, most: Number.POSITIVE_INFINITY });
  return { count, met, macs };
}
