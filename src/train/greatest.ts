/**
 * Which numbers of a long vector are its greatest, exactly and without sorting: a histogram of their uppermost bits finds
 * the bin of the last one that counts, its numbers are collected, and two more of the bits below find the last among them.
 * The bits of floats that are not negative rise with their value, so the bins need no scale. Two passes over the vector,
 * whatever the numbers are.
 */

/** The last of the greatest: numbers with greater bits are among them, and the first `ties` with the same bits. */
export interface Threshold {
  readonly bits: number;
  readonly ties: number;
  /** How many have the same bits. */
  readonly equals: number;
}

/** Bits of each histogram, from the uppermost; the sign is always 0. Their bins fit into the fastest cache. */
const DIGITS = [11, 10, 10] as const;
/** How many numbers there are with each of the uppermost bits, and how far these are shifted. */
export const TOP_BINS = 1 << DIGITS[0];
export const TOP_SHIFT = 31 - DIGITS[0];

export class GreatestFinder {
  private readonly bins = DIGITS.map((digit) => new Uint32Array(1 << digit));
  private collected = new Uint32Array(0);

  /**
   * @param bits of floats from +0 to infinity
   * @param count how many are wanted, 1 to the length
   * @param top their histogram by {@link TOP_SHIFT}, where it is known
   */
  threshold(bits: Uint32Array, count: number, top?: Uint32Array): Threshold {
    let shift = 31;
    let prefix = 0;
    let left = count;
    let candidates = bits;
    for (const [pass, digit] of DIGITS.entries()) {
      shift -= digit;
      const bins = pass === 0 && top ? top : histogram(candidates, shift, this.bins[pass]);
      const bin = fromTop(bins, left);
      prefix = (prefix << digit) | bin.index;
      left = bin.left;
      candidates = this.withPrefix(candidates, shift, prefix, bins[bin.index]);
    }
    return { bits: prefix, ties: left, equals: candidates.length };
  }

  /** Of some numbers, possibly collected before, those `count` whose uppermost bits are these. */
  private withPrefix(candidates: Uint32Array, shift: number, prefix: number, count: number): Uint32Array {
    if (this.collected.length < count) this.collected = new Uint32Array(count);
    const { collected } = this;
    let at = 0;
    for (let i = 0; i < candidates.length; i++) {
      const value = candidates[i];
      if (value >>> shift === prefix) collected[at++] = value;
    }
    return collected.subarray(0, count);
  }
}

/** How often the bits above `shift` occur, by the lowest of them. */
function histogram(bits: Uint32Array, shift: number, bins: Uint32Array): Uint32Array {
  const last = bins.fill(0).length - 1;
  for (let i = 0; i < bits.length; i++) bins[(bits[i] >>> shift) & last]++;
  return bins;
}

/** The bin that holds the `count`-th greatest, and how many of its own are wanted. */
function fromTop(bins: Uint32Array, count: number): { index: number; left: number } {
  let left = count;
  for (let index = bins.length - 1; index >= 0; index--) {
    if (bins[index] >= left) return { index, left };
    left -= bins[index];
  }
  throw new Error(`${count} are more than there are`);
}

/** 1 where a number is among the `count` greatest by size; among equals the first; numbers of size 0 never are. */
export function greatestMask(values: Float32Array, count: number): Uint8Array {
  const sizes = values.map(Math.abs);
  const bits = new Uint32Array(sizes.buffer);
  const { bits: last, ties } = new GreatestFinder().threshold(bits, count);
  const mask = new Uint8Array(values.length);
  let left = ties;
  for (let i = 0; i < bits.length; i++) {
    if (bits[i] === 0 || bits[i] < last) continue;
    if (bits[i] > last || left-- > 0) mask[i] = 1;
  }
  return mask;
}
