/** Runs against each other: the front, the chart, the list's figures and what can be done with a run. */
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/linalg/random';
import type { RunSummary } from '../../src/protocol/runs';
import { markKinds, markPath } from '../../webview/charts/marks';
import { type ParetoPoint, paretoChart, paretoFront } from '../../webview/charts/pareto';
import { methods } from '../../webview/methods';
import { methodMark, originalAccuracy, paretoPoints, runActions, runFigures, runsTable } from '../../webview/runs';
import { runs } from './preview/states';
import { renderChart } from './renderTemplate';

const plain = (text: string) => text.replaceAll('\u00a0', ' ');

function draw(
  points: readonly ParetoPoint[],
  { width = 480, active = null as string | null, original = 0.9172 as number | null } = {},
) {
  const size = { width, height: 260 };
  const none = () => {};
  const props = { ...size, points, original, current: points[0]?.id ?? null, active };
  return renderChart(paretoChart({ ...props, onOpen: none, onActive: none, onKey: none }), size);
}

function many(count: number): ParetoPoint[] {
  const random = seededRandom(3);
  return Array.from({ length: count }, (_, i) => {
    const cost = random.uniform();
    return {
      id: `run-${i}`,
      title: `Run ${i}`,
      kind: i % 6,
      cost,
      accuracy: Math.sqrt(cost) * random.uniform(),
      text: '',
    };
  });
}

describe('golden', () => {
  test.each([
    ['pareto', () => draw(paretoPoints(runs))],
    ['pareto-active', () => draw(paretoPoints(runs), { active: 'run-6', width: 320 })],
    ['pareto-1', () => draw(paretoPoints(runs).slice(0, 1), { original: null })],
  ])('%s', async (name, drawn) => {
    await expect(drawn()).toMatchFileSnapshot(`golden/${name}.svg`);
  });
});

describe('the front', () => {
  test.each([0, 1, 2, 100])('of %i runs: nothing beats it, and it beats or holds all', (count) => {
    const points = many(count);
    const front = paretoFront(points);
    for (const point of points)
      expect(front.some(({ cost, accuracy }) => cost <= point.cost && accuracy >= point.accuracy)).toBe(true);
    for (const [i, { cost, accuracy }] of front.slice(1).entries()) {
      expect(cost).toBeGreaterThan(front[i].cost);
      expect(accuracy).toBeGreaterThan(front[i].accuracy);
    }
  });

  test('of runs at the same cost holds the best', () => {
    expect(
      paretoFront([
        { cost: 0.5, accuracy: 0.8 },
        { cost: 0.5, accuracy: 0.9 },
      ]),
    ).toEqual([{ cost: 0.5, accuracy: 0.9 }]);
  });
});

describe('the chart', () => {
  test.each([1, 2, 100])('of %i runs has one mark each, one of them in the tab order', (count) => {
    const svg = draw(many(count));
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(svg.match(/class="mark"/g)).toHaveLength(count);
    expect(svg.match(/tabindex="0"/g)).toHaveLength(1);
  });

  test('every mark has its own shape', () => {
    const shapes = Array.from({ length: markKinds }, (_, kind) => markPath(kind, 0, 0, 5));
    expect(new Set(shapes).size).toBe(markKinds);
    expect(new Set(methods.map(({ id }) => methodMark({ method: id }))).size).toBe(methods.length);
  });

  test('the title of the run pointed at stays within the chart', () => {
    for (const { id } of paretoPoints(runs)) {
      const callout = /<g class="callout">\s*<rect x="([\d.-]+)" y="([\d.-]+)" width="([\d.]+)"/.exec(
        draw(paretoPoints(runs), { active: id, width: 480 }),
      );
      const [left, top, wide] = (callout?.slice(1) ?? []).map(Number);
      expect(left).toBeGreaterThanOrEqual(0);
      expect(top).toBeGreaterThanOrEqual(0);
      expect(left + wide).toBeLessThanOrEqual(480.1);
    }
  });
});

describe('a run', () => {
  const [stopped, failed, done] = runs;

  test('has a point when both figures are known', () => {
    expect(paretoPoints(runs).map(({ id }) => id)).toEqual(runs.slice(2).map(({ id }) => id));
    expect(originalAccuracy(runs)).toBe(0.9172);
    expect(originalAccuracy([])).toBeNull();
  });

  test('in words, without what is unknown', () => {
    expect(plain(runFigures(done))).toBe('59.7 % of the MACs, accuracy 91.2 % (−0.51 points), 1.40× as fast');
    expect(runFigures(failed)).toBe('');
    expect(plain(runFigures({ ...done, accuracyBefore: null, speedup: null }))).toBe(
      '59.7 % of the MACs, accuracy 91.2 %',
    );
  });

  test.each([
    [done, false, ['open', 'use', 'save', 'delete']],
    [done, true, ['use', 'save', 'delete']],
    [stopped, false, ['open', 'use', 'resume', 'delete']],
    [failed, false, ['use', 'delete']],
    [{ ...done, state: 'running' } as RunSummary, true, ['use']],
  ])('%# offers what can be done with it', (run, busy, actions) => {
    expect(runActions(run, busy)).toEqual(actions);
  });

  test('is a line of the table', () => {
    const table = runsTable(runs);
    expect(table.rows).toHaveLength(runs.length);
    expect(table.rows.every((row) => row.length === table.columns.length)).toBe(true);
    expect(table.rows[2].slice(0, 4)).toEqual(['basis · 60 % MACs · 10 epochs', 'Basis decomposition', 'Done', 0.597]);
  });
});
