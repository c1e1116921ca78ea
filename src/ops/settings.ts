/**
 * Operators of which Espalier only needs to know that some inputs are settings (bounds, sizes, scales, statistics)
 * and no trained parameters. Source: the ONNX operator pages.
 */
import { attribute } from '../graph/graph';
import { type CoupledNode, input, output, type Tie, ties } from './coupling';
import { axisOf } from './gradient';
import type { OpDef } from './op';

/** Scales and zero points of their own go with their channels. */
function quantized(op: CoupledNode): Tie[] | string {
  if (attribute(op.node, 'block_size', 'int')) return 'its scales are shared by blocks of channels';
  const [X, scale] = op.inputs;
  const axis = scale.length === 1 && scale[0] > 1 ? axisOf(op.node, X.length, 1) : -1;
  return ties(
    op,
    X.map((units, at) => ({
      units,
      places: [input(0, at), output(0, at), ...(at === axis ? [input(1, 0), input(2, 0)] : [])],
    })),
  );
}

export const QuantizeLinear: OpDef = { settings: [1, 2], couplings: quantized };
export const DequantizeLinear: OpDef = { settings: [1, 2], couplings: quantized };

const recurrent: OpDef = { couplings: () => 'recurrent layers keep their width' };
export const LSTM = recurrent;
export const GRU = recurrent;
export const RNN = recurrent;
