/**
 * Global sparse momentum (GSM): Ding et al., "Global Sparse Momentum SGD for Pruning Very Deep Neural Networks",
 * NeurIPS 2019. In every step the weights with the greatest |∂L/∂w · w| of the whole model take their gradient; all
 * others only decay, faster and faster by their momentum, so that they can be set to zero in the end:
 *
 *     Z ← βZ + ηW + B∘∂L/∂W        W ← W − αZ        B = 1 for the Q greatest, else 0
 *
 * The choice is made anew in every step. Biases and normalization are not ranked, do not decay and always take their
 * gradient. It runs outside of the graph, as it compares every weight with every other.
 */
import { elementCount } from '../tensor/dtype';
import { float32Tensor, type Tensor, toFloat32 } from '../tensor/tensor';
import { GreatestFinder, greatestMask } from './greatest';
import type { VectorOptimizer, VectorStep } from './optimizers';
import type { Schedule } from './schedules';
import { SparseKernels } from './sparseKernels';
import type { Slot } from './trainingGraph';
import { Zeroed } from './zeroed';

export interface SparseMomentum {
  /** Share of the ranked weights that take their gradient in a step, and stay in the end; 0 to 1. */
  readonly keep: number;
  readonly momentum: number;
  /** Weight decay of every weight, ranked or not. */
  readonly weightDecay: number;
  readonly nesterov?: boolean;
  /** Weights that are not ranked, by name: they take their gradient in every step. */
  readonly exempt?: ReadonlySet<string>;
}

/** How many steps pass between two looks at what is left of the weights that would be cut. */
const MEASURED_EVERY = 50;

export function sparseMomentum(rule: SparseMomentum): VectorOptimizer {
  return {
    states: ['momentum'],
    start: (slots) => {
      const run = new SparseRun(slots, rule);
      return (step) => run.step(step);
    },
  };
}

/** A stretch of the vector of parameters. */
interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly isRanked: boolean;
  readonly decay: number;
}

class SparseRun {
  private readonly stretches: readonly Stretch[];
  private readonly ranked: number;
  private readonly active: number;
  /** |g·w|, later |w|, of the ranked weights alone, as numbers and as their bits. */
  private readonly scores: Float32Array;
  private readonly bits: Uint32Array;
  private readonly finder = new GreatestFinder();
  private readonly kernels = new SparseKernels();
  private sinceMeasured = MEASURED_EVERY;
  private cut: number | undefined;

  constructor(
    slots: readonly Slot[],
    private readonly rule: SparseMomentum,
  ) {
    this.stretches = slots.map(({ name, dims, offset, decays }) => ({
      from: offset,
      to: offset + elementCount(dims),
      isRanked: isRanked({ name, decays }, rule.exempt),
      decay: decays ? rule.weightDecay : 0,
    }));
    this.ranked = this.stretches.reduce((sum, { from, to, isRanked }) => sum + (isRanked ? to - from : 0), 0);
    this.active = activeCount(rule.keep, this.ranked);
    this.scores = new Float32Array(this.ranked);
    this.bits = new Uint32Array(this.scores.buffer);
  }

  step(vectors: VectorStep): { readonly cut?: number } {
    const chosen = this.active < this.ranked ? this.choose(vectors) : null;
    this.update(vectors, chosen);
    if (++this.sinceMeasured > MEASURED_EVERY) {
      this.sinceMeasured = 1;
      this.cut = this.cutNorm(vectors.parameters);
    }
    return { cut: this.cut };
  }

  /** @returns the least bits of a score whose weight takes its gradient */
  private choose({ parameters, gradient }: VectorStep): number {
    const { bits, kernels, stretches, active } = this;
    const top = kernels.startScores();
    let at = 0;
    for (const { from, to, isRanked } of stretches) {
      if (!isRanked) continue;
      kernels.score(gradient.subarray(from, to), parameters.subarray(from, to), bits.subarray(at));
      at += to - from;
    }
    const { bits: last, ties, equals } = this.finder.threshold(bits, active, top());
    // A score of 0 is never among the greatest: its weight or its gradient is 0, and no weight comes back from 0.
    if (last === 0) return 1;
    if (ties < equals) dropTies(bits, last, ties);
    return last;
  }

  private update({ parameters, gradient, states: [velocity], rate }: VectorStep, chosen: number | null): void {
    const { momentum, nesterov = false } = this.rule;
    let at = 0;
    for (const { from, to, isRanked, decay } of this.stretches) {
      const ranks = isRanked && chosen !== null ? { bits: this.bits.subarray(at), least: chosen } : null;
      const [w, g, v] = [parameters, gradient, velocity].map((vector) => vector.subarray(from, to));
      this.kernels.update(w, g, v, { rate, momentum, nesterov, decay, ranks });
      if (isRanked) at += to - from;
    }
  }

  /** ‖what the mask would cut now‖ / ‖all ranked weights‖. */
  private cutNorm(parameters: Float32Array): number {
    const { scores, bits } = this;
    if (this.ranked === 0) return 0;
    let at = 0;
    for (const { from, to, isRanked } of this.stretches) {
      if (isRanked) for (let i = from; i < to; i++) scores[at++] = Math.abs(parameters[i]);
    }
    const { bits: last, ties } = this.finder.threshold(bits, keptCount(this.rule.keep, this.ranked));
    let all = 0;
    let kept = 0;
    let left = ties;
    for (let i = 0; i < scores.length; i++) {
      const square = scores[i] * scores[i];
      all += square;
      if (bits[i] > last || (bits[i] === last && left-- > 0)) kept += square;
    }
    return all === 0 ? 0 : Math.sqrt(Math.max(0, 1 - kept / all));
  }
}

/** Of the scores with the same bits leaves only the first. */
function dropTies(bits: Uint32Array, same: number, count: number): void {
  let left = count;
  for (let i = 0; i < bits.length; i++) if (bits[i] === same && left-- <= 0) bits[i] = 0;
}

/** Weights of convolutions and dense layers are ranked, unless they are left out. */
function isRanked({ name, decays }: Pick<Slot, 'name' | 'decays'>, exempt: ReadonlySet<string> | undefined): boolean {
  return decays && !exempt?.has(name);
}

/** Q = ⌊keep·N⌋, at least 1: how many weights take their gradient in a step. */
export function activeCount(keep: number, weights: number): number {
  return Math.min(weights, Math.max(1, Math.floor(exact(keep * weights))));
}

/** N − ⌊N·(1 − keep)⌋, at least 1: how many weights stay in the end. */
export function keptCount(keep: number, weights: number): number {
  return Math.min(weights, Math.max(1, weights - Math.floor(exact(weights * (1 - keep)))));
}

/** Products of shares like 0.29 that miss a whole number by rounding. */
function exact(product: number): number {
  const whole = Math.round(product);
  return Math.abs(product - whole) < 1e-9 * Math.max(1, whole) ? whole : product;
}

export interface Masked {
  /** All tensors, ranked weights with zeros where they were cut. */
  readonly tensors: Map<string, Tensor>;
  /** Names of the tensors of ranked weights. */
  readonly ranked: ReadonlySet<string>;
  /** Ranked weights, and how many of them are not zero. */
  readonly weights: number;
  readonly kept: number;
  /** ‖what was cut‖ / ‖all ranked weights‖. */
  readonly cut: number;
}

/**
 * The last step: of all ranked weights together the greatest by size stay, the others become 0.
 * @param tensors trained, by name
 */
export function maskedBySize(
  tensors: ReadonlyMap<string, Tensor>,
  slots: readonly Slot[],
  { keep, exempt }: Pick<SparseMomentum, 'keep' | 'exempt'>,
): Masked {
  const ranked = slots.filter((slot) => isRanked(slot, exempt) && tensors.has(slot.name));
  const parts = ranked.map(({ name }) => toFloat32(tensors.get(name) as Tensor));
  const weights = parts.reduce((sum, { length }) => sum + length, 0);
  const masked = new Map(tensors);
  const names = new Set(ranked.map(({ name }) => name));
  if (weights === 0) return { tensors: masked, ranked: names, weights, kept: 0, cut: 0 };
  const all = new Float32Array(weights);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  const mask = greatestMask(all, keptCount(keep, weights));
  const zeroed = new Zeroed();
  zeroed.apply(all, mask);
  at = 0;
  for (const { name, dims } of ranked) {
    const count = elementCount(dims);
    masked.set(name, float32Tensor(all.slice(at, at + count), dims));
    at += count;
  }
  return { tensors: masked, ranked: names, ...zeroed.counts };
}

/** Below this, weights that are cut are still large enough to be missed. */
export const ENOUGH_DECAY = 8;

/** Schedules are smooth enough to be summed up by so many of their steps. */
const SAMPLED_STEPS = 100_000;

/**
 * By how much, as an exponent, a weight shrinks that never takes its gradient: E = η/(1 − β)·Σα, from its recurrence
 * w′ = (1 + β − αη)·w − β·w₋₁. It ends e^E times as small as it was.
 */
export function decayExponent({
  rate,
  schedule,
  steps,
  momentum,
  weightDecay,
}: {
  rate: number;
  schedule: Schedule;
  steps: number;
  momentum: number;
  weightDecay: number;
}): number {
  const points = Math.min(steps, SAMPLED_STEPS);
  let sum = 0;
  for (let i = 0; i < points; i++) sum += schedule(Math.floor(((i + 0.5) * steps) / points), steps);
  return points === 0 ? 0 : (weightDecay / (1 - momentum)) * rate * (sum / points) * steps;
}
