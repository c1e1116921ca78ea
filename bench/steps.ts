/** What the benchmarks of training steps have in common: metadata of their models, a batch of noise, and the loss. */
import { seededRandom } from '../src/linalg/random';
import { elementCount } from '../src/tensor/dtype';
import { float32Tensor, int64Tensor, type Tensor } from '../src/tensor/tensor';
import { LABELS } from '../src/train/objective';
import { metadataOf } from '../test/support/graphs';
import { classCount } from './resnet';

export const metadata = metadataOf({ opset: 18 });

/** Cross-entropy with the labels alone. */
export const fromLabels = { loss: 'labels', labelShare: 0, temperature: 1, features: 0, labelSmoothing: 0 } as const;

/** Normal random numbers and random labels. @param shape of a batch */
export function noise(input: string, shape: readonly number[]): Record<string, Tensor> {
  const random = seededRandom(1);
  const pixels = Float32Array.from({ length: elementCount(shape) }, () => random.normal());
  const labels = Array.from({ length: shape[0] }, () => random.index(classCount));
  return { [input]: float32Tensor(pixels, shape), [LABELS]: int64Tensor(labels) };
}
