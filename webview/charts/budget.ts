/**
 * What a model costs now against what it may cost.
 *
 * x: multiply-accumulates, 0 to those of the whole model. The bar is what is left; the vertical mark is the target.
 */
import { type SVGTemplateResult, svg } from 'lit';
import { linearScale, plotArea, px } from './scale';

export interface BudgetProps {
  readonly width: number;
  readonly height: number;
  readonly now: number;
  readonly target: number;
  readonly whole: number;
  /** Beside the mark of the target. */
  readonly label: string;
}

export const budgetHeight = 46;

export function budgetChart({ now, target, whole, label, ...size }: BudgetProps): SVGTemplateResult {
  const area = plotArea(size, { left: 1, right: 1, top: 2, bottom: 20 });
  const x = linearScale([0, Math.max(1, whole)], [area.left, area.right]);
  const base = size.height - 5;
  const isLate = x(target) > (area.left + area.right) / 2;
  return svg`
    <rect class="cut" x=${area.left} y=${area.top} width=${px(area.right - area.left)} height=${px(area.bottom - area.top)}></rect>
    <rect class="kept" x=${area.left} y=${area.top} width=${px(Math.max(1, x(now) - area.left))} height=${px(area.bottom - area.top)}></rect>
    <line class="break-even" x1=${px(x(target))} x2=${px(x(target))} y1="0" y2=${px(area.bottom + 4)}></line>
    <text class=${isLate ? 'end' : ''} x=${px(x(target) + (isLate ? 4 : -4))} y=${base}>${label}</text>`;
}
