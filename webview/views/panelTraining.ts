/** Side panel: training after pruning, and how long it would take. */
import { css, html, nothing, type TemplateResult } from 'lit';
import { live } from 'lit/directives/live.js';
import type { PruneSettings, TrainingSettings, TransferSettings } from '../../src/protocol/recipe';
import type { SessionState } from '../../src/protocol/view';
import '@vscode-elements/elements/dist/vscode-button/index.js';
import '@vscode-elements/elements/dist/vscode-checkbox/index.js';
import '../controls/optionsForm';
import { trainsSparsely } from '../../src/settings/methods';
import { usesOptimizer } from '../../src/settings/training';
import type { OptionChange } from '../controls/optionsForm';
import { count, duration } from '../format';
import { trainingSchema, transferSchema } from '../methods';
import { type OptionValues, standardValues, withValue } from '../options';
import type { Session } from '../session';
import { strings } from '../strings';
import { trainingOf, withoutMeaning } from '../training';
import { errorNotice, notice } from './notices';

export const panelTrainingStyles = css`
  .time {
    display: grid;
    gap: 6px;
    margin-top: 12px;
  }
  .time vscode-button {
    justify-self: start;
  }
`;

export function trainingSection(session: Session, settings: PruneSettings): TemplateResult {
  const training = trainingOf(settings);
  const trains = training.epochs > 0;
  const values = training as unknown as OptionValues;
  const change = ({ detail: { path, value } }: CustomEvent<OptionChange>) =>
    session.change({ training: withValue(values, path, value) as unknown as TrainingSettings });
  return html`
    <espalier-options .schema=${trainingSchema} .words=${strings.training.options} .first=${strings.training.first}
      .values=${values} .hiddenOptions=${withoutMeaning(settings)} @option-change=${change}></espalier-options>
    ${trainingNotes(settings, trains).map((note) => html`<p class="dim small line">${note}</p>`)}
    ${trains && settings.data === undefined ? notice('warning', '', strings.training.needsData) : nothing}
    ${trains || settings.transfer !== undefined ? time(session, settings) : nothing}
    ${!trains && settings.method === 'gsm' ? notice('warning', '', strings.training.needed) : nothing}
    ${transfer(session, settings)}
  `;
}

/** What the options shown are for, where that is not the whole run. */
function trainingNotes(settings: PruneSettings, trains: boolean): readonly string[] {
  const { off, onlyClassifier, ownOptimizer } = strings.training;
  if (!trains) return [settings.transfer === undefined ? off : onlyClassifier];
  return trainsSparsely(settings) && usesOptimizer(settings) ? [ownOptimizer] : [];
}

/** A new classifier, and how it is trained. */
function transfer(session: Session, settings: PruneSettings): TemplateResult {
  const text = strings.training;
  const { transfer: chosen, data } = settings;
  const toggle = (event: Event) =>
    (event.target as HTMLInputElement).checked
      ? session.change({ transfer: standardValues(transferSchema) as TransferSettings })
      : session.change({}, { remove: ['transfer'] });
  const values = chosen as unknown as OptionValues;
  const change = ({ detail: { path, value } }: CustomEvent<OptionChange>) =>
    session.change({ transfer: withValue(values, path, value) as unknown as TransferSettings });
  return html`
    <div class="field">
      <vscode-checkbox id="transfer" .label=${text.transfer} .checked=${live(chosen !== undefined)} @change=${toggle}></vscode-checkbox>
      <span class="help">${text.transferHelp}</span>
    </div>
    ${
      chosen === undefined
        ? nothing
        : html`<espalier-options .schema=${transferSchema} .words=${text.transferOptions} .values=${values} @option-change=${change}></espalier-options>
            ${data === undefined ? notice('warning', '', text.transferNeedsData) : nothing}`
    }`;
}

function time(session: Session, settings: PruneSettings): TemplateResult {
  const { trusted, trainingTime, run } = session.state;
  const text = strings.training;
  const known = trainingTime.kind === 'known';
  const blocked =
    !trusted || settings.data === undefined || run.kind === 'running' || trainingTime.kind === 'measuring';
  return html`
    <section class="time" aria-label=${text.time}>
      <div role="status">${timeText(trainingTime)}</div>
      ${trainingTime.kind === 'known' && trainingTime.time.warning ? notice('warning', '', trainingTime.time.warning) : nothing}
      ${trainingTime.kind === 'failed' ? errorNotice(trainingTime.error, null) : nothing}
      <vscode-button secondary ?disabled=${blocked} @click=${() => session.act('estimateTraining', {})}>${known ? text.measureAgain : text.measure}</vscode-button>
    </section>
  `;
}

function timeText(state: SessionState['trainingTime']): string {
  const text = strings.training;
  switch (state.kind) {
    case 'unknown':
      return text.unknownTime;
    case 'measuring':
      return text.measuring;
    case 'known': {
      const { seconds, steps, secondsPerStep, trainedParams } = state.time;
      return text.measured(duration(seconds), steps, duration(secondsPerStep), count(trainedParams));
    }
    case 'failed':
      return '';
    default:
      return state satisfies never;
  }
}
