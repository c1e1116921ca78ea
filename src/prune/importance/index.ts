/**
 * Importance of the channels of a group: a criterion gives scores by member, which become one score per channel, and
 * groups are made comparable.
 */
import type { Group } from '../groups';
import { activation } from './activation';
import { bnScale } from './bnScale';
import { fpgm } from './fpgm';
import { l1 } from './l1';
import { l2 } from './l2';
import { lasso } from './lasso';
import { lossChange } from './lossChange';
import { random } from './random';
import type { ImportanceRule, ImportanceSource } from './source';

export const criteria = {
  l1,
  l2,
  'bn-scale': bnScale,
  fpgm,
  taylor: lossChange('taylor'),
  fisher: lossChange('fisher'),
  activation,
  lasso,
  random,
} satisfies Record<string, ImportanceRule>;

export type Criterion = keyof typeof criteria;

export interface ImportanceOptions {
  readonly aggregate: 'sum' | 'mean';
  /** What a group's scores are divided by. `auto`: nothing for changes of the loss, else their mean. */
  readonly normalize: 'auto' | 'none' | 'mean' | 'largest' | 'sum';
  /** Divides by the multiply-accumulates that the channel saves, or by its parameters where they are not known. */
  readonly perMac: boolean;
}

/** Changes of the loss mean the same everywhere. */
const COMPARABLE: readonly Criterion[] = ['taylor', 'fisher', 'random'];

/** One score per channel, the least important lowest; or why there are none. */
export function importanceOf(
  group: Group,
  criterion: Criterion,
  source: ImportanceSource,
  { aggregate, normalize, perMac }: ImportanceOptions,
): Float64Array | string {
  const byMember = criteria[criterion](group, source);
  if (typeof byMember === 'string') return byMember;
  if (byMember.length === 0) return 'none of its layers has a say';
  const share = aggregate === 'mean' ? byMember.length : 1;
  const scores = new Float64Array(group.channels);
  for (const member of byMember) for (let c = 0; c < scores.length; c++) scores[c] += member[c];
  const kind = normalize === 'auto' ? (COMPARABLE.includes(criterion) ? 'none' : 'mean') : normalize;
  const unit = unitOf(scores, kind) / (kind === 'none' ? 1 : share);
  return scores.map((score, c) => score / share / unit / (perMac ? costOf(group, c) : 1));
}

function unitOf(scores: Float64Array, kind: Exclude<ImportanceOptions['normalize'], 'auto'>): number {
  const sum = scores.reduce((total, score) => total + score, 0);
  const units = { none: 1, sum, mean: sum / scores.length, largest: scores.reduce((a, b) => Math.max(a, b), 0) };
  return units[kind] || 1;
}

function costOf({ savings }: Group, channel: number): number {
  const cost = savings[channel];
  return cost ? cost.macs || cost.params || 1 : 1;
}
