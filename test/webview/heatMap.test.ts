/** The importance of all bases: levels, cells, its drawing at any size, and what it asks of the host. */
import { describe, expect, test } from 'vitest';
import type { Spectrum } from '../../src/protocol/facts';
import { scoreBases } from '../../src/prune/basis';
import {
  type HeatRow,
  heatCellLimit,
  heatCells,
  heatLevel,
  heatLevels,
  heatMap,
  heatMapHeight,
  heatRange,
} from '../../webview/charts/heatMap';
import { SpectraLoader } from '../../webview/spectra';
import { importanceOf } from '../../webview/views/importanceMap';
import { previewModel } from './preview/models';
import { renderChart } from './renderTemplate';

const rowsOf = (count: number): HeatRow[] =>
  Array.from({ length: count }, (_, i) => ({
    label: `stage${i % 4}.block${i}.conv`,
    cells:
      i % 7 === 6 ? null : Float64Array.from({ length: 4 + (i % 60) }, (_, j) => Math.exp(-0.2 * j) / (1 + (i % 5))),
    kept: i % 3 === 0 ? 1 : 0.4,
  }));

function draw(count: number, width = 620): string {
  const size = { width, height: heatMapHeight(count) };
  const rows = rowsOf(count);
  return renderChart(heatMap({ ...size, rows, selected: count > 1 ? 1 : null, describe: ({ label }) => label }), size);
}

test.each([
  ['heat-map-1', () => draw(1)],
  ['heat-map-12', () => draw(12)],
  ['heat-map-12-narrow', () => draw(12, 320)],
])('golden: %s', async (name, drawn) => {
  await expect(drawn()).toMatchFileSnapshot(`golden/${name}.svg`);
});

describe('the drawing', () => {
  test.each([1, 20, 500])('of %i layers has one path a colour and one row a layer', (count) => {
    const svg = draw(count);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(svg.match(/<path class="heat-\d/g)?.length).toBeLessThanOrEqual(heatLevels);
    expect(svg.match(/class="row"/g)).toHaveLength(count);
  });

  test('has names only where there is room for them', () => {
    const texts = (count: number) => (draw(count).match(/<text class="end" x="144"/g) ?? []).length;
    expect(texts(20)).toBe(20);
    expect(texts(500)).toBeLessThan(40);
  });

  test('without a known row is drawn as well', () => {
    const rows = [{ label: 'a', cells: null, kept: 1 }];
    const svg = renderChart(heatMap({ width: 300, height: 60, rows, selected: null, describe: () => '' }), {
      width: 300,
      height: 60,
    });
    expect(svg).toContain('heat-waiting');
    expect(svg).not.toMatch(/heat-\d/);
  });
});

describe('colours', () => {
  test('go from the weakest to the strongest in equal steps of the logarithm', () => {
    const range = { low: 1e-5, high: 1 };
    expect(heatLevel(1, range)).toBe(heatLevels - 1);
    expect(heatLevel(2, range)).toBe(heatLevels - 1);
    expect(heatLevel(1e-5, range)).toBe(0);
    expect(heatLevel(0, range)).toBe(0);
    expect(heatLevel(1.01 * 10 ** -2.5, range)).toBe(heatLevels / 2);
  });

  test('one value alone is strong', () => {
    const range = heatRange([{ label: 'a', cells: Float64Array.of(0.3), kept: 1 }]);
    expect(range).toEqual({ low: 0.3, high: 0.3 });
    expect(heatLevel(0.3, { low: 0.3, high: 0.3 })).toBe(heatLevels - 1);
  });

  test('one layer far above the others does not pale them', () => {
    const others = Array.from({ length: 99 }, () => ({ label: '', cells: Float64Array.of(1, 0.5, 0.1), kept: 1 }));
    expect(heatRange([...others, { label: '', cells: Float64Array.of(1e6), kept: 1 }])?.high).toBe(1);
  });

  test('of zeros alone are none', () => {
    expect(heatRange([{ label: 'a', cells: new Float64Array(3), kept: 1 }])).toBeNull();
  });
});

describe('cells', () => {
  test.each([1, 63, 64, 65, 2048])('of %i bases are at most 64 and keep the mean', (length) => {
    const cells = heatCells(new Float64Array(length).fill(0.25));
    expect(cells.length).toBeLessThanOrEqual(heatCellLimit);
    expect(cells.every((value) => value === 0.25)).toBe(true);
  });

  test.each(['energy', 'energy-per-mac'] as const)('are what the plan compares by %s', (score) => {
    const model = previewModel(8);
    for (const layer of model.facts.layers) {
      const spectrum = model.spectrum(layer.name);
      if (spectrum === null || spectrum.blocks > 1) continue;
      const energies = spectrum.singularValues.map((value) => value * value);
      const wanted = scoreBases(layer, energies, score);
      const found = importanceOf(spectrum, layer, score);
      for (const [i, value] of wanted.entries()) expect(Math.abs(found[i] - value)).toBeLessThan(1e-9 * wanted[0]);
    }
  });
});

test('spectra of rows on screen come before those of the map', async () => {
  const asked: (readonly string[])[] = [];
  const answers: ((spectra: readonly Spectrum[]) => void)[] = [];
  const loader = new SpectraLoader(
    (layers) => {
      asked.push(layers);
      return new Promise((resolve) => answers.push(resolve));
    },
    () => {},
  );
  const names = Array.from({ length: 40 }, (_, i) => `layer${i}`);
  loader.wantLater(names);
  expect(asked).toEqual([names.slice(0, 8), names.slice(8, 16)]);
  loader.want(['layer39', 'layer38']);
  for (let i = 0; i < 6; i++) {
    answers.shift()?.([]);
    await Promise.resolve();
    await Promise.resolve();
  }
  expect(asked[2]).toEqual(['layer39', 'layer38']);
  expect(new Set(asked.flat()).size).toBe(asked.flat().length);
  expect(asked.flat().sort()).toEqual([...names].sort());
});
