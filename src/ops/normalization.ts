/**
 * Normalizations. All share one core: x̂ = (x − μ)·r with r = 1/√(v + ε), and Y = γ·x̂ + β.
 * Where mean and variance come from the data themselves, they pass gradient on:
 * dX = r·(dx̂ − mean(dx̂) − x̂·mean(dx̂·x̂)), means over what was normalized together.
 * Source: the ONNX operator pages; Ioffe and Szegedy, 2015, for the formula.
 */
import { attribute, type GraphNode } from '../graph/graph';
import { axisOf, type GradientBuilder, type NodeGradient, range } from './gradient';
import type { OpDef } from './op';

/** ONNX's default of all normalizations. */
const epsilonOf = (node: GraphNode): number => attribute(node, 'epsilon', 'float') ?? Math.fround(1e-5);

/** A vector of channels shaped to meet [N, C, ...]. */
function perChannel(g: GradientBuilder, vector: string, rank: number): string {
  return g.reshape(vector, [-1, ...range(2, rank).map(() => 1)]);
}

interface Normalized {
  /** x̂ */
  readonly value: string;
  /** r, with the normalized axes kept as size 1 */
  readonly scale: string;
}

function normalize(g: GradientBuilder, X: string, axes: readonly number[], epsilon: number): Normalized {
  const centred = g.sub(X, g.reduceMean(X, axes));
  const scale = g.reciprocal(g.sqrt(g.add(g.reduceMean(g.square(centred), axes), epsilon)));
  return { value: g.mul(centred, scale), scale };
}

/** The gradient of X from that of x̂. */
function throughStatistics(
  g: GradientBuilder,
  { value, scale }: Normalized,
  flow: string,
  axes: readonly number[],
): string {
  const along = g.reduceMean(g.mul(flow, value), axes);
  return g.mul(scale, g.sub(g.sub(flow, g.reduceMean(flow, axes)), g.mul(value, along)));
}

/** With stored statistics it is one scale and one offset per channel. */
function fixedStatistics(op: NodeGradient, g: GradientBuilder): (string | null)[] {
  const { node, X, dY } = op;
  const [, gamma, , mean, variance] = op.inputs;
  const rank = g.rank(X);
  const r = g.reciprocal(g.sqrt(g.add(variance, epsilonOf(node))));
  const axes = [0, ...range(2, rank)];
  const dBeta = op.wants(1) || op.wants(2) ? g.reduceSum(dY, axes, false) : null;
  // Σ dY·(x − μ) = Σ dY·x − μ·Σ dY
  const along = (sum: string): string => g.sub(g.reduceSum(g.mul(dY, X), axes, false), g.mul(mean, sum));
  return [
    op.wants(0) ? g.mul(dY, perChannel(g, g.mul(gamma, r), rank)) : null,
    op.wants(1) && dBeta ? g.mul(along(dBeta), r) : null,
    op.wants(2) ? dBeta : null,
  ];
}

export const BatchNormalization: OpDef = {
  // Mean and variance: running statistics, which the field does not count as parameters.
  settings: [3, 4],
  gradient(op, g) {
    const { node, X, dY } = op;
    if (attribute(node, 'training_mode', 'int') !== 1) return fixedStatistics(op, g);
    const rank = g.rank(X);
    const axes = [0, ...range(2, rank)];
    const normalized = normalize(g, X, axes, epsilonOf(node));
    const flow = g.mul(dY, perChannel(g, op.inputs[1], rank));
    return [
      op.wants(0) ? throughStatistics(g, normalized, flow, axes) : null,
      op.wants(1) ? g.reduceSum(g.mul(dY, normalized.value), axes, false) : null,
      op.wants(2) ? g.reduceSum(dY, axes, false) : null,
    ];
  },
};

export const InstanceNormalization: OpDef = {
  gradient(op, g) {
    const { node, X, dY } = op;
    const rank = g.rank(X);
    const normalized = normalize(g, X, range(2, rank), epsilonOf(node));
    const flow = g.mul(dY, perChannel(g, op.inputs[1], rank));
    const axes = [0, ...range(2, rank)];
    return [
      op.wants(0) ? throughStatistics(g, normalized, flow, range(2, rank)) : null,
      op.wants(1) ? g.reduceSum(g.mul(dY, normalized.value), axes, false) : null,
      op.wants(2) ? g.reduceSum(dY, axes, false) : null,
    ];
  },
};

export const LayerNormalization: OpDef = {
  gradient(op, g) {
    const { node, X, Y, dY } = op;
    const [, gamma, beta] = op.inputs;
    const axes = range(axisOf(node, g.rank(X), -1), g.rank(X));
    const normalized = normalize(g, X, axes, epsilonOf(node));
    return [
      op.wants(0) ? throughStatistics(g, normalized, g.mul(dY, gamma), axes) : null,
      op.wants(1) ? g.sumTo(g.mul(dY, normalized.value), g.shape(Y), gamma) : null,
      op.wants(2) ? g.sumTo(dY, g.shape(Y), beta) : null,
    ];
  },
};
