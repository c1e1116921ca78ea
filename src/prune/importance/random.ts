/** Chance, for comparison: the same numbers for the same seed and group. */
import { seededRandom } from '../../linalg/random';
import type { ImportanceRule } from './source';

export const random: ImportanceRule = (group, { seed }) => {
  let own = seed;
  for (const character of group.name) own = (Math.imul(own, 31) + (character.codePointAt(0) as number)) >>> 0;
  const { uniform } = seededRandom(own);
  return [Float64Array.from({ length: group.channels }, () => uniform())];
};
