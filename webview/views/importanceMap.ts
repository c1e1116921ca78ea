/** The whole model's bases as a heat map: what is asked of the host for it, and the figure. */
import { html, type TemplateResult } from 'lit';
import type { LayerFacts, Spectrum } from '../../src/protocol/facts';
import type { PruneSettings } from '../../src/protocol/recipe';
import { type HeatRow, heatCells, heatLevels, heatMap, heatMapHeight, heatRange } from '../charts/heatMap';
import { sample } from '../charts/scale';
import type { DataTable } from '../controls/dataTable';
import '../controls/figure';
import type { ChartSize, LegendItem } from '../controls/figure';
import { exact, percent, real } from '../format';
import type { LayerRow } from '../layers';
import { Memo } from '../memo';
import type { Session } from '../session';
import { strings } from '../strings';

/** Rows drawn at most; a larger model shows some of its layers, evenly spread. */
export const rowLimit = 500;

type Score = PruneSettings['basis']['score'];

/**
 * What the bases of the weights are worth: share of the layer's energy, per multiply-accumulate that a basis costs
 * unless the settings compare shares alone.
 */
export function importanceOf({ energy }: Spectrum, layer: LayerFacts, score: Score): Float64Array {
  // At the break-even rank the two small layers cost what the layer does: that gives the cost of one basis.
  const { macs, breakEvenRank } = layer;
  const cost = score === 'energy' || macs === null || !breakEvenRank ? 1 : macs / breakEvenRank;
  return energy.map((sum, i) => Math.max(0, sum - (i === 0 ? 0 : energy[i - 1])) / cost);
}

export class ImportanceMap {
  private readonly shown = new Memo<readonly LayerRow[]>();
  private readonly heatRows = new Memo<readonly HeatRow[]>();
  private readonly drawing = new Memo<(size: ChartSize) => ReturnType<typeof heatMap>>();
  private readonly table = new Memo<() => DataTable>();
  private readonly legend = new Memo<readonly LegendItem[]>();
  /** Cells by layer, of one model and one score: spectra may be forgotten, these are small. */
  private cells = new Map<string, Float64Array>();
  private cellsOf: readonly unknown[] = [];

  render(session: Session, rows: readonly LayerRow[], tools: TemplateResult): TemplateResult {
    const { facts, settings, projection, selectedLayer } = session.state;
    const score = settings?.basis.score ?? 'energy';
    const shown = this.shown.get([rows], () => {
      const known = rows.filter((row) => row.facts.fullRank > 0 && row.facts.matrices !== null);
      return sample(known.length, rowLimit).map((i) => known[i]);
    });
    this.collect(session, shown, [facts?.path, facts?.fileBytes, score], score);
    const found = this.cells.size;
    const heatRows = this.heatRows.get([shown, found, this.cells], () =>
      shown.map(({ facts: { name, fullRank }, rank }) => ({
        label: name,
        cells: this.cells.get(name) ?? null,
        kept: rank / fullRank,
      })),
    );
    const selected = selectedLayer === null ? null : shown.findIndex((row) => row.facts.name === selectedLayer);
    const draw = this.drawing.get(
      [heatRows, selected],
      () => (size: ChartSize) =>
        heatMap({
          ...size,
          rows: heatRows,
          selected,
          describe: ({ label, kept }) => strings.heatMap.row(label, percent(kept)),
          onPick: (index) => session.select(shown[index].facts.name),
        }),
    );
    const text = strings.heatMap;
    const notes = [
      text.note[score === 'energy' ? 'energy' : 'perMac'],
      projection?.basis === 'activations' || score.startsWith('taylor') || score.startsWith('fisher')
        ? text.weightsOnly
        : '',
      shown.length < rows.length && shown.length === rowLimit ? text.sampled(rowLimit) : '',
      found < shown.length ? text.waiting(shown.length - found) : '',
    ];
    const note = notes.filter(Boolean).join(' ');
    return html`
      <espalier-figure .heading=${strings.overview.metrics.importance} .name=${'importance-of-all-bases'} .headingHidden=${true}
        .description=${text.description(shown.length)} .legend=${this.legend.get([heatRows], () => legend(heatRows))}
        .heightFor=${() => heatMapHeight(shown.length)} .draw=${draw} .note=${() => note}
        .table=${this.table.get([heatRows], () => () => heatTable(shown, heatRows))}>${tools}</espalier-figure>`;
  }

  /** Takes over the spectra that have come, and asks for the others behind those of the rows on screen. */
  private collect(session: Session, shown: readonly LayerRow[], of: readonly unknown[], score: Score): void {
    if (of.some((value, i) => value !== this.cellsOf[i])) {
      this.cells = new Map();
      this.cellsOf = of;
    }
    const missing = shown.filter(({ facts }) => !this.cells.has(facts.name));
    for (const { facts } of missing) {
      const spectrum = session.spectra.get(facts.name);
      if (spectrum === 'none' || spectrum === 'failed') this.cells.set(facts.name, new Float64Array(0));
      else if (spectrum !== 'loading') this.cells.set(facts.name, heatCells(importanceOf(spectrum, facts, score)));
    }
    session.spectra.wantLater(missing.map(({ facts }) => facts.name).filter((name) => !this.cells.has(name)));
  }
}

function legend(rows: readonly HeatRow[]): readonly LegendItem[] {
  const range = heatRange(rows);
  const value = (level: number) =>
    range === null ? '' : real(range.low * (range.high / range.low) ** (level / (heatLevels - 1)));
  const levels = range === null ? [] : [0, Math.floor(heatLevels / 2), heatLevels - 1];
  const side = (level: number) => (level === 0 ? '≤ ' : level === heatLevels - 1 ? '≥ ' : '');
  return [
    ...levels.map(
      (level): LegendItem => ({ label: `${side(level)}${value(level)}`, part: `heat-${level}`, kind: 'area' }),
    ),
    { label: strings.heatMap.cut, part: 'heat-cut', kind: 'line' },
  ];
}

function heatTable(shown: readonly LayerRow[], rows: readonly HeatRow[]): DataTable {
  const text = strings.heatMap.table;
  return {
    caption: strings.overview.metrics.importance,
    columns: [
      { label: text.layer },
      { label: text.full, format: exact },
      { label: text.kept, format: exact },
      { label: text.strongest, format: real },
      { label: text.atCut, format: real },
      { label: text.weakest, format: real },
    ],
    rows: shown.map(({ facts, rank }, i) => {
      const { cells, kept } = rows[i];
      const at = (index: number) => cells?.[index] ?? null;
      const last = (cells?.length ?? 0) - 1;
      const cut = kept >= 1 ? null : at(Math.min(last, Math.floor(kept * (last + 1))));
      return [facts.name, facts.fullRank, rank, at(0), cut, at(last)];
    }),
  };
}
