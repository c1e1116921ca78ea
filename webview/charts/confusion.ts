/**
 * Which classes are taken for which: a square of cells.
 *
 * Rows: actual class. Columns: predicted class. Diagonal (outlined): share of the row's images that were right, 0 to 1.
 * Other cells: share of the row's images taken for the column's class; the strongest colour is the largest such share.
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
/** Below the cells, for the slanted names of the columns. */
const labelHeight = 70;
/** Smaller cells have no room for names. */
const labelledCell = 12;

export function confusionHeight({ width, classes }: Pick<ConfusionChartProps, 'width' | 'classes'>): number {
  const size = cellSize(width, classes.length);
  return size * classes.length + (size >= labelledCell ? labelHeight : 4);
}

function cellSize(width: number, classCount: number): number {
  return Math.max(6, Math.min(30, (width - labelWidth - 8) / Math.max(1, classCount)));
}

export function confusionChart({ width, classes, confusion }: ConfusionChartProps): SVGTemplateResult {
  const n = classes.length;
  const size = cellSize(width, n);
  const totals = classes.map((_, row) =>
    classes.reduce((sum, _class, column) => sum + (confusion[row * n + column] ?? 0), 0),
  );
  const share = (row: number, column: number) => (confusion[row * n + column] ?? 0) / (totals[row] || 1);
  let largestMistake = 0;
  for (let i = 0; i < n * n; i++) {
    const [row, column] = [Math.floor(i / n), i % n];
    if (row !== column) largestMistake = Math.max(largestMistake, share(row, column));
  }
  const named = size >= labelledCell;
  const columnName = (name: string, column: number) => {
    const x = px(labelWidth + (column + 0.5) * size + 4);
    const y = px(n * size + 12);
    return svg`<text class="end" transform=${`rotate(-45 ${x} ${y})`} x=${x} y=${y}>${shorten(name)}</text>`;
  };
  return svg`
    ${classes.map(
      (actual, row) => svg`
        ${named ? svg`<text class="end" x=${labelWidth - 6} y=${px((row + 0.5) * size + 5)}>${shorten(actual)}</text>` : nothing}
        ${classes.map((predicted, column) => {
          const part = share(row, column);
          const right = row === column;
          const strength = right ? part : largestMistake === 0 ? 0 : (0.85 * part) / largestMistake;
          return svg`<rect class=${right ? 'cell right' : 'cell wrong'} x=${px(labelWidth + column * size)}
            y=${px(row * size + 1)} width=${px(size - 1)} height=${px(size - 1)} fill-opacity=${strength.toFixed(3)}>
            <title>${actual} → ${predicted}: ${confusion[row * n + column] ?? 0} (${percent(part)})</title></rect>`;
        })}`,
    )}
    ${named ? classes.map(columnName) : nothing}`;
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
