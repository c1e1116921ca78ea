/**
 * Builds the sample's network from labelled images alone, layer after layer and without gradients: convolutions by
 * `filters.ts`, BatchNormalization with the statistics of the images, and a head that is the ridge regression of the
 * class on the pooled features.
 */
import { float, int, ints } from '../src/graph/graph';
import { solveSpd } from '../src/linalg/cholesky';
import { gramMatrix } from '../src/linalg/gram';
import type { Random } from '../src/linalg/random';
import { type Images, NetworkBuilder } from './builder';
import { type FilterPlan, kernel, makeFilters, withRidge } from './filters';

export interface LayerPlan extends FilterPlan {
  /** Halves the image after this layer. */
  readonly pool: boolean;
}

/**
 * @param images preprocessed training images
 * @param labels class of each
 * @returns an ONNX model with input `images` [N, C, H, W] and output `scores` [N, classes], logits
 */
export async function buildNetwork(
  images: Images,
  labels: Int32Array,
  classCount: number,
  layers: readonly LayerPlan[],
  random: Random,
): Promise<Uint8Array> {
  const net = new NetworkBuilder('shapes-cnn', images.dims.slice(1));
  for (const [index, layer] of layers.entries()) {
    const { filters, width } = await makeFilters(net, images, labels, classCount, layer, random);
    const weight = net.weight(`conv${index}.weight`, filters, [layer.channels, width / kernel ** 2, kernel, kernel]);
    net.add('Conv', `conv${index}`, [weight], { kernel_shape: ints([kernel, kernel]), pads: ints([1, 1, 1, 1]) });
    await addNormalization(net, index, images, random);
    net.add('Relu', `relu${index}`);
    if (layer.pool) net.add('MaxPool', `pool${index}`, [], { kernel_shape: ints([2, 2]), strides: ints([2, 2]) });
  }
  await addHead(net, images, labels, classCount);
  return net.serialize(['N', classCount]);
}

/** Images that are enough for means and variances. */
const imagesForStatistics = 1024;

async function addNormalization(net: NetworkBuilder, index: number, images: Images, random: Random): Promise<void> {
  const [all, c, h, w] = images.dims;
  const few = Math.min(all, imagesForStatistics);
  const { mean, variance } = await channelStatistics(net, {
    data: images.data.subarray(0, few * c * h * w),
    dims: [few, c, h, w],
  });
  const parameters = {
    weight: new Float32Array(mean.length).fill(1),
    // A feature is on for less than half of what it sees.
    bias: mean.map(() => -0.6 * random.uniform()),
    running_mean: mean,
    running_var: variance,
  };
  const names = Object.entries(parameters).map(([part, data]) =>
    net.weight(`norm${index}.${part}`, data, [data.length]),
  );
  net.add('BatchNormalization', `norm${index}`, names, { epsilon: float(1e-5) });
}

async function channelStatistics(
  net: NetworkBuilder,
  images: Images,
): Promise<{ mean: Float32Array; variance: Float32Array }> {
  let [sums, squares, count] = [new Float64Array(0), new Float64Array(0), 0];
  await net.run(images, (data, [n, c, h, w], first) => {
    if (first === 0) [sums, squares] = [new Float64Array(c), new Float64Array(c)];
    data.forEach((value, i) => {
      const channel = Math.floor(i / (h * w)) % c;
      sums[channel] += value;
      squares[channel] += value * value;
    });
    count += n * h * w;
  });
  const mean = Float32Array.from(sums, (sum) => sum / count);
  return { mean, variance: Float32Array.from(squares, (square, c) => square / count - (sums[c] / count) ** 2) };
}

/** Ridge term, as against the mean diagonal of the features' moments. */
const ridge = 1e-3;
/** Scores of about this size make the softmax as sure as the classifier is right. */
const scoreSize = 10;

/** Average and largest value of every channel, then the least-squares fit to "is of class c", centred. */
async function addHead(net: NetworkBuilder, images: Images, labels: Int32Array, classCount: number): Promise<void> {
  const last = net.output;
  net.join('GlobalAveragePool', 'average', [last]);
  net.join('GlobalMaxPool', 'largest', [last]);
  net.join('Concat', 'pooled', ['average', 'largest'], { axis: int(1) });
  net.add('Flatten', 'features', [], { axis: int(1) });
  const [count] = images.dims;
  let rows = new Float64Array(0);
  let width = 0;
  await net.run(images, (data, [n, features], first) => {
    width = features + 1; // The last is constant and stands for the bias.
    if (first === 0) rows = new Float64Array(count * width).fill(1);
    for (let i = 0; i < n; i++) rows.set(data.subarray(i * features, (i + 1) * features), (first + i) * width);
  });
  const products = new Float64Array(width * classCount);
  rows.forEach((value, i) => {
    const [image, feature] = [Math.floor(i / width), i % width];
    for (let c = 0; c < classCount; c++)
      products[feature * classCount + c] += value * scoreSize * ((labels[image] === c ? 1 : 0) - 1 / classCount);
  });
  const solution = solveSpd(withRidge(gramMatrix(rows, count, width), width, ridge), width, products, classCount);
  const features = width - 1;
  const weight = Float32Array.from({ length: classCount * features }, (_, i) => {
    const [c, feature] = [Math.floor(i / features), i % features];
    return solution[feature * classCount + c];
  });
  const bias = Float32Array.from(solution.subarray(features * classCount));
  const names = [
    net.weight('head.weight', weight, [classCount, features]),
    net.weight('head.bias', bias, [classCount]),
  ];
  net.add('Gemm', 'scores', names, { transB: int(1) });
}
