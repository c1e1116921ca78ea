/**
 * A spectrum in a table row.
 *
 * x: index of the singular value, 1 to full rank. y: singular value as a share of the largest, 0 to 1.
 * The filled part is kept; the vertical mark is the cut (none when everything is kept).
 */
import { nothing, type SVGTemplateResult, svg } from 'lit';
import { points, px, sample } from './scale';

export interface SparklineProps {
  readonly width: number;
  readonly height: number;
  readonly values: ArrayLike<number>;
  readonly kept: number;
}

export function sparkline({ width, height, values, kept }: SparklineProps): SVGTemplateResult {
  const full = values.length;
  const largest = values[0] || 1;
  const y = (value: number) => height - 1 - (value / largest) * (height - 3);
  // A single value is a level line, not a lone point.
  const curve =
    full === 1
      ? ([
          [0, y(values[0])],
          [width, y(values[0])],
        ] as const)
      : sample(full, Math.floor(width)).map((i) => [(i / (full - 1)) * width, y(values[i])] as const);
  const cut = (kept / Math.max(1, full)) * width;
  const inside = curve.filter(([x]) => x <= cut);
  const end = inside.at(-1);
  return svg`
    ${
      end === undefined
        ? nothing
        : svg`<polygon class="area" points=${points([[0, height], ...inside, [cut, end[1]], [cut, height]])}></polygon>`
    }
    <polyline class="curve" points=${points(curve)}></polyline>
    ${kept < full ? svg`<line class="mark" x1=${px(cut)} x2=${px(cut)} y1="0" y2=${height}></line>` : nothing}`;
}
