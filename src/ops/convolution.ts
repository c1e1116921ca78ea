/**
 * Convolutions. Weight of Conv: [M, C/G, k…]; of ConvTranspose: [C, M/G, k…]; G groups, any number of spatial axes.
 * Source: the ONNX operator pages of Conv, ConvTranspose, ConvInteger and QLinearConv.
 */
import { attribute, type GraphNode } from '../graph/graph';
import { elementCount } from '../tensor/dtype';
import type { LayerRule, NodeShapes, OpDef } from './op';

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

export const Conv: OpDef = {
  layer: { weight: 1, bias: 2, matrices: convMatrices },
  macs: convMacs(1),
};

export const ConvInteger: OpDef = {
  settings: [2, 3],
  layer: { weight: 1, matrices: convMatrices },
  macs: convMacs(1),
};

export const QLinearConv: OpDef = {
  settings: [1, 2, 4, 5, 6, 7],
  layer: { weight: 3, bias: 8, matrices: convMatrices },
  macs: convMacs(3),
};

export const ConvTranspose: OpDef = {
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
};
