/**
 * Stacked bars, one per item in the order given: the kept part below, the cut part on top.
 *
 * x: items (layers in network order, or bases of one layer). y: amount in the items' unit, from 0.
 * With more items than pixels, neighbouring items share a bar that shows their sum; the caption must say so
 * (`barsPerItem`). An item may carry a mark (a height, e.g. break-even) and may be selected by a click.
 */
import { nothing, type SVGTemplateResult, svg } from 'lit';
import { round } from '../format';
import { type Bin, bins, linearScale, linearTicks, plotArea, px } from './scale';

export interface BarItem {
  readonly label: string;
  readonly kept: number;
  /** 0 for an item that stays as it is. */
  readonly cut: number;
  /** Height of a tick across the bar; null for none. */
  readonly mark: number | null;
  /** False for an item that can't be changed: drawn grey. */
  readonly changeable: boolean;
}

export interface BarsProps {
  readonly width: number;
  readonly height: number;
  readonly items: readonly BarItem[];
  /** Index of the highlighted item. */
  readonly selected: number | null;
  readonly format: (value: number) => string;
  /** Shown on hover. */
  readonly describe: (item: BarItem) => string;
  /** Called with the index of the (first) item of a clicked bar. */
  readonly onPick?: (index: number) => void;
  /** A horizontal line across all bars, e.g. a threshold. */
  readonly line?: number | null;
}

/** Narrower bars than this are merged. */
const minimumStep = 2;

export function barsArea(size: { width: number; height: number }) {
  return plotArea(size, { left: 52, right: 6, top: 8, bottom: 6 });
}

/** How many items share one bar at this width; 1 when each has its own. */
export function itemsPerBar(itemCount: number, size: { width: number; height: number }): number {
  const area = barsArea(size);
  return Math.max(1, Math.ceil(itemCount / Math.max(1, Math.floor((area.right - area.left) / minimumStep))));
}

interface Bar extends Bin {
  readonly kept: number;
  readonly cut: number;
  readonly mark: number | null;
  readonly changeable: boolean;
  readonly title: string;
}

function merge(props: BarsProps): Bar[] {
  const perBar = itemsPerBar(props.items.length, props);
  return bins(props.items.length, Math.ceil(props.items.length / perBar)).map(({ start, end }) => {
    const items = props.items.slice(start, end);
    return {
      start,
      end,
      kept: items.reduce((sum, item) => sum + item.kept, 0),
      cut: items.reduce((sum, item) => sum + item.cut, 0),
      mark: items.length === 1 ? items[0].mark : null,
      changeable: items.some((item) => item.changeable),
      title: items.length === 1 ? props.describe(items[0]) : `${items[0].label} … ${items[items.length - 1].label}`,
    };
  });
}

export function stackedBars(props: BarsProps): SVGTemplateResult {
  const area = barsArea(props);
  const bars = merge(props);
  const top = bars.reduce((largest, bar) => Math.max(largest, bar.kept + bar.cut), props.line ?? 0) || 1;
  const y = linearScale([0, top], [area.bottom, area.top]);
  const step = (area.right - area.left) / Math.max(1, bars.length);
  // One bar alone must not become a wall.
  const bodyWidth = Math.max(1, Math.min(step > 4 ? step - Math.min(4, step * 0.25) : step, 72));
  const x = (index: number) => area.left + index * step + (Math.min(step, bodyWidth + 4) - bodyWidth) / 2;
  const ticks = linearTicks(0, top, Math.max(1, Math.floor((area.bottom - area.top) / 32)));
  const thin = bodyWidth < 5 ? ' thin' : '';

  return svg`
    ${ticks.map(
      (tick) => svg`
        <line class="grid" x1=${area.left} x2=${px(area.right)} y1=${px(y(tick))} y2=${px(y(tick))}></line>
        <text class="end" x=${area.left - 6} y=${px(y(tick) + 4)}>${round(props.format(tick))}</text>`,
    )}
    ${bars.map((bar, i) => {
      const left = x(i);
      const keptTop = y(bar.kept);
      const fullTop = y(bar.kept + bar.cut);
      const inset = bar.cut > 0 && thin === '' ? 0.5 : 0;
      const isSelected = props.selected !== null && props.selected >= bar.start && props.selected < bar.end;
      return svg`
        <g class=${props.onPick === undefined ? '' : 'clickable'} @click=${() => props.onPick?.(bar.start)}>
          <title>${bar.title}</title>
          ${
            props.onPick === undefined
              ? nothing
              : svg`<rect fill="transparent" x=${px(area.left + i * step)} y=${area.top} width=${px(step)}
                  height=${px(area.bottom - area.top)}></rect>`
          }
          ${
            bar.cut > 0
              ? svg`<rect class=${`cut${thin}`} x=${px(left + inset)} y=${px(fullTop + inset)}
                  width=${px(bodyWidth - 2 * inset)} height=${px(Math.max(0, keptTop - fullTop - inset))}></rect>`
              : nothing
          }
          <rect class=${bar.changeable ? 'kept' : 'left-alone'} x=${px(left)} y=${px(keptTop)} width=${px(bodyWidth)}
            height=${px(area.bottom - keptTop)}></rect>
          ${
            bar.mark === null || bar.mark > top
              ? nothing
              : svg`<line class="break-even" x1=${px(left - 1)} x2=${px(left + bodyWidth + 1)} y1=${px(y(bar.mark))}
                  y2=${px(y(bar.mark))}></line>`
          }
          ${
            isSelected
              ? svg`<rect class="selected" x=${px(left - 1.5)} y=${px(fullTop - 1.5)} width=${px(bodyWidth + 3)}
                  height=${px(area.bottom - fullTop + 3)}></rect>`
              : nothing
          }
        </g>`;
    })}
    ${
      props.line === undefined || props.line === null
        ? nothing
        : svg`<line class="threshold" x1=${area.left} x2=${px(area.right)} y1=${px(y(props.line))}
            y2=${px(y(props.line))}></line>`
    }
    <line class="axis" x1=${area.left} x2=${px(area.right)} y1=${area.bottom} y2=${area.bottom}></line>`;
}
