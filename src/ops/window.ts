/**
 * Sliding windows of convolutions and pooling: their geometry, and what they see as tensors.
 * Source: the ONNX operator pages of Conv, ConvTranspose, AveragePool and MaxPool.
 */
import { attribute, type GraphNode, int, ints } from '../graph/graph';
import { elementCount } from '../tensor/dtype';
import type { GradientBuilder } from './gradient';

/** One entry per spatial axis. */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Padding before the first element. */
  readonly before: readonly number[];
  /** Padding after the last element that windows reach; negative when they leave elements out. */
  readonly after: readonly number[];
  readonly input: readonly number[];
  readonly output: readonly number[];
}

/** Reads a window from a node, whatever form its padding takes. */
export function windowOf(
  node: GraphNode,
  kernel: readonly number[],
  input: readonly number[],
  output: readonly number[],
): Window {
  const strides = attribute(node, 'strides', 'ints') ?? kernel.map(() => 1);
  const dilations = attribute(node, 'dilations', 'ints') ?? kernel.map(() => 1);
  const reach = kernel.map((k, i) => (output[i] - 1) * strides[i] + (k - 1) * dilations[i] + 1);
  const total = reach.map((r, i) => Math.max(r - input[i], 0));
  const before = beforeOf(node, total);
  return { kernel, strides, dilations, before, after: reach.map((r, i) => r - input[i] - before[i]), input, output };
}

/** @param total padding per axis that `auto_pad` divides */
export function beforeOf(node: GraphNode, total: readonly number[]): number[] {
  switch (attribute(node, 'auto_pad', 'string') ?? 'NOTSET') {
    case 'SAME_UPPER':
      return total.map((t) => Math.floor(t / 2));
    case 'SAME_LOWER':
      return total.map((t) => Math.ceil(t / 2));
    case 'VALID':
      return total.map(() => 0);
    default:
      return [...(attribute(node, 'pads', 'ints') ?? total.map(() => 0))].slice(0, total.length);
  }
}

/** A convolution; windows that leave elements out at the end need no crop. */
export function conv(g: GradientBuilder, X: string, W: string, window: Window, groups: number): string {
  const { kernel, strides, dilations, before, after } = window;
  return g.emit('Conv', [X, W], {
    kernel_shape: ints(kernel),
    strides: ints(strides),
    dilations: ints(dilations),
    pads: ints([...before, ...after.map((count) => Math.max(count, 0))]),
    group: int(groups),
  });
}

/**
 * What every window sees, for each channel and element of the window one plane: a convolution whose kernels have a
 * single 1. Runtimes do it faster than the slices and concatenation it stands for, and on all their threads.
 * @param X [N, channels, ...input]
 * @returns [N, channels·taps, ...output]
 */
export function patches(g: GradientBuilder, X: string, channels: number, window: Window): string {
  const { kernel, strides, before, after } = window;
  const count = elementCount(kernel);
  if (count === 1 && strides.every((s) => s === 1) && [...before, ...after].every((pad) => pad === 0)) return X;
  if (channels > 1 && !g.trustsGroups) return slicedPatches(g, X, channels, window);
  const W = Float64Array.from({ length: channels * count * count }, (_, i) => (isDiagonal(i, count) ? 1 : 0));
  return conv(g, X, g.floats(W, [channels * count, 1, ...kernel], g.typeOf(X)), window, channels);
}

/** The same as {@link patches}, element by element of the window. */
function slicedPatches(g: GradientBuilder, X: string, channels: number, window: Window): string {
  const { before, after, strides, output } = window;
  const padded = g.pad(X, [0, 0, ...before], [0, 0, ...after.map((count) => Math.max(count, 0))]);
  const views = offsets(window).map((offset) => {
    const cuts = offset.map((start, i) => {
      return { axis: i + 2, start, end: start + (output[i] - 1) * strides[i] + 1, step: strides[i] };
    });
    return g.unsqueeze(g.slice(padded, cuts), [2]);
  });
  return g.reshape(g.concat(views, 2), [-1, channels * views.length, ...output]);
}

/** Where the window's elements lie, counted from its first one, in row-major order. */
function offsets({ kernel, dilations }: Window): number[][] {
  let found: number[][] = [[]];
  for (const [i, size] of kernel.entries()) {
    found = found.flatMap((offset) => Array.from({ length: size }, (_, at) => [...offset, at * dilations[i]]));
  }
  return found;
}

/** Whether element i of a stack of `size` × `size` matrices lies on a diagonal. */
function isDiagonal(i: number, size: number): boolean {
  return (i % (size * size)) % (size + 1) === 0;
}

/**
 * Adds to each input element what all windows hold for it: the transpose of {@link patches}.
 * @param columns [B, taps, ...output], one plane per tap
 * @returns [B, 1, ...input]
 */
export function gather(g: GradientBuilder, columns: string, window: Window): string {
  const count = elementCount(window.kernel);
  const oneHot = Float64Array.from({ length: count * count }, (_, i) => (isDiagonal(i, count) ? 1 : 0));
  const W = g.floats(oneHot, [count, 1, ...window.kernel], g.typeOf(columns));
  return transposedConv(g, columns, W, window, 1);
}

/**
 * The input gradient of a convolution, whatever its strides, pads and groups.
 * @param dY [N, M, ...output]
 * @param W [M, C/G, ...kernel]
 * @returns [N, C, ...input]
 */
export function transposedConv(g: GradientBuilder, dY: string, W: string, window: Window, groups: number): string {
  const { strides, dilations, kernel, before, after } = window;
  // Elements that no window reaches get their zeros from output_padding, padding from pads.
  return g.emit('ConvTranspose', [dY, W], {
    kernel_shape: ints(kernel),
    strides: ints(strides),
    dilations: ints(dilations),
    pads: ints([...before, ...after.map((count) => Math.max(count, 0))]),
    output_padding: ints(after.map((count) => Math.max(-count, 0))),
    group: int(groups),
  });
}

/** Spatial sizes of a value [N, C, ...]. */
export function spatial(g: GradientBuilder, value: string): number[] {
  return g.sizes(value, 2);
}
