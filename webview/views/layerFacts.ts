/** What is known about one layer, as label and value: what the cut changes, and what the layer is. */
import type { Spectrum } from '../../src/protocol/facts';
import { bytes, change, count, exact, percent, real, shape } from '../format';
import type { PlanKind } from '../groups';
import type { LayerRow } from '../layers';
import { strings } from '../strings';

export interface Fact {
  readonly label: string;
  readonly value: string;
  /** What the figure means, or all of its digits. */
  readonly title: string;
}

/**
 * @param spectrum null while it is not known
 * @param kind what the plan removes
 * @param rank kept rank as the user sees it now; the projection may be a moment behind
 */
export function cutFacts(row: LayerRow, kind: PlanKind, spectrum: Spectrum | null, rank: number): readonly Fact[] {
  const { facts, projection, group } = row;
  const { fact, explain } = strings.detail;
  const found: Fact[] = [];
  const add = (label: string, value: string, title = '') => found.push({ label, value, title });

  if (group !== null) add(fact.channels, strings.layers.rankOf(group.projection.kept, group.projection.channels));
  if (kind !== 'channels') {
    if (facts.fullRank > 0) add(fact.rank, strings.layers.rankOf(rank, facts.fullRank));
    if (facts.breakEvenRank !== null) add(fact.breakEven, real(facts.breakEvenRank), explain.breakEven);
    if (spectrum !== null) add(fact.energy, percent(spectrum.energy[rank - 1] ?? 1), explain.energy);
    if (projection !== null && facts.reason === null) add(fact.error, percent(projection.error), explain.error);
  }
  add(fact.macs, nowAndAfter(facts.macs, projection?.macs ?? null, count), facts.macsReason ?? explain.macs);
  add(fact.params, nowAndAfter(facts.params, projection?.params ?? null, count), exact(facts.params));
  return found;
}

/** @param spectrum null while it is not known */
export function layerFacts(row: LayerRow, spectrum: Spectrum | null): readonly Fact[] {
  const { facts, macsShare } = row;
  const { fact, explain, blocks } = strings.detail;
  const found: Fact[] = [];
  const add = (label: string, value: string, title = '') => found.push({ label, value, title });
  if (macsShare !== null) add(fact.share, percent(macsShare));
  add(fact.bytes, nowAndAfter(facts.bytes, row.projection?.bytes ?? null, bytes), exact(facts.bytes));
  add(fact.output, shape(facts.outputShape));
  const via = facts.weight.via.length === 0 ? '' : ` ← ${facts.weight.via.join(' ← ')}`;
  add(fact.weight, `${shape(facts.weight.shape)} ${facts.weight.dtype}${via}`, facts.weight.name);
  if (facts.matrices !== null) {
    add(fact.matrix, blocks(facts.matrices.blocks, facts.matrices.rows, facts.matrices.cols));
  }
  if (spectrum !== null) {
    add(fact.effectiveRank, real(spectrum.effectiveRank), explain.effectiveRank);
    add(fact.stableRank, real(spectrum.stableRank), explain.stableRank);
    // Infinity does not survive JSON and arrives as null.
    add(fact.condition, real((spectrum.condition as number | null) ?? Number.POSITIVE_INFINITY), explain.condition);
    add(fact.edge, real(spectrum.marchenkoPasturEdge), explain.edge);
  }
  add(fact.operator, facts.opType);
  if (facts.node !== '' && facts.node !== facts.name) add(fact.node, facts.node);
  if (facts.path.length > 0) add(fact.inside, facts.path.join(' › '));
  return found;
}

function nowAndAfter(now: number | null, after: number | null, show: (value: number | null) => string): string {
  if (after === null || after === now) return show(now);
  return `${show(now)} → ${show(after)} (${change(now, after)})`;
}
