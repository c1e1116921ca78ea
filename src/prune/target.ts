/** Targets that are counted, and what stands in for those that only a run can measure. */
import type { PruneTarget } from '../protocol/recipe';

export type CountedKind = 'macs' | 'params' | 'bytes';

export interface CountedTarget {
  readonly kind: CountedKind;
  readonly value: number;
}

/** Share of the multiply-accumulates shown for a target that says nothing of them. */
const SHOWN_SHARE = 0.7;

/** What a projection goes by. */
export function countedTarget({ kind, value }: PruneTarget): { target: CountedTarget; assumed: string | null } {
  if (isCounted(kind)) return { target: { kind, value }, assumed: null };
  const share = kind === 'latency' ? Math.min(1, value) : SHOWN_SHARE;
  const what = kind === 'drop' ? 'accuracy' : 'latency';
  return {
    target: { kind: 'macs', value: share },
    assumed: `The run finds by measuring how far it can prune for this ${what}. What is shown is for ${Math.round(100 * share)} % of the multiply-accumulates.`,
  };
}

export function isCounted(kind: PruneTarget['kind']): kind is CountedKind {
  return kind === 'macs' || kind === 'params' || kind === 'bytes';
}
