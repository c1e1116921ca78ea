/** Figures that are suggested to people. */

/** To two digits, in the direction that is still enough. */
export function roundedBy(round: (value: number) => number, value: number): number {
  const unit = 10 ** (Math.floor(Math.log10(value)) - 1);
  return Number((round(value / unit) * unit).toPrecision(2));
}
