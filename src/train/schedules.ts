/**
 * Learning-rate schedules: pure functions that give the factor on the base rate at a step. Steps count from 0; the
 * total is the number of steps of the whole run. Cosine: Loshchilov and Hutter, 2017.
 */

/** Factor on the base learning rate, 0 to 1. */
export type Schedule = (step: number, total: number) => number;

export const constant: Schedule = () => 1;

/** Half a cosine, from 1 at the first step towards 0 after the last. */
export const cosine: Schedule = (step, total) => 0.5 * (1 + Math.cos((Math.PI * Math.min(step, total)) / total));

/**
 * Multiplies by `factor` each time another of the given shares of the run is done.
 * @param milestones shares of the run, 0 to 1, rising
 */
export const steps =
  (milestones: readonly number[], factor: number): Schedule =>
  (step, total) =>
    factor ** milestones.filter((share) => step >= share * total).length;

/** Rises linearly from 1/`warmup` to 1 over the first steps; then the other schedule runs over what is left. */
export const withWarmup =
  (warmup: number, after: Schedule): Schedule =>
  (step, total) =>
    step < warmup ? (step + 1) / warmup : after(step - warmup, Math.max(1, total - warmup));
