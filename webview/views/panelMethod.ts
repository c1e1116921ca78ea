/** Side panel: the method and its target, its options, and the machine it runs on. */
import { html, nothing, type TemplateResult } from 'lit';
import { live } from 'lit/directives/live.js';
import type { PruneSettings } from '../../src/protocol/recipe';
import { numberField, selectField, textField } from '../controls/fields';
import '../controls/optionsForm';
import { hasTarget, takesTarget, usedOverrides, usesGroups, usesProtect } from '../../src/settings/methods';
import type { OptionChange } from '../controls/optionsForm';
import { methodOptions, methods, withMethodOptions, withoutMeaningOf } from '../methods';
import { linesOf, withValue } from '../options';
import { isPreset, presetsOf, withPreset } from '../presets';
import type { Session } from '../session';
import { strings } from '../strings';
import { retarget, type TargetChoice, targetChoice, targetUnits } from '../target';

export function methodSection(session: Session, settings: PruneSettings): TemplateResult {
  const method = methods.find(({ id }) => id === settings.method);
  return html`
    ${selectField({
      id: 'method',
      label: strings.panel.method,
      help: method?.help,
      value: settings.method,
      options: methods.map(({ id, label }) => ({ value: id, label })),
      onChange: (value) => session.change({ method: value as PruneSettings['method'] }),
    })}
    ${preset(session, settings)}
    ${hasTarget(settings) ? html`${target(session, settings)} ${multiple(session, settings)}` : nothing}
    ${usesProtect(settings) ? protection(session, settings) : nothing}
    ${byHand(usedOverrides(settings).length, strings.panel.overrides, () => session.change({ layers: [] }))}
    ${byHand(usesGroups(settings) ? settings.groups.length : 0, strings.panel.groupOverrides, () => session.change({ groups: [] }))}
  `;
}

function protection(session: Session, settings: PruneSettings): TemplateResult {
  return textField({
    id: 'protect',
    label: strings.panel.protect,
    help: strings.panel.protectHelp,
    placeholder: strings.panel.protectPlaceholder,
    lines: Math.min(6, Math.max(2, settings.protect.length + 1)),
    value: settings.protect.join('\n'),
    onChange: (text) => session.change({ protect: linesOf(text) }),
  });
}

/** How much of the plan was set by hand, and the way back. */
function byHand(count: number, text: (count: number) => string, reset: () => void): TemplateResult | typeof nothing {
  if (count === 0) return nothing;
  return html`<p class="line"><span>${text(count)}</span>
    <button type="button" class="link" @click=${reset}>${strings.panel.resetOverrides}</button></p>`;
}

function multiple(session: Session, settings: PruneSettings): TemplateResult {
  return selectField({
    id: 'multiple',
    label: strings.panel.multiple,
    help: strings.panel.multipleHelp,
    value: String(settings.multiple),
    options: [1, 4, 8, 16, 32].map((value) => ({ value: String(value), label: String(value) })),
    onChange: (value) => session.change({ multiple: Number(value) as PruneSettings['multiple'] }),
  });
}

/** Settings that belong together, for methods that have some. */
function preset(session: Session, settings: PruneSettings): TemplateResult | typeof nothing {
  const offered = presetsOf(settings.method);
  if (offered.length === 0) return nothing;
  const chosen = offered.find((one) => isPreset(settings, one));
  return selectField({
    id: 'preset',
    label: strings.panel.preset,
    help: chosen?.description ?? strings.panel.presetHelp,
    value: chosen?.name ?? '',
    options: [
      { value: '', label: strings.panel.noPreset },
      ...offered.map(({ name }) => ({ value: name, label: strings.presets[name] ?? name })),
    ],
    onChange: (name) => {
      const found = offered.find((one) => one.name === name);
      if (found) session.change(withPreset(settings, found));
    },
  });
}

function target(session: Session, settings: PruneSettings): TemplateResult {
  const { target: current } = settings;
  const choice = targetChoice(current);
  const unit = targetUnits[choice];
  const total = session.state.facts?.totals.bytes ?? 0;
  const macsUnknown = session.state.facts?.totals.macs === null;
  const set = (value: number, transient: boolean) =>
    session.change({ target: { kind: current.kind, value } }, { transient });
  const slide = (event: Event, transient: boolean) =>
    set(Number((event.target as HTMLInputElement).value) / 100, transient);
  const shown = Math.round(current.value * 1000) / 10;
  return html`
    <div class="target">
      ${selectField({
        id: 'target-kind',
        label: strings.panel.target,
        value: choice,
        options: Object.entries(strings.panel.targetKinds).map(([value, label]) => ({
          value,
          label,
          disabled:
            !takesTarget(settings, value) || (value === 'macs' && macsUnknown && session.state.loading === 'ready'),
        })),
        onChange: (value) => session.change({ target: retarget(current, value as TargetChoice, total) }),
      })}
      ${
        unit
          ? numberField({
              id: 'target-value',
              label: strings.panel.targetUnits[choice as keyof typeof strings.panel.targetUnits],
              value: Math.round((1000 * current.value) / unit.size) / 1000,
              min: unit.min,
              max: unit.max,
              step: 'any',
              onChange: (value) => value !== null && set(value * unit.size, false),
            })
          : numberField({
              id: 'target-value',
              label: strings.panel.keepPercent,
              value: shown,
              min: 1,
              max: 100,
              step: 0.1,
              onChange: (value) => value !== null && set(value / 100, false),
            })
      }
    </div>
    ${
      unit
        ? nothing
        : html`<input type="range" min="1" max="100" step="1" aria-label=${strings.panel.share} .value=${live(String(Math.round(shown)))}
            aria-valuetext=${`${shown} %`} @input=${(event: Event) => slide(event, true)} @change=${(event: Event) => slide(event, false)} />`
    }
  `;
}

export function optionsSection(session: Session, settings: PruneSettings): TemplateResult {
  const shown = methods.filter(({ id, schema }) => schema !== null && optionsOf(settings.method).includes(id));
  if (shown.length === 0) return html`<p class="dim">${strings.panel.noOptions}</p>`;
  return html`${shown.map(({ id, label, schema, words, first }) => {
    const values = methodOptions(settings, id);
    const change = ({ detail: { path, value } }: CustomEvent<OptionChange>) =>
      session.change(withMethodOptions(id, withValue(values, path, value)));
    return html`${shown.length === 1 ? nothing : html`<h2 class="part">${label}</h2>`}
      <espalier-options .schema=${schema} .words=${words} .first=${first} .values=${values}
        .hiddenOptions=${withoutMeaningOf(settings, id)} @option-change=${change}></espalier-options>`;
  })}`;
}

/** Methods whose options hold: a method made of two has theirs as well. */
function optionsOf(method: PruneSettings['method']): readonly string[] {
  return method === 'double' ? ['double', 'channel', 'basis'] : [method];
}

export function machineSection(session: Session, settings: PruneSettings): TemplateResult {
  const { devices } = session.state;
  const known = devices.map(({ id, name, available, note }) => ({
    value: id as string,
    label: available ? name : `${name} (${strings.panel.unavailable})`,
    disabled: !available,
    title: note ?? undefined,
  }));
  // A recipe may name a device this machine does not have.
  const missing = settings.device !== 'auto' && !known.some(({ value }) => value === settings.device);
  const note = devices.find(({ id }) => id === settings.device)?.note ?? '';
  return html`
    ${selectField({
      id: 'device',
      label: strings.panel.device,
      help: note,
      value: settings.device,
      options: [
        { value: 'auto', label: strings.panel.automatic },
        ...known,
        ...(missing ? [{ value: settings.device, label: settings.device }] : []),
      ],
      onChange: (value) => session.change({ device: value as PruneSettings['device'] }),
    })}
    <div class="pair">
      ${numberField({
        id: 'threads',
        label: strings.panel.threads,
        help: strings.panel.threadsHelp,
        value: settings.threads,
        min: 0,
        max: 1024,
        step: 1,
        onChange: (threads) => threads !== null && session.change({ threads }),
      })}
      ${numberField({
        id: 'seed',
        label: strings.panel.seed,
        value: settings.seed,
        min: 0,
        max: 0xffffffff,
        step: 1,
        onChange: (seed) => seed !== null && session.change({ seed }),
      })}
    </div>
  `;
}
