/** The target as people choose it: a share of something, or a number in a unit of its own. */
import type { PruneTarget } from '../src/protocol/recipe';
import type { strings } from './strings';

export type TargetChoice = keyof typeof strings.panel.targetKinds;

/** A target that is no share: how its number is shown and entered. */
export interface TargetUnit {
  /** What one unit on the screen is in the recipe. */
  readonly size: number;
  readonly min: number;
  readonly max: number;
  /** What a change to this target starts with, in the recipe's unit. */
  start(totalBytes: number, share: number): number;
}

export const targetUnits: Readonly<Partial<Record<TargetChoice, TargetUnit>>> = {
  absolute: {
    size: 1e6,
    min: 0.001,
    max: 1e9,
    start: (totalBytes, share) => Math.max(2, Math.round(share * totalBytes)),
  },
  milliseconds: { size: 1, min: 0.001, max: 1e6, start: () => 10 },
  drop: { size: 1, min: 0.01, max: 100, start: () => 1 },
};

/** A byte target above 1 is a number of bytes, at most 1 a share. */
export function targetChoice(target: PruneTarget): TargetChoice {
  return target.kind === 'bytes' && target.value > 1 ? 'absolute' : target.kind;
}

/** The same target in another kind, as near as it goes. */
export function retarget(target: PruneTarget, choice: TargetChoice, totalBytes: number): PruneTarget {
  const from = targetChoice(target);
  const share =
    from === 'absolute' ? Math.min(1, target.value / Math.max(1, totalBytes)) : targetUnits[from] ? 0.7 : target.value;
  const unit = targetUnits[choice];
  const kind = choice === 'absolute' ? 'bytes' : choice;
  return { kind, value: unit ? unit.start(totalBytes, share) : Math.max(0.01, Math.round(share * 1000) / 1000) };
}
