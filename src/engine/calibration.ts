/**
 * Activation moments of a model's layers on a user's images, and the energies of the bases they give.
 */
import path from 'node:path';
import type { Layer } from '../analysis/layers';
import type { Moments } from '../analysis/moments';
import { consumers } from '../graph/order';
import type { PruneSettings } from '../protocol/recipe';
import type { RequestContext } from '../protocol/rpc';
import type { Energies } from '../prune/basis';
import { collectMoments, observedOutput } from '../runtime/moments';
import { isMeasuredScore, type MeasuredScore } from '../settings/images';
import { activationBasis, componentsOf, type OutputBasis, outputMetric } from '../surgery/bases';
import { batchNormScale } from '../surgery/batchNorm';
import { layerMatrix } from '../surgery/layerMatrix';
import type { ScoredValue } from '../train/firstOrder';
import { deviceOf } from './devices';
import { scoresOnImages } from './imageScores';
import { type Inputs, openInputs } from './inputs';
import type { LearningRequest, Subject } from './learned';
import type { OpenedModel } from './models';

/** What projections need of a calibration; small enough to send between threads. */
export interface Calibrated {
  /** By layer name. */
  readonly energies: Energies;
  /** First-order importance of the same bases; null unless the score asks for it. */
  readonly importance: Energies | null;
}

export interface Calibration extends Calibrated {
  readonly moments: ReadonlyMap<string, Moments>;
  readonly bases: ReadonlyMap<string, OutputBasis>;
  readonly images: number;
}

/** Bases of activations, as something to learn from images. */
export const bases: Subject<Calibration, Calibrated> = {
  name: 'calibration',
  // With their moments they are large.
  kept: 2,
  dependsOn: ({ basis: { foldBatchNorm, score } }) => [foldBatchNorm, isMeasuredScore(score) ? score : null],
  learn: calibrate,
  told: ({ energies, importance }) => ({ energies, importance }),
};

/** Enough positions for the covariance of a few hundred channels. */
const POSITIONS_WANTED = 800 * 32 * 32;
const MOST_IMAGES = 800;
const LEAST_IMAGES = 32;

/** Images used when the settings do not say: 800 small ones, fewer large ones. */
export function calibrationImages(settings: PruneSettings, inputShape: readonly number[]): number {
  if (settings.data?.calibrationImages) return settings.data.calibrationImages;
  const pixels = inputShape.slice(2).reduce((product, d) => product * d, 1);
  return Math.max(LEAST_IMAGES, Math.min(MOST_IMAGES, Math.round(POSITIONS_WANTED / Math.max(1, pixels))));
}

/** Runs the calibration images through the model and finds the activation basis of every layer that can have one. */
async function calibrate(
  opened: OpenedModel,
  { settings, folder }: LearningRequest,
  { signal, progress }: RequestContext,
): Promise<Calibration> {
  const inputs = await openInputs(opened, path.resolve(folder, settings.data?.path ?? ''), {
    preprocessing: settings.data?.preprocessing,
    signal,
  });
  try {
    const count = Math.min(inputs.dataset.length, calibrationImages(settings, inputs.shape));
    const layers = opened.layers.filter((layer) => layer.reason === null && outputRank(opened, layer) !== null);
    const observed = layers.map((layer) => observedOutput(layer, outputRank(opened, layer) as number));
    let done = 0;
    const moments = await collectMoments(
      opened.model.graph,
      opened.model.metadata,
      observed,
      inputs.feeds({ count, seed: settings.seed, signal }),
      {
        device: await deviceOf(settings.device),
        threads: settings.threads,
        signal,
        onBatch: () => {
          done = Math.min(count, done + inputs.batch);
          progress({
            phase: 'calibrate',
            message: `Calibrating on ${done} of ${count} images`,
            fraction: (0.7 * done) / count,
          });
        },
      },
    );
    const readers = consumers(opened.model.graph);
    const byLayer = new Map<string, Moments>();
    const bases = new Map<string, OutputBasis>();
    for (const [i, layer] of layers.entries()) {
      signal.throwIfAborted();
      progress({
        phase: 'decompose',
        message: `Finding the basis of ${layer.name}`,
        fraction: 0.7 + (0.3 * i) / layers.length,
      });
      await new Promise(setImmediate); // lets a cancel arrive
      const found = moments.get(layer.node.outputs[0] as string) as Moments;
      const matrix = layerMatrix(layer);
      const outputs = matrix.blocks * matrix.outputs;
      if (found.mean.length !== outputs || found.count === 0) continue;
      const metric = outputMetric(settings.basis.foldBatchNorm ? batchNormScale(layer, readers) : null, outputs);
      byLayer.set(layer.name, found);
      bases.set(layer.name, activationBasis(matrix, found.covariance, metric));
    }
    const energies = new Map([...bases].map(([name, { energy }]) => [name, energy]));
    const { score } = settings.basis;
    const importance = isMeasuredScore(score)
      ? await basisImportance({ opened, inputs, count, score, settings, bases, moments: byLayer }, { signal, progress })
      : null;
    return { moments: byLayer, bases, energies, importance, images: count };
  } finally {
    await inputs.close();
  }
}

interface ImportanceRequest {
  readonly opened: OpenedModel;
  readonly inputs: Inputs;
  /** Images. */
  readonly count: number;
  readonly score: MeasuredScore;
  readonly settings: PruneSettings;
  readonly bases: ReadonlyMap<string, OutputBasis>;
  readonly moments: ReadonlyMap<string, Moments>;
}

/** First-order importance of every basis vector by layer name; vectors of one index in all blocks count together. */
async function basisImportance(
  { opened, inputs, count, score, settings, bases, moments }: ImportanceRequest,
  { signal, progress }: RequestContext,
): Promise<Map<string, Float64Array>> {
  const layers = opened.layers.filter((layer) => bases.has(layer.name));
  const values = layers.map((layer): ScoredValue => {
    const { value, channelAxis } = observedOutput(layer, outputRank(opened, layer) as number);
    const basis = bases.get(layer.name) as OutputBasis;
    const { blocks } = layer.matrices as NonNullable<Layer['matrices']>;
    return { value, channelAxis, components: componentsOf(basis, blocks, (moments.get(layer.name) as Moments).mean) };
  });
  const session = { device: await deviceOf(settings.device), threads: settings.threads };
  const scores = await scoresOnImages({
    opened,
    inputs,
    count,
    settings,
    session,
    values,
    signal,
    onImages: (done) =>
      progress({ phase: 'calibrate', message: `Scoring bases on ${done} of ${count} images`, fraction: null }),
  });
  const found = new Map<string, Float64Array>();
  for (const [i, layer] of layers.entries()) {
    const squares = scores.get(values[i].value);
    const { size } = bases.get(layer.name) as OutputBasis;
    if (!squares) continue;
    const each = score === 'taylor-per-mac' ? squares.taylor : squares.fisher;
    found.set(
      layer.name,
      Float64Array.from({ length: size }, (_, j) => sumOf(each.filter((_, component) => component % size === j))),
    );
  }
  return found;
}

function sumOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** Number of axes of a layer's output; null while unknown. */
export function outputRank(opened: OpenedModel, layer: Layer): number | null {
  return opened.shapes.values.get(layer.node.outputs[0] as string)?.length ?? null;
}
