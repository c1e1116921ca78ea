/**
 * `<espalier-training-chart>`: loss, accuracy and learning rate over the steps of a training, drawn on canvases while it
 * runs. Pointer or keys move one cursor through all three; what it points at is read out below. Fires `scale-change`
 * with the loss's scale and, by its frame, `chart-export`.
 */
import { css, html, LitElement, type PropertyValues, type TemplateResult, unsafeCSS } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { live } from 'lit/directives/live.js';
import uPlot from 'uplot';
import uplotStyles from 'uplot/dist/uPlot.min.css' with { type: 'text' };
import '@vscode-elements/elements/dist/vscode-checkbox/index.js';
import type { TrainingCurve } from '../../src/protocol/runs';
import { accuracyRange, lossRange, trainingDrawing, trainingDrawingHeight } from '../charts/training';
import { curveTable, epochEnds, hasAccuracy, isSmoothed, pointText, smoothedLoss } from '../curve';
import { exact } from '../format';
import { Memo } from '../memo';
import { strings } from '../strings';
import { baseStyles } from '../styles';
import { type PlotColors, type PlotSpec, plotOptions } from './trainingPlot';
import './figure';
import type { ChartSize, LegendItem } from './figure';

type Panel = 'loss' | 'accuracy' | 'rate';
const panels: readonly Panel[] = ['loss', 'accuracy', 'rate'];
/** Rows of the table on screen; the CSV has every point. */
const tableRows = 60;

const colorNames = ['kept', 'energy', 'edge', 'dim', 'grid', 'fg'] as const;

@customElement('espalier-training-chart')
export class EspalierTrainingChart extends LitElement {
  static override styles = [
    unsafeCSS(uplotStyles),
    baseStyles,
    css`
      :host {
        display: block;
        min-width: 0;
        container: training / inline-size;
      }
      .panels {
        display: grid;
        grid-template-columns: minmax(0, 2fr) minmax(0, 1fr) minmax(0, 1fr);
        gap: 4px 16px;
        outline-offset: 2px;
      }
      .panels.two {
        grid-template-columns: minmax(0, 2fr) minmax(0, 1fr);
      }
      .panel {
        min-width: 0;
      }
      .panel > .name {
        display: block;
        padding-left: 4px;
        color: var(--dim);
        font-size: 0.88em;
      }
      .canvas {
        height: 168px;
        overflow: hidden;
      }
      @container training (max-width: 760px) {
        .panels,
        .panels.two {
          grid-template-columns: minmax(0, 1fr);
        }
        .canvas {
          height: 104px;
        }
        .loss > .canvas {
          height: 168px;
        }
      }
      .u-hz .u-cursor-x {
        border-right: 1px dashed var(--fg);
      }
      .probe {
        display: none;
      }
      .readout {
        min-height: 1.4em;
        font-variant-numeric: tabular-nums;
      }
    `,
  ];

  @property({ attribute: false }) curve: TrainingCurve | null = null;
  @property() lossScale: 'log' | 'linear' = 'log';

  /** The point under the cursor; null when nobody points. */
  @state() private index: number | null = null;

  private readonly smoothed = new Memo<readonly number[]>();
  private readonly plots = new Map<Panel, uPlot>();
  /** What the plots were made for; other data is put into the same plots. */
  private plotted = '';
  private colors: PlotColors | null = null;
  private readonly resized = new ResizeObserver(() => this.fit());
  private readonly themed = new MutationObserver(() => this.recolor());

  override connectedCallback(): void {
    super.connectedCallback();
    // VS Code sets the theme's variables on the root and its kind on the body.
    for (const element of [document.documentElement, document.body])
      this.themed.observe(element, { attributes: true, attributeFilter: ['class', 'style'] });
    this.resized.observe(this);
    this.requestUpdate();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.themed.disconnect();
    this.resized.disconnect();
    this.clear();
  }

  override render(): TemplateResult {
    const { curve } = this;
    if (curve === null || curve.points.length === 0) return html`<p class="dim">${strings.curve.waiting}</p>`;
    const { lossScale } = this;
    const last = curve.points.length - 1;
    const shown = Math.min(this.index ?? last, last);
    const text = pointText(curve, shown, this.smooth(curve));
    const withAccuracy = hasAccuracy(curve);
    return html`
      <espalier-figure slotted .heading=${strings.curve.heading} .name=${'training'} .headingHidden=${true}
        .description=${strings.curve.description(exact(curve.steps), curve.epochs)} .legend=${legend(curve)}
        .draw=${({ width }: ChartSize) => trainingDrawing({ width, curve, scale: lossScale })}
        .heightFor=${() => trainingDrawingHeight(curve)}
        .table=${() => curveTable(curve, tableRows)} .fullTable=${() => curveTable(curve)}>
        <vscode-checkbox slot="tools" .label=${strings.curve.logScale} .checked=${live(lossScale === 'log')} @change=${this.onScale}></vscode-checkbox>
        <div slot="plot">
          <div class="panels ${withAccuracy ? '' : 'two'}" role="slider" tabindex="0" aria-label=${strings.curve.cursor} aria-orientation="horizontal"
            aria-valuemin="1" aria-valuemax=${curve.steps} aria-valuenow=${curve.points[shown].step} aria-valuetext=${text}
            title=${strings.curve.cursorHelp} @keydown=${this.onKey} @pointerenter=${this.onEnter}>
            ${panels.map(
              (panel) =>
                html`<div class="panel ${panel}" ?hidden=${panel === 'accuracy' && !withAccuracy}>
                  <span class="name" aria-hidden="true">${strings.curve[panel]}</span>
                  <div class="canvas" data-panel=${panel}></div>
                </div>`,
            )}
          </div>
          <p class="small readout">${text}</p>
        </div>
      </espalier-figure>
      ${colorNames.map((name) => html`<span class="probe ${name}"></span>`)}
    `;
  }

  override updated(changed: PropertyValues): void {
    const { curve } = this;
    if (curve === null || curve.points.length === 0) {
      this.clear();
      return;
    }
    const wanted = `${this.lossScale} ${hasAccuracy(curve)} ${isSmoothed(curve)}`;
    if (this.plotted === wanted && this.plots.size > 0) {
      if (changed.has('curve')) this.feed(curve);
    } else this.build(curve, wanted);
  }

  private smooth(curve: TrainingCurve): readonly number[] {
    return this.smoothed.get([curve], () => smoothedLoss(curve.points));
  }

  private build(curve: TrainingCurve, made: string): void {
    this.clear();
    this.colors ??= this.readColors();
    for (const panel of panels) {
      const host = this.renderRoot.querySelector<HTMLElement>(`[data-panel=${panel}]`);
      if (host === null || host.clientWidth === 0) continue;
      const size = { width: host.clientWidth, height: host.clientHeight };
      const options = plotOptions(this.specOf(panel), size, () => this.colors as PlotColors);
      const plot = new uPlot(options, this.dataOf(panel, curve), host);
      this.plots.set(panel, plot);
    }
    this.plotted = made;
  }

  private feed(curve: TrainingCurve): void {
    for (const [panel, plot] of this.plots) plot.setData(this.dataOf(panel, curve));
  }

  private clear(): void {
    for (const plot of this.plots.values()) plot.destroy();
    this.plots.clear();
    this.plotted = '';
  }

  /** Ranges are asked for on each drawing, when the curve may have grown. */
  private specOf(panel: Panel): PlotSpec {
    const points = () => this.curve?.points ?? [];
    const ranges = {
      loss: () => lossRange(points(), this.lossScale),
      accuracy: () => accuracyRange(points()),
      rate: (): [number, number] => [0, points().reduce((most, { rate }) => Math.max(most, rate), 0) * 1.05 || 1],
    } as const;
    const smooths = this.curve !== null && isSmoothed(this.curve);
    const lines = {
      loss: smooths ? (['faint', 'kept'] as const) : (['kept'] as const),
      accuracy: ['energy'] as const,
      rate: ['edge'] as const,
    };
    return {
      lines: lines[panel],
      isLog: panel === 'loss' && this.lossScale === 'log',
      isShare: panel === 'accuracy',
      isDashed: panel === 'rate',
      steps: () => this.curve?.steps ?? 1,
      range: ranges[panel],
      marks: (limit) => (this.curve === null ? [] : epochEnds(this.curve, limit)),
      onCursor: (index) => this.point(index, panel),
    };
  }

  private dataOf(panel: Panel, curve: TrainingCurve): uPlot.AlignedData {
    const { points } = curve;
    const steps = points.map(({ step }) => step);
    switch (panel) {
      case 'loss': {
        // A log scale has no place for 0, no scale one for what is not finite.
        const drawable = (value: number) =>
          Number.isFinite(value) && (value > 0 || this.lossScale === 'linear') ? value : null;
        const plain = points.map(({ loss }) => drawable(loss));
        return isSmoothed(curve) ? [steps, plain, this.smooth(curve).map(drawable)] : [steps, plain];
      }
      case 'accuracy':
        return [steps, points.map(({ accuracy }) => accuracy)];
      case 'rate':
        return [steps, points.map(({ rate }) => rate)];
      default:
        return panel satisfies never;
    }
  }

  /** One panel's cursor moved: the others follow. */
  private point(index: number | null, from: Panel | null): void {
    if (index === this.index && from !== null) return;
    this.index = index;
    const step = index === null ? undefined : this.curve?.points[index]?.step;
    for (const [panel, plot] of this.plots) {
      if (panel === from) continue;
      const left = step === undefined ? -10 : plot.valToPos(step, 'x');
      plot.setCursor({ left, top: step === undefined ? -10 : 1 }, false);
    }
  }

  private onKey(event: KeyboardEvent): void {
    const last = (this.curve?.points.length ?? 1) - 1;
    const now = Math.min(this.index ?? last, last);
    const page = Math.max(2, Math.round(last / 20));
    const next: Readonly<Record<string, number>> = {
      ArrowLeft: now - 1,
      ArrowDown: now - 1,
      ArrowRight: now + 1,
      ArrowUp: now + 1,
      PageDown: now - page,
      PageUp: now + page,
      Home: 0,
      End: last,
    };
    const wanted = next[event.key];
    if (wanted === undefined) return;
    event.preventDefault();
    this.point(Math.min(last, Math.max(0, wanted)), null);
  }

  /** The plots remember where they are; the page may have been scrolled since. */
  private onEnter(): void {
    for (const plot of this.plots.values()) plot.syncRect();
  }

  private onScale(event: Event): void {
    const detail = (event.target as HTMLInputElement).checked ? 'log' : 'linear';
    this.dispatchEvent(new CustomEvent('scale-change', { detail }));
  }

  private fit(): void {
    if (this.plots.size === 0) this.requestUpdate();
    for (const [panel, plot] of this.plots) {
      const host = this.renderRoot.querySelector<HTMLElement>(`[data-panel=${panel}]`);
      if (host !== null && host.clientWidth > 0) plot.setSize({ width: host.clientWidth, height: host.clientHeight });
    }
  }

  private recolor(): void {
    if (this.plots.size === 0) return;
    this.colors = this.readColors();
    for (const plot of this.plots.values()) plot.redraw(false);
  }

  /** A canvas knows no variables: the colours as the page computes them. */
  private readColors(): PlotColors {
    const style = getComputedStyle(this);
    const of = (name: (typeof colorNames)[number]) => {
      const probe = this.renderRoot.querySelector<HTMLElement>(`.probe.${name}`);
      if (probe === null) return '';
      probe.style.color = `var(--${name})`;
      return getComputedStyle(probe).color;
    };
    return {
      kept: of('kept'),
      energy: of('energy'),
      edge: of('edge'),
      dim: of('dim'),
      grid: of('grid'),
      fg: of('fg'),
      font: style.fontFamily,
    };
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'espalier-training-chart': EspalierTrainingChart;
  }
}

function legend(curve: TrainingCurve): readonly LegendItem[] {
  return [
    ...(isSmoothed(curve)
      ? [
          { label: strings.curve.plain, part: 'loss-plain', kind: 'line' } as const,
          { label: strings.curve.smoothed, part: 'loss', kind: 'line' } as const,
        ]
      : [{ label: strings.curve.plain, part: 'loss', kind: 'line' } as const]),
    ...(hasAccuracy(curve) ? [{ label: strings.curve.accuracy, part: 'accuracy', kind: 'line' } as const] : []),
    { label: strings.curve.rate, part: 'rate', kind: 'line' },
    ...(curve.epochs > 1 ? [{ label: strings.curve.epochs, part: 'epoch', kind: 'line' } as const] : []),
  ];
}
