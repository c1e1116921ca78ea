/**
 * Time spent in each layer before and after, as pairs of bars in network order.
 *
 * x: layers. y: median milliseconds, from 0. Grey: original; blue: candidate. A layer that the runtime fused away has
 * no bar. With more layers than fit, neighbours share a pair that shows their sums.
 */
import { type SVGTemplateResult, svg } from 'lit';
import { milliseconds } from '../format';
import { bins, linearScale, linearTicks, plotArea, px } from './scale';

export interface LatencyItem {
  readonly label: string;
  readonly before: number | null;
  readonly after: number | null;
}

export interface LatencyChartProps {
  readonly width: number;
  readonly height: number;
  readonly items: readonly LatencyItem[];
}

const minimumStep = 5;

export function latencyChart(props: LatencyChartProps): SVGTemplateResult {
  const area = plotArea(props, { left: 60, right: 6, top: 8, bottom: 8 });
  const runs = bins(props.items.length, Math.floor((area.right - area.left) / minimumStep));
  const pairs = runs.map(({ start, end }) => {
    const items = props.items.slice(start, end);
    const sum = (side: 'before' | 'after') => items.reduce((total, item) => total + (item[side] ?? 0), 0);
    const label = items.length === 1 ? items[0].label : `${items[0].label} … ${items[items.length - 1].label}`;
    return { before: sum('before'), after: sum('after'), label };
  });
  const top = pairs.reduce((largest, pair) => Math.max(largest, pair.before, pair.after), 0) || 1;
  const y = linearScale([0, top], [area.bottom, area.top]);
  const step = (area.right - area.left) / Math.max(1, pairs.length);
  const gap = step > 8 ? step * 0.2 : 1;
  const body = Math.max(1, Math.min((step - gap) / 2, 36));
  return svg`
    ${linearTicks(0, top, Math.max(1, Math.floor((area.bottom - area.top) / 36))).map(
      (tick) => svg`
        <line class="grid" x1=${area.left} x2=${px(area.right)} y1=${px(y(tick))} y2=${px(y(tick))}></line>
        <text class="end" x=${area.left - 6} y=${px(y(tick) + 4)}>${tick === 0 ? '0' : milliseconds(tick)}</text>`,
    )}
    ${pairs.map(({ before, after, label }, i) => {
      const left = area.left + i * step + gap / 2;
      return svg`<g>
        <title>${label}: ${milliseconds(before)} → ${milliseconds(after)}</title>
        <rect class="before" x=${px(left)} y=${px(y(before))} width=${px(body)} height=${px(area.bottom - y(before))}></rect>
        <rect class="kept" x=${px(left + body)} y=${px(y(after))} width=${px(body)} height=${px(area.bottom - y(after))}></rect>
      </g>`;
    })}
    <line class="axis" x1=${area.left} x2=${px(area.right)} y1=${area.bottom} y2=${area.bottom}></line>`;
}
