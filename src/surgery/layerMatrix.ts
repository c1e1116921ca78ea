/**
 * A layer's weight as output-major matrices, and back. Whatever the operator stores, a block here is row-major
 * [outputs, inputs]: row o holds the weights that make output channel (or unit) o of its group, Gemm's alpha included.
 */
import type { Layer } from '../analysis/layers';
import { readWeight } from '../analysis/weights';
import { weightNotReadable } from '../errors';
import { attribute } from '../graph/graph';
import { transpose } from '../linalg/matrix';

export interface LayerMatrix {
  readonly blocks: number;
  /** Outputs per block: c_o / G. */
  readonly outputs: number;
  /** Inputs per block: k = k_h·k_w·c_i / G. */
  readonly inputs: number;
  /** blocks × outputs × inputs. */
  readonly values: Float64Array;
}

/** @throws UserError `weight-not-readable` */
export function layerMatrix(layer: Layer): LayerMatrix {
  const data = readWeight(layer.scope, layer.weight);
  if (!data || !layer.matrices) throw weightNotReadable({ layer: layer.name });
  const { blocks, rows, cols, outputsAre } = layer.matrices;
  const alpha = attribute(layer.node, 'alpha', 'float') ?? 1;
  const values = alpha === 1 && data instanceof Float64Array ? data : Float64Array.from(data, (w) => alpha * w);
  if (outputsAre === 'rows') return { blocks, outputs: rows, inputs: cols, values };
  return { blocks, outputs: cols, inputs: rows, values: transposeBlocks(values, blocks, rows, cols) };
}

/** The values of an output-major matrix in the order the layer's own weight tensor has; alpha stays in them. */
export function toLayerOrder(layer: Layer, matrix: LayerMatrix): Float64Array {
  if (layer.matrices?.outputsAre === 'rows') return matrix.values;
  return transposeBlocks(matrix.values, matrix.blocks, matrix.outputs, matrix.inputs);
}

function transposeBlocks(values: Float64Array, blocks: number, rows: number, cols: number): Float64Array {
  if (blocks === 1) return transpose(values, rows, cols);
  const out = new Float64Array(values.length);
  const size = rows * cols;
  for (let b = 0; b < blocks; b++) out.set(transpose(values.subarray(b * size, (b + 1) * size), rows, cols), b * size);
  return out;
}
