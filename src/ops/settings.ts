/**
 * Operators of which Espalier only needs to know that some inputs are settings (bounds, sizes, scales, statistics)
 * and no trained parameters. Source: the ONNX operator pages.
 */
import type { OpDef } from './op';

/** Scale, B, mean and var: the last two are running statistics, which the field does not count as parameters. */
export const BatchNormalization: OpDef = { settings: [3, 4] };
export const QuantizeLinear: OpDef = { settings: [1, 2] };
export const DequantizeLinear: OpDef = { settings: [1, 2] };
export const Clip: OpDef = { settings: [1, 2] };
export const Dropout: OpDef = { settings: [1, 2] };
export const Pad: OpDef = { settings: [1, 2, 3] };
export const Resize: OpDef = { settings: [1, 2, 3] };
export const Upsample: OpDef = { settings: [1] };
export const Pow: OpDef = { settings: [1] };
export const OneHot: OpDef = { settings: [1, 2] };
export const Range: OpDef = { settings: [0, 1, 2] };
