/**
 * Operators through which no gradient flows: what they give does not depend on the values of floats they read, or only
 * in steps. Source: the ONNX operator pages.
 */
import type { OpDef } from './op';

const none: OpDef = { gradient: 'none' };

// Shapes and positions.
export const Shape = none;
export const Size = none;
export const ArgMax = none;
export const ArgMin = none;
export const NonZero = none;
export const NonMaxSuppression = none;
export const OneHot: OpDef = { settings: [1, 2], gradient: 'none' };

// Comparison and logic.
export const Equal = none;
export const Greater = none;
export const GreaterOrEqual = none;
export const Less = none;
export const LessOrEqual = none;
export const And = none;
export const Or = none;
export const Not = none;
export const Xor = none;
export const IsInf = none;
export const IsNaN = none;

// Steps: constant wherever they have a derivative.
export const Ceil = none;
export const Floor = none;
export const Round = none;
export const Sign = none;

// Made without reading values.
export const Constant = none;
export const ConstantOfShape = none;
export const EyeLike = none;
export const Range: OpDef = { settings: [0, 1, 2], gradient: 'none' };
export const RandomNormal = none;
export const RandomNormalLike = none;
export const RandomUniform = none;
export const RandomUniformLike = none;
