/**
 * How much the outputs suffer when a group alone loses channels.
 *
 * y: one row per group in network order. x: shares of its channels removed. The stronger the colour, the more is lost, in
 * equal steps up to the largest; cells with room say the number.
 */
import { nothing, type SVGTemplateResult, svg } from 'lit';
import type { Sensitivity } from '../../src/protocol/plan';
import { progressPercent } from '../format';
import { heatLevels } from './heatMap';
import { plotArea, px, shortened } from './scale';

export interface SensitivityChartProps {
  readonly width: number;
  readonly height: number;
  readonly sensitivity: Sensitivity;
  /** Name of the group that is set off. */
  readonly selected: string | null;
  readonly format: (damage: number) => string;
  readonly onPick: (group: string) => void;
}

const cellHeight = 18;
const labelledHeight = 13;

export function sensitivityHeight({ groups }: Pick<Sensitivity, 'groups'>): number {
  return Math.round(groups.length * Math.min(cellHeight, Math.max(2, 420 / Math.max(1, groups.length)))) + 26;
}

/** The step of a colour, 0 to `heatLevels` − 1. */
export function damageLevel(damage: number, largest: number): number {
  return largest <= 0 ? 0 : Math.min(heatLevels - 1, Math.floor((Math.max(0, damage) / largest) * heatLevels));
}

export function largestDamage({ groups }: Pick<Sensitivity, 'groups'>): number {
  return groups.reduce((most, { damage }) => Math.max(most, ...damage), 0);
}

export function sensitivityChart(props: SensitivityChartProps): SVGTemplateResult {
  const { groups, ratios } = props.sensitivity;
  const area = plotArea(props, { left: props.width > 500 ? 150 : 90, right: 6, top: 2, bottom: 22 });
  const step = (area.bottom - area.top) / Math.max(1, groups.length);
  const slot = (area.right - area.left) / Math.max(1, ratios.length);
  const largest = largestDamage(props.sensitivity);
  const everyLabel = Math.ceil(labelledHeight / step);
  const letters = Math.floor((area.left - 8) / 6.4);
  const body = step > 6 ? step - 2 : step;
  return svg`
    ${groups.map(({ name, damage }, row) => {
      const y = area.top + row * step;
      return svg`
        ${row % everyLabel === 0 ? svg`<text class="end" x=${area.left - 6} y=${px(y + step / 2 + 4)}>${shortened(name, letters)}</text>` : nothing}
        ${damage.map((value, column) => {
          const level = damageLevel(value, largest);
          const x = area.left + column * slot;
          return svg`<rect class=${`heat-${level}`} x=${px(x)} y=${px(y)} width=${px(slot - 2)} height=${px(body)}></rect>
            ${step < labelledHeight ? nothing : svg`<text class="middle on-heat" x=${px(x + slot / 2 - 1)} y=${px(y + step / 2 + 3)}>${props.format(value)}</text>`}`;
        })}
        <rect class="row clickable" x="0" y=${px(y)} width=${px(area.right)} height=${px(step)} @click=${() => props.onPick(name)}><title>${name}: ${damage.map((value, i) => `${progressPercent(ratios[i])} → ${props.format(value)}`).join(', ')}</title></rect>
        ${name === props.selected ? svg`<rect class="selected" x=${area.left - 2} y=${px(y - 1)} width=${px(area.right - area.left + 2)} height=${px(step)}></rect>` : nothing}`;
    })}
    ${ratios.map(
      (ratio, column) =>
        svg`<text class="middle" x=${px(area.left + (column + 0.5) * slot)} y=${props.height - 6}>−${progressPercent(ratio)}</text>`,
    )}`;
}
