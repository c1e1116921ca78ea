/**
 * What a layer costs at a rank (r·(k+c) against k·c, per group and output position), in MACs, parameters
 * and bytes. The same numbers are recounted from the written file, so they must be exact.
 */
import type { LayerFacts } from '../protocol/facts';

export interface Cost {
  /** null when the layer's shape is unknown. */
  readonly macs: number | null;
  readonly params: number;
  readonly bytes: number;
}

/** Elements and bytes of a stored tensor; zeros where there is none. */
export type Size = Pick<Cost, 'params' | 'bytes'>;

export interface LayerShape {
  readonly facts: LayerFacts;
  /** Names of the stored tensors; null without a bias. Two layers may share one. */
  readonly weightTensor: string;
  readonly biasTensor: string | null;
  /** The bias today. */
  readonly bias: Size;
  /** The bias that a factorization writes instead of reading the one there is; null when it writes none. */
  readonly newBias: Size | null;
  /** Bytes of one element of the weights that a factorization writes. */
  readonly elementBytes: number;
}

/** The layer as two, at a rank per block. */
export function factorizedCost(shape: LayerShape, rank: number): Cost {
  const { facts } = shape;
  const { blocks, rows, cols } = facts.matrices as NonNullable<LayerFacts['matrices']>;
  const weights = blocks * rank * (rows + cols);
  const positions = facts.macs === null ? null : facts.macs / (blocks * rows * cols);
  return withBias(shape, weights, positions === null ? null : positions * weights);
}

/** The layer rebuilt from a rank as one layer of its original shape: only a bias may have come. */
export function recombinedCost(shape: LayerShape): Cost {
  return withBias(shape, shape.facts.params - shape.bias.params, shape.facts.macs);
}

function withBias({ bias, newBias, elementBytes }: LayerShape, weights: number, macs: number | null): Cost {
  const { params, bytes } = newBias ?? bias;
  return { macs, params: weights + params, bytes: weights * elementBytes + bytes };
}
