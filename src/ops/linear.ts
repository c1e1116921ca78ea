/**
 * Matrix products. Gemm: Y = alpha·A'·B' + beta·C with B [K, N], or [N, K] when transB; MatMul as NumPy's matmul.
 * Source: the ONNX operator pages of Gemm, MatMul, MatMulInteger and QLinearMatMul.
 */
import { attribute, type GraphNode } from '../graph/graph';
import { elementCount } from '../tensor/dtype';
import type { LayerRule, NodeShapes, OpDef } from './op';

export const Gemm: OpDef = {
  layer: {
    weight: 1,
    bias: 2,
    matrices(node, dims) {
      if (dims.length !== 2) return `a Gemm weight needs 2 dimensions, found ${dims.length}`;
      const transposed = attribute(node, 'transB', 'int') === 1;
      return { blocks: 1, rows: dims[0] as number, cols: dims[1] as number, outputsAre: transposed ? 'rows' : 'cols' };
    },
  },
  macs(_node, { inputs: [, B], outputs: [Y] }) {
    return B && Y ? (Y[0] as number) * elementCount(B) : null;
  },
};

function matMulMatrices(_node: GraphNode, dims: readonly number[]): ReturnType<LayerRule['matrices']> {
  if (dims.length < 2) return `a MatMul weight needs at least 2 dimensions, found ${dims.length}`;
  const [rows, cols] = dims.slice(-2) as [number, number];
  return { blocks: elementCount(dims.slice(0, -2)), rows, cols, outputsAre: 'cols' };
}

/** MACs = output elements × length of the summed axis. */
function matMulMacs(left: number) {
  return (_node: GraphNode, { inputs, outputs: [Y] }: NodeShapes): number | null => {
    const A = inputs[left];
    return A?.length && Y ? elementCount(Y) * (A[A.length - 1] as number) : null;
  };
}

export const MatMul: OpDef = { layer: { weight: [1, 0], matrices: matMulMatrices }, macs: matMulMacs(0) };
export const MatMulInteger: OpDef = {
  settings: [2, 3],
  layer: { weight: [1, 0], matrices: matMulMatrices },
  macs: matMulMacs(0),
};
export const QLinearMatMul: OpDef = {
  settings: [1, 2, 4, 5, 6, 7],
  layer: { weight: [3, 0], matrices: matMulMatrices },
  macs: matMulMacs(0),
};
