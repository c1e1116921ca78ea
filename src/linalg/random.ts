/**
 * Seeded random numbers: the same seed gives the same numbers on every machine and version of Node. The generator is
 * xoshiro128** (Blackman & Vigna, 2018), its state filled by splitmix32; not for secrets.
 */

export interface Random {
  /** A whole number from 0 to 2³² − 1. */
  bits(): number;
  /** From 0 (included) to 1 (excluded), all 53 bits of a double. */
  uniform(): number;
  /** A whole number from 0 to count − 1; count ≤ 2³². */
  index(count: number): number;
  /** Mean 0, standard deviation 1. */
  normal(): number;
  /** Puts the items in random order, in place, and returns them (Fisher–Yates). */
  shuffle<T extends { length: number; [index: number]: unknown }>(items: T): T;
}

/** @param seed any number; its lower 32 bits count */
export function seededRandom(seed: number): Random {
  let counter = seed | 0;
  const splitmix = () => {
    counter = (counter + 0x9e3779b9) | 0;
    let z = counter;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return z ^ (z >>> 16);
  };
  let [a, b, c, d] = [splitmix(), splitmix(), splitmix(), splitmix()];
  let spare: number | null = null;

  const bits = () => {
    const result = Math.imul(rotated(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotated(d, 11);
    return result;
  };
  const uniform = () => ((bits() >>> 5) * 2 ** 26 + (bits() >>> 6)) / 2 ** 53;
  const index = (count: number) => {
    // Values of the last, incomplete round would favour small indices: draw again.
    const limit = 2 ** 32 - (2 ** 32 % count);
    let value = bits();
    while (value >= limit) value = bits();
    return value % count;
  };
  const normal = () => {
    if (spare !== null) {
      const value = spare;
      spare = null;
      return value;
    }
    // Marsaglia's polar method: unlike sine and cosine, its functions are the same in every version of V8.
    for (;;) {
      const [x, y] = [2 * uniform() - 1, 2 * uniform() - 1];
      const square = x * x + y * y;
      if (square > 0 && square < 1) {
        const length = Math.sqrt((-2 * Math.log(square)) / square);
        spare = y * length;
        return x * length;
      }
    }
  };
  return {
    bits,
    uniform,
    index,
    normal,
    shuffle: (items) => {
      for (let last = items.length - 1; last > 0; last--) {
        const other = index(last + 1);
        [items[last], items[other]] = [items[other], items[last]];
      }
      return items;
    },
  };
}

function rotated(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
