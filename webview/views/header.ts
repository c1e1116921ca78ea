/** The top of the model editor: what the file is, its inputs and outputs, and its size and cost now and after. */
import { css, html, nothing, type TemplateResult } from 'lit';
import type { ModelFacts, PortFacts } from '../../src/protocol/facts';
import type { SessionState } from '../../src/protocol/view';
import { styleVars } from '../controls/styleVars';
import { plural, shape } from '../format';
import { strings } from '../strings';
import { type Tile, tiles } from '../tiles';

export const headerStyles = css`
  .header {
    flex: none;
    padding: 12px 18px 10px;
    border-bottom: 1px solid var(--line);
  }
  .header h1 {
    overflow-wrap: anywhere;
  }
  .about {
    display: flex;
    flex-wrap: wrap;
    gap: 0 12px;
    margin-top: 2px;
    color: var(--dim);
  }
  .about code {
    font-family: var(--vscode-editor-font-family, monospace);
    font-size: 0.95em;
  }
  .tiles {
    display: grid;
    grid-template-columns: repeat(auto-fit, minmax(148px, 1fr));
    gap: 8px 18px;
    margin-top: 10px;
  }
  .tile dt {
    color: var(--dim);
    font-size: 0.88em;
  }
  .tile .value {
    font-size: 1.25em;
    white-space: nowrap;
  }
  .tile .value .before {
    font-size: 0.76em;
    color: var(--dim);
  }
  .tile .note {
    min-height: 1.4em;
    color: var(--dim);
    font-size: 0.88em;
  }
  .tile .pending {
    color: var(--dim);
    font-size: 0.8em;
    font-style: italic;
  }
  .more {
    display: flex;
    flex-wrap: wrap;
    gap: 0 24px;
    margin-top: 4px;
    color: var(--dim);
  }
  .more details[open] {
    flex-basis: 100%;
  }
  .header details li {
    color: var(--dim);
    padding-left: 14px;
  }
`;

/**
 * @param sizes the form for free dimensions, where they are known
 * @param failed whether an error says why there is nothing to show
 */
export function header(state: SessionState, sizes: TemplateResult | typeof nothing, failed: boolean): TemplateResult {
  const { facts } = state;
  return html`
    <header class="header">
      <h1>${state.title ?? strings.loading.connecting}</h1>
      ${facts !== null ? about(facts) : failed ? nothing : html`<p class="about">${strings.loading.reading}</p>`}
      ${facts === null ? nothing : html`<dl class="tiles number" aria-label=${strings.header.tiles}>${tiles(state).map(tile)}</dl>`}
      ${facts === null ? nothing : html`<div class="more">${facts.notes.length === 0 ? nothing : notes(facts.notes)}${sizes}</div>`}
    </header>
  `;
}

function about(facts: ModelFacts): TemplateResult {
  const factorizable = facts.layers.filter((layer) => layer.reason === null).length;
  const parts = [
    strings.header.format[facts.format] ?? facts.format,
    strings.header.opset(facts.opset),
    facts.producer,
    strings.header.nodes(facts.nodeCount),
    strings.header.layerSummary(facts.layers.length, factorizable),
  ].filter((part) => part !== '');
  return html`
    <p class="about">
      ${parts.map((part) => html`<span>${part}</span>`)}
      ${ports(strings.header.inputs, facts.inputs)} ${ports(strings.header.outputs, facts.outputs)}
    </p>
  `;
}

/** Models with dozens of ports exist; the first few say enough, the rest are in the title. */
const shownPorts = 4;

function ports(label: string, list: readonly PortFacts[]): TemplateResult | typeof nothing {
  if (list.length === 0) return nothing;
  const text = (port: PortFacts) => `${port.name}: ${shape(port.shape)}`;
  const more = list.length - shownPorts;
  return html`<span title=${list.map(text).join('\n')}>
    ${label} ${list.slice(0, shownPorts).map((port, i) => html`${i > 0 ? ', ' : nothing}<code>${text(port)}</code>`)}${more > 0 ? ` +${more}` : nothing}
  </span>`;
}

function notes(list: readonly string[]): TemplateResult {
  return html`
    <details>
      <summary>${strings.header.notes(list.length)}</summary>
      <ul>${list.map((note) => html`<li>${note}</li>`)}</ul>
    </details>
  `;
}

function tile({ id, label, before, after, share, note, title, pending }: Tile): TemplateResult {
  const changed = after !== null && after !== before;
  return html`
    <div class="tile" data-tile=${id} title=${title}>
      <dt>${label}</dt>
      <dd class="value">
        ${
          pending
            ? html`<span class="pending">${before}</span>`
            : changed
              ? html`<span class="before">${before}&nbsp;<span aria-hidden="true">→</span><span class="visually-hidden"> ${strings.tiles.to} </span></span> ${after}`
              : before
        }
      </dd>
      ${share === null ? nothing : html`<dd class="bar" aria-hidden="true"><span ${styleVars({ '--share': String(share) })}></span></dd>`}
      <dd class="note">${note}</dd>
    </div>
  `;
}

/** One line for the side panel. */
export function modelLine(facts: ModelFacts): string {
  return `${strings.header.format[facts.format] ?? facts.format}, ${plural(facts.layers.length, 'layer', 'layers')}`;
}
