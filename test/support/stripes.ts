/** A small untrained classifier of striped images, and such images, as files. */
import { serializeGraph } from '../../src/formats/onnx/serialize';
import { int, ints, makeNode } from '../../src/graph/graph';
import { type Random, seededRandom } from '../../src/linalg/random';
import { elementCount } from '../../src/tensor/dtype';
import { float32Tensor, type Tensor } from '../../src/tensor/tensor';
import { idxBytes, put } from '../data/scratch';
import { metadataOf } from './graphs';
import { makeGraph, value } from './onnxBuilder';

const side = 12;
const classes = 3;

/** images [N, 1, 12, 12] → two convolutions of 16 channels → average → scores [N, 3]. */
export function classifier(): Uint8Array {
  const random = seededRandom(7);
  const normal = (dims: readonly number[], deviation: number): Tensor => {
    const count = elementCount(dims);
    return float32Tensor(
      Float32Array.from({ length: count }, () => deviation * random.normal()),
      dims,
    );
  };
  const pads = { pads: ints([1, 1, 1, 1]), kernel_shape: ints([3, 3]) };
  const graph = makeGraph({
    inputs: [value('images', ['N', 1, side, side])],
    outputs: [value('scores', ['N', classes])],
    nodes: [
      makeNode('Conv', ['images', 'first.weight', 'first.bias'], ['a'], pads),
      makeNode('Relu', ['a'], ['b']),
      makeNode('Conv', ['b', 'second.weight', 'second.bias'], ['c'], pads),
      makeNode('Relu', ['c'], ['d']),
      makeNode('GlobalAveragePool', ['d'], ['e']),
      makeNode('Flatten', ['e'], ['f'], { axis: int(1) }),
      makeNode('Gemm', ['f', 'head.weight', 'head.bias'], ['scores'], { transB: int(1) }),
    ],
    initializers: {
      'first.weight': normal([16, 1, 3, 3], 0.5),
      'first.bias': normal([16], 0.1),
      'second.weight': normal([16, 16, 3, 3], 0.15),
      'second.bias': normal([16], 0.1),
      'head.weight': normal([classes, 16], 0.5),
      'head.bias': normal([classes], 0.1),
    },
  });
  return serializeGraph(graph, metadataOf({ opset: 13 }));
}

/** Images of noise with horizontal, vertical or no stripes. */
function stripes(count: number, random: Random): { pixels: Uint8Array; labels: Uint8Array } {
  const labels = Uint8Array.from({ length: count }, (_, i) => i % classes);
  const pixels = new Uint8Array(count * side * side);
  for (let i = 0; i < pixels.length; i++) {
    const label = labels[Math.floor(i / (side * side))];
    const [x, y] = [i % side, Math.floor(i / side) % side];
    const line = label === 0 ? x : label === 1 ? y : 0;
    pixels[i] = 90 + random.index(40) + (line % 3 === 1 ? 110 : 0);
  }
  return { pixels, labels };
}

/** The IDX files `<part>-images…` and `<part>-labels…`; gives the path of the images. */
export async function writeImages(folder: string, part: string, count: number, seed: number): Promise<string> {
  const { pixels, labels } = stripes(count, seededRandom(seed));
  await put(folder, `${part}-labels-idx1-ubyte`, idxBytes([count], labels));
  return put(folder, `${part}-images-idx3-ubyte`, idxBytes([count, side, side], pixels));
}
