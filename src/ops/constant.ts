/**
 * Operators through which no gradient flows: what they give does not depend on the values of floats they read, or only
 * in steps. Source: the ONNX operator pages.
 */
import { constantValue } from '../graph/graph';
import { dataTypes } from '../tensor/dtype';
import { broadcast, input, output, sameAxes } from './coupling';
import { constantOfShape } from './movementCouplings';
import type { OpDef } from './op';

const none: OpDef = { gradient: 'none' };
const eachElement: OpDef = { gradient: 'none', couplings: sameAxes };
const eachPair: OpDef = { gradient: 'none', couplings: broadcast };
/** Only sizes are read: what follows from them is worked out where it is used. */
const sizes: OpDef = {
  gradient: 'none',
  couplings: ({ inputs: [X] }) => X.map((units, axis) => ({ units, places: [input(0, axis)] })),
};

// Shapes and positions.
export const Shape = sizes;
export const Size = sizes;
export const ArgMax = none;
export const ArgMin = none;
export const NonZero = none;
export const NonMaxSuppression = none;
export const OneHot: OpDef = { settings: [1, 2], gradient: 'none' };

// Comparison and logic.
export const Equal = eachPair;
export const Greater = eachPair;
export const GreaterOrEqual = eachPair;
export const Less = eachPair;
export const LessOrEqual = eachPair;
export const And = eachPair;
export const Or = eachPair;
export const Not = eachElement;
export const Xor = eachPair;
export const IsInf = eachElement;
export const IsNaN = eachElement;

// Steps: constant wherever they have a derivative.
export const Ceil = eachElement;
export const Floor = eachElement;
export const Round = eachElement;
export const Sign = eachElement;

// Made without reading values.
export const Constant: OpDef = {
  gradient: 'none',
  // A stored tensor like any other, where it holds whole bytes.
  couplings({ node, outputs: [Y] }) {
    const value = constantValue(node);
    if (!value || dataTypes[value.dtype].bits < 8) return 'its numbers are packed';
    return Y.map((units, axis) => ({ units, places: [output(0, axis)] }));
  },
};
export const ConstantOfShape: OpDef = { gradient: 'none', ...constantOfShape };
export const EyeLike = none;
export const Range: OpDef = { settings: [0, 1, 2], gradient: 'none' };
export const RandomNormal = none;
export const RandomNormalLike = none;
export const RandomUniform = none;
export const RandomUniformLike = none;
