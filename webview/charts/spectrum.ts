/**
 * Singular values of one layer with the cut.
 *
 * x: index of the singular value, 1 to full rank; the cut lies between the last kept value and the first dropped one.
 * y, left: singular value (no unit), log or linear. y, right: cumulative energy Σ_{j≤r} σ² / Σ σ², 0 to 100 %.
 * Marks: break-even rank (vertical, dotted), Marchenko–Pastur edge (horizontal, dashed), rounding noise (grey band).
 */
import { nothing, type SVGTemplateResult, svg } from 'lit';
import { real, round } from '../format';
import { strings } from '../strings';
import {
  type Area,
  linearScale,
  linearTicks,
  logScale,
  logTicks,
  plotArea,
  points,
  px,
  type Scale,
  sample,
} from './scale';

export interface SpectrumChartProps {
  readonly width: number;
  readonly height: number;
  /** Descending. */
  readonly singularValues: ArrayLike<number>;
  /** Same length; the last entry is 1. */
  readonly energy: ArrayLike<number>;
  /** Kept rank, 1 to full. */
  readonly kept: number;
  readonly breakEven: number | null;
  readonly edge: number;
  readonly noiseFloor: number;
  readonly scale: 'log' | 'linear';
  /** Drawn over the chart at the cut: the draggable handle. */
  readonly handle?: SVGTemplateResult | typeof nothing;
}

/** More values than this are drawn as a line instead of dots. */
const dotLimit = 200;
/** Height in pixels of the noise when it lies below the axis. */
const noiseStrip = 8;
/** No log axis spans more than this, however small the last value is. */
const maxDecades = 8;

export function spectrumArea({ width, height }: { width: number; height: number }): Area {
  return plotArea({ width, height }, { left: 44, right: 40, top: 22, bottom: 42 });
}

/** x of the cut after `rank` values. */
export function cutPosition(area: Area, fullRank: number, rank: number): number {
  return area.left + (rank / Math.max(1, fullRank)) * (area.right - area.left);
}

/** The rank whose cut is nearest to x; at least 1. */
export function rankAt(area: Area, fullRank: number, x: number): number {
  const share = (x - area.left) / (area.right - area.left);
  return Math.min(fullRank, Math.max(1, Math.round(share * fullRank)));
}

function valueAxis(props: SpectrumChartProps, area: Area): { y: Scale; ticks: number[]; low: number } {
  const { singularValues, noiseFloor, edge } = props;
  const largest = singularValues[0] ?? 0;
  const top = Math.max(largest, Number.isFinite(edge) ? edge : 0) || 1;
  const wanted = Math.max(2, Math.floor((area.bottom - area.top) / 36));
  if (props.scale === 'linear') {
    const high = top * 1.05;
    return { y: linearScale([0, high], [area.bottom, area.top]), ticks: linearTicks(0, high, wanted), low: 0 };
  }
  let smallest = top;
  for (let i = 0; i < singularValues.length; i++) {
    if (singularValues[i] > noiseFloor && singularValues[i] < smallest) smallest = singularValues[i];
  }
  const hasNoise = (singularValues[singularValues.length - 1] ?? 0) <= noiseFloor;
  const high = top * 1.15;
  const low = Math.max(top * 10 ** -maxDecades, Math.min(smallest * (hasNoise ? 0.3 : 0.8), top * 0.5));
  return { y: logScale([low, high], [area.bottom, area.top]), ticks: logTicks(low, high, wanted), low };
}

export function spectrumChart(props: SpectrumChartProps): SVGTemplateResult {
  const { width, height, singularValues, energy, kept, breakEven, edge, noiseFloor } = props;
  const full = singularValues.length;
  const area = spectrumArea(props);
  const { y, ticks, low } = valueAxis(props, area);
  const step = (area.right - area.left) / Math.max(1, full);
  const x = (index: number) => area.left + (index + 0.5) * step;
  const energyY = linearScale([0, 1], [area.bottom, area.top]);
  const cut = cutPosition(area, full, kept);

  const shown = sample(full, 1200);
  const dots = full <= dotLimit;
  const radius = Math.max(1.5, Math.min(3.5, step * 0.35));
  const line = (from: number, to: number) =>
    points(shown.filter((i) => i >= from && i < to).map((i) => [x(i), y(singularValues[i])] as const));
  const breakEvenX = breakEven === null ? null : cutPosition(area, full, Math.min(breakEven, full));
  const hasNoise = singularValues[full - 1] <= noiseFloor;
  // Below the axis, noise still gets a strip of its own, where its values lie.
  const noiseY = noiseFloor > low ? y(noiseFloor) : hasNoise ? area.bottom - noiseStrip : area.bottom;

  return svg`
    <g aria-hidden="true">
      ${ticks.map(
        (tick) => svg`
          <line class="grid" x1=${area.left} x2=${area.right} y1=${px(y(tick))} y2=${px(y(tick))}></line>
          <text class="end" x=${area.left - 6} y=${px(y(tick) + 4)}>${round(real(tick))}</text>`,
      )}
      ${[0, 0.5, 1].map(
        (share) => svg`<text x=${px(area.right + 5)} y=${px(energyY(share) + 4)}>${share * 100}%</text>`,
      )}
      ${
        noiseY < area.bottom
          ? svg`<rect class="noise" x=${area.left} y=${px(noiseY)} width=${px(area.right - area.left)}
              height=${px(area.bottom - noiseY)}><title>${strings.charts.noise}</title></rect>`
          : nothing
      }
      ${
        kept < full
          ? svg`<rect class="cut-area" x=${px(cut)} y=${area.top} width=${px(area.right - cut)}
              height=${px(area.bottom - area.top)}></rect>`
          : nothing
      }
      ${
        Number.isFinite(edge) && edge > low
          ? svg`<line class="edge" x1=${area.left} x2=${area.right} y1=${px(y(edge))} y2=${px(y(edge))}>
              <title>${strings.charts.edge} ${real(edge)}</title></line>`
          : nothing
      }
      ${
        breakEvenX === null
          ? nothing
          : svg`<line class="break-even" x1=${px(breakEvenX)} x2=${px(breakEvenX)} y1=${area.top} y2=${area.bottom}>
              <title>${strings.charts.breakEven} ${real(breakEven)}</title></line>`
      }
      <polyline class="energy" points=${points([
        [area.left, area.bottom],
        ...shown.map((i) => [cutPosition(area, full, i + 1), energyY(energy[i])] as const),
      ])}></polyline>
      ${
        dots
          ? shown.map(
              (i) => svg`<circle class=${i < kept ? 'kept' : 'cut'} cx=${px(x(i))} cy=${px(y(singularValues[i]))}
                r=${px(radius)}><title>σ${i + 1} = ${real(singularValues[i])}</title></circle>`,
            )
          : svg`<polyline class="line-kept" points=${line(0, kept)}></polyline>
              <polyline class="line-cut" points=${line(kept, full)}></polyline>`
      }
      <text x="0" y="10">${strings.charts.valueAxis}</text>
      <text class="end" x=${width} y="10">${strings.charts.energyAxis}</text>
      <line class="axis" x1=${area.left} x2=${area.right} y1=${area.bottom} y2=${area.bottom}></line>
      <text x=${area.left} y=${height - 4}>1</text>
      ${full > 1 ? svg`<text class="end" x=${px(area.right)} y=${height - 4}>${full}</text>` : nothing}
      ${width > 300 ? svg`<text class="middle" x=${px((area.left + area.right) / 2)} y=${height - 4}>${strings.charts.rankAxis}</text>` : nothing}
    </g>
    ${props.handle ?? nothing}`;
}
