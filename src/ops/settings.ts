/**
 * Operators of which Espalier only needs to know that some inputs are settings (bounds, sizes, scales, statistics)
 * and no trained parameters. Source: the ONNX operator pages.
 */
import type { OpDef } from './op';

export const QuantizeLinear: OpDef = { settings: [1, 2] };
export const DequantizeLinear: OpDef = { settings: [1, 2] };
/** Resize in its first form. */
export const Upsample: OpDef = { settings: [1] };
