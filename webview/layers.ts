/** Rows of the layer table: facts, projection and override of each layer joined, filtered and sorted. */
import type { LayerFacts, ModelFacts } from '../src/protocol/facts';
import type { LayerProjection, Projection } from '../src/protocol/plan';
import type { LayerOverride, PruneSettings } from '../src/protocol/recipe';
import { usedOverrides, usesLocks, usesRanks } from '../src/settings/methods';
import { type GroupRow, groupRows, groupsByLayer } from './groups';

export interface LayerRow {
  /** Place in the network, from 0. */
  readonly index: number;
  readonly facts: LayerFacts;
  readonly projection: LayerProjection | null;
  /** The override that names exactly this layer, if the method reads it. */
  readonly override: LayerOverride | null;
  /** Coupled channels that its outputs belong to; null where there are none, or the plan removes none. */
  readonly group: GroupRow | null;
  /** Share of the model's multiply-accumulates, 0 to 1; null when unknown. */
  readonly macsShare: number | null;
  /** Kept rank; the full rank without a projection. */
  readonly rank: number;
  /** Why the layer stays as it is, or why its MACs are unknown; '' when there is nothing to say. */
  readonly reason: string;
}

export type SortColumn =
  | 'name'
  | 'opType'
  | 'weight'
  | 'output'
  | 'params'
  | 'macs'
  | 'group'
  | 'channels'
  | 'rank'
  | 'kept'
  | 'locked'
  | 'reason';

export interface SortOrder {
  readonly column: SortColumn;
  readonly descending: boolean;
}

export function layerRows(
  facts: ModelFacts,
  projection: Projection | null,
  settings: PruneSettings | null,
): readonly LayerRow[] {
  const projected = new Map(projection?.layers.map((layer) => [layer.layer, layer]));
  // Later entries win, as they do in the recipe.
  const overrides = new Map((settings ? usedOverrides(settings) : []).map((override) => [override.match, override]));
  const groups = groupsByLayer(groupRows(projection, settings));
  const known = facts.layers.reduce((sum, layer) => sum + (layer.macs ?? 0), 0);
  return facts.layers.map((layer, index) => {
    const plan = projected.get(layer.name) ?? null;
    const group = groups.get(layer.name) ?? null;
    return {
      index,
      facts: layer,
      projection: plan,
      override: overrides.get(layer.name) ?? null,
      group,
      macsShare: layer.macs === null || known === 0 ? null : layer.macs / known,
      rank: plan?.rank ?? layer.fullRank,
      reason: reasonOf(layer, plan, group),
    };
  });
}

/** Whether there is something in a layer to lock: what has no smaller form still has single weights. */
export function isLockable({ facts }: LayerRow, settings: PruneSettings | null): boolean {
  if (settings === null || usesRanks(settings)) return facts.reason === null;
  return usesLocks(settings);
}

/** A group's reason says more than that of a layer that has to go with it. */
function reasonOf(layer: LayerFacts, plan: LayerProjection | null, group: GroupRow | null): string {
  const ofGroup = plan?.action === 'factorize' ? null : group?.projection.reason;
  const ofPlan = group !== null && ofGroup === null ? null : (plan?.reason ?? null);
  // Channels can be removed from layers that can't be factorized.
  const ofLayer = plan === null ? layer.reason : null;
  return ofGroup ?? ofPlan ?? ofLayer ?? (layer.macs === null ? layer.macsReason : null) ?? '';
}

/** Kept channels or rank as a share of all; 1 for a layer that has neither. */
export function keptShare(row: LayerRow): number {
  if (row.group !== null) return row.group.projection.kept / row.group.projection.channels;
  return row.facts.fullRank === 0 ? 1 : row.rank / row.facts.fullRank;
}

/** Every word of the text must occur in the layer's name, operator, weight name or reason. */
export function matchesFilter(row: LayerRow, text: string): boolean {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return true;
  const { name, opType, node, weight } = row.facts;
  const haystack =
    `${name}\n${opType}\n${node}\n${weight.name}\n${weight.shape.join('×')}\n${row.reason}`.toLowerCase();
  return words.every((word) => haystack.includes(word));
}

const sizeOf = (dims: readonly number[] | null) => dims?.reduce((product, dim) => product * dim, 1) ?? null;

/** What a column sorts by; unknown values (null, '') go last in either direction. */
const sortKeys: Readonly<Record<SortColumn, (row: LayerRow) => string | number | null>> = {
  name: (row) => row.facts.name,
  opType: (row) => row.facts.opType,
  weight: (row) => sizeOf(row.facts.weight.shape),
  output: (row) => sizeOf(row.facts.outputShape),
  params: (row) => row.facts.params,
  macs: (row) => row.facts.macs,
  group: (row) => row.group?.index ?? null,
  channels: (row) => row.group?.projection.kept ?? null,
  rank: (row) => (row.facts.fullRank === 0 ? null : row.rank),
  kept: (row) => (row.facts.fullRank === 0 && row.group === null ? null : keptShare(row)),
  locked: (row) => ((row.group === null ? row.override : row.group.override)?.keep === true ? 1 : 0),
  reason: (row) => (row.reason === '' ? null : row.reason),
};

const byText = new Intl.Collator('en', { numeric: true });

/** Rows that pass the filter, sorted; null keeps the order of the network. */
export function shownRows(
  rows: readonly LayerRow[],
  filter: { readonly text: string; readonly operator: string },
  sort: SortOrder | null,
): readonly LayerRow[] {
  const passed = rows.filter(
    (row) => (filter.operator === '' || row.facts.opType === filter.operator) && matchesFilter(row, filter.text),
  );
  if (sort === null) return passed;
  const key = sortKeys[sort.column];
  const direction = sort.descending ? -1 : 1;
  return passed
    .map((row) => ({ row, value: key(row) }))
    .sort((a, b) => {
      if (a.value === null || b.value === null) {
        return Number(a.value === null) - Number(b.value === null) || a.row.index - b.row.index;
      }
      const order =
        typeof a.value === 'string' && typeof b.value === 'string'
          ? byText.compare(a.value, b.value)
          : Number(a.value) - Number(b.value);
      return order * direction || a.row.index - b.row.index;
    })
    .map(({ row }) => row);
}

/** A click on a column heading: numbers start with the largest, texts with A; the third click restores the network's order. */
export function nextSort(current: SortOrder | null, column: SortColumn): SortOrder | null {
  const startsDescending = column !== 'name' && column !== 'opType' && column !== 'group' && column !== 'reason';
  if (current?.column !== column) return { column, descending: startsDescending };
  return current.descending === startsDescending ? { column, descending: !startsDescending } : null;
}

/** Operators of the model's layers with their number of layers, most frequent first. */
export function operatorCounts(facts: ModelFacts): readonly (readonly [string, number])[] {
  const counts = new Map<string, number>();
  for (const layer of facts.layers) counts.set(layer.opType, (counts.get(layer.opType) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || byText.compare(a[0], b[0]));
}
