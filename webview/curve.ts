/** A training curve as series to draw: smoothing, epochs, and the numbers as a table. */
import type { CurvePoint, TrainingCurve } from '../src/protocol/runs';
import type { DataTable } from './controls/dataTable';
import { exact, percent, real } from './format';
import { strings } from './strings';

/** Points that the smoothing looks back over, as a share of all there are. */
const smoothingShare = 1 / 25;

/**
 * The loss without its noise: an exponential mean whose start is not drawn towards 0 (as in Adam's bias correction).
 *
 * @returns one value per point
 */
export function smoothedLoss(points: readonly CurvePoint[]): number[] {
  const window = Math.max(1, points.length * smoothingShare);
  const keep = 1 - 1 / window;
  let mean = 0;
  let weight = 0;
  return points.map(({ loss }) => {
    mean = keep * mean + (1 - keep) * loss;
    weight = keep * weight + (1 - keep);
    return mean / weight;
  });
}

/** Whether the smoothed line says something that the plain one does not. */
export function isSmoothed({ points }: TrainingCurve): boolean {
  return points.length * smoothingShare > 1;
}

/** Steps at which an epoch ends, the last left out; every so many where there are more than `limit`. */
export function epochEnds({ steps, epochs }: TrainingCurve, limit: number): number[] {
  const every = Math.max(1, Math.ceil(epochs / Math.max(1, limit)));
  const ends: number[] = [];
  for (let epoch = every; epoch < epochs; epoch += every) ends.push((steps / epochs) * epoch);
  return ends;
}

/** From 1. */
export function epochOf({ steps, epochs }: TrainingCurve, step: number): number {
  return Math.min(epochs, Math.max(1, Math.ceil((step * epochs) / Math.max(1, steps))));
}

export function hasAccuracy({ points }: TrainingCurve): boolean {
  return points.some(({ accuracy }) => accuracy !== null);
}

/** "Step 120, epoch 2: loss 0.0123 (0.0131 smoothed), accuracy 91.0 %, learning rate 0.01" */
export function pointText(curve: TrainingCurve, index: number, smoothed: readonly number[]): string {
  const { step, loss, accuracy, rate } = curve.points[index];
  return strings.curve.point(
    exact(step),
    epochOf(curve, step),
    real(loss),
    isSmoothed(curve) ? real(smoothed[index]) : null,
    accuracy === null ? null : percent(accuracy),
    real(rate),
  );
}

/** @param rows at most this many, spread evenly, first and last among them */
export function curveTable(curve: TrainingCurve, rows = Number.POSITIVE_INFINITY): DataTable {
  const { columns } = strings.curve;
  const { points } = curve;
  const smoothed = smoothedLoss(points);
  const kept = Math.min(rows, points.length);
  const indices = Array.from({ length: kept }, (_, i) =>
    kept === points.length ? i : Math.round((i * (points.length - 1)) / Math.max(1, kept - 1)),
  );
  return {
    caption: strings.curve.heading,
    columns: [
      { label: columns.step, format: exact },
      { label: columns.epoch, format: exact },
      { label: columns.loss, format: real },
      { label: columns.smoothed, format: real },
      { label: columns.highest, format: real },
      { label: columns.accuracy, format: percent },
      { label: columns.rate, format: real },
    ],
    rows: indices.map((i) => {
      const { step, loss, highest, accuracy, rate } = points[i];
      return [step, epochOf(curve, step), loss, smoothed[i], highest, accuracy, rate];
    }),
  };
}
