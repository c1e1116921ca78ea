/** Saving a run: the candidate and its recipe are written to their place, atomically, never over the source. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { outputExists, outputIsSource } from '../errors';
import { openModel } from '../formats';
import { writeFiles } from '../formats/atomic';
import { writeOnnx } from '../formats/onnx/write';
import type { RunResult } from '../protocol/plan';
import type { PruneSettings, RecipeInput } from '../protocol/recipe';
import { version } from '../version';

export interface SaveRequest {
  readonly run: RunResult;
  readonly settings: PruneSettings;
  readonly folder: string;
  readonly output: string;
  readonly overwrite: boolean;
}

/** @throws UserError `output-exists`, `output-is-source` */
export async function saveRun({
  run,
  settings,
  folder,
  output,
  overwrite,
}: SaveRequest): Promise<{ model: string; recipe: string }> {
  const recipe = recipePath(output);
  if (sameFile(output, run.model)) throw outputIsSource({ path: output });
  for (const file of [output, recipe]) if (!overwrite && existsSync(file)) throw outputExists({ path: file });
  const candidate = openModel(run.candidate);
  try {
    writeOnnx(candidate, candidate.graph, output, { overwrite });
  } finally {
    candidate.close();
  }
  const content = await recipeOf(run, settings, folder, path.dirname(recipe));
  const text = Buffer.from(`${JSON.stringify(content, null, 2)}\n`);
  writeFiles([{ path: recipe, write: (sink) => sink(text) }], { overwrite });
  return { model: output, recipe };
}

/** `model.pruned.onnx` → `model.pruned.prune.json`. */
export function recipePath(output: string): string {
  return path.join(path.dirname(output), `${path.basename(output, path.extname(output))}.prune.json`);
}

/** The recipe that repeats a run, with paths relative to where it is written and what the run found. */
export async function recipeOf(
  run: RunResult,
  settings: PruneSettings,
  folder: string,
  from: string,
): Promise<RecipeInput> {
  const relative = (file: string): string =>
    path.relative(from, path.resolve(folder, file)).split(path.sep).join('/') || '.';
  const { data } = settings;
  return {
    version: 1,
    model: { path: relative(run.model), sha256: await sha256(run.model) },
    ...settings,
    data: data && {
      ...data,
      path: relative(data.path),
      ...(data.evaluation ? { evaluation: relative(data.evaluation) } : {}),
    },
    results: resultsOf(run),
  };
}

/** What a recipe keeps of a run: numbers and proof, no paths of this machine. */
function resultsOf(run: RunResult): unknown {
  const side = ({ accuracy, ...rest }: RunResult['before']) => ({
    ...rest,
    accuracy: accuracy && {
      images: accuracy.images,
      accuracy: accuracy.accuracy,
      confidence: accuracy.confidence,
      loss: accuracy.loss,
      preprocessing: accuracy.preprocessing,
    },
  });
  return {
    before: side(run.before),
    after: side(run.after),
    speedup: run.speedup,
    layers: run.layers.map(({ layer, action, rank, reason }) => ({
      name: layer,
      action,
      rank,
      ...(reason ? { reason } : {}),
    })),
    verification: run.verification,
    seconds: run.seconds,
    device: run.device,
    warnings: run.warnings,
    versions: { espalier: version, node: process.version, platform: `${process.platform}-${process.arch}` },
  };
}

export async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

function sameFile(a: string, b: string): boolean {
  const real = (file: string): string => (existsSync(file) ? realpathSync(file) : path.resolve(file));
  return real(a) === real(b);
}
