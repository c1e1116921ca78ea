/** Presets: settings that belong together, and whether settings are one of them. */
import presets from '../schemas/presets.json';
import type { Preset } from '../src/protocol/presets';
import type { PruneSettings } from '../src/protocol/recipe';
import { methodOptions } from './methods';
import { isSameValue, type OptionValue, type OptionValues } from './options';
import { trainingOf } from './training';

const all = presets as unknown as readonly Preset[];

export function presetsOf(method: PruneSettings['method']): readonly Preset[] {
  return all.filter(({ settings }) => settings.method === method);
}

/** The change that a preset makes; what it does not speak of stays. */
export function withPreset(
  settings: PruneSettings,
  { settings: preset, leftOut = [] }: Preset,
): Partial<PruneSettings> {
  const { method } = settings;
  const kept = Object.entries(methodOptions(settings, method)).filter(([key]) => !leftOut.includes(key));
  const options = { ...Object.fromEntries(kept), ...methodOptions(preset as PruneSettings, method) };
  const training = { ...trainingOf(settings), ...preset.training };
  return { [method]: options, training } as Partial<PruneSettings>;
}

export function isPreset(settings: PruneSettings, { settings: preset, leftOut = [] }: Preset): boolean {
  const { method } = settings;
  const isIn = (values: OptionValues, wanted: OptionValues): boolean =>
    Object.entries(wanted).every(([key, value]) => isSameValue(values[key] as OptionValue, value as OptionValue));
  const options = methodOptions(settings, method);
  return (
    leftOut.every((key) => options[key] === undefined) &&
    isIn(options, methodOptions(preset as PruneSettings, method)) &&
    isIn(trainingOf(settings) as unknown as OptionValues, (preset.training ?? {}) as OptionValues)
  );
}
