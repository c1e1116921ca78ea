/**
 * The update rule of networks with compactors (Ding et al., 2021): the network learns as ever, while every row q of a
 * compactor gets g ← m·∂L/∂q + λ·q/‖q‖ with m = 0 for masked rows, and a momentum of its own. What is masked comes in as
 * a vector, so that masks change without a new program.
 *
 * Momentum is kept from two things that would undo this in a run of minutes. What the loss gave a row before it was
 * masked would go on moving it: of its velocity only the part towards zero is left. And the lasso's own would carry it
 * through zero and back, again and again: it stops there, so that what is cut in the end is exactly nothing.
 */
import type { GraphBuilder } from '../graph/builder';
import { int } from '../graph/graph';
import { type Optimizer, sgd } from './optimizers';

/** A compactor among the trained tensors. */
export interface CompactorRows {
  /** Name of its initializer. */
  readonly name: string;
  readonly size: number;
}

export interface CompactingOptions {
  /** In the order in which they come last among the trained tensors. */
  readonly compactors: readonly CompactorRows[];
  /** Of rows that learn, and of masked ones. */
  readonly lambda: number;
  readonly maskedLambda: number;
  readonly momentum: number;
  /** Which rows can be masked, in the order of {@link MASK}: others have no lasso. */
  readonly canGo: Float32Array;
  /** What all other tensors are trained with. */
  readonly others: { readonly momentum: number; readonly nesterov: boolean };
}

/** Input with 1 for each row that learns and 0 for each that is masked: all compactors' rows, one after another. */
export const MASK = 'training/mask';

/** Shorter rows are divided by this, so that a row of zeros stays one. */
const SHORTEST = 1e-12;

export function compacting(options: CompactingOptions): Optimizer {
  const { compactors, others } = options;
  const rows = compactors.reduce((sum, { size }) => sum + size, 0);
  const elements = compactors.reduce((sum, { size }) => sum + size * size, 0);
  const plain = sgd(others);
  return {
    states: ['momentum'],
    inputs: [{ name: MASK, dtype: 'float32', shape: [rows] }],
    update(g, { parameters, gradient, states, rate, decay, step, size }) {
      const rest = size - elements;
      const halves = (vector: string): string[] => split(g, vector, [rest, elements]);
      const [w, q] = halves(parameters);
      const [dw, dq] = halves(gradient);
      const [velocity, qVelocity] = halves(states[0]);
      const learnt = plain.update(g, {
        parameters: w,
        gradient: dw,
        states: plain.states.map(() => velocity),
        rate,
        decay: typeof decay === 'number' ? decay : halves(decay)[0],
        step,
        size: rest,
      });
      const moved = compacted(g, { q, dq, velocity: qVelocity, rate }, options);
      return {
        parameters: g.concat([learnt.parameters, moved.q], 0),
        states: [g.concat([learnt.states[0] ?? velocity, moved.velocity], 0)],
      };
    },
  };
}

interface Moving {
  readonly q: string;
  readonly dq: string;
  readonly velocity: string;
  readonly rate: string;
}

/** A step of all compactors, each a piece of the vectors. */
function compacted(
  g: GraphBuilder,
  { q, dq, velocity: speeds, rate }: Moving,
  { compactors, lambda, maskedLambda, momentum, canGo }: CompactingOptions,
): { q: string; velocity: string } {
  const sizes = compactors.map(({ size }) => size);
  const squares = sizes.map((size) => size * size);
  const strength = g.add(g.mul(MASK, lambda - maskedLambda), maskedLambda);
  const pulls = split(g, g.mul(strength, g.floats(canGo, [canGo.length], 'float32')), sizes);
  const masks = split(g, MASK, sizes);
  const [values, gradients, velocities] = [q, dq, speeds].map((vector) => split(g, vector, squares));
  const moved = sizes.map((size, i) => {
    const rows = (piece: string): string => g.reshape(piece, [size, -1]);
    const [Q, mask] = [rows(values[i]), rows(masks[i])];
    const length = g.emit('Max', [g.sqrt(g.reduceSum(g.square(Q), [1])), g.scalar(SHORTEST, 'float32')]);
    const direction = g.div(Q, length);
    const slope = g.add(g.mul(rows(gradients[i]), mask), g.mul(direction, rows(pulls[i])));
    const velocity = rows(velocities[i]);
    const inwards = g.emit('Relu', [g.reduceSum(g.mul(velocity, direction), [1])]);
    const masked = g.mul(direction, g.mul(inwards, g.sub(1, mask)));
    const speed = g.add(g.mul(g.add(g.mul(velocity, mask), masked), momentum), slope);
    const next = g.sub(Q, g.mul(speed, rate));
    const goesOn = g.mask(g.greater(g.reduceSum(g.mul(Q, next), [1]), 0), 'float32');
    const stays = g.emit('Max', [mask, goesOn]);
    return [next, speed].map((value) => g.reshape(g.mul(value, stays), [-1]));
  });
  return {
    q: g.concat(
      moved.map(([next]) => next),
      0,
    ),
    velocity: g.concat(
      moved.map(([, speed]) => speed),
      0,
    ),
  };
}

function split(g: GraphBuilder, vector: string, sizes: readonly number[]): string[] {
  if (sizes.length === 1) return [vector];
  const types = sizes.map(() => 'float32' as const);
  return g.emitMany('Split', [vector, g.ints(sizes)], { axis: int(0) }, types);
}
