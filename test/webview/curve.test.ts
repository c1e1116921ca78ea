/** The training curve: smoothing, epochs, its table, and its drawing for export. */
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/linalg/random';
import type { CurvePoint, TrainingCurve } from '../../src/protocol/runs';
import { accuracyRange, lossRange, trainingDrawing, trainingDrawingHeight } from '../../webview/charts/training';
import { curveTable, epochEnds, epochOf, isSmoothed, pointText, smoothedLoss } from '../../webview/curve';
import { duration } from '../../webview/format';
import { trainingSentences } from '../../webview/views/trainingSentences';
import { renderChart } from './renderTemplate';

function curveOf(count: number, { accuracy = true, steps = count, epochs = 3 } = {}): TrainingCurve {
  const random = seededRandom(7);
  const points = Array.from({ length: count }, (_, i): CurvePoint => {
    const loss = 2 * Math.exp((-3 * i) / count) * (0.8 + 0.4 * random.uniform());
    return { step: i + 1, loss, highest: loss, accuracy: accuracy ? (i + 1) / (count + 1) : null, rate: 0.1 / (i + 1) };
  });
  return { points, steps, epochs };
}

const plain = (text: string) => text.replaceAll('\u00a0', ' ');
const draw = (curve: TrainingCurve, scale: 'log' | 'linear', width = 480) =>
  renderChart(trainingDrawing({ width, curve, scale }), { width, height: trainingDrawingHeight(curve) });

test.each([
  ['training-60', curveOf(60), 'log'],
  ['training-60-linear', curveOf(60), 'linear'],
  ['training-no-accuracy', curveOf(12, { accuracy: false, steps: 40 }), 'log'],
] as const)('golden: %s', async (name, curve, scale) => {
  await expect(draw(curve, scale)).toMatchFileSnapshot(`golden/${name}.svg`);
});

describe('the drawing', () => {
  test.each([1, 2, 1000])('of %i points has only numbers in it', (count) => {
    for (const scale of ['log', 'linear'] as const) expect(draw(curveOf(count), scale)).not.toMatch(/NaN|Infinity/);
  });

  test('leaves out what is not finite or not positive', () => {
    const curve = curveOf(5);
    const points = curve.points.map((point, i) => ({
      ...point,
      loss: [Number.NaN, 0, Number.POSITIVE_INFINITY, 1, 2][i],
    }));
    expect(draw({ ...curve, points }, 'log')).not.toMatch(/NaN|Infinity/);
    expect(lossRange(points, 'log')).toEqual([1 / 1.1, 2 * 1.1]);
    expect(lossRange(points, 'linear')[0]).toBe(0);
  });

  test('a loss that does not change has a range', () => {
    const [low, high] = lossRange(curveOf(1).points, 'log');
    expect(low).toBeGreaterThan(0);
    expect(high).toBeGreaterThan(low);
  });

  test('the accuracy’s axis starts below its smallest value', () => {
    const at = (accuracy: number | null) => accuracyRange([{ step: 1, loss: 1, highest: 1, accuracy, rate: 1 }]);
    expect(at(0.93)).toEqual([0.8, 1]);
    expect(at(0.02)).toEqual([0, 1]);
    expect(at(1)).toEqual([0.9, 1]);
    expect(at(null)).toEqual([0.9, 1]);
  });
});

describe('smoothing', () => {
  test('keeps a constant, from the first point on', () => {
    const points = curveOf(200).points.map((point) => ({ ...point, loss: 0.7 }));
    for (const value of smoothedLoss(points)) expect(value).toBeCloseTo(0.7, 12);
  });

  test('has less noise than the loss', () => {
    const { points } = curveOf(500);
    const roughness = (values: readonly number[]) =>
      values.slice(1).reduce((sum, value, i) => sum + Math.abs(value - values[i]), 0);
    expect(roughness(smoothedLoss(points))).toBeLessThan(0.3 * roughness(points.map(({ loss }) => loss)));
  });

  test('of few points is the loss itself', () => {
    const curve = curveOf(20);
    expect(isSmoothed(curve)).toBe(false);
    expect(smoothedLoss(curve.points)).toEqual(curve.points.map(({ loss }) => loss));
  });
});

describe('epochs', () => {
  test('end between the first step and the last', () => {
    expect(epochEnds({ points: [], steps: 300, epochs: 3 }, 40)).toEqual([100, 200]);
    expect(epochEnds({ points: [], steps: 300, epochs: 1 }, 40)).toEqual([]);
    expect(epochEnds({ points: [], steps: 1000, epochs: 100 }, 10)).toHaveLength(9);
  });

  test.each([
    [1, 1],
    [100, 1],
    [101, 2],
    [300, 3],
  ])('step %i of 300 is in epoch %i of 3', (step, epoch) => {
    expect(epochOf({ points: [], steps: 300, epochs: 3 }, step)).toBe(epoch);
  });
});

describe('as numbers', () => {
  test('the table is thinned evenly, the CSV is not', () => {
    const curve = curveOf(500);
    const table = curveTable(curve, 60);
    expect(table.rows).toHaveLength(60);
    expect([table.rows[0][0], table.rows.at(-1)?.[0]]).toEqual([1, 500]);
    expect(curveTable(curve).rows).toHaveLength(500);
    expect(curveTable(curve).rows.every((row) => row.length === table.columns.length)).toBe(true);
  });

  test('a point in words', () => {
    const points = [{ step: 120, loss: 0.0123, highest: 0.02, accuracy: 0.91, rate: 0.01 }];
    const curve = { points, steps: 200, epochs: 2 };
    expect(plain(pointText(curve, 0, [0.0123]))).toBe(
      'Step 120, epoch 2: loss 0.0123, 91.0 % classified right, learning rate 0.0100',
    );
  });

  test('what training gave', () => {
    const training = {
      losses: [1, 2],
      epochs: [{ loss: 1, accuracy: null }],
      untrained: 0.712,
      seconds: 331,
      imagesPerSecond: 302,
      trainedParams: 171_302,
    };
    const after = { params: 1, macs: 1, bytes: 1, fileBytes: 1, latency: null, accuracy: null };
    expect(plain(trainingSentences({ training, after }))).toBe(
      '1 epoch, 2 steps in 6 min, 302 images/s. 171 k parameters were trained.',
    );
  });
});

test.each([
  [0.21, '210 ms'],
  [4.26, '4.26 s'],
  [45.4, '45 s'],
  [59.6, '1 min'],
  [250, '4 min'],
  [3600, '1 h'],
  [4800, '1 h 20 min'],
])('%f seconds read “%s”', (seconds, text) => {
  expect(plain(duration(seconds))).toBe(text);
});
