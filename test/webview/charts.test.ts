/** Charts as SVG text: golden files for a reviewer's eye, and laws that hold for any number of items. */
import { describe, expect, test } from 'vitest';
import { type BarItem, itemsPerBar, stackedBars } from '../../webview/charts/bars';
import { budgetChart, budgetHeight } from '../../webview/charts/budget';
import { channelOrder, channelsChart } from '../../webview/charts/channels';
import { confusionChart, confusionHeight, topConfusions } from '../../webview/charts/confusion';
import { importanceChart } from '../../webview/charts/importance';
import { latencyChart } from '../../webview/charts/latency';
import { bins, linearTicks, logScale, logTicks, sample } from '../../webview/charts/scale';
import { damageLevel, largestDamage, sensitivityChart, sensitivityHeight } from '../../webview/charts/sensitivity';
import { sparkline } from '../../webview/charts/sparkline';
import { sparsityChart, sparsityHeight } from '../../webview/charts/sparsity';
import { cutPosition, rankAt, spectrumArea, spectrumChart } from '../../webview/charts/spectrum';
import { count, real } from '../../webview/format';
import { renderChart } from './renderTemplate';

/** Falls from 4 by a power law; below `noise` of the largest when asked. */
function singularValues(length: number, { noisy = false } = {}): Float64Array {
  return Float64Array.from({ length }, (_, i) => (noisy && i > length * 0.9 ? 1e-9 : 4 * (i + 1) ** -0.7));
}

function energyOf(values: Float64Array): Float64Array {
  const total = values.reduce((sum, value) => sum + value * value, 0);
  let sum = 0;
  return values.map((value) => (sum += value * value) / total);
}

function spectrum(length: number, props: Partial<Parameters<typeof spectrumChart>[0]> = {}) {
  const values = singularValues(length, { noisy: length > 8 });
  const size = { width: 420, height: 240 };
  return renderChart(
    spectrumChart({
      ...size,
      singularValues: values,
      energy: energyOf(values),
      kept: Math.ceil(length * 0.4),
      breakEven: length * 0.9,
      edge: 0.6,
      noiseFloor: 4e-8,
      scale: 'log',
      ...props,
    }),
    size,
  );
}

function items(length: number): BarItem[] {
  return Array.from({ length }, (_, i) => ({
    label: `layer${i}`,
    kept: (i % 5) * 1e5 + 5e4,
    cut: i % 3 === 0 ? 0 : 2e5,
    mark: i % 4 === 1 ? 1e5 : null,
    changeable: i % 7 !== 6,
  }));
}

function bars(length: number, width = 420, line: number | null = null) {
  const size = { width, height: 110 };
  const describeItem = (item: BarItem) => `${item.label}: ${count(item.kept)}`;
  return renderChart(
    stackedBars({
      ...size,
      items: items(length),
      selected: length > 1 ? 1 : null,
      format: count,
      describe: describeItem,
      line,
    }),
    size,
  );
}

function importance(length: number, scale: 'log' | 'linear', width = 420) {
  const size = { width, height: 180 };
  const values = singularValues(length).map((value) => value * 1e-6);
  return renderChart(
    importanceChart({
      ...size,
      importance: values,
      kept: Math.ceil(length / 2),
      threshold: values[Math.floor(length / 2)],
      scale,
    }),
    size,
  );
}

function latency(length: number, width = 420) {
  const size = { width, height: 150 };
  const pairs = Array.from({ length }, (_, i) => ({
    label: `layer${i}`,
    before: i === 3 ? null : 0.02 + 0.01 * (i % 6),
    after: 0.015 + 0.004 * (i % 6),
  }));
  return renderChart(latencyChart({ ...size, items: pairs }), size);
}

const classes = ['cat', 'dog', 'an unusually long class name'];
const confusion = Uint32Array.from([90, 8, 2, 20, 75, 5, 0, 0, 100]);

describe('golden', () => {
  test.each([
    ['spectrum-1', () => spectrum(1)],
    ['spectrum-32', () => spectrum(32)],
    ['spectrum-32-linear', () => spectrum(32, { scale: 'linear' })],
    ['spectrum-4096', () => spectrum(4096)],
    ['bars-1', () => bars(1)],
    ['bars-20', () => bars(20)],
    ['bars-20-threshold', () => bars(20, 420, 3e5)],
    ['bars-300', () => bars(300)],
    ['bars-10000', () => bars(10_000, 180)],
    ['importance-1', () => importance(1, 'log')],
    ['importance-32', () => importance(32, 'log')],
    ['importance-32-linear', () => importance(32, 'linear')],
    ['importance-4096', () => importance(4096, 'log', 180)],
    ['latency-1', () => latency(1)],
    ['latency-20', () => latency(20)],
    ['latency-10000', () => latency(10_000, 240)],
    [
      'sparkline-1',
      () => renderChart(sparkline({ width: 68, height: 20, values: [2], kept: 1 }), { width: 68, height: 20 }),
    ],
    [
      'sparkline-64',
      () =>
        renderChart(sparkline({ width: 68, height: 20, values: singularValues(64), kept: 20 }), {
          width: 68,
          height: 20,
        }),
    ],
    [
      'confusion-3',
      () =>
        renderChart(confusionChart({ width: 260, classes, confusion }), {
          width: 260,
          height: confusionHeight({ width: 260, classes }),
        }),
    ],
  ])('%s', async (name, draw) => {
    await expect(draw()).toMatchFileSnapshot(`golden/${name}.svg`);
  });
});

describe('at any size', () => {
  const sizes = [1, 2, 20, 300, 10_000];

  test.each(sizes)('%i items: every coordinate is a number', (length) => {
    const drawn = [
      spectrum(length),
      bars(length),
      importance(length, 'log'),
      importance(length, 'linear'),
      latency(length),
    ];
    for (const svg of drawn) expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  });

  test.each(sizes)('%i items: never more bars than pixels', (length) => {
    const drawn = bars(length).match(/<g /g)?.length ?? 0;
    expect(drawn).toBeGreaterThan(0);
    expect(drawn).toBeLessThanOrEqual(420 / 2);
    expect(drawn).toBe(Math.ceil(length / itemsPerBar(length, { width: 420, height: 110 })));
  });

  test('values that are all zero, and no values at all, are drawn', () => {
    const zeros = new Float64Array(8);
    const drawn = [
      spectrum(8, { singularValues: zeros, energy: zeros.map(() => 1), edge: 0, noiseFloor: 0 }),
      renderChart(
        stackedBars({ width: 300, height: 100, items: [], selected: null, format: count, describe: () => '' }),
        { width: 300, height: 100 },
      ),
      renderChart(
        importanceChart({ width: 300, height: 100, importance: zeros, kept: 8, threshold: 0, scale: 'log' }),
        { width: 300, height: 100 },
      ),
      renderChart(latencyChart({ width: 300, height: 100, items: [] }), { width: 300, height: 100 }),
    ];
    for (const svg of drawn) expect(svg).not.toMatch(/NaN|Infinity/);
  });

  test.each([1, 7, 64, 2048])('the cut of rank r lies at r: full rank %i', (full) => {
    const area = spectrumArea({ width: 500, height: 280 });
    for (let rank = 1; rank <= full; rank++) expect(rankAt(area, full, cutPosition(area, full, rank))).toBe(rank);
    expect(rankAt(area, full, -100)).toBe(1);
    expect(rankAt(area, full, 10_000)).toBe(full);
  });
});

describe('bars', () => {
  test('a merged bar is as high as its items together', () => {
    const one: BarItem = { label: 'a', kept: 1, cut: 0, mark: null, changeable: true };
    const svg = renderChart(
      stackedBars({
        width: 60,
        height: 110,
        items: Array.from({ length: 2 }, () => one),
        selected: null,
        format: real,
        describe: () => 'x',
      }),
      { width: 60, height: 110 },
    );
    expect(itemsPerBar(2, { width: 60, height: 110 })).toBe(2);
    // The only bar fills the plot: its value, 2, is the top of the axis.
    expect(svg).toContain('height="96"');
    expect(svg).toContain('a … a');
  });
});

describe('scales', () => {
  test.each([
    [0, 10, 5, [0, 2, 4, 6, 8, 10]],
    [0, 1, 4, [0, 0.5, 1]],
    [0, 0.3, 3, [0, 0.1, 0.2, 0.3]],
    [0, 93.1e6, 3, [0, 50e6]],
    [5, 5, 3, [5]],
  ])('round ticks from %f to %f', (low, high, wanted, ticks) => {
    expect(linearTicks(low, high, wanted)).toEqual(ticks);
  });

  test.each([
    [0.01, 100, 6, [0.01, 0.1, 1, 10, 100]],
    [0.5, 6, 6, [0.5, 1, 2, 5]],
    [1e-8, 1, 4, [1e-8, 1e-6, 1e-4, 1e-2, 1]],
    [2.1, 4.4, 3, [3, 4]],
  ])('log ticks from %f to %f', (low, high, wanted, ticks) => {
    expect(logTicks(low, high, wanted)).toEqual(ticks);
  });

  test('a log scale puts what is below its domain at the end', () => {
    const y = logScale([0.01, 100], [200, 0]);
    expect([y(0), y(-1), y(0.01), y(1), y(100)]).toEqual([200, 200, 200, 100, 0]);
  });

  test('bins cover every item once', () => {
    for (const [length, limit] of [
      [1, 5],
      [10, 3],
      [10_000, 333],
      [0, 4],
    ]) {
      const runs = bins(length, limit);
      expect(runs.length).toBeLessThanOrEqual(limit);
      expect(runs.flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i))).toEqual(
        Array.from({ length }, (_, i) => i),
      );
    }
  });

  test('a sample keeps first and last', () => {
    expect(sample(3, 10)).toEqual([0, 1, 2]);
    expect(sample(100, 4)).toEqual([0, 33, 66, 99]);
  });
});

test('the most frequent confusions, largest first, without what was right', () => {
  expect(topConfusions(classes, confusion, 3)).toEqual([
    { actual: 'dog', predicted: 'cat', images: 20, share: 0.2 },
    { actual: 'cat', predicted: 'dog', images: 8, share: 0.08 },
    { actual: 'dog', predicted: 'an unusually long class name', images: 5, share: 0.05 },
  ]);
});

describe('channels', () => {
  const channels = (length: number, sorted = false) => {
    const importance = Float64Array.from({ length }, (_, i) => ((i * 7) % 11) / 10);
    const kept = Uint8Array.from(importance, (value) => Number(value > 0.4));
    const size = { width: 420, height: 240 };
    return {
      importance,
      text: renderChart(channelsChart({ ...size, importance, kept, sorted, scale: 'linear' }), size),
    };
  };

  test.each([1, 32])('%i of them', async (length) => {
    await expect(channels(length).text).toMatchFileSnapshot(`golden/channels-${length}.svg`);
  });

  test('sorted, the kept come first and the order falls', async () => {
    const { importance, text } = channels(32, true);
    const order = channelOrder({ importance, sorted: true });
    expect(order.map((i) => importance[i])).toEqual([...importance].sort((a, b) => b - a));
    expect(text.lastIndexOf('class="kept"')).toBeLessThan(text.indexOf('class="cut"'));
    await expect(text).toMatchFileSnapshot('golden/channels-32-sorted.svg');
  });

  test('4096 share bars, and no bar mixes kept with cut', () => {
    const { text } = channels(4096, true);
    expect(text.match(/<rect/g)?.length).toBeLessThan(300);
  });
});

test('budget: what is left against the target', async () => {
  const size = { width: 420, height: budgetHeight };
  const chart = (now: number) =>
    renderChart(budgetChart({ ...size, now, target: 19.1e6, whole: 40.6e6, label: '19.1 M' }), size);
  await expect(chart(31.2e6)).toMatchFileSnapshot('golden/budget.svg');
  const widths = [40.6e6, 20.3e6, 0].map((now) => Number(/class="kept"[^>]*width="([\d.]+)"/.exec(chart(now))?.[1]));
  expect(widths[1] / widths[0]).toBeCloseTo(0.5, 2);
  expect(widths[2]).toBe(1);
});

test('sparsity: bars as long as the share that is left, with their numbers', async () => {
  const layers = [
    { layer: 'conv1', weights: 500, nonZero: 500, pruned: false },
    { layer: 'stage1.block0.a.long.name.conv2', weights: 25_000, nonZero: 2_500, pruned: true },
    { layer: 'fc1', weights: 400_000, nonZero: 0, pruned: true },
  ];
  const size = { width: 420, height: sparsityHeight(layers.length) };
  const chart = renderChart(sparsityChart({ ...size, layers }), size);
  await expect(chart).toMatchFileSnapshot('golden/sparsity.svg');
  const many = Array.from({ length: 1000 }, (_, i) => ({ ...layers[1], layer: `layer${i}` }));
  const tall = { width: 420, height: sparsityHeight(1000) };
  expect(renderChart(sparsityChart({ ...tall, layers: many }), tall)).not.toContain('2,500 / 25,000</text>');
});

test('sensitivity: the stronger, the more is lost', async () => {
  const sensitivity = {
    ratios: [0.25, 0.5, 0.75],
    groups: [
      { name: 'conv0', damage: [0, 0.4, 2] },
      { name: 'stage1.block0.a.long.name.conv1', damage: [1, 12, 40] },
    ],
    unit: 'accuracy',
    images: 256,
  } as const;
  const size = { width: 420, height: sensitivityHeight(sensitivity) };
  const chart = sensitivityChart({ ...size, sensitivity, selected: 'conv0', format: String, onPick: () => {} });
  await expect(renderChart(chart, size)).toMatchFileSnapshot('golden/sensitivity.svg');
  expect(largestDamage(sensitivity)).toBe(40);
  expect([0, 1, 12, 40].map((damage) => damageLevel(damage, 40))).toEqual([0, 0, 3, 9]);
  expect(damageLevel(0, 0)).toBe(0);
});
