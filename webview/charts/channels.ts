/**
 * Importance of each channel of a group, and which of them stay.
 *
 * x: channels in the network's order, or the most important first. y: importance, log or linear. Kept channels are
 * filled, those that go hollow and hatched at their foot. With more channels than bars fit, each bar shows the largest
 * of its run, split where kept and cut meet.
 */
import { nothing, type SVGTemplateResult, svg } from 'lit';
import { real, round } from '../format';
import { strings } from '../strings';
import { linearScale, linearTicks, logScale, logTicks, plotArea, px } from './scale';

export interface ChannelsChartProps {
  readonly width: number;
  readonly height: number;
  readonly importance: ArrayLike<number>;
  /** 1 where the channel stays. */
  readonly kept: ArrayLike<number>;
  readonly sorted: boolean;
  readonly scale: 'log' | 'linear';
}

const maxDecades = 10;
const narrowestBar = 2;

/** Channels in the order they are shown. */
export function channelOrder({ importance, sorted }: Pick<ChannelsChartProps, 'importance' | 'sorted'>): number[] {
  const order = Array.from({ length: importance.length }, (_, i) => i);
  return sorted ? order.sort((a, b) => importance[b] - importance[a] || a - b) : order;
}

interface Bar {
  /** Places in the order shown, from and to. */
  readonly start: number;
  readonly end: number;
  readonly value: number;
  readonly kept: boolean;
}

function barsOf(props: ChannelsChartProps, room: number): Bar[] {
  const order = channelOrder(props);
  const run = Math.max(1, Math.ceil((order.length * narrowestBar) / Math.max(1, room)));
  const bars: Bar[] = [];
  for (let start = 0; start < order.length; ) {
    const kept = props.kept[order[start]] === 1;
    let end = start;
    let value = 0;
    while (end < order.length && end < start + run && (props.kept[order[end]] === 1) === kept)
      value = Math.max(value, props.importance[order[end++]]);
    bars.push({ start, end, value, kept });
    start = end;
  }
  return bars;
}

export function channelsChart(props: ChannelsChartProps): SVGTemplateResult {
  const { height, width } = props;
  const count = props.importance.length;
  const area = plotArea(props, { left: 60, right: 8, top: 10, bottom: 24 });
  const values = Array.from(props.importance).filter((value) => value > 0);
  const top = values.reduce((largest, value) => Math.max(largest, value), 0) || 1;
  const smallest = values.reduce((least, value) => Math.min(least, value), top);
  const low = Math.max(top * 10 ** -maxDecades, smallest * 0.5);
  const isLog = props.scale === 'log';
  const y = isLog
    ? logScale([low, top * 1.1], [area.bottom, area.top])
    : linearScale([0, top * 1.05], [area.bottom, area.top]);
  const wanted = Math.max(2, Math.floor((area.bottom - area.top) / 36));
  const ticks = isLog ? logTicks(low, top * 1.1, wanted) : linearTicks(0, top * 1.05, wanted);
  const step = (area.right - area.left) / Math.max(1, count);
  const order = channelOrder(props);
  return svg`
    ${ticks.map(
      (tick) => svg`
        <line class="grid" x1=${area.left} x2=${px(area.right)} y1=${px(y(tick))} y2=${px(y(tick))}></line>
        <text class="end" x=${area.left - 6} y=${px(y(tick) + 4)}>${round(real(tick))}</text>`,
    )}
    ${barsOf(props, area.right - area.left).map(({ start, end, value, kept }) => {
      const slot = (end - start) * step;
      const body = Math.max(1, Math.min(slot > 4 ? slot * 0.75 : slot, 48));
      // What matters nothing at all still has a foot to see and to point at.
      const barTop = Math.min(area.bottom - 2, value > 0 ? y(value) : area.bottom);
      const left = area.left + start * step + (slot - body) / 2;
      const label = end - start === 1 ? String(order[start] + 1) : `${start + 1}–${end}`;
      return svg`<rect class=${kept ? 'kept' : body < 5 ? 'cut thin' : 'cut'} x=${px(left)} y=${px(barTop)} width=${px(body)}
          height=${px(area.bottom - barTop)}><title>${strings.groups.bar(label, real(value), kept)}</title></rect>
        ${kept || body < 3 ? nothing : svg`<path class="crossed" d=${`M${px(left)} ${area.bottom + 2}l${px(body)} 5m0 -5l${px(-body)} 5`}></path>`}`;
    })}
    <line class="axis" x1=${area.left} x2=${px(area.right)} y1=${area.bottom} y2=${area.bottom}></line>
    <text x=${area.left} y=${height - 4}>${props.sorted ? strings.groups.most : '1'}</text>
    ${count > 1 ? svg`<text class="end" x=${px(area.right)} y=${height - 4}>${props.sorted ? strings.groups.least : count}</text>` : nothing}
    ${width > 300 && !props.sorted ? svg`<text class="middle" x=${px((area.left + area.right) / 2)} y=${height - 4}>${strings.groups.axis}</text>` : nothing}`;
}
