/**
 * Which numbers of a long vector are its greatest, exactly and without sorting: a histogram of their uppermost bits finds
 * the bin of the last one that counts, and two more of the bits below find it in its bin. The bits of floats that are not
 * negative rise with their value, so the bins need no scale. Three passes, whatever the numbers are.
 */

/** The last of the greatest: numbers with greater bits are among them, and the first `ties` with the same bits. */
export interface Threshold {
  readonly bits: number;
  readonly ties: number;
}

/** Bits of each pass, from the uppermost; the sign is always 0. The bins of a pass fit into the fastest cache. */
const DIGITS = [11, 10, 10] as const;

export class GreatestFinder {
  private readonly bins = DIGITS.map((digit) => new Uint32Array(1 << digit));

  /**
   * @param bits of floats from +0 to infinity; allocates no vector
   * @param count how many are wanted, 1 to the length
   */
  threshold(bits: Uint32Array, count: number): Threshold {
    let shift = 31;
    let prefix = 0;
    let left = count;
    for (const [pass, digit] of DIGITS.entries()) {
      const bins = this.bins[pass].fill(0);
      const last = bins.length - 1;
      const above = shift;
      shift -= digit;
      if (pass === 0) for (let i = 0; i < bits.length; i++) bins[bits[i] >>> shift]++;
      else {
        for (let i = 0; i < bits.length; i++) {
          const value = bits[i];
          if (value >>> above === prefix) bins[(value >>> shift) & last]++;
        }
      }
      const bin = fromTop(bins, left);
      prefix = (prefix << digit) | bin.index;
      left = bin.left;
    }
    return { bits: prefix, ties: left };
  }
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
