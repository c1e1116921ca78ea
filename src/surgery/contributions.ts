/**
 * What each input channel contributes to a layer's outputs (He, Zhang and Sun, 2017): with Z_c the outputs that channel c
 * alone would give, G = E[Σ_o Z_c·Z_d] over images and positions. Z_c = W_c·P_c with the patches P of the channel, so
 * G_cd = Σ (W_cᵀW_d ∘ E[P_c·P_dᵀ]): the second moment of the patches is all that has to be measured.
 */
import type { Layer } from '../analysis/layers';
import type { Moments } from '../analysis/moments';
import { transposedMultiply } from '../linalg/matrix';
import { layerMatrix } from './layerMatrix';

/**
 * @param moments of the layer's patches
 * @returns C×C row-major; channels of different groups have nothing in common
 */
export function contributions(layer: Layer, { mean, covariance }: Moments): Float64Array {
  const { blocks, outputs, inputs, values } = layerMatrix(layer);
  const taps = layer.node.opType === 'Conv' ? layer.weight.dims.slice(2).reduce((a, b) => a * b, 1) : 1;
  const width = blocks * inputs;
  const channels = width / taps;
  const found = new Float64Array(channels * channels);
  for (let b = 0; b < blocks; b++) {
    const block = values.subarray(b * outputs * inputs, (b + 1) * outputs * inputs);
    const weights = transposedMultiply(block, block, inputs, outputs, inputs);
    for (let i = 0; i < inputs; i++) {
      const row = b * inputs + i;
      for (let j = 0; j < inputs; j++) {
        const column = b * inputs + j;
        const moment = covariance[row * width + column] + mean[row] * mean[column];
        found[Math.floor(row / taps) * channels + Math.floor(column / taps)] += weights[i * inputs + j] * moment;
      }
    }
  }
  return found;
}
