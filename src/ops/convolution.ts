/**
 * Convolutions. Weight of Conv: [M, C/G, k…]; of ConvTranspose: [C, M/G, k…]; G groups, any number of spatial axes.
 * Source: the ONNX operator pages of Conv, ConvTranspose, ConvInteger and QLinearConv.
 */
import { attribute, type GraphNode, int } from '../graph/graph';
import { elementCount } from '../tensor/dtype';
import { type CoupledNode, input, output, type Resized, type Tie, ties } from './coupling';
import { type GradientBuilder, type NodeGradient, range } from './gradient';
import type { LayerRule, NodeShapes, OpDef } from './op';
import { beforeOf, conv, patches, spatial, transposedConv, type Window, windowOf } from './window';

/** Number of groups of a convolution node. */
export function groupsOf(node: GraphNode): number {
  return attribute(node, 'group', 'int') ?? 1;
}

function convMatrices(node: GraphNode, dims: readonly number[]): ReturnType<LayerRule['matrices']> {
  const groups = groupsOf(node);
  if (dims.length < 3) return `a convolution weight needs at least 3 dimensions, found ${dims.length}`;
  const [M, ...rest] = dims as [number, ...number[]];
  if (groups < 1 || M % groups) return `${M} output channels do not divide into ${groups} groups`;
  return { blocks: groups, rows: M / groups, cols: elementCount(rest), outputsAre: 'rows' };
}

/** MACs = output positions × (weight elements of one image's output): N·H_o·W_o · M·(C/G)·k_h·k_w. */
function convMacs(weightInput: number) {
  return (_node: GraphNode, { inputs, outputs }: NodeShapes): number | null => {
    const W = inputs[weightInput];
    const Y = outputs[0];
    if (!W || !Y) return null;
    return (Y[0] as number) * elementCount(Y.slice(2)) * elementCount(W);
  };
}

/**
 * Channels of a convolution in G groups. Either whole groups go, or the same channels of every group do: each group must
 * keep as many as the others.
 */
function channels(op: CoupledNode, weight: { readonly outputs: number; readonly inputs: number }): Tie[] {
  const [X, W] = op.inputs;
  const [Y] = op.outputs;
  const groups = groupsOf(op.node);
  const [C, M] = [X[1] / groups, Y[1] / groups];
  const isChoice = groups > 1;
  /** Places of units that an axis holds once for each group, where it is not the weight's axis within a group. */
  const each = (axis: number, within: number): { outer?: number } => (W[axis] === within ? {} : { outer: groups });
  const block = (axis: number, within: number): Tie['places'] =>
    W[axis] === within ? [] : [input(1, axis, { inner: within })];
  return ties(op, [
    { units: X[0], places: [input(0, 0), output(0, 0)] },
    ...(isChoice
      ? [
          {
            units: groups,
            places: [
              input(0, 1, { inner: C }),
              output(0, 1, { inner: M }),
              ...block(weight.inputs, C),
              ...block(weight.outputs, M),
              input(2, 0, { inner: M }),
            ],
            isChoice,
          },
        ]
      : []),
    {
      units: C,
      places: [input(0, 1, { outer: groups }), input(1, weight.inputs, each(weight.inputs, C))],
      across: 'sum',
      isChoice,
    },
    {
      units: M,
      places: [
        output(0, 1, { outer: groups }),
        input(1, weight.outputs, each(weight.outputs, M)),
        input(2, 0, { outer: groups }),
      ],
      isChoice,
    },
  ]);
}

export const Conv: OpDef = {
  couplings: (op) => channels(op, { outputs: 0, inputs: 1 }),
  // The weight has the channels of one group.
  resized: ({ node, newInputs: [X, W] }) => newGroups(node, X[1] / W[1]),
  layer: { weight: 1, bias: 2, matrices: convMatrices },
  macs: convMacs(1),
  gradient(op, g) {
    const { node, X, Y, dY } = op;
    const W = op.inputs[1];
    const groups = groupsOf(node);
    const window = windowOf(node, spatial(g, W), spatial(g, X), spatial(g, Y));
    return [
      op.wants(0) ? inputGradient(g, dY, W, window, groups) : null,
      op.wants(1) ? weightGradient(g, X, dY, W, window, groups) : null,
      biasGradient(op, g),
    ];
  },
};

function newGroups(node: GraphNode, groups: number): Resized {
  return groupsOf(node) === groups ? {} : { attributes: { group: groups } };
}

const integers = (): string => 'it multiplies integers: prune the float model, then quantize it again';

export const ConvInteger: OpDef = {
  couplings: integers,
  settings: [2, 3],
  layer: { weight: 1, matrices: convMatrices, quantization: () => ({ zero: 3, axis: 0 }) },
  macs: convMacs(1),
};

export const QLinearConv: OpDef = {
  couplings: integers,
  settings: [1, 2, 4, 5, 6, 7],
  layer: { weight: 3, bias: 8, matrices: convMatrices, quantization: () => ({ scale: 4, zero: 5, axis: 0 }) },
  macs: convMacs(3),
};

export const ConvTranspose: OpDef = {
  couplings: (op) => channels(op, { outputs: 1, inputs: 0 }),
  resized: ({ node, newInputs: [, W], newOutputs: [Y] }) => newGroups(node, Y[1] / W[1]),
  layer: {
    weight: 1,
    bias: 2,
    matrices(node, dims) {
      const groups = groupsOf(node);
      if (dims.length < 3) return `a convolution weight needs at least 3 dimensions, found ${dims.length}`;
      const [C, ...rest] = dims as [number, ...number[]];
      if (groups < 1 || C % groups) return `${C} input channels do not divide into ${groups} groups`;
      return { blocks: groups, rows: C / groups, cols: elementCount(rest), outputsAre: 'cols' };
    },
  },
  // Every input position meets every weight of its group: N·H_i·W_i · C·(M/G)·k_h·k_w.
  macs(_node, { inputs: [X, W] }) {
    return X && W ? (X[0] as number) * elementCount(X.slice(2)) * elementCount(W) : null;
  },
  // It is the input gradient of a convolution from Y to X, so its own input gradient is that convolution.
  gradient(op, g) {
    const { node, X, Y, dY } = op;
    const W = op.inputs[1];
    const groups = groupsOf(node);
    const window = transposedWindow(node, spatial(g, W), spatial(g, X), spatial(g, Y));
    return [
      op.wants(0) ? conv(g, dY, W, window, groups) : null,
      op.wants(1) ? weightGradient(g, dY, X, W, window, groups) : null,
      biasGradient(op, g),
    ];
  },
};

function biasGradient({ dY, wants, Y }: NodeGradient, g: GradientBuilder): string | null {
  return wants(2) ? g.reduceSum(dY, [0, ...range(2, g.rank(Y))], false) : null;
}

/**
 * dX = every element of dY spread over its window by the weight. With stride 1 that is a convolution with the mirrored
 * kernel, which runtimes do faster than a transposed one.
 */
function inputGradient(g: GradientBuilder, dY: string, W: string, window: Window, groups: number): string {
  const back = backwards(window);
  return back ? conv(g, dY, mirror(g, W, groups), back, groups) : transposedConv(g, dY, W, window, groups);
}

/** What each input element meets of dY, as a window on dY; undefined where that is no window. */
function backwards({ kernel, strides, dilations, before, after, input, output }: Window): Window | undefined {
  const reach = kernel.map((k, i) => (k - 1) * dilations[i]);
  const ahead = reach.map((r, i) => r - before[i]);
  const behind = reach.map((r, i) => r - after[i]);
  if (strides.some((s) => s !== 1) || [...ahead, ...behind].some((pad) => pad < 0)) return undefined;
  return { kernel, dilations, strides, before: ahead, after: behind, input: output, output: input };
}

/** [M, C/G, k…] to [C, M/G, k…] with every kernel axis reversed. Done once by the runtime when the weight is constant. */
function mirror(g: GradientBuilder, W: string, groups: number): string {
  const [M, C, ...kernel] = g.sizes(W);
  const count = elementCount(kernel);
  const swapped = g.transpose(g.reshape(W, [groups, M / groups, C, count]), [0, 2, 1, 3]);
  return g.reshape(reversed(g, swapped, count), [groups * C, M / groups, ...kernel]);
}

/** Reverses the last axis. All spatial axes as one reverse together; a product is faster than a slice with step −1. */
function reversed(g: GradientBuilder, value: string, count: number): string {
  if (count === 1) return value;
  const reversal = Float64Array.from({ length: count * count }, (_, i) =>
    i % count === count - 1 - Math.floor(i / count) ? 1 : 0,
  );
  return g.matMul(value, g.floats(reversal, [count, count], g.typeOf(value)));
}

/**
 * dW[m, c, tap] = Σ over images and positions of dY[m]·(what the tap sees of X[c]): products of dY with the patches
 * of X. One product per image, summed over the images, is faster than one over the batch, which has to move the
 * images next to each other first; unless a product is larger than the patches it is made of, as in late layers.
 * @param X [N, C, ...input] @param dY [N, M, ...output]
 * @returns [M, C/G, ...kernel], the shape of W
 */
function weightGradient(g: GradientBuilder, X: string, dY: string, W: string, window: Window, groups: number): string {
  const [M, C, ...kernel] = g.sizes(W);
  const back = backwards(window);
  if (groups === 1 && M < C && elementCount(kernel) > 1 && back) return fromBehind(g, X, dY, W, back);
  const rows = C * elementCount(kernel);
  const positions = elementCount(window.output);
  const seen = patches(g, X, groups * C, window);
  if (groups === 1 && positions <= M) {
    const together = (value: string, channels: number): string =>
      g.reshape(g.transpose(g.reshape(value, [-1, channels, positions]), [1, 0, 2]), [channels, -1]);
    return g.reshape(g.emit('Gemm', [together(dY, M), together(seen, rows)], { transB: int(1) }), [M, C, ...kernel]);
  }
  // Of the two factors dY is the smaller one, and so is transposed.
  const perImage = g.matMul(
    g.reshape(seen, [-1, groups, rows, positions]),
    g.transpose(g.reshape(dY, [-1, groups, M / groups, positions]), [0, 1, 3, 2]),
  );
  return g.reshape(g.transpose(g.reduceSum(perImage, [0], false), [0, 2, 1]), [M, C, ...kernel]);
}

/**
 * The same from the other side: products of X with the patches of dY, which are fewer when there are fewer outputs than
 * inputs. @param back what each input element meets of dY
 */
function fromBehind(g: GradientBuilder, X: string, dY: string, W: string, back: Window): string {
  const [M, C, ...kernel] = g.sizes(W);
  const count = elementCount(kernel);
  const positions = elementCount(back.output);
  const perImage = g.matMul(
    g.reshape(patches(g, dY, M, back), [-1, M * count, positions]),
    g.transpose(g.reshape(X, [-1, C, positions]), [0, 2, 1]),
  );
  const total = g.reshape(g.reduceSum(perImage, [0], false), [M, count, C]);
  return g.reshape(reversed(g, g.transpose(total, [0, 2, 1]), count), [M, C, ...kernel]);
}

/** The window of the convolution that a transposed one undoes: its input is Y, its output X. */
function transposedWindow(
  node: GraphNode,
  kernel: readonly number[],
  X: readonly number[],
  Y: readonly number[],
): Window {
  const strides = attribute(node, 'strides', 'ints') ?? kernel.map(() => 1);
  const dilations = attribute(node, 'dilations', 'ints') ?? kernel.map(() => 1);
  const reach = kernel.map((k, i) => (X[i] - 1) * strides[i] + (k - 1) * dilations[i] + 1);
  const extra = attribute(node, 'output_padding', 'ints') ?? kernel.map(() => 0);
  const total = reach.map((r, i) => Math.max(r + extra[i] - Y[i], 0));
  const isGiven = attribute(node, 'output_shape', 'ints') !== undefined;
  const before =
    isGiven && (attribute(node, 'auto_pad', 'string') ?? 'NOTSET') === 'NOTSET'
      ? total.map((t) => Math.ceil(t / 2))
      : beforeOf(node, total);
  return { kernel, strides, dilations, before, after: reach.map((r, i) => r - Y[i] - before[i]), input: Y, output: X };
}
