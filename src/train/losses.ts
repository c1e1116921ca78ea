/**
 * Losses as graph nodes. Each function emits its nodes through the builder and returns the name of a scalar: the mean
 * over the batch, so that batches of different sizes weigh alike.
 *
 * Distillation with a temperature: Hinton, Vinyals and Dean, 2015; its factor T² keeps the gradient's size whatever T is.
 */
import type { GraphBuilder } from '../graph/builder';
import { int } from '../graph/graph';

/** Mean over the batch of one number per sample [N]. */
const batchMean = (g: GraphBuilder, perSample: string): string => g.reduceMean(perSample, [0], false);

const logSoftmax = (g: GraphBuilder, logits: string): string => g.emit('LogSoftmax', [logits], { axis: int(-1) });

/**
 * −Σ t·log softmax(z), with t = 1 − ε + ε/K at the label and ε/K elsewhere.
 * @param logits [N, K]
 * @param labels int64 [N], 0 to K − 1
 * @param smoothing ε, 0 to 1
 */
export function crossEntropy(
  g: GraphBuilder,
  logits: string,
  labels: string,
  { classes, smoothing = 0 }: { classes: number; smoothing?: number },
): string {
  const type = g.typeOf(logits);
  const off = smoothing / classes;
  const values = g.floats([off, 1 - smoothing + off], [2], type);
  const targets = g.emit('OneHot', [labels, g.ints([classes]), values], { axis: int(-1) }, type);
  return g.neg(batchMean(g, g.reduceSum(g.mul(targets, logSoftmax(g, logits)), [1], false)));
}

/**
 * T²·KL(softmax(t/T) ‖ softmax(z/T)): how far the logits z are from those of a teacher.
 * @param logits [N, K]
 * @param teacher [N, K]; nothing flows back into it
 */
export function distillation(g: GraphBuilder, logits: string, teacher: string, temperature: number): string {
  const soft = (z: string): string => (temperature === 1 ? z : g.mul(z, 1 / temperature));
  const target = soft(teacher);
  const difference = g.sub(logSoftmax(g, target), logSoftmax(g, soft(logits)));
  const probabilities = g.emit('Softmax', [target], { axis: int(-1) });
  const divergence = g.reduceSum(g.mul(probabilities, difference), [1], false);
  return g.mul(batchMean(g, divergence), temperature * temperature);
}

/** Mean of the squared differences of all elements of two values of one shape. */
export function meanSquaredError(g: GraphBuilder, value: string, target: string): string {
  return meanSquare(g, g.sub(value, target));
}

/**
 * Squared differences of chosen values from a teacher's, each relative to the teacher's mean square, so that values of
 * different sizes weigh alike; the mean over the pairs.
 */
export function featureMatching(
  g: GraphBuilder,
  pairs: readonly { readonly value: string; readonly target: string }[],
): string {
  const terms = pairs.map(({ value, target }) =>
    g.div(meanSquaredError(g, value, target), g.add(meanSquare(g, target), 1e-8)),
  );
  return g.mul(g.sum(terms), 1 / terms.length);
}

/** Σ weight·loss; terms of weight 0 are left out. */
export function weightedSum(
  g: GraphBuilder,
  terms: readonly { readonly weight: number; readonly loss: () => string }[],
): string {
  const parts = terms
    .filter(({ weight }) => weight !== 0)
    .map(({ weight, loss }) => (weight === 1 ? loss() : g.mul(loss(), weight)));
  if (parts.length === 0) throw new Error('a loss needs a term of weight above 0');
  return g.sum(parts);
}

/** How many samples of the batch have their largest logit at the label, as a scalar. */
export function hits(g: GraphBuilder, logits: string, labels: string): string {
  const found = g.reshape(g.argMax(logits, 1), [-1]);
  return g.reduceSum(g.mask(g.equal(found, labels), g.typeOf(logits)), [0], false);
}

function meanSquare(g: GraphBuilder, value: string): string {
  return g.emit('ReduceMean', [g.square(value)], { keepdims: int(0) });
}
