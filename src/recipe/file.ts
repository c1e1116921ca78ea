/**
 * Recipes as files: the settings of an editor written beside a model, and a recipe read back into an editor. Paths in
 * a recipe start at its own folder and use forward slashes; paths in the editor's settings start at the model's folder.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { recipeInvalid, recipeModelDiffers } from '../errors';
import { type PruneSettings, type Recipe, type RecipeInput, recipeSchema, settingsSchema } from '../protocol/recipe';
import { hasTarget } from '../settings/methods';

/** Larger files are no recipes. Bytes. */
const limit = 32 * 2 ** 20;

/** A recipe file taken apart: the model it names (absolute) and the settings, their paths relative to that model. */
export interface LoadedRecipe {
  readonly model: string;
  readonly settings: PruneSettings;
}

/**
 * @param instead the model to use in place of the one the recipe names; then their hashes may differ
 * @throws UserError `recipe-invalid` when it is no recipe, `recipe-model-differs` when the model is not the one it was made for
 */
export async function loadRecipe(file: string, instead?: string): Promise<LoadedRecipe> {
  const { size } = await stat(file);
  if (size > limit) throw recipeInvalid({ file, found: `${size} bytes`, expected: `at most ${limit} bytes` });
  const recipe = parseRecipe(file, await readFile(file, 'utf8'));
  const model = instead ?? path.resolve(path.dirname(file), recipe.model.path);
  const expected = instead ? undefined : recipe.model.sha256;
  if (expected) {
    const found = await sha256(model);
    if (found !== expected) throw recipeModelDiffers({ path: model, found, expected });
  }
  const { $schema, version, model: named, results, ...rest } = recipe;
  return { model, settings: relocate(rest, path.dirname(file), path.dirname(model)) };
}

/**
 * The recipe text for these settings. `sha256` of the model makes a later replay notice a changed model.
 * @param file where the recipe will lie
 * @param folder where relative paths of the settings start; the model's folder unless given
 * @param results what a run with these settings found
 */
export async function recipeText(
  file: string,
  model: string,
  settings: PruneSettings,
  { folder = path.dirname(model), results }: { folder?: string; results?: unknown } = {},
): Promise<string> {
  const { target, ...own } = relocate(settings, folder, path.dirname(file));
  const recipe: RecipeInput = {
    version: 1,
    model: { path: relativePath(path.dirname(file), model), sha256: await sha256(model) },
    ...own,
    ...(hasTarget(settings) ? { target } : {}),
    ...(results === undefined ? {} : { results }),
  };
  return `${JSON.stringify(recipe, null, 2)}\n`;
}

/** `to` as seen from the folder `from`, with forward slashes; absolute where no relative path exists (other drives). */
export function relativePath(from: string, to: string): string {
  const relative = path.relative(from, to);
  return (relative === '' ? '.' : relative).split(path.sep).join('/');
}

/** `model.pruned.onnx` → `model.pruned.prune.json`: the recipe beside a pruned model. */
export function recipePath(output: string): string {
  const { dir, name } = path.parse(output);
  return path.join(dir, `${name}.prune.json`);
}

/** `model.onnx` → `model.pruned.onnx`, in the same folder. */
export function prunedPath(model: string): string {
  const { dir, name, ext } = path.parse(model);
  return path.join(dir, `${name}.pruned${ext}`);
}

function parseRecipe(file: string, text: string): Recipe {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw recipeInvalid({ file, found: (error as Error).message, expected: 'JSON' });
  }
  const parsed = recipeSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const place = issue.path.length > 0 ? `at '${issue.path.join('.')}'` : 'at the top level';
  throw recipeInvalid({ file, found: `${issue.message} ${place}`, expected: 'a pruning recipe of version 1' });
}

function relocate(settings: PruneSettings, from: string, to: string): PruneSettings {
  const { data, gsm } = settings;
  if (!data && gsm.ticket === undefined) return settings;
  const move = (target: string) => (path.isAbsolute(target) ? target : relativePath(to, path.resolve(from, target)));
  return settingsSchema.parse({
    ...settings,
    ...(data
      ? { data: { ...data, path: move(data.path), ...(data.evaluation ? { evaluation: move(data.evaluation) } : {}) } }
      : {}),
    gsm: { ...gsm, ...(gsm.ticket === undefined ? {} : { ticket: move(gsm.ticket) }) },
  });
}

/** SHA-256 of a file, as hexadecimal digits. */
export async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
