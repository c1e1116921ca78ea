/** How many weights of each layer are zero. */
import type { LayerSparsity } from '../protocol/plan';
import { type TensorRef, toFloat64 } from '../tensor/tensor';
import type { Layer } from './layers';

/** @param isPruned whether the weights of a stored tensor could become zero */
export function layerSparsity(layers: readonly Layer[], isPruned: (weight: string) => boolean): LayerSparsity[] {
  return layers.map(({ name, weight: { ref } }) => ({
    layer: name,
    ...zerosIn(ref),
    pruned: isPruned(ref.name),
  }));
}

function zerosIn(ref: TensorRef): { weights: number; nonZero: number } {
  const tensor = ref.read();
  const { data } = tensor;
  const values = data instanceof Float32Array || data instanceof Float64Array ? data : toFloat64(tensor);
  let nonZero = 0;
  for (const value of values) if (value !== 0) nonZero++;
  return { weights: values.length, nonZero };
}
