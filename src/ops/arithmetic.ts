/**
 * Arithmetic on two or more values with NumPy's broadcasting: a gradient is summed over the axes that were broadcast.
 * Source: the ONNX operator pages; the derivatives stand beside the rules.
 */
import { dataTypes } from '../tensor/dtype';
import { alongAxes, broadcast, input, sameAxes, type Tie } from './coupling';
import type { GradientBuilder, NodeGradient } from './gradient';
import type { GradientRule, OpDef } from './op';

/** The gradient of one operand, from what flows to it before broadcasting is undone. */
function operand(op: NodeGradient, g: GradientBuilder, input: number, flow: () => string): string | null {
  return op.wants(input) ? g.sumTo(flow(), g.shape(op.Y), op.inputs[input]) : null;
}

/** d(a + b) = da + db */
export const Add: OpDef = {
  couplings: broadcast,
  gradient: (op, g) => [operand(op, g, 0, () => op.dY), operand(op, g, 1, () => op.dY)],
};

/** d(a − b) = da − db */
export const Sub: OpDef = {
  couplings: broadcast,
  gradient: (op, g) => [operand(op, g, 0, () => op.dY), operand(op, g, 1, () => g.neg(op.dY))],
};

/** d(a·b) = b·da + a·db */
export const Mul: OpDef = {
  couplings: broadcast,
  gradient: (op, g) => [
    operand(op, g, 0, () => g.mul(op.dY, op.inputs[1])),
    operand(op, g, 1, () => g.mul(op.dY, op.inputs[0])),
  ],
};

/** d(a/b) = da/b − (a/b)·db/b */
export const Div: OpDef = {
  couplings: broadcast,
  gradient(op, g) {
    const quotient = g.div(op.dY, op.inputs[1]);
    return [operand(op, g, 0, () => quotient), operand(op, g, 1, () => g.neg(g.mul(quotient, op.Y)))];
  },
};

/** d(x^p) = p·x^(p−1)·dx + x^p·ln(x)·dp, the latter only where x > 0. */
export const Pow: OpDef = {
  couplings: broadcast,
  settings: [1],
  gradient(op, g) {
    const [X, P] = op.inputs;
    const type = g.typeOf(X);
    const fixed = g.known(P);
    const power = fixed?.data.length === 1 ? Number(fixed.data[0]) : undefined;
    return [
      operand(op, g, 0, () => {
        if (power === 2) return g.mul(op.dY, g.mul(X, 2));
        if (power !== undefined) return g.mul(op.dY, g.mul(g.pow(X, power - 1), power));
        const p = g.cast(P, type);
        return g.mul(op.dY, g.mul(p, g.pow(X, g.sub(p, 1))));
      }),
      operand(op, g, 1, () => {
        const positive = g.greater(X, 0);
        return g.mul(op.dY, g.mul(op.Y, g.log(g.where(positive, X, 1))));
      }),
    ];
  },
};

/** The whole gradient goes to the operand that was chosen; equal ones share it. */
const chosen: GradientRule = (op, g) => {
  if (op.inputs.length === 1) return [op.dY];
  const type = g.typeOf(op.Y);
  const hits = op.inputs.map((input) => g.mask(g.equal(input, op.Y), type));
  const share = g.div(
    op.dY,
    hits.reduce((total, hit) => g.add(total, hit)),
  );
  return hits.map((hit, i) => operand(op, g, i, () => g.mul(share, hit)));
};

export const Max: OpDef = { couplings: broadcast, gradient: chosen };
export const Min: OpDef = { couplings: broadcast, gradient: chosen };

export const Sum: OpDef = {
  couplings: broadcast,
  gradient: (op, g) => op.inputs.map((_, i) => operand(op, g, i, () => op.dY)),
};

export const Mean: OpDef = {
  couplings: broadcast,
  gradient(op, g) {
    const share = g.mul(op.dY, 1 / op.inputs.length);
    return op.inputs.map((_, i) => operand(op, g, i, () => share));
  },
};

export const Where: OpDef = {
  couplings: broadcast,
  gradient: (op, g) => [
    null,
    operand(op, g, 1, () => g.where(op.inputs[0], op.dY, 0)),
    operand(op, g, 2, () => g.where(op.inputs[0], 0, op.dY)),
  ],
};

export const Identity: OpDef = { couplings: sameAxes, gradient: ({ dY }) => [dY] };

export const Cast: OpDef = {
  couplings: sameAxes,
  gradient: ({ X, dY }, g) => [dataTypes[g.typeOf(X)].kind === 'float' ? g.cast(dY, g.typeOf(X)) : null],
};

export const CastLike: OpDef = {
  // Of the second input only the type is read.
  couplings: (op) => [
    ...alongAxes(op, () => true),
    ...op.inputs[1].map((units, axis): Tie => ({ units, places: [input(1, axis)] })),
  ],
  gradient: (op, g) => [(Cast.gradient as GradientRule)(op, g)[0], null],
};
