/** What rounding to a multiple means for channels. */

/**
 * The number of channels that makes a multiple of outputs.
 * @param block outputs that make one channel
 */
export function stepOf(block: number, multiple: number): number {
  return multiple / divisor(block, multiple);
}

/** The greatest that both have in common. */
function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}
