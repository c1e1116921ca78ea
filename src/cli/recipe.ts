/** From the command line to settings: a recipe file, or the defaults, with the options on top. */
import path from 'node:path';
import { badUsage } from '../errors';
import { type Preset, presets } from '../protocol/presets';
import { settingsSchema } from '../protocol/recipe';
import { resRepTrainings } from '../protocol/resrep';
import { type LoadedRecipe, loadRecipe } from '../recipe/file';
import { type Arguments, expectedOf } from './args';
import { checkMethod, merged, optionAt, settingsOf, type Tree } from './options';

/**
 * The model and the settings that a command line stands for; data paths are relative to the model's folder.
 * @throws UserError `bad-usage`, `recipe-invalid`, `recipe-model-differs`
 */
export async function loadSettings(args: Arguments): Promise<LoadedRecipe> {
  const file = args.value('recipe');
  const [operand] = args.operands;
  if (!operand && !file) throw badUsage({ found: 'no model', expected: 'a model file, or --recipe with one' });
  const base = file ? await loadRecipe(path.resolve(file), operand && path.resolve(operand)) : null;
  const model = base ? base.model : path.resolve(operand as string);
  const preset = presetOf(args);
  const method = methodOf(args) ?? preset?.settings.method ?? base?.settings.method ?? 'basis';
  if (preset) checkMethod(`--preset ${preset.name}`, method, [preset.settings.method]);
  // ResRep is a training: without one of its own it has that of its schedule.
  const schedule = base?.settings.resrep.schedule ?? 'short';
  const ticket = args.value('ticket') ?? base?.settings.gsm.ticket;
  const given = { args, method, gsm: { ticket }, folder: path.dirname(model) };
  const layers: readonly Tree[] = [
    method === 'resrep' && !preset ? { training: resRepTrainings[schedule] } : {},
    base ? { ...base.settings, resrep: without(base.settings.resrep, preset?.leftOut) } : {},
    preset?.settings ?? {},
    settingsOf(given),
    { method },
  ];
  const parsed = settingsSchema.safeParse(layers.reduce(merged));
  if (parsed.success) return { model, settings: parsed.data };
  // The recipe was valid, so what is wrong comes from an option.
  const option = optionAt(parsed.error.issues[0].path, given);
  const word = args.value(option) ?? args.list(option).join(' ');
  throw badUsage({ found: word ? `--${option} ${word}` : `no --${option}`, expected: expectedOf('prune', option) });
}

function methodOf(args: Arguments) {
  const name = args.value('method');
  if (name === undefined) return undefined;
  const { success, data } = settingsSchema.shape.method.safeParse(name);
  if (!success) throw badUsage({ found: `--method ${name}`, expected: expectedOf('prune', 'method') });
  return data;
}

/** The settings that `--preset` names. */
function presetOf(args: Arguments): Preset | undefined {
  const name = args.value('preset');
  if (name === undefined) return undefined;
  const found = presets.find((preset) => preset.name === name);
  if (!found) throw badUsage({ found: `--preset ${name}`, expected: expectedOf('prune', 'preset') });
  return found;
}

/** Options but those that a preset leaves to its schedule. */
function without(options: object, leftOut: readonly string[] = []): object {
  return Object.fromEntries(Object.entries(options).filter(([key]) => !leftOut.includes(key)));
}
