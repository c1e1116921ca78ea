/**
 * What a layer costs at a rank (algorithm: r·(k+c) against k·c, per group and output position), in MACs, parameters
 * and bytes. The same numbers are recounted from the written file, so they must be exact.
 */
import type { LayerFacts } from '../protocol/facts';

export interface Cost {
  /** null when the layer's shape is unknown. */
  readonly macs: number | null;
  readonly params: number;
  readonly bytes: number;
}

export interface LayerShape {
  readonly facts: LayerFacts;
  /** Names of the stored tensors; null without a bias. Two layers may share one. */
  readonly weightTensor: string;
  readonly biasTensor: string | null;
  /** Elements of the bias today. */
  readonly bias: number;
  /** Elements of the bias after a factorization: an activation basis adds one where there is none. */
  readonly biasAfter: number;
  /** Whether a factorization writes a bias of its own instead of reading the one there is. */
  readonly newBias: boolean;
  /** Bytes of one element. */
  readonly elementBytes: number;
}

/** The layer as it is. */
export function originalCost({ facts }: LayerShape): Cost {
  return { macs: facts.macs, params: facts.params, bytes: facts.bytes };
}

/** The layer as two, at a rank per block. */
export function factorizedCost({ facts, biasAfter, elementBytes }: LayerShape, rank: number): Cost {
  const { blocks, rows, cols } = facts.matrices as NonNullable<LayerFacts['matrices']>;
  const weights = blocks * rank * (rows + cols);
  const positions = facts.macs === null ? null : facts.macs / (blocks * rows * cols);
  return {
    macs: positions === null ? null : positions * weights,
    params: weights + biasAfter,
    bytes: (weights + biasAfter) * elementBytes,
  };
}

/** The layer rebuilt from a rank as one layer of its original shape: only a bias may have come. */
export function recombinedCost({ facts, bias, biasAfter, elementBytes }: LayerShape): Cost {
  const added = biasAfter - bias;
  return { macs: facts.macs, params: facts.params + added, bytes: facts.bytes + added * elementBytes };
}
