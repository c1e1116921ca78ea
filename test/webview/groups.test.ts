import { describe, expect, test } from 'vitest';
import { type PruneSettings, settingsSchema } from '../../src/protocol/recipe';
import { askedChannels, groupRows, isRemovable, othersOf, planKind } from '../../webview/groups';
import { layerRows, shownRows } from '../../webview/layers';
import { roundedKept } from '../../webview/rounding';
import { layersTable } from '../../webview/views/resultTables';
import { previewChannels, previewDouble } from './preview/channels';
import { previewModel } from './preview/models';

const { facts } = previewModel(20);
const shared = 'stage2.block1.conv3';
const settings = (own: object = {}): PruneSettings =>
  settingsSchema.parse({ method: 'channel', multiple: 8, target: { kind: 'macs', value: 0.5 }, ...own });
const plan = (own: object = {}) => previewChannels(facts, settings(own));
const row = (own: object = {}, name = shared) => {
  const found = groupRows(plan(own), settings(own)).find(({ projection }) => projection.name === name);
  if (found === undefined) throw new Error(`no group ${name}`);
  return found;
};

test('what the plan removes decides on the columns', () => {
  expect(planKind(null, settings())).toBe('bases');
  expect(planKind(plan(), settings())).toBe('channels');
  expect(planKind(plan(), settings({ method: 'double' }))).toBe('both');
});

test('every layer that gives the channels of a group shares its row; readers do not', () => {
  const rows = layerRows(facts, plan(), settings());
  const members = rows.filter(({ group }) => group?.projection.name === shared).map((each) => each.facts.name);
  expect(members).toEqual([shared, 'stage2.block2.conv3']);
  expect(othersOf(row(), shared)).toHaveLength(3);
  expect(rows.at(-1)?.group).toBeNull();
});

test('the reason is the group’s where the group stays', () => {
  const locked = { groups: [{ match: shared, keep: true }] };
  const reasonOf = (own: object) =>
    layerRows(facts, plan(own), settings(own)).find((each) => each.facts.name === shared)?.reason;
  expect(reasonOf(locked)).toBe('locked');
  expect(reasonOf({})).toBe('');
});

test('rows sort by their groups, those without last', () => {
  const rows = layerRows(facts, plan(), settings());
  const sorted = shownRows(rows, { text: '', operator: '' }, { column: 'channels', descending: false });
  const kept = sorted.map(({ group }) => group?.projection.kept ?? Number.POSITIVE_INFINITY);
  expect(kept).toEqual([...kept].sort((a, b) => a - b));
});

describe('rounding', () => {
  test('what was asked for is told apart from what a multiple makes of it', () => {
    const asked = row({ groups: [{ match: shared, ratio: 0.3 }] });
    expect([askedChannels(asked), asked.projection.kept]).toEqual([19, 24]);
    expect(roundedKept(asked, 8)).toEqual({ from: 19, multiple: 8 });
    expect(roundedKept(row(), 8)).toEqual({ from: null, multiple: 8 });
    expect(roundedKept(row({ multiple: 1 }), 1)).toBeNull();
  });

  test('a group that can lose nothing is not rounded', () => {
    const fixed = groupRows(plan(), settings()).find(({ projection }) => !isRemovable(projection));
    expect(fixed && roundedKept(fixed, 8)).toBeNull();
  });
});

test('the table of what became of each layer has channels and ranks where they were cut', () => {
  const labels = (layers: Parameters<typeof layersTable>[0]) => layersTable(layers).columns.map(({ label }) => label);
  expect(labels(plan())).toEqual(['Layer', 'Change', 'Outputs kept', 'Parameters', 'Reason']);
  expect(labels(previewDouble(facts, settings()))).toContain('Rank');
  const [first] = layersTable(plan()).rows;
  expect(first.slice(0, 3)).toEqual(['stem.conv', 'fewer channels', 24]);
});
