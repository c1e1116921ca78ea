/** What a run found: before and after, speed, checks, per-layer times, confusions, and the way to save it. */
import { css, html, nothing, type TemplateResult } from 'lit';
import type { AccuracyFacts } from '../../src/protocol/facts';
import type { Check, RunResult } from '../../src/protocol/plan';
import type { RunState } from '../../src/protocol/view';
import '@vscode-elements/elements/dist/vscode-button/index.js';
import { confusionChart, confusionClassLimit, confusionHeight } from '../charts/confusion';
import { latencyChart } from '../charts/latency';
import { dataTable, toCsv } from '../controls/dataTable';
import '../controls/figure';
import type { ChartSize, LegendItem } from '../controls/figure';
import { icons } from '../controls/icons';
import { elapsed } from '../format';
import type { Session } from '../session';
import { strings } from '../strings';
import { compactionResult } from './compaction';
import { errorNotice, notice } from './notices';
import {
  confusionMatrixTable,
  confusionTable,
  latencyTable,
  layersTable,
  resultLines,
  resultTable,
  speedSentence,
} from './resultTables';
import { sparsityResult } from './sparsity';
import { trainingResult } from './trainingView';

export const resultsStyles = css`
  .results {
    display: grid;
    grid-template-columns: repeat(auto-fit, minmax(min(100%, 500px), 1fr));
    gap: 20px 32px;
    padding: 14px 18px 24px;
  }
  .results > .wide {
    grid-column: 1 / -1;
  }
  .results .actions {
    display: flex;
    flex-wrap: wrap;
    gap: 8px 12px;
    align-items: center;
  }
  .results section > h2 {
    margin-bottom: 6px;
  }
  .results .scroll {
    max-height: 420px;
    overflow: auto;
  }
  .results section > p {
    margin-top: 6px;
  }
  .results .spread {
    display: block;
    color: var(--dim);
    font-size: 0.88em;
    white-space: normal;
  }
  .checks li {
    display: grid;
    grid-template-columns: 16px minmax(0, 1fr);
    gap: 0 8px;
    padding: 4px 0;
    border-bottom: 1px solid var(--line);
    overflow-wrap: anywhere;
  }
  .checks .passed {
    color: var(--energy);
  }
  .checks .failed {
    color: var(--bad);
  }
  .checks .what {
    grid-column: 2;
    color: var(--dim);
  }
  .notes li {
    display: flex;
    gap: 8px;
    padding: 2px 0;
  }
`;

const latencyLegend: readonly LegendItem[] = [
  { label: strings.results.before, part: 'before', kind: 'area' },
  { label: strings.results.after, part: 'kept', kind: 'area' },
];

/** A run that is over. */
export type Outcome = Extract<RunState, { kind: 'done' | 'failed' }>;

export function results(session: Session, run: Outcome): TemplateResult {
  if (run.kind === 'failed')
    return html`<div class="results"><div class="wide">${errorNotice(run.error, null)}</div></div>`;
  const { result, savedAs } = run;
  const accuracy = result.after.accuracy;
  return html`
    <div class="results">
      ${actions(session, result, savedAs)}
      <section>
        <h2>${strings.results.heading}</h2>
        ${beforeAfter(result)} ${measurementNotes(result)}
      </section>
      <section>
        <h2>${strings.results.verification}</h2>
        ${checks(result.verification)} ${warnings(result)}
      </section>
      ${trainingResult(session, result)}
      ${result.training?.compaction === undefined ? nothing : compactionResult(result.training.compaction)}
      ${result.sparsity === undefined ? nothing : sparsityResult(result.sparsity)}
      ${layers(result)}
      ${result.layerLatency.length === 0 ? nothing : latency(result)}
      ${accuracy === null ? nothing : confusions(accuracy)}
    </div>
  `;
}

function actions(session: Session, result: RunResult, savedAs: string | null): TemplateResult {
  const copy = () =>
    session.act('export', { kind: 'csv', name: 'results', text: toCsv(resultTable(result)), to: 'clipboard' });
  return html`
    <div class="wide actions">
      <vscode-button @click=${() => session.act('save', {})} ?disabled=${!session.state.trusted}>${strings.run.save}</vscode-button>
      <vscode-button secondary @click=${copy}>${strings.results.copyTable}</vscode-button>
      <span role="status">${strings.run.done(elapsed(result.seconds), result.device)} ${savedAs === null ? nothing : strings.run.savedAs(savedAs)}</span>
    </div>
  `;
}

function beforeAfter(result: RunResult): TemplateResult {
  const text = strings.results;
  return html`
    <table class="data-table">
      <caption class="visually-hidden">${text.heading}</caption>
      <thead>
        <tr><th scope="col">${text.measure}</th><th scope="col" class="right">${text.before}</th>
          <th scope="col" class="right">${text.after}</th><th scope="col" class="right">${text.change}</th></tr>
      </thead>
      <tbody>
        ${resultLines(result).map(
          (
            line,
          ) => html`<tr><th scope="row">${line.label}</th><td class="right">${line.before}${spread(line.notes[0])}</td>
            <td class="right">${line.after}${spread(line.notes[1])}</td><td class="right">${line.change}</td></tr>`,
        )}
      </tbody>
    </table>
  `;
}

const spread = (text: string) => (text === '' ? nothing : html`<span class="spread">${text}</span>`);

function measurementNotes(result: RunResult): TemplateResult {
  const { latency, accuracy } = result.after;
  const text = strings.results;
  return html`
    <p>${speedSentence(result)} ${result.speedupNote ?? nothing}</p>
    ${latency === null ? nothing : html`<p class="dim">${text.latencyNote(latency.batch, latency.repetitions, latency.threads, latency.device)}</p>`}
    ${accuracy === null ? nothing : html`<p class="dim">${text.images(accuracy.images, accuracy.preprocessing)}</p>`}
    ${accuracy !== null && accuracy.accuracy === null ? html`<p class="dim">${text.noLabels}</p>` : nothing}
    ${accuracy !== null && accuracy.skipped.count > 0 ? html`<p class="dim">${text.skipped(accuracy.skipped.count, accuracy.skipped.names)}</p>` : nothing}
  `;
}

function checks(list: readonly Check[]): TemplateResult {
  const passed = list.filter((check) => check.passed).length;
  return html`
    <p>${strings.results.verified(passed, list.length)}</p>
    <ul class="checks">
      ${list.map(
        (check) => html`
          <li>
            <span class=${check.passed ? 'passed' : 'failed'}>${check.passed ? icons.check : icons.cross}</span>
            <span><span class="visually-hidden">${check.passed ? strings.results.passed : strings.results.failedCheck}: </span>${check.name}</span>
            <span class="what">${check.detail}</span>
          </li>`,
      )}
    </ul>
  `;
}

function warnings(result: RunResult): TemplateResult | typeof nothing {
  const { before, after } = result;
  const list = new Set([...result.warnings, before.accuracy?.warning, after.accuracy?.warning].filter(Boolean));
  if (list.size === 0) return nothing;
  return html`${[...list].map((text) => notice('warning', `${strings.results.warnings}:`, text as string))}`;
}

function layers(result: RunResult): TemplateResult {
  const text = strings.results;
  const changed = result.layers.filter(({ action }) => action !== 'keep').length;
  return html`
    <details class="wide">
      <summary>${text.layers} <span class="dim">${text.layersSummary(changed, result.layers.length)}</span></summary>
      <div class="scroll" tabindex="0" role="region" aria-label=${text.layers}>${dataTable(layersTable(result), { showCaption: false })}</div>
    </details>
  `;
}

function latency(result: RunResult): TemplateResult {
  const items = result.layerLatency.map(({ layer, before, after }) => ({ label: layer, before, after }));
  return html`
    <section class="wide">
      <espalier-figure .heading=${strings.results.layerLatency} .name=${'latency-per-layer'} .height=${170}
        .description=${strings.results.layerLatencyDescription(items.length)} .legend=${latencyLegend}
        .draw=${(size: ChartSize) => latencyChart({ ...size, items })} .table=${() => latencyTable(result)}></espalier-figure>
    </section>
  `;
}

function confusions(facts: AccuracyFacts): TemplateResult | typeof nothing {
  const { classes, confusion } = facts;
  if (classes.length === 0 || confusion.length === 0) return nothing;
  const table = confusionTable(facts);
  return html`
    <section>
      <h2>${strings.results.topConfusions}</h2>
      ${table.rows.length === 0 ? html`<p class="dim">${strings.results.noMistakes}</p>` : dataTable(table, { showCaption: false })}
    </section>
    ${
      classes.length > confusionClassLimit
        ? nothing
        : html`<section>
            <espalier-figure .heading=${strings.results.confusion} .name=${'confusion'} .legend=${[]}
              .description=${strings.results.confusionDescription} .note=${() => strings.results.confusionDescription}
              .heightFor=${(width: number) => confusionHeight({ width, classes })}
              .draw=${({ width }: ChartSize) => confusionChart({ width, classes, confusion })}
              .table=${() => confusionMatrixTable(facts)}></espalier-figure>
          </section>`
    }
  `;
}
