/**
 * Optimizers as graph nodes. They see all trained tensors as one vector, and so do their states: a handful of nodes
 * updates a whole model, and a checkpoint is a few arrays.
 *
 * SGD as PyTorch defines it (momentum without dampening); AdamW: Loshchilov and Hutter, 2019. Clipping by the global
 * norm: Pascanu, Mikolov and Bengio, 2013.
 */
import type { GraphBuilder, Operand } from '../graph/builder';
import type { ValueInfo } from '../graph/graph';
import type { Slot } from './trainingGraph';

/** What an update reads; vectors are [P]. */
export interface UpdateInputs {
  readonly parameters: string;
  readonly gradient: string;
  /** One vector for each of {@link Optimizer.states}. */
  readonly states: readonly string[];
  /** Learning rate: a scalar, or one number per parameter. */
  readonly rate: string;
  /** Weight decay, likewise. */
  readonly decay: Operand;
  /** Scalar: 1 in the first step. */
  readonly step: string;
  /** P. */
  readonly size: number;
}

export interface Optimizer {
  /** Names of the vectors that are carried from step to step; they start at zero. */
  readonly states: readonly string[];
  /** What every step gives it beside the batch. */
  readonly inputs?: readonly ValueInfo[];
  /** Emits the update. */
  update(g: GraphBuilder, inputs: UpdateInputs): { parameters: string; states: readonly string[] };
}

/** What an optimizer outside the graph reads and changes; vectors are [P]. */
export interface VectorStep {
  readonly parameters: Float32Array;
  /** After clipping; not changed. */
  readonly gradient: Float32Array;
  /** One vector for each of {@link VectorOptimizer.states}. */
  readonly states: readonly Float32Array[];
  readonly rate: number;
}

/** An optimizer that changes the vectors themselves when the graph has given their gradient. */
export interface VectorOptimizer {
  /** Names of the vectors that are carried from step to step; they start at zero. */
  readonly states: readonly string[];
  /** @returns what a step does; `cut` is {@link StepResult.cut} */
  start(slots: readonly Slot[]): (step: VectorStep) => { readonly cut?: number };
}

/**
 * g ← g + decay·w;  v ← momentum·v + g;  w ← w − rate·v, or with Nesterov w ← w − rate·(g + momentum·v).
 */
export function sgd({ momentum = 0.9, nesterov = false }: { momentum?: number; nesterov?: boolean } = {}): Optimizer {
  return {
    states: momentum === 0 ? [] : ['momentum'],
    update(g, { parameters, gradient, states, rate, decay }) {
      const slope = decay === 0 ? gradient : g.add(gradient, g.mul(parameters, decay));
      if (momentum === 0) return { parameters: g.sub(parameters, g.mul(slope, rate)), states: [] };
      const velocity = g.add(g.mul(states[0], momentum), slope);
      const direction = nesterov ? g.add(slope, g.mul(velocity, momentum)) : velocity;
      return { parameters: g.sub(parameters, g.mul(direction, rate)), states: [velocity] };
    },
  };
}

/**
 * m ← β₁m + (1 − β₁)g;  v ← β₂v + (1 − β₂)g²;  w ← w − rate·decay·w − rate·m̂/(√v̂ + ε), with m̂ = m/(1 − β₁ᵗ) and
 * v̂ = v/(1 − β₂ᵗ).
 */
export function adamW({
  beta1 = 0.9,
  beta2 = 0.999,
  epsilon = 1e-8,
}: {
  beta1?: number;
  beta2?: number;
  epsilon?: number;
} = {}): Optimizer {
  return {
    states: ['mean', 'square'],
    update(g, { parameters, gradient, states, rate, decay, step }) {
      const type = g.typeOf(parameters);
      const mean = g.add(g.mul(states[0], beta1), g.mul(gradient, 1 - beta1));
      const square = g.add(g.mul(states[1], beta2), g.mul(g.square(gradient), 1 - beta2));
      const bias = (beta: number): string => g.sub(1, g.pow(g.scalar(beta, type), step));
      const denominator = g.add(g.div(g.sqrt(square), g.sqrt(bias(beta2))), epsilon);
      const direction = g.div(g.div(mean, bias(beta1)), denominator);
      const shrunk = decay === 0 ? parameters : g.mul(parameters, g.sub(1, g.mul(rate, decay)));
      return { parameters: g.sub(shrunk, g.mul(direction, rate)), states: [mean, square] };
    },
  };
}

/** The Euclidean norm of a vector, as a scalar. */
export const norm = (g: GraphBuilder, vector: string): string => g.sqrt(g.reduceSum(g.square(vector), [0], false));

/** Scales a vector down to a length of at most `limit`. @param length its norm, a scalar */
export function clipped(g: GraphBuilder, vector: string, length: string, limit: number): string {
  const type = g.typeOf(vector);
  const scale = g.emit('Min', [g.div(g.scalar(limit, type), g.add(length, 1e-6)), g.scalar(1, type)]);
  return g.mul(vector, scale);
}
