/** Side panel: images for calibration and evaluation, and how they become the model's input. */
import { html, nothing, type TemplateResult } from 'lit';
import type { DatasetFacts, Preprocessing } from '../../src/protocol/facts';
import type { PreprocessingInput, PruneSettings } from '../../src/protocol/recipe';
import { numberField, selectField, textField } from '../controls/fields';
import { formatNumbers, formatSize, parseNumbers, parseSize, withField } from '../preprocessing';
import type { Session } from '../session';
import { strings } from '../strings';
import { notice } from './notices';

type Data = NonNullable<PruneSettings['data']>;

export function dataSection(session: Session, settings: PruneSettings): TemplateResult {
  const { data } = settings;
  const { trusted, dataset } = session.state;
  if (data === undefined) {
    return html`
      <p class="dim">${strings.panel.noData}</p>
      <p class="line"><vscode-button secondary ?disabled=${!trusted} @click=${() => session.act('chooseData', {})}>${strings.panel.chooseData}</vscode-button></p>`;
  }
  const set = (change: Partial<Data>) => session.change({ data: withoutEmpty({ ...data, ...change }) });
  return html`
    <p class="path" title=${dataset?.path ?? data.path}>${data.path}</p>
    ${dataset === null ? nothing : html`<p class="dim small">${strings.panel.dataSummary(dataset.images, dataset.classes.length, dataset.labelled)}</p>`}
    <p class="line">
      <button type="button" class="link" ?disabled=${!trusted} @click=${() => session.act('chooseData', {})}>${strings.panel.changeData}</button>
      <button type="button" class="link" @click=${() => session.change({}, { remove: ['data'] })}>${strings.panel.removeData}</button>
    </p>
    ${dataset?.warnings.map((text) => notice('warning', '', text)) ?? nothing}
    ${evaluation(session, data, set)}
    <div class="pair">
      ${numberField({
        id: 'calibration-images',
        label: strings.panel.calibrationImages,
        help: strings.panel.calibrationHelp,
        value: data.calibrationImages ?? null,
        optional: true,
        min: 1,
        max: 1_000_000,
        step: 1,
        onChange: (calibrationImages) => set({ calibrationImages: calibrationImages ?? undefined }),
      })}
      ${numberField({
        id: 'evaluation-limit',
        label: strings.panel.limit,
        help: strings.panel.limitHelp,
        value: data.limit ?? null,
        optional: true,
        min: 1,
        max: 1e9,
        step: 1,
        onChange: (limit) => set({ limit: limit ?? undefined }),
      })}
    </div>
    ${dataset === null ? nothing : preprocessing(dataset, data.preprocessing, (value) => set({ preprocessing: value }))}
  `;
}

/** A key set to undefined would be lost on the wire anyway; better not to send it. */
function withoutEmpty(data: Data): Data {
  return Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined)) as Data;
}

function evaluation(session: Session, data: Data, set: (change: Partial<Data>) => void): TemplateResult {
  const choose = () => session.act('chooseData', { role: 'evaluation' });
  const button = (label: string, act: () => void) =>
    html`<button type="button" class="link" ?disabled=${!session.state.trusted} @click=${act}>${label}</button>`;
  return html`
    <div class="field">
      <span>${strings.panel.evaluation}</span>
      ${
        data.evaluation === undefined
          ? html`<span class="help">${strings.panel.sameData} ${button(strings.panel.chooseEvaluation, choose)}</span>`
          : html`<span class="path">${data.evaluation}</span>
              <span>${button(strings.panel.changeData, choose)} ${button(strings.panel.removeData, () => set({ evaluation: undefined }))}</span>`
      }
    </div>
  `;
}

function preprocessing(
  dataset: DatasetFacts,
  overrides: PreprocessingInput | undefined,
  onChange: (value: PreprocessingInput | undefined) => void,
): TemplateResult {
  const base = dataset.preprocessing;
  const origin =
    overrides !== undefined
      ? strings.panel.overridden
      : dataset.preprocessingSource === 'given'
        ? strings.panel.given
        : strings.panel.guessed;
  const set = <K extends keyof Preprocessing>(key: K, value: PreprocessingInput[K] | null) =>
    onChange(withField(overrides, key, value));
  const size = (key: 'resize' | 'crop', label: string) =>
    textField({
      id: `preprocessing-${key}`,
      label,
      value: formatSize(overrides?.[key]),
      placeholder: formatSize(base[key]) || strings.panel.sizeFormat,
      check: (text) => (text.trim() === '' || parseSize(text) !== null ? '' : strings.panel.invalidSize),
      onChange: (text) => set(key, text.trim() === '' ? null : parseSize(text)),
    });
  const numbers = (key: 'mean' | 'std', label: string) =>
    textField({
      id: `preprocessing-${key}`,
      label,
      value: formatNumbers(overrides?.[key]),
      placeholder: formatNumbers(base[key]),
      check: (text) => (text.trim() === '' || parseNumbers(text) !== null ? '' : strings.panel.invalidList),
      onChange: (text) => set(key, text.trim() === '' ? null : parseNumbers(text)),
    });
  const choice = <K extends 'layout' | 'channels'>(
    key: K,
    label: string,
    options: readonly NonNullable<PreprocessingInput[K]>[],
  ) =>
    selectField({
      id: `preprocessing-${key}`,
      label,
      value: overrides?.[key] ?? '',
      options: [
        { value: '', label: `${base[key]} (${strings.panel.asGuessed})` },
        ...options.map((value) => ({ value, label: value })),
      ],
      onChange: (value) => set(key, value === '' ? null : (value as PreprocessingInput[K])),
    });
  return html`
    <details class="preprocessing">
      <summary>${strings.panel.preprocessing}: <span class="dim">${dataset.summary}</span></summary>
      <p class="dim small">${origin}</p>
      ${size('resize', strings.panel.resize)} ${size('crop', strings.panel.crop)}
      ${textField({
        id: 'preprocessing-scale',
        label: strings.panel.scale,
        value: overrides?.scale === undefined ? '' : String(overrides.scale),
        placeholder: String(Number(base.scale.toPrecision(6))),
        check: (text) => (text.trim() === '' || Number.isFinite(Number(text)) ? '' : strings.panel.invalidNumber),
        onChange: (text) => set('scale', text.trim() === '' ? null : Number(text)),
      })}
      ${numbers('mean', strings.panel.mean)} ${numbers('std', strings.panel.std)}
      ${choice('layout', strings.panel.layout, ['NCHW', 'NHWC'])} ${choice('channels', strings.panel.channels, ['RGB', 'BGR', 'gray'])}
      ${
        overrides === undefined
          ? nothing
          : html`<p class="line"><button type="button" class="link" @click=${() => onChange(undefined)}>${strings.panel.resetPreprocessing}</button></p>`
      }
    </details>
  `;
}
