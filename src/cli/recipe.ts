/** From the command line to a recipe, and from a recipe file to one that was checked. */
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { z } from 'zod';
import { badUsage, recipeInvalid, recipeModelDiffers } from '../errors';
import { type Recipe, type RecipeInput, recipeSchema } from '../protocol/recipe';
import { type Arguments, parseCount, parseShapes } from './args';

/** A recipe larger than this is none. */
const LARGEST_RECIPE = 64 * 2 ** 20;

export interface LoadedRecipe {
  readonly recipe: Recipe;
  /** Absolute path of the model. */
  readonly model: string;
  /** Relative data paths of the recipe start here. */
  readonly folder: string;
}

/**
 * @param hash computes a file's sha256
 * @throws UserError `bad-usage`, `recipe-invalid`, `recipe-model-differs`
 */
export async function loadRecipe(args: Arguments, hash: (file: string) => Promise<string>): Promise<LoadedRecipe> {
  const file = args.value('recipe');
  const base: Partial<RecipeInput> = file ? (readJson(file) as Partial<RecipeInput>) : {};
  const folder = file ? path.dirname(path.resolve(file)) : process.cwd();
  const [operand] = args.operands;
  if (!operand && !file) throw badUsage({ found: 'no model', expected: 'a model file, or --recipe with one' });
  const words = overrides(args, folder);
  const merged = {
    ...base,
    ...words,
    version: base.version ?? 1,
    method: args.value('method') ?? base.method ?? 'basis',
    target: words.target ?? base.target ?? { kind: 'macs', value: 0.5 },
    model: operand ? { path: path.relative(folder, path.resolve(operand)) || '.' } : base.model,
    basis: { ...base.basis, ...words.basis },
    ...(base.data || words.data ? { data: { ...base.data, ...words.data } } : {}),
  };
  const recipe = checked(merged, file ?? 'the command line');
  const model = path.resolve(folder, recipe.model.path);
  const expected = recipe.model.sha256;
  if (expected) {
    const found = await hash(model);
    if (found !== expected) throw recipeModelDiffers({ path: model, found, expected });
  }
  return { recipe, model, folder };
}

function readJson(file: string): unknown {
  try {
    if (statSync(file).size > LARGEST_RECIPE) throw new Error(`it is larger than ${LARGEST_RECIPE} bytes`);
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw recipeInvalid({ file, found: (error as Error).message, expected: 'JSON' });
  }
}

function checked(value: unknown, where: string): Recipe {
  const parsed = recipeSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw recipeInvalid({
    file: where,
    found: parsed.error.issues.slice(0, 5).map(problem).join('; '),
    expected: 'a recipe of version 1',
  });
}

function problem(issue: z.core.$ZodIssue): string {
  return `${issue.path.join('.') || 'the document'}: ${issue.message}`;
}

/** What the options say, in the recipe's terms; checked later with everything else. */
function overrides(args: Arguments, folder: string) {
  const relative = (file: string): string => path.relative(folder, path.resolve(file)) || '.';
  const data = args.value('data');
  const evaluation = args.value('eval-data');
  const images = parseCount(args, 'images');
  const limit = parseCount(args, 'limit');
  const seed = parseCount(args, 'seed');
  const threads = parseCount(args, 'threads');
  const multiple = parseCount(args, 'multiple');
  const protect = args.list('protect');
  const layers = args.list('layer').map(layerRatio);
  const target = args.value('target');
  const shapes = parseShapes(args.list('shape'));
  const basis = args.value('basis');
  const score = args.value('criterion');
  const finish = args.value('finish');
  return {
    ...(data || evaluation || images || limit
      ? {
          data: {
            ...(data ? { path: relative(data) } : {}),
            ...(evaluation ? { evaluation: relative(evaluation) } : {}),
            ...(images ? { calibrationImages: images } : {}),
            ...(limit ? { limit } : {}),
          },
        }
      : {}),
    basis: {
      ...(basis ? { basis } : {}),
      ...(score ? { score } : {}),
      ...(finish ? { finish } : {}),
      ...(args.flag('no-refit') ? { refit: false } : {}),
      ...(args.flag('no-fold-bn') ? { foldBatchNorm: false } : {}),
    },
    ...(target ? { target: parseTarget(target) } : {}),
    ...(shapes ? { shapes } : {}),
    ...(multiple === undefined ? {} : { multiple }),
    ...(protect.length ? { protect: [...protect] } : {}),
    ...(layers.length ? { layers } : {}),
    ...(seed === undefined ? {} : { seed }),
    ...(threads === undefined ? {} : { threads }),
    ...(args.value('device') ? { device: args.value('device') } : {}),
  };
}

function parseTarget(word: string): { kind: string; value: number } {
  const [kind, value] = word.split('=');
  const number = Number(value);
  if (!kind || !value || !Number.isFinite(number))
    throw badUsage({ found: `--target ${word}`, expected: 'macs=0.5, params=0.5 or bytes=…' });
  return { kind, value: number };
}

function layerRatio(word: string): { match: string; ratio: number } {
  const at = word.lastIndexOf('=');
  const ratio = Number(word.slice(at + 1));
  if (at < 1 || !Number.isFinite(ratio)) throw badUsage({ found: `--layer ${word}`, expected: '--layer glob=ratio' });
  return { match: word.slice(0, at), ratio };
}
