/**
 * Which classes are taken for which: a square of cells, the darker the larger the share of its row.
 *
 * Rows: actual class. Columns: predicted class. Cell: share of the row's images, 0 to 1; the diagonal is outlined.
 */
import { nothing, type SVGTemplateResult, svg } from 'lit';
import { percent } from '../format';
import { px } from './scale';

export interface ConfusionChartProps {
  readonly width: number;
  readonly classes: readonly string[];
  /** confusion[actual * classes + predicted], images. */
  readonly confusion: ArrayLike<number>;
}

/** Beyond this many classes a table of the most frequent confusions says more than a picture. */
export const confusionClassLimit = 40;

const labelWidth = 96;

export function confusionHeight({ width, classes }: Pick<ConfusionChartProps, 'width' | 'classes'>): number {
  return cellSize(width, classes.length) * classes.length + 4;
}

function cellSize(width: number, classCount: number): number {
  return Math.max(6, Math.min(30, (width - labelWidth - 8) / Math.max(1, classCount)));
}

export function confusionChart({ width, classes, confusion }: ConfusionChartProps): SVGTemplateResult {
  const n = classes.length;
  const size = cellSize(width, n);
  return svg`${classes.map((actual, row) => {
    const counts = classes.map((_, column) => confusion[row * n + column] ?? 0);
    const total = counts.reduce((sum, value) => sum + value, 0);
    const middle = row * size + size / 2;
    return svg`
      ${size >= 10 ? svg`<text class="end" x=${labelWidth - 6} y=${px(middle + 4)}>${shorten(actual)}</text>` : nothing}
      ${counts.map((value, column) => {
        const share = total === 0 ? 0 : value / total;
        return svg`
          <rect class=${row === column ? 'cell diagonal' : 'cell'} x=${px(labelWidth + column * size)}
            y=${px(row * size + 2)} width=${px(size - 1)} height=${px(size - 1)} fill-opacity=${share.toFixed(3)}>
            <title>${actual} → ${classes[column]}: ${value} (${percent(share)})</title></rect>`;
      })}`;
  })}`;
}

function shorten(name: string): string {
  return name.length > 14 ? `${name.slice(0, 13)}…` : name;
}

export interface Confusion {
  readonly actual: string;
  readonly predicted: string;
  readonly images: number;
  /** Of the actual class's images, 0 to 1. */
  readonly share: number;
}

/** The most frequent mistakes, largest first. */
export function topConfusions(classes: readonly string[], confusion: ArrayLike<number>, limit: number): Confusion[] {
  const n = classes.length;
  const found: Confusion[] = [];
  for (let row = 0; row < n; row++) {
    let total = 0;
    for (let column = 0; column < n; column++) total += confusion[row * n + column] ?? 0;
    for (let column = 0; column < n; column++) {
      const images = confusion[row * n + column] ?? 0;
      if (column !== row && images > 0)
        found.push({ actual: classes[row], predicted: classes[column], images, share: images / total });
    }
  }
  return found.sort((a, b) => b.images - a.images).slice(0, limit);
}
