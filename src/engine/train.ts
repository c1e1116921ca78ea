/**
 * Training after surgery: the pruned model learns from the original, from labels, or from both, on the run's images.
 * What was trained goes back into the pruned graph under its own names.
 */
import { createHash } from 'node:crypto';
import type { Graph } from '../graph/graph';
import type { TrainingReport, TrainingTime } from '../protocol/plan';
import type { RequestContext } from '../protocol/rpc';
import { quantile } from '../runtime/latency';
import { canonical } from '../settings/canonical';
import type { Tensor } from '../tensor/tensor';
import { type Checkpoint, readCheckpoint, type TrainingRecord } from '../train/checkpoint';
import { type PauseGate, train } from '../train/loop';
import { type PreparedModel, withTrained } from '../train/prepare';
import type { TrainingProgram } from '../train/program';
import { type Masked, maskedBySize } from '../train/sparseMomentum';
import { amongAll, type Neighbours } from './inTurn';
import { dataOf, imagesPerEpoch } from './trainingData';
import { scheduleOf } from './trainingOptions';
import { type ProgramRequest, prepare, programOf, type Reference, referenceOf, trainedParams } from './trainingProgram';

export interface TrainingRequest extends ProgramRequest {
  /** Where checkpoints go. */
  readonly checkpoint: string;
  /** Identifies the run, and the part of it that this training is: a checkpoint serves no other. */
  readonly run: string;
  readonly part: string;
  /** Whether to go on from that checkpoint. */
  readonly resume: boolean;
  readonly pause?: PauseGate;
  /** Of a run that trains more than once: this training is reported as part of the whole. */
  readonly neighbours?: Neighbours;
}

/** The reports of consecutive trainings as one. What is no sum is the last one's. */
export function joinedTraining(first: TrainingReport, ...later: readonly TrainingReport[]): TrainingReport {
  const reports = [first, ...later];
  const seconds = reports.reduce((sum, report) => sum + report.seconds, 0);
  const images = reports.reduce((sum, report) => sum + report.imagesPerSecond * report.seconds, 0);
  return {
    ...(reports.at(-1) as TrainingReport),
    losses: reports.flatMap(({ losses }) => losses),
    epochs: reports.flatMap(({ epochs }) => epochs),
    seconds,
    imagesPerSecond: images / seconds,
  };
}

export interface Trained {
  /** The pruned graph with trained values. */
  readonly graph: Graph;
  /** What was trained, by name. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** The network as the training program ran it, with the same values: the candidate must give the same outputs. */
  readonly reference: Reference;
  readonly report: Omit<TrainingReport, 'untrained'>;
  /** Of a training after which weights were set to zero: what was, and the graph before. */
  readonly masked?: Omit<Masked, 'tensors'> & { readonly before: Graph };
}

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
    const trained = program.tensors();
    const masked = request.sparse && maskedBySize(trained, program.slots, request.sparse);
    const tensors = masked?.tensors ?? trained;
    const graph = withTrained(decomposed.graph, prepared.stored(tensors));
    const before = masked && withTrained(decomposed.graph, prepared.stored(trained));
    return {
      graph,
      tensors: prepared.stored(tensors),
      reference: referenceOf(graph, prepared, tensors, request),
      report: {
        losses: record.losses,
        epochs: record.epochs,
        seconds,
        imagesPerSecond: (training.epochs * imagesPerEpoch(inputs, training)) / seconds,
        trainedParams: trainedParams(program),
      },
      ...(masked && before ? { masked: { ...masked, before } } : {}),
    };
  } finally {
    await program.release();
  }
}

const CHECKPOINT_SECONDS = 60;

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
    const companion = request.compactors?.keeper;
    for await (const { feeds } of data.batches(0, 0, signal)) {
      signal.throwIfAborted();
      const started = performance.now();
      const given = { ...feeds, ...companion?.before(times.length, program) };
      await program.step(given, settings.training.lr, times.length + 1);
      times.push((performance.now() - started) / 1000);
      if (times.length > MEASURED_STEPS) break;
    }
    const measured = times.length > 1 ? times.slice(1) : times;
    const secondsPerStep = quantile(measured, 0.5);
    const steps = settings.training.epochs * data.batchesPerEpoch;
    return { seconds: steps * secondsPerStep, steps, secondsPerStep, trainedParams: trainedParams(program) };
  } finally {
    await program.release();
  }
}

async function runTraining(
  program: TrainingProgram,
  prepared: PreparedModel,
  request: TrainingRequest,
  { signal, progress }: RequestContext,
): Promise<TrainingRecord> {
  const { settings, inputs, checkpoint, neighbours = { before: 0, after: 0 } } = request;
  const { training } = settings;
  const fingerprint = fingerprintOf(request, prepared);
  return train(program, {
    data: dataOf(inputs, settings, prepared),
    epochs: training.epochs,
    rate: training.lr,
    schedule: scheduleOf(training),
    signal,
    pause: request.pause,
    companion: request.compactors?.keeper,
    checkpoint: { file: checkpoint, everySeconds: CHECKPOINT_SECONDS },
    fingerprint,
    resume: await checkpointOf(request, fingerprint),
    onProgress: (now) => {
      const whole = amongAll(now, neighbours);
      progress({
        phase: 'train',
        message: `${request.pause?.paused ? 'Paused' : 'Training'}: epoch ${whole.epoch} of ${whole.epochs}, loss ${whole.loss.toFixed(4)}${timeLeft(whole.secondsLeft)}`,
        fraction: now.step / now.steps,
        training: whole,
      });
    },
  });
}

function timeLeft(seconds: number | null): string {
  if (seconds === null) return '';
  return seconds < 90 ? `, ${Math.ceil(seconds)} s left` : `, ${Math.round(seconds / 60)} min left`;
}

/** Changes with anything that makes another training of it; starts with what identifies the run. */
function fingerprintOf(
  { run, part, settings: { training }, sparse }: TrainingRequest,
  { trainables }: PreparedModel,
): string {
  const rule = sparse && { ...sparse, exempt: [...(sparse.exempt ?? [])] };
  return `${run}/${createHash('sha256')
    .update(canonical([part, training, trainables, ...(rule ? [rule] : [])]))
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
