/** One panel of the training chart as uPlot is told to draw it: x is the step, from 0 to the last of the training. */
import type uPlot from 'uplot';
import { linearTicks, logTicks } from '../charts/scale';
import { exact, real, round } from '../format';

/** Computed colours, and the font of labels. */
export interface PlotColors {
  readonly kept: string;
  readonly energy: string;
  readonly edge: string;
  readonly dim: string;
  readonly grid: string;
  readonly fg: string;
  readonly font: string;
}

export interface PlotSpec {
  /** One series each, back to front; 'faint' is a thin, pale 'kept'. */
  readonly lines: readonly ('kept' | 'energy' | 'edge' | 'faint')[];
  readonly isLog: boolean;
  /** Whether values are shares of 1, shown in percent. */
  readonly isShare: boolean;
  readonly isDashed: boolean;
  readonly steps: () => number;
  readonly range: () => [number, number];
  /** Steps to mark, at most about so many. */
  readonly marks: (limit: number) => readonly number[];
  readonly onCursor: (index: number | null) => void;
}

const faint = 0.55;
/** Pixels that a label and its gap take. */
const labelWidth = 70;
const labelHeight = 34;

export function plotOptions(
  spec: PlotSpec,
  size: { width: number; height: number },
  colors: () => PlotColors,
): uPlot.Options {
  const font = `11px ${colors().font}`;
  const axis: uPlot.Axis = {
    stroke: () => colors().dim,
    font,
    ticks: { show: false },
    grid: { stroke: () => colors().grid, width: 1 },
    gap: 4,
  };
  const label = (value: number) => (spec.isShare ? `${round((value * 100).toFixed(1))} %` : round(real(value)));
  return {
    ...size,
    legend: { show: false },
    // Labels at the ends must not be cut off.
    padding: [8, 18, 0, 0],
    cursor: { y: false, drag: { setScale: false, x: false, y: false }, points: { size: 7 } },
    scales: {
      x: { time: false, range: () => [0, Math.max(1, spec.steps())] },
      y: { distr: spec.isLog ? 3 : 1, range: () => spec.range() },
    },
    axes: [
      {
        ...axis,
        size: 22,
        grid: { show: false },
        splits: (plot, _axis, low, high) => linearTicks(low, high, Math.max(1, plot.width / labelWidth - 1)),
        values: (_plot, ticks) => ticks.map((tick) => exact(tick)),
      },
      {
        ...axis,
        size: 46,
        splits: (plot, _axis, low, high) => {
          const wanted = Math.max(2, Math.floor(plot.height / labelHeight));
          return spec.isLog ? logTicks(low, high, wanted) : linearTicks(low, high, wanted);
        },
        filter: (_plot, ticks) => ticks,
        values: (_plot, ticks) => ticks.map(label),
      },
    ],
    series: [
      {},
      ...spec.lines.map(
        (line): uPlot.Series => ({
          stroke: () => colors()[line === 'faint' ? 'kept' : line],
          alpha: line === 'faint' ? faint : 1,
          width: line === 'faint' ? 1 : 2,
          dash: spec.isDashed ? [5, 3] : undefined,
          spanGaps: true,
          points: { show: (plot) => plot.data[0].length === 1, size: 5 },
        }),
      ),
    ],
    hooks: {
      drawAxes: [(plot) => drawMarks(plot, spec.marks(Math.max(1, plot.width / 8)), colors().dim)],
      setCursor: [(plot) => spec.onCursor(plot.cursor.idx ?? null)],
    },
  };
}

function drawMarks(plot: uPlot, marks: readonly number[], color: string): void {
  const { ctx, bbox } = plot;
  const ratio = ctx.canvas.width / plot.width;
  ctx.save();
  ctx.strokeStyle = color;
  ctx.globalAlpha = 0.6;
  ctx.lineWidth = ratio;
  ctx.setLineDash([ratio, 4 * ratio]);
  ctx.beginPath();
  for (const mark of marks) {
    const x = Math.round(plot.valToPos(mark, 'x', true)) + 0.5;
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
  }
  ctx.stroke();
  ctx.restore();
}
