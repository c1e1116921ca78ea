/** The whole model as bars, one per layer: what each metric shows, as chart, legend and table. */
import type { BarItem } from '../charts/bars';
import type { DataTable } from '../controls/dataTable';
import type { LegendItem } from '../controls/figure';
import { bytes, count, exact, percent, real } from '../format';
import { isRemovable, type PlanKind } from '../groups';
import type { LayerRow } from '../layers';
import type { UiState } from '../persisted';
import { strings } from '../strings';

/** What the overview shows as bars, one per layer. */
export type OverviewMetric = Exclude<UiState['overviewMetric'], 'importance' | 'sensitivity'>;

export const formats: Readonly<Record<OverviewMetric, (value: number) => string>> = {
  macs: count,
  params: count,
  bytes,
  rank: percent,
};

/** One layer's bar: what stays, what goes, and where factorizing would stop paying. */
export function overviewItem(row: LayerRow, metric: OverviewMetric, kind: PlanKind = 'bases'): BarItem {
  const { facts, projection, rank, group } = row;
  const changeable = kind === 'bases' ? facts.reason === null : group !== null && isRemovable(group.projection);
  if (metric === 'rank' && kind !== 'bases') {
    const kept = group === null ? 1 : group.projection.kept / group.projection.channels;
    return { label: facts.name, kept, cut: 1 - kept, mark: null, changeable };
  }
  if (metric === 'rank') {
    const full = facts.fullRank || 1;
    const kept = facts.fullRank === 0 ? 1 : rank / full;
    const breakEven = facts.breakEvenRank === null || !changeable ? null : Math.min(1, facts.breakEvenRank / full);
    return { label: facts.name, kept, cut: 1 - kept, mark: breakEven, changeable };
  }
  const now = facts[metric] ?? 0;
  const after = projection?.[metric] ?? now;
  return { label: facts.name, kept: Math.min(now, after), cut: Math.max(0, now - after), mark: null, changeable };
}

export const legend = (metric: OverviewMetric, kind: PlanKind): readonly LegendItem[] => [
  { label: strings.overview.kept, part: 'kept', kind: 'area' },
  { label: strings.overview.cut, part: 'cut', kind: 'area' },
  { label: strings.overview[kind === 'bases' ? 'leftAlone' : 'noChannels'], part: 'left-alone', kind: 'area' },
  ...(metric === 'rank' && kind === 'bases'
    ? [{ label: strings.overview.breakEven, part: 'break-even', kind: 'line' } as const]
    : []),
];

export function overviewTable(rows: readonly LayerRow[], metric: OverviewMetric, kind: PlanKind): DataTable {
  const { table, metrics } = strings.overview;
  if (metric === 'rank' && kind !== 'bases') {
    return {
      caption: strings.overview.keptChannels,
      columns: [{ label: table.layer }, { label: table.before, format: exact }, { label: table.after, format: exact }],
      rows: rows.map(({ facts, group }) => [
        facts.name,
        group?.projection.channels ?? null,
        group?.projection.kept ?? null,
      ]),
    };
  }
  const rank = metric === 'rank';
  return {
    caption: metrics[metric],
    columns: [
      { label: table.layer },
      { label: table.before, format: rank ? exact : formats[metric] },
      { label: table.after, format: rank ? exact : formats[metric] },
      ...(rank ? [{ label: table.breakEven, format: real }] : []),
    ],
    rows: rows.map(({ facts, projection, rank: kept }) =>
      rank
        ? [facts.name, facts.fullRank, kept, facts.breakEvenRank]
        : [facts.name, facts[metric], projection?.[metric] ?? facts[metric]],
    ),
  };
}

export const metricLabel = (metric: UiState['overviewMetric'], kind: PlanKind): string =>
  metric === 'rank' && kind !== 'bases' ? strings.overview.keptChannels : strings.overview.metrics[metric];
