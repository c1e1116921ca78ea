/** Saving a run: the candidate and its recipe are written to their place, atomically, never over the source. */
import { accessSync, constants, existsSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { textFile, writeFailure, writeFiles } from '../atomic';
import { outputExists, outputIsSource } from '../errors';
import { openModel } from '../formats';
import { writeOnnx } from '../formats/onnx/write';
import type { RunResult } from '../protocol/plan';
import type { PruneSettings } from '../protocol/recipe';
import { recipePath, recipeText } from '../recipe/file';
import { version } from '../version';

export interface SaveRequest {
  readonly run: RunResult;
  readonly settings: PruneSettings;
  readonly folder: string;
  readonly output: string;
  readonly overwrite: boolean;
}

/**
 * Whether a run's result could be saved there: asked before the run, so that no work is done in vain.
 * @throws UserError `output-exists`, `output-is-source`, `cannot-write`
 */
export function checkOutput({ model, output, overwrite }: { model: string; output: string; overwrite: boolean }): void {
  if (sameFile(output, model)) throw outputIsSource({ path: output });
  for (const file of [output, recipePath(output)])
    if (!overwrite && existsSync(file)) throw outputExists({ path: file });
  try {
    accessSync(path.dirname(output), constants.W_OK);
  } catch (error) {
    throw writeFailure(output, error);
  }
}

/** @throws UserError `output-exists`, `output-is-source`, `cannot-write` */
export async function saveRun({
  run,
  settings,
  folder,
  output,
  overwrite,
}: SaveRequest): Promise<{ model: string; recipe: string }> {
  const recipe = recipePath(output);
  checkOutput({ model: run.model, output, overwrite });
  const candidate = openModel(run.candidate);
  try {
    writeOnnx(candidate, candidate.graph, output, { overwrite });
  } finally {
    candidate.close();
  }
  const text = await recipeText(recipe, run.model, settings, { folder, results: resultsOf(run) });
  writeFiles([textFile(recipe, text)], { overwrite });
  return { model: output, recipe };
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
    layers: run.layers.map(({ layer, action, rank, channels, reason }) => ({
      name: layer,
      action,
      rank,
      ...(channels === undefined ? {} : { channels }),
      ...(reason ? { reason } : {}),
    })),
    verification: run.verification,
    seconds: run.seconds,
    device: run.device,
    warnings: run.warnings,
    versions: { espalier: version, node: process.version, platform: `${process.platform}-${process.arch}` },
  };
}

function sameFile(a: string, b: string): boolean {
  const real = (file: string): string => (existsSync(file) ? realpathSync(file) : path.resolve(file));
  return real(a) === real(b);
}
