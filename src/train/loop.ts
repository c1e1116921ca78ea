/**
 * The training loop: epochs over batches with a scheduled learning rate. It can be cancelled and paused between any two
 * steps, writes checkpoints, and stops with an error when training goes wrong. With the same program, data and options
 * it gives the same numbers, whether or not it was interrupted.
 */
import { cancelled, checkpointDiffers, trainingDiverged, UserError } from '../errors';
import type { TrainingProgress } from '../protocol/plan';
import type { Tensor } from '../tensor/tensor';
import {
  type Checkpoint,
  type EpochRecord,
  type EpochSums,
  type TrainingPosition,
  type TrainingRecord,
  writeCheckpoint,
} from './checkpoint';
import type { ProgramState, StepResult, TrainingProgram } from './program';
import type { Schedule } from './schedules';

export interface TrainingBatch {
  readonly feeds: Readonly<Record<string, Tensor>>;
  /** Images in it. */
  readonly count: number;
  /** Images of the epoch's order taken up to and with this batch. */
  readonly taken: number;
}

export interface TrainingData {
  /** Batches of one epoch, when every image can be read. */
  readonly batchesPerEpoch: number;
  /**
   * The epoch's batches in its own order.
   * @param taken where in the order to start
   */
  batches(epoch: number, taken: number, signal: AbortSignal): AsyncIterable<TrainingBatch>;
}

/** What goes along with a training and steers it between its steps. */
export interface Companion {
  /** Whether the loss may rise on the way, however far; numbers that are none still end the training. */
  readonly raisesLoss: boolean;
  /** What a step is given beside its batch. @param step from 0 */
  before(step: number, program: TrainingProgram): Readonly<Record<string, Tensor>>;
  /** What checkpoints keep of it, under names of its own. */
  state(): ProgramState;
  restore(state: ProgramState): void;
  /** What it has to say after a step. */
  progress(): Partial<TrainingProgress>;
}

export interface TrainingOptions {
  readonly data: TrainingData;
  readonly epochs: number;
  /** Base learning rate. */
  readonly rate: number;
  readonly schedule: Schedule;
  readonly signal?: AbortSignal;
  readonly pause?: PauseGate;
  onProgress?(progress: TrainingProgress): void;
  /** Where checkpoints go: after every epoch, every so often between, and when the run is cancelled. */
  readonly checkpoint?: { readonly file: string; readonly everySeconds: number };
  /** Identifies model, data and options; a checkpoint of anything else is refused. */
  readonly fingerprint?: string;
  readonly resume?: Checkpoint;
  readonly companion?: Companion;
}

/** Lets a run wait between two steps. */
export class PauseGate {
  private waiting: Promise<void> | null = null;
  private open: () => void = () => {};

  get paused(): boolean {
    return this.waiting !== null;
  }

  pause(): void {
    this.waiting ??= new Promise((resolve) => {
      this.open = resolve;
    });
  }

  resume(): void {
    this.waiting = null;
    this.open();
  }

  /** Resolves when the gate is open or the signal fires. */
  async pass(signal?: AbortSignal): Promise<void> {
    while (this.waiting && !signal?.aborted) {
      const aborted = new Promise<void>((resolve) =>
        signal?.addEventListener('abort', () => resolve(), { once: true }),
      );
      await Promise.race([this.waiting, aborted]);
    }
  }
}

/**
 * @returns what was measured; the trained tensors are in the program
 * @throws UserError `training-diverged`, `cancelled`, `checkpoint-differs`, and what reading the data throws
 */
export async function train(program: TrainingProgram, options: TrainingOptions): Promise<TrainingRecord> {
  const { data, epochs, rate, schedule, checkpoint, fingerprint = '', resume, pause, companion } = options;
  const signal = options.signal ?? new AbortController().signal;
  if (resume && resume.fingerprint !== fingerprint) throw checkpointDiffers();
  if (resume) {
    program.restore(resume.state);
    companion?.restore(resume.state);
  }
  const run = new Run(resume, data.batchesPerEpoch);
  const steps = epochs * data.batchesPerEpoch;
  const clock = new StepClock();
  const watch = new DivergenceWatch(companion?.raisesLoss ?? false);
  let saved = performance.now();
  const save = (): void => {
    if (!checkpoint) return;
    const state = { ...program.state(), ...companion?.state() };
    writeCheckpoint(checkpoint.file, run.checkpoint(fingerprint, state));
    saved = performance.now();
  };
  try {
    for (let epoch = run.position.epoch; epoch < epochs; epoch++) {
      for await (const { feeds, count, taken } of data.batches(epoch, run.position.taken, signal)) {
        signal.throwIfAborted();
        const step = epoch * data.batchesPerEpoch + run.position.batch;
        const lr = rate * schedule(step, steps);
        const given = companion ? { ...feeds, ...companion.before(step, program) } : feeds;
        const result = await program.step(given, lr, run.position.updates + 1);
        watch.check(result, step + 1, checkpoint?.file);
        run.add(result, count, taken);
        clock.lap(count);
        options.onProgress?.({
          step: step + 1,
          steps,
          epoch: epoch + 1,
          epochs,
          loss: result.loss,
          accuracy: run.accuracy(),
          rate: lr,
          imagesPerSecond: clock.imagesPerSecond(),
          secondsLeft: clock.secondsFor(steps - step - 1),
          ...(result.cut === undefined ? {} : { cut: result.cut }),
          ...companion?.progress(),
        });
        if (pause?.paused) {
          save();
          await pause.pass(signal);
          clock.restart();
        } else if (checkpoint && performance.now() - saved > 1000 * checkpoint.everySeconds) save();
      }
      signal.throwIfAborted();
      run.endEpoch();
      save();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    save();
    throw error instanceof UserError ? error : cancelled();
  }
  return run.record;
}

/** Where the run is and what it measured. */
class Run {
  position: TrainingPosition;
  private readonly losses: number[];
  private readonly epochs: EpochRecord[];
  private partial: EpochSums;

  constructor(
    resume: Checkpoint | undefined,
    private readonly batchesPerEpoch: number,
  ) {
    this.position = resume?.position ?? { epoch: 0, batch: 0, taken: 0, updates: 0 };
    this.losses = [...(resume?.record.losses ?? [])];
    this.epochs = [...(resume?.record.epochs ?? [])];
    this.partial = resume?.partial ?? NOTHING;
  }

  get record(): TrainingRecord {
    return { losses: this.losses, epochs: this.epochs };
  }

  add({ loss, hits }: StepResult, count: number, taken: number): void {
    const { epoch, batch, updates } = this.position;
    // Unreadable images shorten an epoch; they never lengthen it.
    this.position = { epoch, batch: Math.min(batch + 1, this.batchesPerEpoch), taken, updates: updates + 1 };
    const { partial } = this;
    this.partial = {
      images: partial.images + count,
      loss: partial.loss + loss * count,
      hits: hits === null ? null : (partial.hits ?? 0) + hits,
    };
    this.losses.push(loss);
  }

  /** Share of hits in this epoch; null when they are not counted. */
  accuracy(): number | null {
    const { hits, images } = this.partial;
    return hits === null ? null : hits / images;
  }

  endEpoch(): void {
    this.epochs.push({ loss: this.partial.loss / Math.max(1, this.partial.images), accuracy: this.accuracy() });
    this.partial = NOTHING;
    this.position = { epoch: this.position.epoch + 1, batch: 0, taken: 0, updates: this.position.updates };
  }

  checkpoint(fingerprint: string, state: ProgramState): Checkpoint {
    return {
      fingerprint,
      position: this.position,
      record: this.record,
      partial: this.partial,
      state,
    };
  }
}

const NOTHING: EpochSums = { images: 0, loss: 0, hits: null };

/** Times from step to step of late, without the first one, in which memory is set up. */
class StepClock {
  private static readonly kept = 20;
  private readonly times: number[] = [];
  private readonly counts: number[] = [];
  private last: number | null = null;

  /** Called after every step. */
  lap(images: number): void {
    const now = performance.now();
    const milliseconds = this.last === null ? null : now - this.last;
    this.last = now;
    if (milliseconds === null) return;
    this.times.push(milliseconds);
    this.counts.push(images);
    if (this.times.length > StepClock.kept) {
      this.times.shift();
      this.counts.shift();
    }
  }

  /** After a break that must not count. */
  restart(): void {
    this.last = performance.now();
  }

  imagesPerSecond(): number {
    const time = this.times.reduce((sum, t) => sum + t, 0);
    return time === 0 ? 0 : (1000 * this.counts.reduce((sum, n) => sum + n, 0)) / time;
  }

  /** Seconds that so many steps will take; null while too few were measured. */
  secondsFor(steps: number): number | null {
    if (this.times.length < 3) return null;
    const sorted = [...this.times].sort((a, b) => a - b);
    return (steps * sorted[sorted.length >> 1]) / 1000;
  }
}

/** Compares the mean loss of stretches of steps with the first stretch. */
class DivergenceWatch {
  private static readonly stretch = 25;
  /** How many times the first stretch's loss counts as diverged, and the loss below which nothing does. */
  private static readonly factor = 5;
  private static readonly harmless = 10;
  private first: number | null = null;
  private sum = 0;
  private count = 0;

  /** @param mayRise whether only numbers that are none count */
  constructor(private readonly mayRise: boolean) {}

  /** @throws UserError `training-diverged` */
  check({ loss, norm }: StepResult, step: number, checkpoint: string | undefined): void {
    if (!Number.isFinite(loss) || !Number.isFinite(norm)) {
      const found = Number.isFinite(loss) ? `a gradient of length ${norm}` : `a loss of ${loss}`;
      throw trainingDiverged({ step, found, checkpoint });
    }
    if (this.mayRise) return;
    this.sum += loss;
    this.count += 1;
    if (this.count < DivergenceWatch.stretch) return;
    const mean = this.sum / this.count;
    this.sum = 0;
    this.count = 0;
    this.first ??= mean;
    const limit = Math.max(DivergenceWatch.factor * this.first, DivergenceWatch.harmless);
    if (mean > limit) {
      const found = `a mean loss of ${mean.toPrecision(3)}, after ${this.first.toPrecision(3)} at the start`;
      throw trainingDiverged({ step, found, checkpoint });
    }
  }
}
