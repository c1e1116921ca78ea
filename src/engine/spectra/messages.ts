/** What the pool and its threads say to each other: one request, then one reply, at a time. */
import type { ErrorInfo } from '../../errors';
import type { Block } from '../../linalg/panels';

export interface SpectraRequest {
  /** [blocks, rows, cols], row-major. */
  readonly data: Block;
  readonly blocks: number;
  readonly rows: number;
  readonly cols: number;
}

export type SpectraReply = { readonly values: Float64Array } | { readonly error: ErrorInfo };
