import { describe, expect, test } from 'vitest';
import type { Projection } from '../../src/protocol/plan';
import type { PruneSettings } from '../../src/protocol/recipe';
import {
  isLockable,
  keptShare,
  type LayerRow,
  layerRows,
  matchesFilter,
  nextSort,
  operatorCounts,
  type SortOrder,
  shownRows,
} from '../../webview/layers';
import { overviewItem } from '../../webview/views/overviewBars';
import { previewModel } from './preview/models';
import { settings } from './preview/states';

const { facts } = previewModel(20);
const plan: Projection = {
  before: facts.totals,
  after: facts.totals,
  basis: 'weights',
  shortfall: null,
  layers: facts.layers.map((layer, i) => ({
    layer: layer.name,
    action: i === 2 ? 'factorize' : 'keep',
    reason: i === 2 ? null : i === 0 ? 'protected' : layer.reason,
    rank: i === 2 ? 8 : layer.fullRank,
    params: layer.params,
    macs: i === 2 ? (layer.macs as number) / 4 : layer.macs,
    bytes: layer.bytes,
    error: 0,
  })),
};
const rows = layerRows(facts, plan, { ...settings, layers: [{ match: facts.layers[2].name, rank: 8 }] });
const names = (order: SortOrder | null, text = '', operator = '') =>
  shownRows(rows, { text, operator }, order).map((row) => row.facts.name);

test('a row joins facts, plan and override', () => {
  expect(rows[2]).toMatchObject({ index: 2, rank: 8, reason: '', override: { rank: 8 } });
  expect(keptShare(rows[2])).toBe(0.25);
  expect(rows[0].reason).toBe('protected');
  expect(rows.reduce((sum, row) => sum + (row.macsShare ?? 0), 0)).toBeCloseTo(1, 12);
});

test('what has no smaller form is locked where single weights are pruned', () => {
  const depthwise = rows.find(({ facts: layer }) => layer.reason !== null) as LayerRow;
  const lockable = (row: LayerRow) =>
    (['basis', 'double', 'gsm', 'channel', 'fine-tune'] as const).map((method) =>
      isLockable(row, { ...settings, method }),
    );
  expect(lockable(rows[2])).toEqual([true, true, true, false, false]);
  expect(lockable(depthwise)).toEqual([false, false, true, false, false]);
  expect([isLockable(rows[2], null), isLockable(depthwise, null)]).toEqual([true, false]);
});

test('the last override of a name counts; patterns are not the layer’s own', () => {
  const [{ name: first }, { name: second }] = facts.layers;
  const layers = [
    { match: first, rank: 3 },
    { match: first, keep: true },
    { match: `${second}*`, rank: 1 },
  ];
  const [one, other] = layerRows(facts, plan, { ...settings, layers });
  expect([one.override, other.override]).toEqual([{ match: first, keep: true }, null]);
});

test('an override counts where the method reads it', () => {
  const { name } = facts.layers[2];
  const of = (method: PruneSettings['method'], own: object) =>
    layerRows(facts, plan, { ...settings, method, layers: [{ match: name, ...own }] })[2].override;
  expect(of('double', { rank: 8 })).toEqual({ match: name, rank: 8 });
  expect(of('gsm', { keep: true })).toEqual({ match: name, keep: true });
  expect([of('gsm', { rank: 8 }), of('fine-tune', { keep: true }), of('channel', { rank: 8 })]).toEqual([
    null,
    null,
    null,
  ]);
});

test('without a plan everything is kept', () => {
  const [first] = layerRows(facts, null, null);
  expect([first.rank, first.projection, first.override]).toEqual([facts.layers[0].fullRank, null, null]);
});

describe('filter', () => {
  test('every word must occur somewhere', () => {
    const depthwise = rows.filter((row) => row.facts.matrices === null);
    expect(names(null, 'DEPTHWISE')).toEqual(depthwise.map((row) => row.facts.name));
    expect(names(null, 'stage1 conv2')).toEqual(['stage1.block0.conv2', 'stage1.block1.conv2']);
    expect(names(null, '128×128×3×3').length).toBeGreaterThan(0);
    expect(names(null, 'nothing like it')).toEqual([]);
    expect(matchesFilter(rows[0], '  ')).toBe(true);
  });

  test('by operator', () => {
    expect(names(null, '', 'Gemm')).toEqual(['classifier']);
    expect(operatorCounts(facts)).toEqual([
      ['Conv', 19],
      ['Gemm', 1],
    ]);
  });
});

describe('sort', () => {
  test('null is the order of the network', () => {
    expect(names(null)).toEqual(facts.layers.map((layer) => layer.name));
  });

  test('names sort by their numbers', () => {
    const many = layerRows(previewModel(100).facts, null, null);
    const sorted = shownRows(many, { text: 'stage1', operator: '' }, { column: 'name', descending: false });
    const blocks = sorted.map((row) => Number(/block(\d+)/.exec(row.facts.name)?.[1]));
    expect(blocks).toEqual([...blocks].sort((a, b) => a - b));
  });

  test('ties keep the order of the network and unknown values go last, either way', () => {
    for (const descending of [true, false]) {
      const kept = shownRows(rows, { text: '', operator: '' }, { column: 'kept', descending });
      const withoutRank = kept.filter((row) => row.facts.fullRank === 0);
      expect(kept.slice(-withoutRank.length)).toEqual(withoutRank);
      const full = kept.filter((row) => keptShare(row) === 1 && row.facts.fullRank > 0).map((row) => row.index);
      expect(full).toEqual([...full].sort((a, b) => a - b));
    }
    expect(names({ column: 'kept', descending: false })[0]).toBe(facts.layers[2].name);
  });

  test('a heading goes through its two orders and back to the network’s', () => {
    const first = nextSort(null, 'macs');
    const second = nextSort(first, 'macs');
    expect([first, second, nextSort(second, 'macs')]).toEqual([
      { column: 'macs', descending: true },
      { column: 'macs', descending: false },
      null,
    ]);
    expect(nextSort(first, 'name')).toEqual({ column: 'name', descending: false });
  });
});

test('a bar of the overview adds up to what the layer costs now', () => {
  for (const row of rows) {
    const { kept, cut } = overviewItem(row, 'macs');
    expect(kept + cut).toBe(row.facts.macs);
  }
  const item = overviewItem(rows[2], 'rank');
  expect([item.kept, item.cut]).toEqual([0.25, 0.75]);
  expect(item.mark).toBeCloseTo((facts.layers[2].breakEvenRank as number) / facts.layers[2].fullRank, 12);
});
