/**
 * A training curve as a drawing of its own, for export (the screen's is a canvas, see controls/trainingChart.ts).
 *
 * Three panels one below the other over the same x, the step from 0 to the last of the whole training: loss (log or
 * linear; the plain line thin, the smoothed one thick), accuracy (0 to 100 %) where there is one, learning rate. Dotted
 * verticals are ends of epochs.
 */
import { nothing, type SVGTemplateResult, svg } from 'lit';
import type { CurvePoint, TrainingCurve } from '../../src/protocol/runs';
import { epochEnds, hasAccuracy, isSmoothed, smoothedLoss } from '../curve';
import { exact, real, round } from '../format';
import { strings } from '../strings';
import { type Area, linearScale, linearTicks, logScale, logTicks, points as polyline, px, type Scale } from './scale';

export interface TrainingDrawingProps {
  readonly width: number;
  readonly curve: TrainingCurve;
  readonly scale: 'log' | 'linear';
}

const left = 52;
const gap = 26;
const heights = { loss: 190, accuracy: 110, rate: 80 } as const;

export function trainingDrawingHeight(curve: TrainingCurve): number {
  return heights.loss + heights.rate + 2 * gap + (hasAccuracy(curve) ? heights.accuracy + gap : 0);
}

/** Smallest and largest loss to show: all of the plain line, positive on a log scale. */
export function lossRange(points: readonly CurvePoint[], scale: 'log' | 'linear'): [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = 0;
  for (const { loss } of points) {
    if (!Number.isFinite(loss)) continue;
    if (loss > high) high = loss;
    if (loss < low && (scale === 'linear' || loss > 0)) low = loss;
  }
  if (high === 0 || low === Number.POSITIVE_INFINITY) return scale === 'log' ? [0.1, 1] : [0, 1];
  if (scale === 'linear') return [Math.min(0, low), high * 1.05];
  return low * 1.2 < high ? [low / 1.1, high * 1.1] : [low / 2, high * 2];
}

/** 0 to 1, or less of it where the accuracy stays far above 0: from a multiple of 10 %. */
export function accuracyRange(points: readonly CurvePoint[]): [number, number] {
  const least = points.reduce((low, { accuracy }) => Math.min(low, accuracy ?? 1), 1);
  return [Math.min(0.9, Math.max(0, Math.floor(least * 10 - 0.5) / 10)), 1];
}

export function trainingDrawing({ width, curve, scale }: TrainingDrawingProps): SVGTemplateResult {
  const { points, steps } = curve;
  const [low, high] = lossRange(points, scale);
  const withAccuracy = hasAccuracy(curve);
  const lossArea: Area = { left, right: width - 8, top: gap, bottom: gap + heights.loss };
  const accuracyArea = below(lossArea, heights.accuracy);
  const rateArea = below(withAccuracy ? accuracyArea : lossArea, heights.rate);
  const x = linearScale([0, Math.max(1, steps)], [left, lossArea.right]);
  const range = (area: Area) => [area.bottom, area.top] as const;
  const lossY = scale === 'log' ? logScale([low, high], range(lossArea)) : linearScale([low, high], range(lossArea));
  const highestRate = points.reduce((most, { rate }) => Math.max(most, rate), 0) || 1;
  const rateY = linearScale([0, highestRate * 1.05], range(rateArea));
  const shares = accuracyRange(points);
  const accuracyY = linearScale(shares, range(accuracyArea));
  const smoothed = smoothedLoss(points);
  const finite = points.flatMap((point, i) => (Number.isFinite(point.loss) ? [{ ...point, smooth: smoothed[i] }] : []));
  const ends = epochEnds(curve, 40);
  return svg`
    ${frame(lossArea, scale === 'log' ? logTicks(low, high, 5) : linearTicks(low, high, 5), lossY, (value) => round(real(value)), strings.curve.loss)}
    ${ends.map((end) => svg`<line class="epoch" x1=${px(x(end))} x2=${px(x(end))} y1=${lossArea.top} y2=${rateArea.bottom}></line>`)}
    <polyline class=${isSmoothed(curve) ? 'loss-plain' : 'loss'} points=${polyline(finite.map(({ step, loss }) => [x(step), lossY(loss)]))}></polyline>
    ${isSmoothed(curve) ? svg`<polyline class="loss" points=${polyline(finite.map(({ step, smooth }) => [x(step), lossY(smooth)]))}></polyline>` : nothing}
    ${
      withAccuracy
        ? svg`${frame(accuracyArea, linearTicks(...shares, 3), accuracyY, (share) => `${Math.round(share * 100)} %`, strings.curve.accuracy)}
            <polyline class="accuracy" points=${polyline(points.flatMap(({ step, accuracy }) => (accuracy === null ? [] : [[x(step), accuracyY(accuracy)] as const])))}></polyline>`
        : nothing
    }
    ${frame(rateArea, linearTicks(0, highestRate * 1.05, 2), rateY, (value) => round(real(value)), strings.curve.rate)}
    <polyline class="rate" points=${polyline(points.map(({ step, rate }) => [x(step), rateY(rate)]))}></polyline>
    <text x=${left} y=${rateArea.bottom + 16}>0</text>
    <text class="middle" x=${px((left + rateArea.right) / 2)} y=${rateArea.bottom + 16}>${strings.curve.step}</text>
    <text class="end" x=${rateArea.right} y=${rateArea.bottom + 16}>${exact(steps)}</text>`;
}

function below({ left, right, bottom }: Area, height: number): Area {
  return { left, right, top: bottom + gap, bottom: bottom + gap + height };
}

function frame(
  { left, right, top, bottom }: Area,
  ticks: readonly number[],
  y: Scale,
  format: (value: number) => string,
  label: string,
): SVGTemplateResult {
  return svg`
    ${ticks.map(
      (tick) => svg`<line class="grid" x1=${left} x2=${right} y1=${px(y(tick))} y2=${px(y(tick))}></line>
        <text class="end" x=${left - 6} y=${px(y(tick) + 4)}>${format(tick)}</text>`,
    )}
    <line class="axis" x1=${left} x2=${right} y1=${bottom} y2=${bottom}></line>
    <text class="strong" x=${left} y=${top - 8}>${label}</text>`;
}
