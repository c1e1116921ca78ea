/** Labelled form controls. Each calls `onChange` only with a valid value; what is invalid is marked and stays. */
import { css, html, nothing, type TemplateResult } from 'lit';
import { live } from 'lit/directives/live.js';

export const fieldStyles = css`
  .field {
    display: grid;
    gap: 3px;
    align-content: start;
    margin-top: 10px;
    min-width: 0;
  }
  .field > label {
    color: var(--fg);
  }
  .field .help {
    color: var(--dim);
    font-size: 0.88em;
  }
  .field .problem {
    color: var(--vscode-errorForeground);
    font-size: 0.88em;
  }
`;

interface Common {
  /** Unique within the shadow root. */
  readonly id: string;
  readonly label: string;
  readonly help?: string;
  readonly disabled?: boolean;
}

function field({ id, label, help = '' }: Common, control: TemplateResult): TemplateResult {
  return html`
    <div class="field">
      <label for=${id}>${label}</label>
      ${control} ${help === '' ? nothing : html`<span class="help" id=${`${id}-help`}>${help}</span>`}
    </div>
  `;
}

const describedBy = ({ id, help = '' }: Common) => (help === '' ? nothing : `${id}-help`);

export interface Choice {
  readonly value: string;
  readonly label: string;
  readonly disabled?: boolean;
  readonly title?: string;
}

export function selectField(
  props: Common & {
    readonly value: string;
    readonly options: readonly Choice[];
    readonly onChange: (value: string) => void;
  },
): TemplateResult {
  const change = (event: Event) => props.onChange((event.target as HTMLSelectElement).value);
  return field(
    props,
    html`<select id=${props.id} aria-describedby=${describedBy(props)} ?disabled=${props.disabled} .value=${live(props.value)} @change=${change}>
      ${props.options.map(
        (option) =>
          html`<option value=${option.value} title=${option.title ?? nothing} ?disabled=${option.disabled} ?selected=${option.value === props.value}>${option.label}</option>`,
      )}
    </select>`,
  );
}

export function numberField(
  props: Common & {
    readonly value: number | null;
    readonly min: number;
    readonly max: number;
    /** 'any' for real numbers. */
    readonly step: number | 'any';
    /** An empty field means null and is allowed. */
    readonly optional?: boolean;
    readonly onChange: (value: number | null) => void;
  },
): TemplateResult {
  const change = (event: Event) => {
    const input = event.target as HTMLInputElement;
    const valid = input.checkValidity();
    input.setAttribute('aria-invalid', String(!valid));
    if (!valid) input.reportValidity();
    else props.onChange(input.value === '' ? null : input.valueAsNumber);
  };
  return field(
    props,
    html`<input type="number" id=${props.id} min=${props.min} max=${props.max} step=${props.step} aria-describedby=${describedBy(props)}
      ?required=${props.optional !== true} ?disabled=${props.disabled}
      .value=${live(props.value === null ? '' : String(props.value))} @change=${change} />`,
  );
}

export function textField(
  props: Common & {
    readonly value: string;
    readonly placeholder?: string;
    /** More than one line. */
    readonly lines?: number;
    /** What is wrong with a text, '' when nothing is. */
    readonly check?: (text: string) => string;
    readonly onChange: (value: string) => void;
  },
): TemplateResult {
  const change = (event: Event) => {
    const input = event.target as HTMLInputElement | HTMLTextAreaElement;
    const problem = props.check?.(input.value) ?? '';
    input.setCustomValidity(problem);
    input.setAttribute('aria-invalid', String(problem !== ''));
    if (problem === '') props.onChange(input.value);
    else input.reportValidity();
  };
  return field(
    props,
    props.lines === undefined
      ? html`<input type="text" id=${props.id} aria-describedby=${describedBy(props)} placeholder=${props.placeholder ?? ''}
          ?disabled=${props.disabled} spellcheck="false" .value=${live(props.value)} @change=${change} />`
      : html`<textarea id=${props.id} rows=${props.lines} aria-describedby=${describedBy(props)} placeholder=${props.placeholder ?? ''}
          ?disabled=${props.disabled} spellcheck="false" .value=${live(props.value)} @change=${change}></textarea>`,
  );
}
