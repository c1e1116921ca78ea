/**
 * How many weights of each layer are left, one row per layer in network order.
 *
 * x: share of the layer's weights that are not zero, 0 to 100 %. Grey rows were left alone. Rows with room say how many
 * weights are left.
 */
import { nothing, type SVGTemplateResult, svg } from 'lit';
import type { LayerSparsity } from '../../src/protocol/plan';
import { exact, percent, progressPercent } from '../format';
import { linearScale, plotArea, px, shortened } from './scale';

export interface SparsityChartProps {
  readonly width: number;
  readonly height: number;
  readonly layers: readonly LayerSparsity[];
}

const rowHeight = 20;
const labelledHeight = 13;

export function sparsityHeight(layers: number): number {
  return Math.round(layers * Math.min(rowHeight, Math.max(3, 480 / Math.max(1, layers)))) + 26;
}

export function nonZeroShare({ nonZero, weights }: LayerSparsity): number {
  return weights === 0 ? 0 : nonZero / weights;
}

export function sparsityChart(props: SparsityChartProps): SVGTemplateResult {
  const { layers } = props;
  const area = plotArea(props, { left: props.width > 500 ? 150 : 90, right: 8, top: 2, bottom: 22 });
  const step = (area.bottom - area.top) / Math.max(1, layers.length);
  const body = step > 6 ? step - 4 : step;
  const x = linearScale([0, 1], [area.left, area.right]);
  const everyLabel = Math.ceil(labelledHeight / step);
  const letters = Math.floor((area.left - 8) / 6.4);
  return svg`
    ${[0, 0.25, 0.5, 0.75, 1].map(
      (share) => svg`
        <line class="grid" x1=${px(x(share))} x2=${px(x(share))} y1=${area.top} y2=${px(area.bottom)}></line>
        <text class=${share === 0 ? '' : share === 1 ? 'end' : 'middle'} x=${px(x(share))} y=${props.height - 6}>${progressPercent(share)}</text>`,
    )}
    ${layers.map((layer, row) => {
      const y = area.top + row * step;
      const share = nonZeroShare(layer);
      const text = `${exact(layer.nonZero)} / ${exact(layer.weights)}`;
      // Inside the bar where it is long, else behind its end.
      const isInside = x(share) > area.right - 6.4 * text.length - 10;
      return svg`<g>
        <title>${layer.layer}: ${text} (${percent(share)})</title>
        ${row % everyLabel === 0 ? svg`<text class="end" x=${area.left - 6} y=${px(y + step / 2 + 4)}>${shortened(layer.layer, letters)}</text>` : nothing}
        <rect class=${layer.pruned ? 'kept' : 'left-alone'} x=${area.left} y=${px(y + (step - body) / 2)}
          width=${px(Math.max(1, x(share) - area.left))} height=${px(body)}></rect>
        ${
          step < labelledHeight
            ? nothing
            : svg`<text class=${isInside ? 'end on-heat' : ''} x=${px(x(share) + (isInside ? -6 : 6))} y=${px(y + step / 2 + 4)}>${text}</text>`
        }
      </g>`;
    })}
    <line class="axis" x1=${area.left} x2=${area.left} y1=${area.top} y2=${px(area.bottom)}></line>`;
}
