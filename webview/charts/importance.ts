/**
 * Importance of each basis of one layer: what the global threshold compares.
 *
 * x: index of the basis, 1 to full rank. y: importance (energy share, or energy share per MAC saved), log or linear.
 * Bases left of the cut are kept (filled), the others cut (hollow); the dashed line is the threshold.
 * With more bases than bars fit, each bar shows the largest of its run.
 */
import { nothing, type SVGTemplateResult, svg } from 'lit';
import { real, round } from '../format';
import { strings } from '../strings';
import { bins, linearScale, linearTicks, logScale, logTicks, plotArea, px } from './scale';

export interface ImportanceChartProps {
  readonly width: number;
  readonly height: number;
  readonly importance: ArrayLike<number>;
  readonly kept: number;
  readonly threshold: number | null;
  readonly scale: 'log' | 'linear';
}

const maxDecades = 10;

export function importanceChart(props: ImportanceChartProps): SVGTemplateResult {
  const { importance, kept, threshold, width, height } = props;
  const full = importance.length;
  const area = plotArea(props, { left: 60, right: 8, top: 10, bottom: 24 });
  const values = Array.from(importance);
  const top = values.reduce((largest, value) => Math.max(largest, value), threshold ?? 0) || 1;
  const smallest = values.reduce((least, value) => (value > 0 ? Math.min(least, value) : least), top);
  const low = Math.max(top * 10 ** -maxDecades, Math.min(smallest, threshold || smallest) * 0.5);
  const isLog = props.scale === 'log';
  const y = isLog
    ? logScale([low, top * 1.1], [area.bottom, area.top])
    : linearScale([0, top * 1.05], [area.bottom, area.top]);
  const wanted = Math.max(2, Math.floor((area.bottom - area.top) / 36));
  const ticks = isLog ? logTicks(low, top * 1.1, wanted) : linearTicks(0, top * 1.05, wanted);
  const runs = bins(full, Math.max(1, Math.floor((area.right - area.left) / 2)));
  const step = (area.right - area.left) / Math.max(1, full);

  return svg`
    ${ticks.map(
      (tick) => svg`
        <line class="grid" x1=${area.left} x2=${px(area.right)} y1=${px(y(tick))} y2=${px(y(tick))}></line>
        <text class="end" x=${area.left - 6} y=${px(y(tick) + 4)}>${round(real(tick))}</text>`,
    )}
    ${runs.map(({ start, end }) => {
      const value = values.slice(start, end).reduce((largest, next) => Math.max(largest, next), 0);
      const slot = (end - start) * step;
      const body = Math.max(1, Math.min(slot > 4 ? slot * 0.75 : slot, 48));
      const barTop = Math.min(area.bottom, y(value));
      const state = start < kept ? 'kept' : body < 5 ? 'cut thin' : 'cut';
      return svg`<rect class=${state} x=${px(area.left + start * step + (slot - body) / 2)} y=${px(barTop)}
        width=${px(body)} height=${px(area.bottom - barTop)}><title>${start + 1}: ${real(value)}</title></rect>`;
    })}
    ${
      threshold === null
        ? nothing
        : svg`<line class="threshold" x1=${area.left} x2=${px(area.right)} y1=${px(y(threshold))}
            y2=${px(y(threshold))}><title>${strings.charts.threshold} ${real(threshold)}</title></line>`
    }
    <line class="axis" x1=${area.left} x2=${px(area.right)} y1=${area.bottom} y2=${area.bottom}></line>
    <text x=${area.left} y=${height - 6}>1</text>
    ${full > 1 ? svg`<text class="end" x=${px(area.right)} y=${height - 6}>${full}</text>` : nothing}
    ${width > 300 ? svg`<text class="middle" x=${px((area.left + area.right) / 2)} y=${height - 6}>${strings.charts.basisAxis}</text>` : nothing}`;
}
