/** What all stages of one run share. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { PreprocessingInput, PruneSettings } from '../protocol/recipe';
import type { RequestContext } from '../protocol/rpc';
import type { DeviceId } from '../runtime/session';
import { canonical } from '../settings/canonical';
import { identity } from '../settings/identity';
import type { PauseGate } from '../train/loop';
import type { Calibration } from './calibration';
import type { ChannelKnowledge } from './channels';
import type { Inputs } from './inputs';
import type { LearningRequest } from './learned';
import type { OpenedModel, OpenModels } from './models';
import type { WeightEnergies } from './singularValues';
import type { Stages } from './stages';

export interface RunRequest {
  readonly path: string;
  readonly settings: PruneSettings;
  readonly folder: string;
  readonly storage: string;
  /** Where training keeps its checkpoint; a file in `storage` when left out. */
  readonly checkpoint?: string;
  /** Whether training goes on from that checkpoint. */
  readonly resume?: boolean;
}

export interface RunTools {
  readonly models: OpenModels;
  /** Calibrations of earlier runs and projections with the same data. */
  calibration(request: LearningRequest, context: RequestContext): Promise<Calibration>;
  /** The same for the channels. */
  channelKnowledge(request: LearningRequest, context: RequestContext): Promise<ChannelKnowledge>;
  weightEnergies(opened: OpenedModel, settings: PruneSettings): Promise<WeightEnergies>;
  /** Lets the run's training wait. */
  readonly pause?: PauseGate;
}

export interface Scene {
  /** Device chosen, target counted. */
  readonly settings: PruneSettings;
  /** What the pruned model is compared with, fitted to and taught by: the original, or it with a new classifier. */
  readonly base: OpenedModel;
  readonly inputs: Inputs | null;
  readonly evaluation: Inputs | null;
  /** Relative data paths start here. */
  readonly folder: string;
  /** For files that go when the run ends. */
  readonly scratch: string;
  readonly session: { readonly device: DeviceId; readonly threads: number };
  readonly tools: RunTools;
  readonly stages: Stages;
  readonly checkpoint: string;
  /** Identifies the run. */
  readonly identity: string;
  readonly resume: boolean;
}

/** Whether a training goes on from the checkpoint of the run. */
export function resumesTraining({ resume, checkpoint, stages }: Scene): boolean {
  return resume && (existsSync(checkpoint) || !stages.some);
}

/** What to learn of a model from images. The preprocessing was chosen with the whole model: a pruned one can't tell. */
export function learningRequest({ base, inputs, folder }: Scene, from: OpenedModel, settings: PruneSettings) {
  const { data, transfer } = settings;
  const request = { path: from.model.path, settings, folder };
  if (!data || !inputs || (from === base && transfer === undefined)) return request;
  const { resize, crop, mean, std, ...rest } = inputs.facts.preprocessing;
  const preprocessing: PreprocessingInput = {
    ...rest,
    resize: resize && [...resize],
    crop: crop && [...crop],
    mean: [...mean],
    std: [...std],
  };
  return { ...request, settings: { ...settings, data: { ...data, preprocessing } } };
}

/** Changes with anything that makes another run of it. */
export function identityOf({ path, settings, folder }: RunRequest, stamp: string): string {
  return createHash('sha256')
    .update(canonical([path, stamp, folder, identity(settings)]))
    .digest('hex');
}

/** Progress of a part of the run, scaled into the whole. */
export function within({ signal, progress }: RequestContext, [from, to]: readonly [number, number]): RequestContext {
  return {
    signal,
    progress: (p) => progress({ ...p, fraction: p.fraction === null ? null : from + (to - from) * p.fraction }),
  };
}
