/**
 * Importance of every basis of every layer.
 *
 * y: one row per layer in network order. x: the layer's bases, most important first, as a share of its full rank; at
 * most 64 cells a row, each the mean of its bases. The stronger the colour, the more important, in equal steps of the
 * logarithm. The vertical mark is the cut: what lies right of it goes. A row that is not known yet is an empty frame.
 */
import { nothing, type SVGTemplateResult, svg } from 'lit';
import { strings } from '../strings';
import { type Area, bins, plotArea, px, shortened } from './scale';

export interface HeatRow {
  readonly label: string;
  /** Mean importance of each cell; null while it is not known. */
  readonly cells: Float64Array | null;
  /** Kept share of the bases, 0 to 1. */
  readonly kept: number;
}

export interface HeatMapProps {
  readonly width: number;
  readonly height: number;
  readonly rows: readonly HeatRow[];
  readonly selected: number | null;
  /** Shown on hover. */
  readonly describe: (row: HeatRow) => string;
  readonly onPick?: (index: number) => void;
  /** The step of a value's colour, where it is not that of its logarithm among all. */
  readonly levelOf?: (value: number) => number;
  /** Words below the two ends of the rows; of bases when left out. */
  readonly ends?: readonly [string, string];
}

/** Steps of the colour; see charts/styles.ts. */
export const heatLevels = 10;
export const heatCellLimit = 64;
/** What is weaker than this share of the upper end has the weakest colour. */
const widestRange = 1e-6;
/** Of the values above 0, this share lies outside of the colours' range on either side: one layer must not pale all. */
const outliers = 0.02;
const labelHeight = 13;

export function heatMapHeight(rows: number): number {
  return Math.round(rows * Math.min(16, Math.max(1, 400 / Math.max(1, rows)))) + 26;
}

/** Means of at most 64 runs of bases. */
export function heatCells(importance: ArrayLike<number>): Float64Array {
  const runs = bins(importance.length, heatCellLimit);
  return Float64Array.from(runs, ({ start, end }) => {
    let sum = 0;
    for (let i = start; i < end; i++) sum += importance[i];
    return sum / (end - start);
  });
}

/** The values from which and down to which all look alike; null when nothing is above 0. */
export function heatRange(rows: readonly HeatRow[]): { readonly low: number; readonly high: number } | null {
  const values = Float64Array.from(rows.flatMap(({ cells }) => (cells === null ? [] : [...cells]))).sort();
  const positive = values.subarray(values.findIndex((value) => value > 0));
  const largest = positive.at(-1) ?? 0;
  if (largest <= 0) return null;
  const beside = Math.floor(positive.length * outliers);
  const high = positive[positive.length - 1 - beside];
  return { low: Math.max(positive[beside], high * widestRange), high };
}

/** The step of a value's colour, 0 to `heatLevels` − 1. */
export function heatLevel(value: number, { low, high }: { low: number; high: number }): number {
  if (value >= high) return heatLevels - 1;
  if (value <= low) return 0;
  const position = Math.log(value / low) / Math.log(high / low);
  return Math.min(heatLevels - 1, Math.floor(position * heatLevels));
}

export function heatMap(props: HeatMapProps): SVGTemplateResult {
  const { rows, height } = props;
  const area = heatArea(props);
  const step = (area.bottom - area.top) / Math.max(1, rows.length);
  const everyLabel = Math.ceil(labelHeight / step);
  // 7 pixels a letter fit 11 px text.
  const letters = Math.floor((area.left - 8) / 6.4);
  const { levels, waiting, cuts } = paths(rows, area, step, props.levelOf);
  const { selected, ends = [strings.heatMap.first, strings.heatMap.last] } = props;
  return svg`
    ${waiting === '' ? nothing : svg`<path class="heat-waiting" d=${waiting}></path>`}
    ${levels.map((d, level) => (d === '' ? nothing : svg`<path class=${`heat-${level}`} d=${d}></path>`))}
    ${
      cuts === ''
        ? nothing
        : svg`${step > 4 ? svg`<path class="heat-cut-edge" d=${cuts}></path>` : nothing}
          <path class=${step > 4 ? 'heat-cut' : 'heat-cut thin'} d=${cuts}></path>`
    }
    ${rows.map((row, i) =>
      i % everyLabel === 0 && letters > 4
        ? svg`<text class="end" x=${area.left - 6} y=${px(area.top + (i + 0.5) * step + 4)}>${shortened(row.label, letters)}</text>`
        : nothing,
    )}
    ${rows.map(
      (
        row,
        i,
      ) => svg`<rect class=${props.onPick === undefined ? 'row' : 'row clickable'} x="0" y=${px(area.top + i * step)}
        width=${px(area.right)} height=${px(step)} @click=${() => props.onPick?.(i)}><title>${props.describe(row)}</title></rect>`,
    )}
    ${
      selected === null || selected < 0
        ? nothing
        : svg`<rect class="selected" x=${area.left - 1} y=${px(area.top + selected * step - 1)} width=${px(area.right - area.left + 2)}
            height=${px(Math.max(3, step + 1))}></rect>`
    }
    <line class="axis" x1=${area.left} x2=${px(area.right)} y1=${area.bottom} y2=${area.bottom}></line>
    <text x=${area.left} y=${height - 6}>${ends[0]}</text>
    <text class="end" x=${px(area.right)} y=${height - 6}>${ends[1]}</text>`;
}

function heatArea(size: { width: number; height: number }): Area {
  return plotArea(size, { left: size.width > 500 ? 150 : 70, right: 6, top: 2, bottom: 22 });
}

/** One path per colour instead of a rectangle per cell: five hundred layers are drawn as fast as five. */
function paths(
  rows: readonly HeatRow[],
  { left, right, top }: Area,
  step: number,
  given: ((value: number) => number) | undefined,
) {
  const range = heatRange(rows);
  const levelOf = given ?? ((value: number) => (range === null ? 0 : heatLevel(value, range)));
  const levels = Array.from({ length: heatLevels }, (): string[] => []);
  const waiting: string[] = [];
  const cuts: string[] = [];
  // Rows touch where there is no room between them.
  const body = step > 6 ? step - 2 : step > 3 ? step - 1 : step;
  const width = right - left;
  const box = (from: number, to: number, y: number) =>
    `M${px(left + from * width)} ${px(y)}H${px(left + to * width)}V${px(y + body)}H${px(left + from * width)}Z`;
  for (const [i, { cells, kept }] of rows.entries()) {
    const y = top + i * step;
    if (cells === null) {
      waiting.push(box(0, 1, y));
      continue;
    }
    const count = Math.max(1, cells.length);
    for (let start = 0; start < cells.length; ) {
      const level = levelOf(cells[start]);
      let end = start + 1;
      while (end < cells.length && levelOf(cells[end]) === level) end++;
      levels[level].push(box(start / count, end / count, y));
      start = end;
    }
    if (kept < 1) cuts.push(`M${px(left + kept * width)} ${px(y)}V${px(y + Math.max(body, 2))}`);
  }
  return { levels: levels.map((parts) => parts.join('')), waiting: waiting.join(''), cuts: cuts.join('') };
}
