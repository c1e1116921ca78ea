/** Parts of stored tensors, read when they are asked for. */
import { byteLength, dataTypes, elementCount } from '../tensor/dtype';
import { bytesOf, dataFromBytes, type Tensor, type TensorRef } from '../tensor/tensor';

/**
 * A tensor with some positions of its axes. Types of whole bytes only.
 * @param kept positions by axis, ascending; axes that are not named stay whole
 */
export function slicedTensor(ref: TensorRef, kept: ReadonlyMap<number, readonly number[]>): TensorRef {
  const dims = ref.dims.map((size, axis) => kept.get(axis)?.length ?? size);
  return {
    name: ref.name,
    dtype: ref.dtype,
    dims,
    bytes: byteLength(ref.dtype, elementCount(dims)),
    read: () => sliced(ref.read(), kept),
  };
}

function sliced({ dtype, dims, data }: Tensor, kept: ReadonlyMap<number, readonly number[]>): Tensor {
  const size = dataTypes[dtype].bits / 8;
  let bytes = bytesOf(data);
  let now = dims;
  for (const [axis, positions] of kept) {
    const outer = elementCount(now.slice(0, axis));
    const run = elementCount(now.slice(axis + 1)) * size;
    const from = now[axis] * run;
    const to = positions.length * run;
    const part = new Uint8Array(outer * to);
    for (let o = 0; o < outer; o++) {
      for (const [i, position] of positions.entries()) {
        const start = o * from + position * run;
        part.set(bytes.subarray(start, start + run), o * to + i * run);
      }
    }
    bytes = part;
    now = now.map((length, at) => (at === axis ? positions.length : length));
  }
  return { dtype, dims: now, data: dataFromBytes(dtype, bytes) };
}
