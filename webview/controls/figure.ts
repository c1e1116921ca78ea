/**
 * `<espalier-figure>`: the frame around every chart. Heading, legend, the chart at the width there is, a table with
 * the same numbers, and export as SVG or CSV. Fires `chart-export` (see `ChartExport`).
 */
import {
  css,
  html,
  LitElement,
  nothing,
  type PropertyValues,
  render,
  type SVGTemplateResult,
  svg,
  type TemplateResult,
} from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { chartStyles } from '../charts/styles';
import { strings } from '../strings';
import { baseStyles, controlStyles } from '../styles';
import { type DataTable, dataTable, dataTableStyles, toCsv } from './dataTable';
import { exportSvg } from './exportSvg';

export type LegendItem = {
  readonly label: string;
  /** Class of the chart part, see charts/styles.ts. */
  readonly part: string;
} & (
  | { readonly kind: 'area' | 'line' }
  /** A path around (7, 5). */
  | { readonly kind: 'mark'; readonly d: string }
);

export interface ChartExport {
  readonly kind: 'svg' | 'csv';
  readonly name: string;
  readonly text: string;
  readonly to: 'clipboard' | 'file';
}

export interface ChartSize {
  readonly width: number;
  readonly height: number;
}

@customElement('espalier-figure')
export class EspalierFigure extends LitElement {
  static override styles = [
    baseStyles,
    controlStyles,
    chartStyles,
    dataTableStyles,
    css`
      :host {
        display: block;
        min-width: 0;
      }
      .head {
        display: flex;
        flex-wrap: wrap;
        gap: 2px 14px;
        align-items: baseline;
        justify-content: space-between;
        margin-bottom: 4px;
      }
      .legend {
        display: flex;
        flex-wrap: wrap;
        gap: 2px 12px;
        color: var(--dim);
        font-size: 0.88em;
      }
      .legend li {
        display: inline-flex;
        gap: 5px;
        align-items: center;
      }
      /* The palest level alone could not be told from the page. */
      .legend rect[class^='heat-'] {
        stroke: var(--dim);
      }
      .foot {
        display: flex;
        flex-wrap: wrap;
        gap: 2px 14px;
        align-items: baseline;
        margin-top: 4px;
        color: var(--dim);
        font-size: 0.88em;
      }
      .foot .exports {
        margin-left: auto;
      }
      details {
        min-width: 0;
      }
      details[open] {
        flex-basis: 100%;
      }
      .table {
        max-height: 320px;
        overflow: auto;
      }
    `,
  ];

  @property() heading = '';
  /** File name of exports, without extension. */
  @property() name = 'chart';
  /** What the chart shows, for those who do not see it. */
  @property() description = '';
  @property({ type: Number }) height = 200;
  @property({ attribute: false }) legend: readonly LegendItem[] = [];
  @property({ attribute: false }) draw: (size: ChartSize) => SVGTemplateResult = () => svg``;
  /** A line below the chart. */
  @property({ attribute: false }) note: (size: ChartSize) => string = () => '';
  @property({ attribute: false }) table: () => DataTable = () => ({ caption: '', columns: [], rows: [] });
  /** Set when parts of the chart are operated (a slider): then it is no single picture. */
  @property({ type: Boolean }) interactive = false;
  /** For a heading that stands elsewhere already; exports still carry it. */
  @property({ type: Boolean }) headingHidden = false;
  /** For a chart that is drawn elsewhere, in the slot "plot": `draw` is for its export alone. */
  @property({ type: Boolean }) slotted = false;
  /** What the CSV holds where the table on screen leaves rows out. */
  @property({ attribute: false }) fullTable: (() => DataTable) | null = null;
  @property({ attribute: false }) heightFor: ((width: number) => number) | null = null;

  @state() private width = 0;
  @state() private tableOpen = false;
  private readonly observer = new ResizeObserver(([entry]) => {
    this.width = Math.floor(entry.contentRect.width);
  });

  override firstUpdated(_changed: PropertyValues): void {
    this.observer.observe(this.renderRoot.querySelector('.plot') as HTMLElement);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.observer.disconnect();
  }

  override connectedCallback(): void {
    super.connectedCallback();
    const plot = this.renderRoot.querySelector('.plot');
    if (plot !== null) this.observer.observe(plot);
  }

  override render(): TemplateResult {
    const height = this.heightFor?.(this.width) ?? this.height;
    const note = this.note({ width: this.width, height });
    return html`
      <figure>
        <figcaption class="head">
          <h2 class=${this.headingHidden ? 'visually-hidden' : ''}>${this.heading}</h2>
          <slot name="tools"></slot>
          ${this.legend.length === 0 ? nothing : html`<ul class="legend">${this.legend.map(legendEntry)}</ul>`}
        </figcaption>
        <div class="plot">
          ${
            this.slotted
              ? html`<slot name="plot"></slot>`
              : this.width === 0
                ? nothing
                : html`<svg class="chart" width=${this.width} height=${height} role=${this.interactive ? 'group' : 'img'}
                  aria-label=${`${this.heading}. ${this.description}`}>${this.draw({ width: this.width, height })}</svg>`
          }
        </div>
        <div class="foot">
          ${note === '' ? nothing : html`<span class="note">${note}</span>`}
          <details @toggle=${this.toggleTable}>
            <summary>${strings.figure.table}</summary>
            ${this.tableOpen ? html`<div class="table" tabindex="0" role="region" aria-label=${this.heading}>${dataTable(this.table(), { showCaption: false })}</div>` : nothing}
          </details>
          <span class="exports">
            SVG: ${this.exportButton('svg', 'clipboard')} · ${this.exportButton('svg', 'file')}
            &ensp;CSV: ${this.exportButton('csv', 'clipboard')} · ${this.exportButton('csv', 'file')}
          </span>
        </div>
      </figure>
    `;
  }

  private exportButton(kind: ChartExport['kind'], to: ChartExport['to']): TemplateResult {
    const verb = to === 'clipboard' ? strings.figure.copy : strings.figure.save;
    return html`<button type="button" class="link" aria-label=${strings.figure.exportLabel(verb, this.heading, kind)}
      @click=${() => this.export(kind, to)}>${verb}</button>`;
  }

  private toggleTable(event: Event): void {
    this.tableOpen = (event.target as HTMLDetailsElement).open;
  }

  private export(kind: ChartExport['kind'], to: ChartExport['to']): void {
    const text = kind === 'csv' ? toCsv((this.fullTable ?? this.table)()) : this.exportedSvg();
    const detail: ChartExport = { kind, name: this.name, text, to };
    this.dispatchEvent(new CustomEvent('chart-export', { detail, bubbles: true, composed: true }));
  }

  private exportedSvg(): string {
    const chart = this.slotted ? this.drawnAside() : this.renderRoot.querySelector<SVGSVGElement>('.plot svg');
    if (chart === null) throw new Error('The chart has not been drawn yet.');
    const swatches = [...this.renderRoot.querySelectorAll<SVGSVGElement>('.legend svg')];
    try {
      return exportSvg(
        chart,
        this.heading,
        this.legend.map(({ label }, i) => ({ label, swatch: swatches[i] })),
      );
    } finally {
      if (this.slotted) chart.remove();
    }
  }

  /** The chart as SVG within the page's styles, where nobody sees it. */
  private drawnAside(): SVGSVGElement {
    const chart = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    const height = this.heightFor?.(this.width) ?? this.height;
    for (const [name, value] of Object.entries({ class: 'chart', width: this.width, height }))
      chart.setAttribute(name, String(value));
    Object.assign(chart.style, { position: 'fixed', visibility: 'hidden' });
    render(this.draw({ width: this.width, height }), chart);
    this.renderRoot.querySelector('.plot')?.append(chart);
    return chart;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'espalier-figure': EspalierFigure;
  }
}

function legendEntry(item: LegendItem): TemplateResult {
  const { label, part, kind } = item;
  const swatch =
    kind === 'mark'
      ? svg`<path class=${part} d=${item.d}></path>`
      : kind === 'area'
        ? svg`<rect class=${part} x="2.5" y="0.5" width="9" height="9"></rect>`
        : svg`<line class=${part} x1="0" x2="14" y1="5" y2="5"></line>`;
  return html`<li><svg class="chart" width="14" height="10" aria-hidden="true">${swatch}</svg>${label}</li>`;
}
