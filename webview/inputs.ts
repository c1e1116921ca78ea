/** Model inputs whose sizes the user has a say in. */
import type { ModelFacts, PortFacts } from '../src/protocol/facts';

export function freeInputs(facts: ModelFacts): readonly PortFacts[] {
  return facts.inputs.filter((port) => port.shape?.some((dim) => typeof dim === 'string') === true);
}

/** What to propose for a free dimension: one item, and the usual picture size for axes of an image. */
export function proposedSize(port: PortFacts, axis: number): number {
  if (axis === 0) return 1;
  const rank = port.shape?.length ?? 0;
  return rank === 4 ? 224 : 1;
}
