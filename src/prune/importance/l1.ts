/**
 * I_c = Σ|w| over the weights that give channel c. Li, Kadav, Durdanovic, Samet and Graf, 2017 (arXiv 1608.08710).
 */
import { givers, type ImportanceRule, perChannel, perPosition, unreadable, weightOf } from './source';

export const l1: ImportanceRule = (group, source) => {
  const scores: Float64Array[] = [];
  for (const member of givers(group)) {
    const weight = weightOf(source, member);
    if (!weight) return unreadable(member);
    scores.push(perChannel(perPosition(weight, member.axis.axis, Math.abs), member.axis, group.channels));
  }
  return scores;
};
