/**
 * What the next layer needs: of min_β ½‖Y − Σ_c β_c·Z_c‖² + α‖β‖₁ the largest α at which channel c still has a part.
 * Z_c is what input channel c contributes to the layer's outputs Y = Σ_c Z_c, so only their products are needed:
 * G = E[Σ Z_c·Z_d], and E[Y·Z_c] = Σ_d G_cd. He, Zhang and Sun, 2017 (arXiv 1707.06168).
 */
import { eachChannel, type GroupedAxis } from '../channels';
import type { Group } from '../groups';
import type { ImportanceRule } from './source';

export const lasso: ImportanceRule = (group, { statistics }) => {
  const scores: Float64Array[] = [];
  for (const { layer, axis } of consumerInputs(group)) {
    const products = statistics.contributions?.get(layer);
    if (products) scores.push(entryPenalties(merged(products, axis, group.channels), group.channels));
  }
  return scores.length ? scores : 'what the next layers make of them was not measured';
};

/** Consumers with the axis of their input. */
export function consumerInputs({ members, sums }: Group): { layer: string; axis: GroupedAxis }[] {
  const consumers = members.filter(({ role }) => role === 'consumer');
  return sums.flatMap(({ layer, axis }) =>
    layer !== null && consumers.some((member) => member.layer === layer) ? [{ layer, axis }] : [],
  );
}

/** Products of channels from those of positions; positions of other groups stay in, together, as one more channel. */
function merged(products: Float64Array, axis: GroupedAxis, count: number): Float64Array {
  const size = count + 1;
  const channels = new Int32Array(axis.size).fill(count);
  eachChannel(axis, (position, channel) => {
    channels[position] = channel;
  });
  const found = new Float64Array(size * size);
  for (let a = 0; a < axis.size; a++) {
    for (let b = 0; b < axis.size; b++) found[channels[a] * size + channels[b]] += products[a * axis.size + b];
  }
  return found;
}

/** Penalties fall from where nothing has a part to this share of it. */
const LEAST = 1e-4;
const STEPS = 80;
const SWEEPS = 60;

/** Coordinate descent (Friedman et al., 2010) on falling penalties, each starting from the solution before. */
function entryPenalties(gram: Float64Array, count: number): Float64Array {
  const size = count + 1;
  const target = Float64Array.from({ length: size }, (_, c) => {
    let sum = 0;
    for (let d = 0; d < size; d++) sum += gram[c * size + d];
    return sum;
  });
  const beta = new Float64Array(size);
  // What is not to be chosen from is there as it is.
  beta[count] = 1;
  const entered = new Float64Array(count);
  let largest = 0;
  for (let c = 0; c < count; c++) largest = Math.max(largest, Math.abs(target[c] - gram[c * size + count]));
  for (let step = 0; step <= STEPS && largest > 0; step++) {
    const penalty = largest * LEAST ** (step / STEPS);
    descend(gram, target, beta, count, penalty);
    for (let c = 0; c < count; c++) if (beta[c] !== 0 && entered[c] === 0) entered[c] = penalty;
  }
  return entered;
}

function descend(gram: Float64Array, target: Float64Array, beta: Float64Array, count: number, penalty: number): void {
  const size = count + 1;
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let [moved, scale] = [0, 0];
    for (let c = 0; c < count; c++) {
      const own = gram[c * size + c];
      if (!(own > 0)) continue;
      let rest = target[c] + own * beta[c];
      for (let d = 0; d < size; d++) rest -= gram[c * size + d] * beta[d];
      const next = (Math.sign(rest) * Math.max(0, Math.abs(rest) - penalty)) / own;
      moved = Math.max(moved, Math.abs(next - beta[c]));
      scale = Math.max(scale, Math.abs(next));
      beta[c] = next;
    }
    if (moved <= 1e-6 * scale) return;
  }
}
