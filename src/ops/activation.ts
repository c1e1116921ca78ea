/**
 * Functions applied to each element, and softmax. The derivative stands beside each rule; where it can be had from
 * the output it is, so that the input need not be kept. At a kink the gradient is PyTorch's.
 * Source: the ONNX operator pages.
 */
import { attribute, type GraphNode } from '../graph/graph';
import { alongAxes, broadcast, type CoupledNode, sameAxes, type Tie } from './coupling';
import { axisOf, type GradientBuilder, type NodeGradient } from './gradient';
import type { OpDef } from './op';

/** A float attribute or its default. */
const setting = (node: GraphNode, name: string, otherwise: number): number =>
  attribute(node, name, 'float') ?? otherwise;

/** An operator with dX = dY · derivative. */
const elementwise = (derivative: (op: NodeGradient, g: GradientBuilder) => string): OpDef => ({
  couplings: sameAxes,
  gradient: (op, g) => [g.mul(op.dY, derivative(op, g))],
});

/** An operator whose derivative is 1 where a condition holds and 0 elsewhere. */
const gate = (open: (op: NodeGradient, g: GradientBuilder) => string): OpDef =>
  elementwise((op, g) => g.mask(open(op, g), g.typeOf(op.Y)));

export const Relu: OpDef = gate(({ Y }, g) => g.greater(Y, 0));

/** 1 where the bounds left x as it was. */
export const Clip: OpDef = { settings: [1, 2], ...gate(({ X, Y }, g) => g.equal(X, Y)) };

export const LeakyRelu: OpDef = {
  couplings: sameAxes,
  gradient: ({ node, X, dY }, g) => [g.where(g.greater(X, 0), dY, g.mul(dY, setting(node, 'alpha', 0.01)))],
};

/** x < 0: slope·x */
export const PRelu: OpDef = {
  couplings: broadcast,
  gradient(op, g) {
    const { X, dY } = op;
    const slope = op.inputs[1];
    const negative = g.less(X, 0);
    return [
      op.wants(0) ? g.where(negative, g.mul(dY, slope), dY) : null,
      op.wants(1) ? g.sumTo(g.where(negative, g.mul(dY, X), 0), g.shape(X), slope) : null,
    ];
  },
};

export const ThresholdedRelu: OpDef = gate(({ node, X }, g) => g.greater(X, setting(node, 'alpha', 1)));

/** y(1 − y) */
export const Sigmoid: OpDef = elementwise(({ Y }, g) => g.mul(Y, g.sub(1, Y)));

/** α where αx + β lies inside (0, 1) */
export const HardSigmoid: OpDef = elementwise(({ node, Y }, g) =>
  g.mul(g.mask(g.and(g.greater(Y, 0), g.less(Y, 1)), g.typeOf(Y)), setting(node, 'alpha', Math.fround(0.2))),
);

/** x·clip(x/6 + 1/2, 0, 1): x/3 + 1/2 where |x| < 3, else 0 or 1 */
export const HardSwish: OpDef = elementwise(({ X }, g) =>
  g.where(g.less(g.abs(X), 3), g.add(g.mul(X, 1 / 3), 0.5), g.mask(g.greater(X, 0), g.typeOf(X))),
);

/** 1 − y² */
export const Tanh: OpDef = elementwise(({ Y }, g) => g.sub(1, g.square(Y)));

/** x ≤ 0: α·exp(x) = y + α */
export const Elu: OpDef = {
  couplings: sameAxes,
  gradient: ({ node, X, Y, dY }, g) => [g.where(g.greater(X, 0), dY, g.mul(dY, g.add(Y, setting(node, 'alpha', 1))))],
};

/** γ·x for x > 0, else γα(exp(x) − 1), whose derivative is y + γα */
export const Selu: OpDef = {
  couplings: sameAxes,
  gradient({ node, X, Y, dY }, g) {
    const alpha = setting(node, 'alpha', 1.6732632423543772);
    const gamma = setting(node, 'gamma', 1.0507009873554805);
    return [g.where(g.greater(X, 0), g.mul(dY, gamma), g.mul(dY, g.add(Y, alpha * gamma)))];
  },
};

/** x ≤ 0: α(exp(x/α) − 1), whose derivative is exp(x/α) = y/α + 1 */
export const Celu: OpDef = {
  couplings: sameAxes,
  gradient: ({ node, X, Y, dY }, g) => [
    g.where(g.greater(X, 0), dY, g.mul(dY, g.add(g.mul(Y, 1 / setting(node, 'alpha', 1)), 1))),
  ],
};

/**
 * x·Φ(x): Φ(x) + x·φ(x). With approximate = 'tanh', Φ is (1 + tanh u)/2 with u = √(2/π)(x + 0.044715 x³), and its
 * derivative (1 − tanh² u)·u'/2.
 */
export const Gelu: OpDef = elementwise(({ node, X }, g) => {
  if (attribute(node, 'approximate', 'string') === 'tanh') {
    const scale = Math.sqrt(2 / Math.PI);
    const square = g.square(X);
    const t = g.tanh(g.mul(X, g.add(g.mul(square, 0.044715 * scale), scale)));
    const slope = g.add(g.mul(square, 3 * 0.044715 * scale), scale);
    const density = g.mul(g.mul(g.sub(1, g.square(t)), slope), 0.5);
    return g.add(g.add(g.mul(t, 0.5), 0.5), g.mul(X, density));
  }
  const phi = g.add(g.mul(g.emit('Erf', [g.mul(X, Math.SQRT1_2)]), 0.5), 0.5);
  const density = g.mul(g.exp(g.mul(g.square(X), -0.5)), 1 / Math.sqrt(2 * Math.PI));
  return g.add(phi, g.mul(X, density));
});

/** 2/√π · exp(−x²) */
export const Erf: OpDef = elementwise(({ X }, g) => g.mul(g.exp(g.neg(g.square(X))), 2 / Math.sqrt(Math.PI)));

/** ln(1 + exp x): σ(x) */
export const Softplus: OpDef = elementwise(({ X }, g) => g.sigmoid(X));

/** x/(1 + |x|): 1/(1 + |x|)² */
export const Softsign: OpDef = elementwise(({ X }, g) => g.square(g.reciprocal(g.add(g.abs(X), 1))));

/** x·tanh(s), s = ln(1 + exp x): tanh(s) + x·(1 − tanh² s)·σ(x) */
export const Mish: OpDef = elementwise(({ X }, g) => {
  const t = g.tanh(g.emit('Softplus', [X]));
  return g.add(t, g.mul(g.mul(X, g.sigmoid(X)), g.sub(1, g.square(t))));
});

export const Exp: OpDef = elementwise(({ Y }) => Y);
/** 1/x */
export const Log: OpDef = { couplings: sameAxes, gradient: ({ X, dY }, g) => [g.div(dY, X)] };
/** 1/(2y) */
export const Sqrt: OpDef = { couplings: sameAxes, gradient: ({ Y, dY }, g) => [g.div(g.mul(dY, 0.5), Y)] };
export const Neg: OpDef = { couplings: sameAxes, gradient: ({ dY }, g) => [g.neg(dY)] };
export const Abs: OpDef = elementwise(({ X }, g) => g.sign(X));
/** −1/x² = −y² */
export const Reciprocal: OpDef = elementwise(({ Y }, g) => g.neg(g.square(Y)));
export const Sin: OpDef = elementwise(({ X }, g) => g.emit('Cos', [X]));
export const Cos: OpDef = elementwise(({ X }, g) => g.neg(g.emit('Sin', [X])));

/** What a distribution is taken over stays whole: one axis, and before opset 13 all axes from there on. */
function besideDistribution(op: CoupledNode): Tie[] {
  const rank = op.inputs[0].length;
  const axis = axisOf(op.node, rank, op.opset >= 13 ? -1 : 1);
  return alongAxes(op, (at) => (op.opset >= 13 ? at !== axis : at < axis));
}

/** y_i = exp(x_i)/Σ exp(x_j): dX = Y·(dY − Σ dY·Y) */
export const Softmax: OpDef = {
  couplings: besideDistribution,
  gradient({ node, X, Y, dY }, g) {
    const axis = axisOf(node, g.rank(X), -1);
    return [g.mul(Y, g.sub(dY, g.reduceSum(g.mul(dY, Y), [axis])))];
  },
};

/** dX = dY − exp(Y)·Σ dY */
export const LogSoftmax: OpDef = {
  couplings: besideDistribution,
  gradient({ node, X, Y, dY }, g) {
    const axis = axisOf(node, g.rank(X), -1);
    return [g.sub(dY, g.mul(g.exp(Y), g.reduceSum(dY, [axis])))];
  },
};
