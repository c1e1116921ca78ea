/** I_c = √Σw² over the weights that give channel c. */
import { givers, type ImportanceRule, perChannel, perPosition, unreadable, weightOf } from './source';

export const l2: ImportanceRule = (group, source) => {
  const scores: Float64Array[] = [];
  for (const member of givers(group)) {
    const weight = weightOf(source, member);
    if (!weight) return unreadable(member);
    const squares = perPosition(weight, member.axis.axis, (w) => w * w);
    scores.push(perChannel(squares, member.axis, group.channels).map(Math.sqrt));
  }
  return scores;
};
