/** Weights set to zero by masks, and what that takes away of all of them together. */
export class Zeroed {
  private whole = 0;
  private lost = 0;
  private count = 0;
  private nonZero = 0;

  /** Sets to 0 what a mask leaves out, in place. @param mask 1 where a weight stays */
  apply(values: Float32Array, mask: Uint8Array): void {
    for (let i = 0; i < values.length; i++) {
      const square = values[i] * values[i];
      this.whole += square;
      if (mask[i]) this.nonZero++;
      else {
        this.lost += square;
        values[i] = 0;
      }
    }
    this.count += values.length;
  }

  /** How many weights there were, how many stayed, and ‖what was cut‖ / ‖all‖. */
  get counts(): { readonly weights: number; readonly kept: number; readonly cut: number } {
    const { count, nonZero, whole, lost } = this;
    return { weights: count, kept: nonZero, cut: whole === 0 ? 0 : Math.sqrt(lost / whole) };
  }
}
