/**
 * Which rows are masked: the smallest of all compactors, until what is left meets the target. Chosen from scratch each
 * time, so that a row that was masked is let go when others have become smaller (Ding et al., 2021). Rows that are
 * skipped, because their group is as narrow as it may be, count for nothing. Where groups keep a multiple of channels,
 * rows go in such numbers.
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
  /** Once so many channels are masked, no more are. */
  readonly most: number;
  /** Groups keep a multiple of this many channels, or all; 1 unless given. */
  readonly multiple?: number;
}

export function selectRows(counter: WidthCounter, request: SelectionRequest): RowSelection {
  const { scores, least, target, most, multiple = 1 } = request;
  const order = scores
    .flatMap((values, group) => portions(values, multiple).map((portion) => ({ ...portion, group })))
    .sort((a, b) => a.score - b.score || a.group - b.group);
  const masked = scores.map(({ length }) => new Uint8Array(length));
  const removed = new Int32Array(scores.length);
  let macs = counter.whole;
  let count = 0;
  for (const { group, channels } of order) {
    if (macs <= target || count >= most) break;
    const size = channels.length;
    if (scores[group].length - removed[group] - size < least[group]) continue;
    macs -= counter.saving(removed, group, size);
    removed[group] += size;
    for (const channel of channels) masked[group][channel] = 1;
    count += size;
  }
  return { masked, count, macs, met: macs <= target };
}

/** A group's channels, smallest first, in portions that leave a multiple; a portion counts like its mean channel. */
function portions(scores: Float64Array, multiple: number): { channels: number[]; score: number }[] {
  const rising = Array.from(scores.keys()).sort((a, b) => scores[a] - scores[b] || a - b);
  const found: { channels: number[]; score: number }[] = [];
  for (let from = 0, to = rising.length % multiple || multiple; from < rising.length; from = to, to += multiple) {
    const channels = rising.slice(from, to);
    found.push({ channels, score: channels.reduce((sum, channel) => sum + scores[channel], 0) / channels.length });
  }
  return found;
}

/** How many rows a target takes when every group gives the same share: a guess before anything is known of the rows. */
export function evenRows(
  counter: WidthCounter,
  request: Pick<SelectionRequest, 'least' | 'target' | 'multiple'>,
  sizes: number[],
) {
  const scores = sizes.map((size) => Float64Array.from({ length: size }, (_, i) => (i + 0.5) / size));
  const { count, met, macs } = selectRows(counter, { ...request, scores, most: Number.POSITIVE_INFINITY });
  return { count, met, macs };
}
