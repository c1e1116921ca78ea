/** When settings ask for the same result. */
import type { PruneSettings } from '../protocol/recipe';
import { canonical } from './canonical';

/** A text that is the same for settings with the same result: where and in how many threads it is computed is left out. */
export function identity({ device, threads, ...rest }: PruneSettings): string {
  return canonical(rest);
}
