/**
 * Training after surgery: the pruned model learns from the original, from labels, or from both, on the run's images.
 * What was trained goes back into the pruned graph under its own names.
 */
import { createHash } from 'node:crypto';
import { dataNeeded, featureLayersUnknown, labelsNeeded, tooFewImages } from '../errors';
import type { Graph, ModelMetadata } from '../graph/graph';
import { consumers } from '../graph/order';
import type { TrainingReport, TrainingTime } from '../protocol/plan';
import type { PruneSettings, TrainingSettings } from '../protocol/recipe';
import type { RequestContext } from '../protocol/rpc';
import { matchAny, withoutMatch } from '../prune/match';
import { quantile } from '../runtime/latency';
import type { SessionOptions } from '../runtime/session';
import { elementCount } from '../tensor/dtype';
import { float32Tensor, int64Tensor, type Tensor, toFloat32 } from '../tensor/tensor';
import { type Checkpoint, readCheckpoint, type TrainingRecord } from '../train/checkpoint';
import { type PauseGate, type TrainingData, train } from '../train/loop';
import { estimateStatistics } from '../train/normalization';
import { LABELS, objectiveOf } from '../train/objective';
import { adamW, type Optimizer, sgd } from '../train/optimizers';
import { type PreparedModel, prepareModel, withTrained } from '../train/prepare';
import { buildProgram, type TrainingProgram } from '../train/program';
import { constant, cosine, type Schedule, steps, withWarmup } from '../train/schedules';
import { specialize } from '../train/specialize';
import type { Decomposed } from './decompose';
import type { FeedBatch, Inputs } from './inputs';
import type { OpenedModel } from './models';

export interface ProgramRequest {
  /** The model to learn from. */
  readonly opened: OpenedModel;
  readonly decomposed: Decomposed;
  readonly settings: PruneSettings & { readonly training: TrainingSettings };
  readonly inputs: Inputs;
  readonly session: SessionOptions;
}

export interface TrainingRequest extends ProgramRequest {
  /** Where checkpoints go. */
  readonly checkpoint: string;
  /** Identifies the run, and the part of it that this training is: a checkpoint serves no other. */
  readonly run: string;
  readonly part: string;
  /** Whether to go on from that checkpoint. */
  readonly resume: boolean;
  readonly pause?: PauseGate;
}

export interface Trained {
  /** The pruned graph with trained values. */
  readonly graph: Graph;
  /** The network as the training program ran it, with the same values: the candidate must give the same outputs. */
  readonly reference: { readonly graph: Graph; readonly metadata: ModelMetadata; readonly name: string };
  readonly report: Omit<TrainingReport, 'untrained'>;
}

/** Images for statistics that are measured again. */
const STATISTICS_IMAGES = 2000;
const CHECKPOINT_SECONDS = 60;

/**
 * @throws UserError `not-trainable`, `no-gradient`, `labels-needed`, `not-a-classifier`, `training-diverged`,
 *   `checkpoint-invalid`, `checkpoint-differs`, `cancelled`
 */
export async function trainPruned(request: TrainingRequest, context: RequestContext): Promise<Trained> {
  const { settings, inputs, decomposed } = request;
  const { training } = settings;
  context.progress({ phase: 'train', message: 'Building the training program', fraction: 0 });
  const prepared = await prepare(request, context.signal);
  const program = await programOf(prepared, request);
  try {
    const started = performance.now();
    const record = await runTraining(program, prepared, request, context);
    const seconds = (performance.now() - started) / 1000;
    const tensors = program.tensors();
    const graph = withTrained(decomposed.graph, prepared.stored(tensors));
    return {
      graph,
      reference: referenceOf(graph, prepared, tensors, request),
      report: {
        losses: record.losses,
        epochs: record.epochs,
        seconds,
        imagesPerSecond: (training.epochs * imagesPerEpoch(inputs, training)) / seconds,
        trainedParams: trainedParams(prepared),
      },
    };
  } finally {
    await program.release();
  }
}

/** Steps that are measured, after one that sets up memory. */
const MEASURED_STEPS = 4;

/**
 * What a training would take, from a few of its steps.
 * @throws UserError as {@link trainPruned}
 */
export async function timeTraining(request: ProgramRequest, { signal }: RequestContext): Promise<TrainingTime> {
  const { settings, inputs } = request;
  const prepared = await prepare(request, signal);
  const program = await programOf(prepared, request);
  try {
    const data = dataOf(inputs, settings, prepared);
    const times: number[] = [];
    for await (const { feeds } of data.batches(0, 0, signal)) {
      signal.throwIfAborted();
      const started = performance.now();
      await program.step(feeds, settings.training.lr, times.length + 1);
      times.push((performance.now() - started) / 1000);
      if (times.length > MEASURED_STEPS) break;
    }
    const measured = times.length > 1 ? times.slice(1) : times;
    const secondsPerStep = quantile(measured, 0.5);
    const steps = settings.training.epochs * data.batchesPerEpoch;
    return { seconds: steps * secondsPerStep, steps, secondsPerStep, trainedParams: trainedParams(prepared) };
  } finally {
    await program.release();
  }
}

function trainedParams({ trainables }: PreparedModel): number {
  return trainables.reduce((sum, { dims }) => sum + elementCount(dims), 0);
}

/** A model that does not compute in float32 can't be held against the program, which does. */
function referenceOf(
  graph: Graph,
  prepared: PreparedModel,
  tensors: ReadonlyMap<string, Tensor>,
  { opened }: TrainingRequest,
): Trained['reference'] {
  const isSingle = graph.outputs.every(({ dtype }) => dtype === 'float32');
  return isSingle
    ? { graph: prepared.inference(tensors), metadata: prepared.metadata, name: 'the training program' }
    : { graph, metadata: opened.model.metadata, name: 'the trained graph' };
}

async function prepare(request: ProgramRequest, signal: AbortSignal): Promise<PreparedModel> {
  const { opened, decomposed, settings, inputs, session } = request;
  const { training } = settings;
  if (usesLabels(training) && !inputs.dataset.labelled) throw labelsNeeded({ path: inputs.dataset.path });
  const { metadata } = opened.model;
  const batchNorm = batchNormOf(training);
  const shapes = settings.shapes ?? (opened.shapes.inputs ? { [inputs.input]: inputs.shape } : undefined);
  const statistics =
    batchNorm === 'reestimate'
      ? await newStatistics(decomposed.graph, metadata, shapes, inputs, settings.seed, session, signal)
      : undefined;
  return prepareModel({
    graph: decomposed.graph,
    metadata,
    shapes,
    choice: training.train,
    inners: innerValues(decomposed),
    trainsStatistics: batchNorm === 'train',
    statistics,
    teacher: learnsFromOriginal(training) ? { graph: opened.model.graph, metadata } : undefined,
    features: featuresOf(opened, training),
  });
}

/** Outputs of the layers whose names match, before and after a BatchNormalization; undefined where none is asked for. */
function featuresOf({ model: { graph }, layers }: OpenedModel, training: TrainingSettings): string[][] | undefined {
  const { featureLayers } = training;
  if (training.features === 0 || featureLayers.length === 0) return undefined;
  const unknown = withoutMatch(
    featureLayers,
    layers.map(({ name }) => name),
  );
  if (unknown.length) throw featureLayersUnknown({ globs: unknown });
  const readers = consumers(graph);
  const isWanted = matchAny(featureLayers);
  return layers
    .filter(({ name }) => isWanted(name))
    .map(({ node }) => {
      const normalized = (readers.get(node.outputs[0]) ?? []).filter(({ opType }) => opType === 'BatchNormalization');
      return [node.outputs[0], ...normalized.map(({ outputs }) => outputs[0])];
    });
}

async function newStatistics(
  graph: Graph,
  metadata: ModelMetadata,
  shapes: Readonly<Record<string, readonly number[]>> | undefined,
  inputs: Inputs,
  seed: number,
  session: SessionOptions,
  signal: AbortSignal,
): Promise<Map<string, Tensor>> {
  const forward = await specialize(graph, metadata, shapes);
  return estimateStatistics(
    forward.graph,
    forward.metadata,
    inputs.batches({ count: STATISTICS_IMAGES, seed, signal }),
    session,
  );
}

/** Values between the halves of factorized layers: what the first of a layer's nodes gives the second. */
function innerValues({ graph, owners }: Decomposed): string[] {
  const seen = new Map<string, string>();
  const inners: string[] = [];
  for (const node of graph.nodes) {
    const owner = owners.get(node);
    if (owner === undefined) continue;
    const before = seen.get(owner);
    if (before !== undefined && node.inputs[0] === before) inners.push(before);
    seen.set(owner, node.outputs[0]);
  }
  return inners;
}

function programOf(prepared: PreparedModel, { settings, session, inputs }: ProgramRequest): Promise<TrainingProgram> {
  const { training } = settings;
  return buildProgram({
    graph: prepared.graph,
    metadata: prepared.metadata,
    trainables: prepared.trainables,
    tracked: prepared.tracked,
    objective: objectiveOf(prepared, { ...training, loss: lossOf(training) }),
    optimizer: optimizerOf(training),
    weightDecay: training.weightDecay,
    clip: training.clip === 0 ? undefined : training.clip,
    shapes: settings.shapes ?? { [inputs.input]: inputs.shape },
    session,
  });
}

/** A model that learns classes of its own has no teacher. */
export function withLoss({ method, transfer }: PruneSettings, training: TrainingSettings): TrainingSettings {
  if (training.loss !== 'auto') return training;
  return { ...training, loss: method === 'fine-tune' || transfer ? 'labels' : 'distill' };
}

/** Statistics of weights that were drawn at random are worth nothing. */
function batchNormOf({ batchNorm, initial }: TrainingSettings): 'frozen' | 'reestimate' | 'train' {
  if (batchNorm !== 'auto') return batchNorm;
  return initial === 'random' ? 'train' : 'frozen';
}

function lossOf({ loss }: TrainingSettings): 'labels' | 'distill' | 'match' {
  return loss === 'auto' ? 'distill' : loss;
}

function usesLabels(training: TrainingSettings): boolean {
  return lossOf(training) === 'labels' || training.labelShare > 0;
}

function learnsFromOriginal(training: TrainingSettings): boolean {
  return lossOf(training) !== 'labels' || training.features > 0;
}

function optimizerOf({ optimizer, momentum, nesterov }: TrainingSettings): Optimizer {
  return optimizer === 'adamw' ? adamW() : sgd({ momentum, nesterov });
}

function scheduleOf({ schedule, warmup }: TrainingSettings): Schedule {
  const base = { cosine, constant, step: steps([0.5, 0.75], 0.1) }[schedule];
  return warmup > 0 ? withWarmup(warmup, base) : base;
}

async function runTraining(
  program: TrainingProgram,
  prepared: PreparedModel,
  request: TrainingRequest,
  { signal, progress }: RequestContext,
): Promise<TrainingRecord> {
  const { settings, inputs, checkpoint } = request;
  const { training } = settings;
  const fingerprint = fingerprintOf(request, prepared);
  return train(program, {
    data: dataOf(inputs, settings, prepared),
    epochs: training.epochs,
    rate: training.lr,
    schedule: scheduleOf(training),
    signal,
    pause: request.pause,
    checkpoint: { file: checkpoint, everySeconds: CHECKPOINT_SECONDS },
    fingerprint,
    resume: await checkpointOf(request, fingerprint),
    onProgress: (now) =>
      progress({
        phase: 'train',
        message: `${request.pause?.paused ? 'Paused' : 'Training'}: epoch ${now.epoch} of ${now.epochs}, loss ${now.loss.toFixed(4)}${timeLeft(now.secondsLeft)}`,
        fraction: now.step / now.steps,
        training: now,
      }),
  });
}

function timeLeft(seconds: number | null): string {
  if (seconds === null) return '';
  return seconds < 90 ? `, ${Math.ceil(seconds)} s left` : `, ${Math.ceil(seconds / 60)} min left`;
}

function imagesPerEpoch({ dataset }: Inputs, { images }: TrainingSettings): number {
  return Math.min(images ?? dataset.length, dataset.length);
}

/** @throws UserError `too-few-images` when they do not fill one batch of a model with a fixed batch size */
function dataOf(inputs: Inputs, settings: ProgramRequest['settings'], prepared: PreparedModel): TrainingData {
  const { training, seed } = settings;
  const images = imagesPerEpoch(inputs, training);
  const batch = inputs.fixedBatch ?? training.batch;
  const batchesPerEpoch = inputs.fixedBatch ? Math.floor(images / batch) : Math.ceil(images / batch);
  if (images === 0) throw dataNeeded({ what: 'training' });
  if (batchesPerEpoch === 0) throw tooFewImages({ path: inputs.dataset.path, found: images, expected: batch });
  const reads = new Set(prepared.graph.inputs.map(({ name }) => name));
  const augmentation = {
    crop: training.augment.crop ?? Math.round(Math.min(...inputs.imageSize) / 8),
    flip: training.augment.flip ?? inputs.facts.preprocessing.channels !== 'gray',
  };
  return {
    batchesPerEpoch,
    async *batches(epoch, taken, signal) {
      const options = { epoch, seed, batch, images: training.images, taken, augmentation, signal };
      for await (const made of inputs.epoch(options)) {
        yield { feeds: feedsOf(made, usesLabels(training), reads), count: made.count, taken: made.taken };
      }
    },
  };
}

/** Images as floats of single precision, and labels where they are used. */
function feedsOf(
  { feeds, labels }: FeedBatch,
  withLabels: boolean,
  reads: ReadonlySet<string>,
): Record<string, Tensor> {
  const given: Record<string, Tensor> = {};
  for (const [name, tensor] of Object.entries(feeds)) {
    if (!reads.has(name)) continue;
    given[name] = tensor.dtype === 'uint8' ? tensor : float32Tensor(toFloat32(tensor), tensor.dims);
  }
  if (withLabels && labels) given[LABELS] = int64Tensor(Array.from(labels));
  return given;
}

/** Changes with anything that makes another training of it; starts with what identifies the run. */
function fingerprintOf({ run, part, settings: { training } }: TrainingRequest, { trainables }: PreparedModel): string {
  return `${run}/${createHash('sha256')
    .update(JSON.stringify([part, training, trainables]))
    .digest('hex')}`;
}

/** Where to go on; undefined for a part of the run that was not begun yet. */
async function checkpointOf(
  { resume, checkpoint, run }: TrainingRequest,
  fingerprint: string,
): Promise<Checkpoint | undefined> {
  if (!resume) return undefined;
  const found = await readCheckpoint(checkpoint);
  const isOtherPart = found.fingerprint !== fingerprint && found.fingerprint.startsWith(`${run}/`);
  return isOtherPart ? undefined : found;
}
