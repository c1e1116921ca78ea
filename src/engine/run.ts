/**
 * A pruning run, the whole way: calibrate, plan, decompose, refit, write a candidate, verify it, evaluate and measure it
 * against the original. The candidate lies in a folder of its own until it is saved.
 */
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { dataNeeded, modelChanged } from '../errors';
import { serializeGraph } from '../formats/onnx/serialize';
import { writeOnnx } from '../formats/onnx/write';
import type { Graph, GraphNode } from '../graph/graph';
import type { AccuracyFacts } from '../protocol/facts';
import type { BeforeAfter, RunResult } from '../protocol/plan';
import type { PruneSettings } from '../protocol/recipe';
import type { RequestContext } from '../protocol/rpc';
import { createSession, type DeviceId, type SessionOptions } from '../runtime/session';
import type { Tensor } from '../tensor/tensor';
import type { PauseGate } from '../train/loop';
import type { Calibration } from './calibration';
import { type Decomposed, decompose } from './decompose';
import { deviceOf } from './devices';
import { evaluateModel } from './evaluate';
import { type Inputs, openInputs, scoreOf } from './inputs';
import { fileStamp, type OpenedModel, type OpenModels } from './models';
import { projectPlan } from './projection';
import type { WeightEnergies } from './singularValues';
import { timeBoth } from './timing';
import { trainPruned } from './train';
import { noiseInputs, verifyCandidate } from './verify';

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
  calibration(request: RunRequest, context: RequestContext): Promise<Calibration>;
  weightEnergies(opened: OpenedModel, settings: PruneSettings): Promise<WeightEnergies>;
  /** Where training waits when it is asked to. */
  readonly pause?: PauseGate;
}

/** Parts of a run and their share of its time, for one progress bar. */
const SHARES = {
  calibrate: [0, 0.2],
  decompose: [0.2, 0.6],
  train: [0.6, 0.6],
  verify: [0.6, 0.65],
  evaluate: [0.65, 0.9],
  measure: [0.9, 1],
} as const;

const SHARES_WITH_TRAINING = {
  calibrate: [0, 0.04],
  decompose: [0.04, 0.16],
  train: [0.16, 0.92],
  verify: [0.92, 0.93],
  evaluate: [0.93, 0.99],
  measure: [0.99, 1],
} as const;

/** @throws UserError of whatever stands in the way; then nothing is left in `storage` */
export async function runPrune(request: RunRequest, tools: RunTools, context: RequestContext): Promise<RunResult> {
  const { settings, storage } = request;
  const started = performance.now();
  const id = `run-${Date.now().toString(36)}-${process.pid.toString(36)}`;
  const folder = path.join(storage, id);
  const device = await deviceOf(settings.device);
  const opened = await tools.models.withShapes(request.path, settings.shapes);
  const wantsImages =
    settings.basis.basis === 'activations' || (settings.basis.basis === 'auto' && settings.data !== undefined);
  if (wantsImages && !settings.data) throw dataNeeded({ what: 'the activation basis' });
  const training = settings.training && settings.training.epochs > 0 ? settings.training : null;
  if (training && !settings.data) throw dataNeeded({ what: 'training' });
  const shares = training ? SHARES_WITH_TRAINING : SHARES;
  let inputs: Inputs | null = null;
  let evaluation: Inputs | null = null;
  mkdirSync(folder, { recursive: true });
  try {
    if (settings.data) {
      inputs = await openInputs(opened, path.resolve(request.folder, settings.data.path), settings.data.preprocessing);
      evaluation = settings.data.evaluation
        ? await openInputs(opened, path.resolve(request.folder, settings.data.evaluation), settings.data.preprocessing)
        : inputs;
    }
    const calibration = wantsImages ? await tools.calibration(request, within(context, shares.calibrate)) : null;
    const { plan, projection } = projectPlan(
      opened,
      settings,
      calibration,
      await tools.weightEnergies(opened, settings),
    );
    const session = { device, threads: settings.threads };
    const decomposed = await decompose(
      opened,
      plan,
      settings,
      calibration,
      inputs,
      session,
      within(context, shares.decompose),
    );
    const untrained =
      training && evaluation
        ? await untrainedAccuracy(opened, decomposed.graph, evaluation, settings, session, context)
        : null;
    const trained =
      training && inputs
        ? await trainPruned(
            {
              opened,
              decomposed,
              settings: { ...settings, training },
              inputs,
              session,
              checkpoint: request.checkpoint ?? path.join(storage, 'training.checkpoint'),
              resume: request.resume ?? false,
              pause: tools.pause,
            },
            within(context, shares.train),
          )
        : null;
    const result = trained ? withGraph(decomposed, trained.graph) : decomposed;
    context.signal.throwIfAborted();
    context.progress({ phase: 'write', message: 'Writing the candidate', fraction: shares.verify[0] });
    if (fileStamp(request.path) !== opened.stamp) throw modelChanged({ path: request.path });
    const extension = path.extname(request.path);
    const candidate = path.join(folder, `${path.basename(request.path, extension)}.pruned${extension}`);
    const written = writeOnnx(opened.model, result.graph, candidate, { overwrite: false });

    const feeds = await sampleFeeds(opened, inputs, settings);
    const verification = await verifyCandidate(candidate, {
      original: opened.model,
      reference: trained
        ? trained.reference
        : { graph: decomposed.masked, metadata: opened.model.metadata, name: 'the masked model' },
      totals: projection.after,
      shapes: settings.shapes,
      feeds,
    });
    const accuracy = await evaluateBoth(request, candidate, evaluation, device, within(context, shares.evaluate));
    context.progress({ phase: 'measure', message: 'Measuring latency', fraction: shares.measure[0] });
    const measured = { ...session, signal: context.signal };
    const timing = await timeBoth(opened, candidate, result, projection.layers, measured);
    const side = (totals: typeof projection.before, fileBytes: number, index: 0 | 1): BeforeAfter => ({
      ...totals,
      fileBytes,
      accuracy: accuracy?.[index] ?? null,
      latency: (index === 0 ? timing?.before : timing?.after) ?? null,
    });
    return {
      id,
      model: request.path,
      candidate,
      before: side(projection.before, opened.facts.fileBytes, 0),
      after: side(projection.after, written.bytes, 1),
      layers: projection.layers,
      layerLatency: timing?.layers ?? [],
      speedup: timing?.speedup ?? null,
      speedupNote: timing?.note ?? null,
      verification,
      ...(trained ? { training: { ...trained.report, untrained } } : {}),
      seconds: (performance.now() - started) / 1000,
      device,
      warnings: [
        projection.shortfall,
        ...(projection.unmatched ?? []).map((glob) => `No layer matches '${glob}': that setting changed nothing.`),
        accuracy?.[0].warning ?? null,
        training && accuracy && evaluation === inputs ? SEEN_IN_TRAINING : null,
        ...(inputs?.facts.warnings ?? []),
      ].filter((w): w is string => w !== null),
    };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  } finally {
    if (evaluation !== inputs) await evaluation?.close();
    await inputs?.close();
  }
}

const SEEN_IN_TRAINING =
  'The accuracy was measured on the images that the model was trained on. Give other images for evaluation to know what it does on new ones.';

/** The same cuts with another graph of the same nodes. */
function withGraph({ graph: before, owners, masked }: Decomposed, graph: Graph): Decomposed {
  const moved = new Map<GraphNode, string>();
  before.nodes.forEach((node, i) => {
    const owner = owners.get(node);
    if (owner !== undefined) moved.set(graph.nodes[i], owner);
  });
  return { graph, owners: moved, masked };
}

/** Accuracy between surgery and training; null without labels. */
async function untrainedAccuracy(
  opened: OpenedModel,
  graph: Graph,
  evaluation: Inputs,
  settings: PruneSettings,
  options: SessionOptions,
  { signal, progress }: RequestContext,
): Promise<number | null> {
  if (!evaluation.dataset.labelled) return null;
  progress({ phase: 'evaluate', message: 'Evaluating before training', fraction: null });
  const session = await createSession(serializeGraph(graph, opened.model.metadata), {
    ...options,
    label: 'the pruned model',
  });
  try {
    return (await scoreOf(session, evaluation, { count: settings.data?.limit, signal }))?.accuracy ?? null;
  } finally {
    await session.release();
  }
}

/** Progress of a part of the run, scaled into the whole. */
function within({ signal, progress }: RequestContext, [from, to]: readonly [number, number]): RequestContext {
  return {
    signal,
    progress: (p) => progress({ ...p, fraction: p.fraction === null ? null : from + (to - from) * p.fraction }),
  };
}

/** A small batch of real images, else a made-up input; null when the model's shapes are unknown. */
async function sampleFeeds(
  opened: OpenedModel,
  inputs: Inputs | null,
  settings: PruneSettings,
): Promise<Record<string, Tensor> | null> {
  if (!opened.shapes.inputs) return null;
  if (!inputs) return noiseInputs(opened.model.graph, opened.shapes.inputs, settings.seed);
  const fixed = typeof opened.facts.inputs[0]?.shape?.[0] === 'number' && opened.facts.inputs[0].shape[0] > 0;
  for await (const feeds of inputs.feeds({ count: fixed ? inputs.batch : 1, seed: settings.seed })) return { ...feeds };
  return null;
}

async function evaluateBoth(
  { path: original, settings }: RunRequest,
  candidate: string,
  evaluation: Inputs | null,
  device: DeviceId,
  context: RequestContext,
): Promise<[AccuracyFacts, AccuracyFacts] | null> {
  if (!evaluation?.dataset.labelled) return null;
  const options = { limit: settings.data?.limit, device, threads: settings.threads };
  const before = await evaluateModel(
    original,
    evaluation,
    options,
    within(context, [0, 0.5]),
    'Evaluating the original',
  );
  const after = await evaluateModel(
    candidate,
    evaluation,
    options,
    within(context, [0.5, 1]),
    'Evaluating the candidate',
  );
  return [before, after];
}
