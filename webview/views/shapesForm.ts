/** Sizes for inputs with free dimensions: shown open when they are needed, folded when they are known. */
import { css, html, nothing, type TemplateResult } from 'lit';
import type { ModelFacts, PortFacts } from '../../src/protocol/facts';
import '@vscode-elements/elements/dist/vscode-button/index.js';
import { shape } from '../format';
import { freeInputs, proposedSize } from '../inputs';
import type { Session } from '../session';
import { strings } from '../strings';
import { notice } from './notices';

export const shapesFormStyles = css`
  .shapes form {
    display: flex;
    flex-wrap: wrap;
    gap: 8px 18px;
    align-items: end;
    margin-top: 6px;
  }
  .shapes fieldset {
    display: flex;
    gap: 4px;
    align-items: center;
    margin: 0;
    padding: 0;
    border: none;
  }
  .shapes legend {
    padding: 0;
    color: var(--dim);
    font-size: 0.88em;
  }
  .shapes input[type='number'] {
    width: 76px;
  }
`;

export function shapesForm(session: Session, facts: ModelFacts): TemplateResult | typeof nothing {
  const ports = freeInputs(facts);
  if (ports.length === 0 && facts.shapesReason === null) return nothing;
  const reason = facts.shapesReason;
  const body = ports.length === 0 ? nothing : form(session, facts, ports);
  if (reason !== null) {
    return html`<div class="shapes">${notice('warning', strings.shapes.unknown, reason)}${body}</div>`;
  }
  const chosen = ports.map((port) => `${port.name} ${shape(facts.shapes?.[port.name] ?? port.shape)}`).join(', ');
  return html`<details class="shapes"><summary>${strings.shapes.summary(chosen)}</summary><p class="dim">${strings.shapes.intro}</p>${body}</details>`;
}

function form(session: Session, facts: ModelFacts, ports: readonly PortFacts[]): TemplateResult {
  const known = facts.shapes ?? session.state.settings?.shapes ?? {};
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const element = event.currentTarget as HTMLFormElement;
    if (!element.reportValidity()) return;
    const values = new FormData(element);
    const shapes = Object.fromEntries(
      ports.map((port, i) => [port.name, (port.shape ?? []).map((_, axis) => Number(values.get(`${i}.${axis}`)))]),
    );
    session.act('setShapes', { shapes });
  };
  return html`
    <form @submit=${submit}>
      ${ports.map(
        (port, i) => html`
          <fieldset>
            <legend>${port.name}</legend>
            ${(port.shape ?? []).map(
              (dim, axis) => html`${axis > 0 ? html`<span aria-hidden="true">×</span>` : nothing}
                <input type="number" name=${`${i}.${axis}`} min="1" max="1000000" step="1" required
                  ?readonly=${typeof dim === 'number'}
                  aria-label=${strings.shapes.dimension(port.name, axis, typeof dim === 'string' ? dim : '')}
                  .defaultValue=${String(typeof dim === 'number' ? dim : (known[port.name]?.[axis] ?? proposedSize(port, axis)))} />`,
            )}
          </fieldset>`,
      )}
      <vscode-button type="submit" secondary>${strings.shapes.use}</vscode-button>
    </form>
  `;
}
