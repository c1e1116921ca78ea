/**
 * `<espalier-options>`: a form drawn from the JSON schema of its options. A field at its default shows the default as
 * placeholder; one that was changed has a button back. What is not valid stays in its field with the reason beside it.
 * Fires `option-change` (see `OptionChange`).
 */
import { css, html, LitElement, nothing, type TemplateResult } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { live } from 'lit/directives/live.js';
import '@vscode-elements/elements/dist/vscode-checkbox/index.js';
import { Memo } from '../memo';
import {
  checkNumber,
  isSameValue,
  linesOf,
  numbersOf,
  type OptionField,
  type OptionPath,
  type OptionsSchema,
  type OptionsWords,
  type OptionValue,
  type OptionValues,
  optionFields,
  valueAt,
} from '../options';
import { strings } from '../strings';
import { baseStyles, controlStyles } from '../styles';
import { fieldStyles } from './fields';
import { icons } from './icons';

export interface OptionChange {
  readonly path: OptionPath;
  /** undefined leaves the option out; one with a default gets that instead. */
  readonly value: OptionValue | undefined;
}

/** What was typed and refused. */
interface Refused {
  readonly text: string;
  readonly problem: string;
}

@customElement('espalier-options')
export class EspalierOptions extends LitElement {
  static override styles = [
    baseStyles,
    controlStyles,
    fieldStyles,
    css`
      :host {
        display: block;
      }
      .head {
        display: flex;
        gap: 6px;
        align-items: center;
        min-height: 22px;
      }
      .head .plain {
        margin-left: auto;
      }
      .number {
        display: grid;
        grid-template-columns: minmax(0, 1fr) minmax(64px, 112px);
        gap: 3px 10px;
        align-items: center;
      }
      .number > .help,
      .number > .problem {
        grid-column: 1 / -1;
      }
      .switch .head {
        align-items: start;
      }
      details {
        margin-top: 12px;
      }
    `,
  ];

  @property({ attribute: false }) schema: OptionsSchema = { properties: {} };
  @property({ attribute: false }) words: OptionsWords = {};
  @property({ attribute: false }) values: OptionValues = {};
  /** Options shown first, by dotted path; the others are folded away. All are shown when left out. */
  @property({ attribute: false }) first: readonly string[] | null = null;
  /** Options that mean nothing with these values, by dotted path. */
  @property({ attribute: false }) hiddenOptions: ReadonlySet<string> = new Set();

  /** By dotted path. */
  @state() private refused: ReadonlyMap<string, Refused> = new Map();
  private readonly fields = new Memo<readonly OptionField[]>();

  override render(): TemplateResult {
    const { first } = this;
    const fields = this.fields
      .get([this.schema, this.words], () => optionFields(this.schema, this.words))
      .filter(({ path }) => !this.hiddenOptions.has(path.join('.')));
    if (first === null) return html`${fields.map((field) => this.field(field))}`;
    const place = ({ path }: OptionField) => first.indexOf(path.join('.'));
    const common = fields.filter((field) => place(field) >= 0).sort((a, b) => place(a) - place(b));
    const others = fields.filter((field) => place(field) < 0);
    const changed = others.filter((field) => this.isChanged(field)).length;
    return html`
      ${common.map((field) => this.field(field))}
      ${
        others.length === 0
          ? nothing
          : html`<details>
              <summary>${strings.options.advanced}${changed === 0 ? nothing : html` <span class="dim">${strings.options.changed(changed)}</span>`}</summary>
              ${others.map((field) => this.field(field))}
            </details>`
      }
    `;
  }

  private field(field: OptionField): TemplateResult {
    switch (field.kind) {
      case 'choice':
        return this.choice(field);
      case 'switch':
        return this.switch(field);
      case 'number':
        return this.number(field);
      case 'text':
        return this.text(field);
      case 'list':
        return this.list(field);
      default:
        return field satisfies never;
    }
  }

  private text(field: Extract<OptionField, { kind: 'text' }>): TemplateResult {
    const id = field.path.join('.');
    const value = (valueAt(this.values, field.path) ?? field.standard ?? '') as string;
    const change = (event: Event) => this.set(field, (event.target as HTMLInputElement).value.trim() || undefined);
    return html`
      <div class="field">
        <div class="head"><label for=${id}>${field.label}</label>${this.reset(field)}</div>
        <input type="text" id=${id} aria-describedby=${help(field)} autocomplete="off" spellcheck="false"
          placeholder=${field.leftOut} .value=${live(value)} @change=${change} />
        ${helpText(field)}
      </div>
    `;
  }

  private list(field: Extract<OptionField, { kind: 'list' }>): TemplateResult {
    const id = field.path.join('.');
    const value = (valueAt(this.values, field.path) ?? field.standard) as readonly (string | number)[];
    const refused = this.refused.get(id);
    const change = (event: Event) => {
      const text = (event.target as HTMLTextAreaElement).value;
      const found = field.ofNumbers ? numbersOf(text) : linesOf(text);
      if (found === null) {
        this.refused = new Map(this.refused).set(id, { text, problem: strings.options.problems.numbers });
      } else {
        this.forgive(id);
        this.set(field, found);
      }
    };
    return html`
      <div class="field">
        <div class="head"><label for=${id}>${field.label}</label>${this.reset(field)}</div>
        <textarea id=${id} rows=${Math.min(6, value.length + 1)} aria-describedby=${help(field)} spellcheck="false"
          aria-invalid=${refused === undefined ? 'false' : 'true'} .value=${live(refused?.text ?? value.join('\n'))} @change=${change}></textarea>
        ${refused === undefined ? nothing : html`<span class="problem" role="alert">${refused.problem}</span>`}
        ${helpText(field)}
      </div>
    `;
  }

  private choice(field: Extract<OptionField, { kind: 'choice' }>): TemplateResult {
    const id = field.path.join('.');
    const value = valueAt(this.values, field.path) ?? field.standard;
    const shown = field.choices.findIndex((choice) => choice.value === value);
    const change = (event: Event) => {
      const index = Number((event.target as HTMLSelectElement).value);
      this.set(field, index < 0 ? undefined : field.choices[index].value);
    };
    return html`
      <div class="field">
        <div class="head"><label for=${id}>${field.label}</label>${this.reset(field)}</div>
        <select id=${id} aria-describedby=${help(field)} .value=${live(String(shown))} @change=${change}>
          ${field.standard === undefined ? html`<option value="-1" ?selected=${shown < 0}>${sentence(field.leftOut)}</option>` : nothing}
          ${field.choices.map(
            (choice, i) =>
              html`<option value=${i} ?selected=${i === shown}>${choice.label}${choice.value === field.standard ? strings.options.standard : ''}</option>`,
          )}
        </select>
        ${helpText(field)}
      </div>
    `;
  }

  private switch(field: Extract<OptionField, { kind: 'switch' }>): TemplateResult {
    const checked = valueAt(this.values, field.path) ?? field.standard;
    return html`
      <div class="field switch">
        <div class="head">
          <vscode-checkbox id=${field.path.join('.')} .label=${field.label} .checked=${live(checked === true)}
            @change=${(event: Event) => this.set(field, (event.target as HTMLInputElement).checked)}></vscode-checkbox>
          ${this.reset(field)}
        </div>
        ${helpText(field)}
      </div>
    `;
  }

  private number(field: Extract<OptionField, { kind: 'number' }>): TemplateResult {
    const id = field.path.join('.');
    const refused = this.refused.get(id);
    const value = valueAt(this.values, field.path);
    const text = refused?.text ?? (value === undefined || value === field.standard ? '' : String(value));
    const change = (event: Event) => {
      const typed = (event.target as HTMLInputElement).value;
      const checked = checkNumber(field, typed);
      if ('problem' in checked) {
        const problem = strings.options.problems[checked.problem](field.range);
        this.refused = new Map(this.refused).set(id, { text: typed, problem });
      } else {
        this.forgive(id);
        this.set(field, checked.value);
      }
    };
    const described = [refused === undefined ? '' : `${id}-problem`, field.help === '' ? '' : `${id}-help`];
    return html`
      <div class="field number">
        <div class="head"><label for=${id}>${field.label}${field.unit === '' ? nothing : html` <span class="dim">(${field.unit})</span>`}</label>${this.reset(field)}</div>
        <input type="text" id=${id} inputmode=${field.isInteger ? 'numeric' : 'decimal'} autocomplete="off" spellcheck="false"
          aria-invalid=${refused === undefined ? 'false' : 'true'} aria-describedby=${described.filter(Boolean).join(' ') || nothing}
          placeholder=${field.standard === undefined ? field.leftOut : String(field.standard)} .value=${live(text)} @change=${change} />
        ${refused === undefined ? nothing : html`<span class="problem" id=${`${id}-problem`} role="alert">${refused.problem}</span>`}
        ${helpText(field)}
      </div>
    `;
  }

  private isChanged({ path, standard }: OptionField): boolean {
    const value = valueAt(this.values, path);
    return value !== undefined && !isSameValue(value, standard);
  }

  private reset(field: OptionField): TemplateResult | typeof nothing {
    const id = field.path.join('.');
    if (!this.isChanged(field) && !this.refused.has(id)) return nothing;
    const label = strings.options.reset(field.label, standardText(field));
    const reset = () => {
      this.forgive(id);
      this.set(field, undefined);
    };
    return html`<button type="button" class="plain" aria-label=${label} title=${label} @click=${reset}>${icons.reset}</button>`;
  }

  private forgive(id: string): void {
    if (!this.refused.has(id)) return;
    const others = new Map(this.refused);
    others.delete(id);
    this.refused = others;
  }

  private set({ path, standard }: OptionField, value: OptionValue | undefined): void {
    const next = value ?? standard;
    if (isSameValue(next, valueAt(this.values, path) ?? standard)) return;
    const detail: OptionChange = { path, value: next };
    this.dispatchEvent(new CustomEvent('option-change', { detail }));
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'espalier-options': EspalierOptions;
  }
}

const help = ({ path, help: text }: OptionField) => (text === '' ? nothing : `${path.join('.')}-help`);

const helpText = (field: OptionField) =>
  field.help === '' ? nothing : html`<span class="help" id=${`${field.path.join('.')}-help`}>${field.help}</span>`;

const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

function standardText(field: OptionField): string {
  switch (field.kind) {
    case 'choice':
      return field.choices.find(({ value }) => value === field.standard)?.label ?? field.leftOut;
    case 'switch':
      return field.standard ? strings.options.on : strings.options.off;
    case 'text':
      return field.standard ?? field.leftOut;
    case 'list':
      return field.standard.join(', ') || strings.options.none;
    case 'number':
      return field.standard === undefined ? field.leftOut : String(field.standard);
    default:
      return field satisfies never;
  }
}
