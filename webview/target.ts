/** The target as people choose it: a share of something, or a number of bytes. */
import type { PruneTarget } from '../src/protocol/recipe';
import type { strings } from './strings';

export type TargetChoice = keyof typeof strings.panel.targetKinds;

/** A byte target above 1 is a number of bytes, at most 1 a share. */
export function targetChoice(target: PruneTarget): TargetChoice {
  return target.kind === 'bytes' && target.value > 1 ? 'absolute' : target.kind;
}

/** The same target in another kind, as near as it goes. */
export function retarget(target: PruneTarget, choice: TargetChoice, totalBytes: number): PruneTarget {
  const share = target.value > 1 ? Math.min(1, target.value / Math.max(1, totalBytes)) : target.value;
  if (choice === 'absolute') return { kind: 'bytes', value: Math.max(2, Math.round(share * totalBytes)) };
  return { kind: choice, value: Math.max(0.01, Math.round(share * 1000) / 1000) };
}
