/**
 * Normalizations. All share one core: x̂ = (x − μ)·r with r = 1/√(v + ε), and Y = γ·x̂ + β.
 * Where mean and variance come from the data themselves, they pass gradient on:
 * dX = r·(dx̂ − mean(dx̂) − x̂·mean(dx̂·x̂)), means over what was normalized together.
 * Source: the ONNX operator pages; Ioffe and Szegedy, 2015, for the formula.
 */
import { noGradient } from '../errors';
import { attribute, nodeLabel } from '../graph/graph';
import { elementCount } from '../tensor/dtype';
import { alongAxes, type CoupledNode, input, output, type Tie, ties } from './coupling';
import { epsilonOf } from './epsilon';
import { type AxisMatrix, axisOf, type GradientBuilder, type NodeGradient, onlyFirstOutput, range } from './gradient';
import type { OpDef } from './op';

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

/**
 * With statistics of the batch, everything per channel: dγ = r·(Σ dY·x − μ·Σ dY), and over n elements
 * dX = γ·r·(dY − Σ dY/n − x̂·dγ/n), which is a·dY + b·x + c with three numbers per channel.
 */
function batchStatistics(op: NodeGradient, g: GradientBuilder): (string | null)[] {
  onlyFirstOutput(op);
  const { node, X, dY } = op;
  const gamma = op.inputs[1];
  const rank = g.rank(X);
  const axes = [0, ...range(2, rank)];
  const { mean, variance } = batchMoments(op, g, axes);
  const r = g.reciprocal(g.sqrt(g.add(variance, epsilonOf(node))));
  const dBeta = g.reduceSum(dY, axes, false);
  const dGamma = g.mul(r, g.sub(g.reduceSum(g.mul(dY, X), axes, false), g.mul(mean, dBeta)));
  const throughInput = (): string => {
    const share = g.div(g.size(X, 1), g.sizeOf(X, g.typeOf(X)));
    const a = g.mul(gamma, r);
    const b = g.neg(g.mul(g.mul(a, r), g.mul(dGamma, share)));
    const c = g.neg(g.add(g.mul(a, g.mul(dBeta, share)), g.mul(b, mean)));
    const [slope, tilt, offset] = [a, b, c].map((vector) => perChannel(g, vector, rank));
    return g.add(g.add(g.mul(dY, slope), g.mul(X, tilt)), offset);
  };
  return [op.wants(0) ? throughInput() : null, op.wants(1) ? dGamma : null, op.wants(2) ? dBeta : null];
}

/** Above this momentum, the statistics of one batch can't be told from what the node makes of the running ones. */
const LARGEST_MOMENTUM = 0.95;

/** Mean and variance per channel. The node gives momentum·old + (1 − momentum)·batch: that spares a pass over the data. */
function batchMoments(
  { node, X, inputs, outputs }: NodeGradient,
  g: GradientBuilder,
  axes: readonly number[],
): { readonly mean: string; readonly variance: string } {
  const momentum = attribute(node, 'momentum', 'float') ?? Math.fround(0.9);
  if (momentum <= LARGEST_MOMENTUM && outputs[1] && outputs[2]) {
    const [mean, variance] = [1, 2].map((i) => {
      return g.mul(g.sub(outputs[i], g.mul(inputs[i + 2], momentum)), 1 / (1 - momentum));
    });
    return { mean, variance };
  }
  const mean = g.reduceMean(X, axes, false);
  const centred = g.sub(X, perChannel(g, mean, g.rank(X)));
  return { mean, variance: g.reduceMean(g.square(centred), axes, false) };
}

/** Vectors of parameters of a normalization over [N, C, ...]. */
const vectors = (op: CoupledNode, options = {}): Tie['places'] =>
  op.inputs.slice(1).map((_, i) => input(i + 1, 0, options));

/** Batch, and channels with their parameters; what is behind them goes through, or into the statistics. */
function channelTies(op: CoupledNode, behind: Pick<Tie, 'across'>): Tie[] {
  const all = op.inputs[0].map((units, axis): Tie => {
    const places = [input(0, axis), output(0, axis)];
    if (axis !== 1) return { units, places, ...(axis > 1 ? behind : {}) };
    // Further outputs are statistics of the channels.
    return { units, places: [...places, ...vectors(op), ...op.outputs.slice(1).map((_, i) => output(i + 1, 0))] };
  });
  return ties(op, all);
}

export const BatchNormalization: OpDef = {
  scale: 1,
  couplings: (op) => channelTies(op, {}),
  // Mean and variance: running statistics, which the field does not count as parameters.
  settings: [3, 4],
  gradient: (op, g) =>
    attribute(op.node, 'training_mode', 'int') === 1 ? batchStatistics(op, g) : fixedStatistics(op, g),
};

export const InstanceNormalization: OpDef = {
  scale: 1,
  couplings: (op) => channelTies(op, { across: 'statistics' }),
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

/** Everything from the axis on is normalized together, with parameters that may be broadcast. */
function layerTies(op: CoupledNode): Tie[] {
  const [X, ...parameters] = op.inputs;
  const first = axisOf(op.node, X.length, -1);
  const all = X.map((units, axis): Tie => {
    if (axis < first) return { units, places: [input(0, axis), ...op.outputs.map((_, i) => output(i, axis))] };
    const places = parameters.flatMap((dims, i) => {
      const at = axis - (X.length - dims.length);
      return dims[at] === units ? [input(i + 1, at)] : [];
    });
    return { units, places: [input(0, axis), output(0, axis), ...places], across: 'statistics' };
  });
  return ties(op, all);
}

/** Without the mean. */
export const RMSNormalization: OpDef = { scale: 1, couplings: layerTies };

export const LayerNormalization: OpDef = {
  scale: 1,
  couplings: layerTies,
  gradient(op, g) {
    onlyFirstOutput(op);
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

/** Channels in groups, each normalized over its channels and positions. */
/** Whole groups go, or the same channels of every group, which changes the statistics. */
function groupTies(op: CoupledNode): Tie[] {
  const [X, scale] = op.inputs;
  const groups = attribute(op.node, 'num_groups', 'int') ?? 1;
  const within = X[1] / groups;
  // Before opset 21 there is one scale for each group.
  const perGroup = scale[0] === groups && within > 1;
  return ties(op, [
    ...alongAxes(op, (axis) => axis === 0),
    ...alongAxes(op, (axis) => axis > 1).map((tie): Tie => ({ ...tie, across: 'statistics' })),
    {
      units: groups,
      places: [
        input(0, 1, { inner: within }),
        output(0, 1, { inner: within }),
        ...vectors(op, perGroup ? {} : { inner: within }),
      ],
      isChoice: true,
    },
    {
      units: within,
      places: [
        input(0, 1, { outer: groups }),
        output(0, 1, { outer: groups }),
        ...(perGroup ? [] : vectors(op, { outer: groups })),
      ],
      across: 'statistics',
      isChoice: true,
    },
  ]);
}

export const GroupNormalization: OpDef = {
  scale: 1,
  couplings: groupTies,
  resized(op) {
    const groups = attribute(op.node, 'num_groups', 'int') ?? 1;
    const within = op.inputs[0][1] / groups;
    const left = new Set(op.kept('input', 0, 1).map((position) => Math.floor(position / within))).size;
    return left === groups ? {} : { attributes: { num_groups: left } };
  },
  gradient(op, g) {
    const { node, X, dY } = op;
    const gamma = op.inputs[1];
    const [channels, ...positions] = g.sizes(X, 1);
    // Before opset 21, scale and bias were per group, which ONNX took back as a mistake.
    if (g.size(gamma, 0) !== channels) throw noGradient({ opType: 'GroupNormalization', node: nodeLabel(node) });
    const groups = attribute(node, 'num_groups', 'int') as number;
    const rank = g.rank(X);
    const grouped = (value: string): string =>
      g.reshape(value, [-1, groups, elementCount([channels / groups, ...positions])]);
    const normalized = normalize(g, grouped(X), [2], epsilonOf(node));
    const flow = grouped(g.mul(dY, perChannel(g, gamma, rank)));
    const axes = [0, ...range(2, rank)];
    const value = g.reshapeLike(normalized.value, X);
    return [
      op.wants(0) ? g.reshapeLike(throughStatistics(g, normalized, flow, [2]), X) : null,
      op.wants(1) ? g.reduceSum(g.mul(dY, value), axes, false) : null,
      op.wants(2) ? g.reduceSum(dY, axes, false) : null,
    ];
  },
};

/**
 * Y = x·s^(−β), s = bias + α/size·Σ x² over neighbouring channels:
 * dX = dY·s^(−β) − 2αβ/size·x·Σ (dY·x·s^(−β−1)), the sum over the same neighbours (runtimes take odd sizes only).
 */
export const LRN: OpDef = {
  couplings: (op) =>
    alongAxes(op, () => true).map((tie): Tie => (tie.places[0].axis === 1 ? { ...tie, across: 'statistics' } : tie)),
  gradient({ node, X, dY }, g) {
    const shape = g.shape(X);
    const channels = g.size(X, 1);
    const size = attribute(node, 'size', 'int') as number;
    const alpha = attribute(node, 'alpha', 'float') ?? Math.fround(1e-4);
    const beta = attribute(node, 'beta', 'float') ?? 0.75;
    const near = neighbours(channels, (size - 1) / 2);
    const sums = g.alongAxis(g.square(X), shape, 1, near);
    const s = g.add(g.mul(sums, alpha / size), attribute(node, 'bias', 'float') ?? 1);
    const direct = g.mul(dY, g.pow(s, -beta));
    const crossed = g.alongAxis(g.div(g.mul(direct, X), s), shape, 1, near);
    return [g.sub(direct, g.mul(g.mul(X, crossed), (2 * alpha * beta) / size))];
  },
};

/** 1 where two channels are at most `reach` apart. */
function neighbours(channels: number, reach: number): AxisMatrix {
  const values = Float64Array.from({ length: channels ** 2 }, (_, i) =>
    Math.abs((i % channels) - Math.floor(i / channels)) <= reach ? 1 : 0,
  );
  return { rows: channels, cols: channels, values };
}

/** Norms of vectors along one axis. */
export const LpNormalization: OpDef = {
  couplings(op) {
    const axis = axisOf(op.node, op.inputs[0].length, -1);
    return alongAxes(op, () => true).map((tie): Tie => (tie.places[0].axis === axis ? { ...tie, across: 'sum' } : tie));
  },
};

export const MeanVarianceNormalization: OpDef = {
  couplings(op) {
    const axes = attribute(op.node, 'axes', 'ints') ?? [0, 2, 3];
    return alongAxes(op, () => true).map(
      (tie): Tie => (axes.includes(tie.places[0].axis) ? { ...tie, across: 'statistics' } : tie),
    );
  },
};
