/**
 * Matrix products. Gemm: Y = alpha·A'·B' + beta·C with B [K, N], or [N, K] when transB; MatMul as NumPy's matmul.
 * Source: the ONNX operator pages of Gemm, MatMul, MatMulInteger and QLinearMatMul.
 */
import { attribute, float, type GraphNode, int } from '../graph/graph';
import { elementCount } from '../tensor/dtype';
import { type CoupledNode, input, output, type Place, type Tie, ties } from './coupling';
import { type GradientBuilder, type NodeGradient, range, type Shape } from './gradient';
import type { LayerRule, NodeShapes, OpDef } from './op';

/** Y = A'·B' + C: the inner axis is summed over, rows and columns go through. */
function gemmTies(op: CoupledNode): Tie[] {
  const [A, B, C] = op.inputs;
  const [rowsOfA, columnsOfB] = [
    attribute(op.node, 'transA', 'int') === 1 ? 1 : 0,
    attribute(op.node, 'transB', 'int') === 1 ? 0 : 1,
  ];
  /** The bias may have one row, one column or one number for all. */
  const bias = (fromEnd: number, size: number): Place[] => {
    const axis = (C?.length ?? 0) - fromEnd;
    return axis >= 0 && C[axis] === size ? [input(2, axis)] : [];
  };
  const [rows, columns] = [A[rowsOfA], B[columnsOfB]];
  return ties(op, [
    { units: A[1 - rowsOfA], places: [input(0, 1 - rowsOfA), input(1, 1 - columnsOfB)], across: 'sum' },
    { units: columns, places: [input(1, columnsOfB), output(0, 1), ...bias(1, columns)] },
    { units: rows, places: [input(0, rowsOfA), output(0, 0), ...bias(2, rows)] },
  ]);
}

export const Gemm: OpDef = {
  couplings: gemmTies,
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
  // Y = α·A'·B' + β·C: dA' = α·dY·B'ᵀ, dB' = α·A'ᵀ·dY.
  gradient(op, g) {
    const { node, dY } = op;
    const [A, B, C] = op.inputs;
    const transA = attribute(node, 'transA', 'int') === 1;
    const transB = attribute(node, 'transB', 'int') === 1;
    const alpha = attribute(node, 'alpha', 'float');
    const beta = attribute(node, 'beta', 'float') ?? 1;
    const product = (a: string, b: string, tA: boolean, tB: boolean): string =>
      g.emit('Gemm', [a, b], {
        transA: int(tA ? 1 : 0),
        transB: int(tB ? 1 : 0),
        alpha: alpha === undefined ? undefined : float(alpha),
      });
    return [
      op.wants(0) ? (transA ? product(B, dY, transB, true) : product(dY, B, false, !transB)) : null,
      op.wants(1) ? (transB ? product(dY, A, true, transA) : product(A, dY, !transA, false)) : null,
      op.wants(2) ? g.sumTo(beta === 1 ? dY : g.mul(dY, beta), g.shape(op.Y), C) : null,
    ];
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

/** The last axis of A meets the last but one of B; the axes before are batches, with broadcasting. */
function matMulTies(op: CoupledNode): Tie[] {
  const [A, B] = op.inputs;
  const [Y] = op.outputs;
  const [rows, columns] = [A.length > 1 ? 1 : 0, B.length > 1 ? 1 : 0];
  const inner = A.length - 1;
  const batches = Y.length - rows - columns;
  const all: Tie[] = [
    { units: A[inner], places: [input(0, inner), input(1, Math.max(B.length - 2, 0))], across: 'sum' },
  ];
  if (rows) all.push({ units: A[inner - 1], places: [input(0, inner - 1), output(0, batches)] });
  if (columns) all.push({ units: B[B.length - 1], places: [input(1, B.length - 1), output(0, Y.length - 1)] });
  for (let axis = 0; axis < batches; axis++) {
    const places = op.inputs.flatMap((dims, i) => {
      const at = axis - (batches - (dims.length - 2));
      return at >= 0 && dims[at] === Y[axis] ? [input(i, at)] : [];
    });
    all.push({ units: Y[axis], places: [...places, output(0, axis)] });
  }
  return ties(op, all);
}

export const MatMul: OpDef = {
  couplings: matMulTies,
  layer: { weight: [1, 0], matrices: matMulMatrices },
  macs: matMulMacs(0),
  gradient: (op, g) => [op.wants(0) ? leftGradient(op, g) : null, op.wants(1) ? rightGradient(op, g) : null],
};

/** A vector counts as a matrix of one row (left) or one column (right), and that axis is missing from Y. */
function asMatrix(g: GradientBuilder, value: string, vectorAxis: number): { value: string; shape: Shape } {
  const shape = g.shape(value);
  if (shape.length > 1) return { value, shape };
  return {
    value: g.unsqueeze(value, [vectorAxis]),
    shape: vectorAxis === 0 ? [1, ...shape] : [...shape, 1],
  };
}

/** dY with the axes that vector operands took away. */
function productGradient(op: NodeGradient, g: GradientBuilder): { value: string; shape: Shape } {
  const [A, B] = op.inputs.map((input) => g.rank(input));
  let { dY: value } = op;
  let shape = g.shape(op.Y);
  if (B === 1) {
    value = g.unsqueeze(value, [shape.length]);
    shape = [...shape, 1];
  }
  if (A === 1) {
    value = g.unsqueeze(value, [shape.length - 1]);
    shape = [...shape.slice(0, -1), 1, ...shape.slice(-1)];
  }
  return { value, shape };
}

function swapLast(g: GradientBuilder, value: string, rank: number): string {
  return g.transpose(value, [...range(0, rank - 2), rank - 1, rank - 2]);
}

/** dA = dY·Bᵀ, summed over the batch axes along which A was repeated. */
function leftGradient(op: NodeGradient, g: GradientBuilder): string {
  const [A, B] = op.inputs;
  const right = asMatrix(g, B, 1);
  const flow = productGradient(op, g);
  const product = g.matMul(flow.value, swapLast(g, right.value, right.shape.length));
  const shape = [...flow.shape.slice(0, -1), right.shape[right.shape.length - 2]];
  // The row axis of a vector goes like a batch axis, being of size 1.
  return g.rank(A) === 1
    ? g.reshapeLike(g.reduceSum(product, range(0, shape.length - 1)), A)
    : g.sumTo(product, shape, A);
}

/** dB = Aᵀ·dY, summed over the batch axes along which B was repeated. */
function rightGradient(op: NodeGradient, g: GradientBuilder): string {
  const [A, B] = op.inputs;
  const left = asMatrix(g, A, 0);
  const flow = productGradient(op, g);
  const [K, N] = [left.shape[left.shape.length - 1], flow.shape[flow.shape.length - 1]];
  if (g.rank(B) === 2 && left.shape.length > 2 && K !== null && N !== null) {
    // One matrix for the whole batch: one product over all rows of the batch.
    return g.emit('Gemm', [g.reshape(left.value, [-1, K]), g.reshape(flow.value, [-1, N])], { transA: int(1) });
  }
  const product = g.matMul(swapLast(g, left.value, left.shape.length), flow.value);
  const shape = [...flow.shape.slice(0, -2), K, N];
  return g.rank(B) === 1
    ? g.reshapeLike(g.reduceSum(product, range(0, shape.length - 2)), B)
    : g.sumTo(product, shape, B);
}

const integers = (): string => 'it multiplies integers: prune the float model, then quantize it again';

export const MatMulInteger: OpDef = {
  couplings: integers,
  settings: [2, 3],
  layer: {
    weight: [1, 0],
    matrices: matMulMatrices,
    // One zero point for each column of the right factor, or each row of the left one.
    quantization: (weight) => (weight === 1 ? { zero: 3, axis: -1 } : { zero: 2, axis: -2 }),
  },
  macs: matMulMacs(0),
};
export const QLinearMatMul: OpDef = {
  couplings: integers,
  settings: [1, 2, 4, 5, 6, 7],
  layer: {
    weight: [3, 0],
    matrices: matMulMatrices,
    quantization: (weight) => (weight === 3 ? { scale: 4, zero: 5, axis: -1 } : { scale: 1, zero: 2, axis: -2 }),
  },
  macs: matMulMacs(0),
};
