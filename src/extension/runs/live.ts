/** A run that is going on: what it measures is kept as it comes, so that nothing is lost with the window or the engine. */
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { isLeftover } from '../../atomic';
import type { ErrorInfo } from '../../errors';
import type { Progress, RunResult } from '../../protocol/plan';
import type { PruneSettings } from '../../protocol/recipe';
import { CANDIDATE_PREFIX } from '../../protocol/runFolder';
import type { TrainingCurve } from '../../protocol/runs';
import { CurveFile } from './curve';
import { figuresOf, hasCheckpoint, runFiles, type StoredRun, writeResult } from './record';

/** Milliseconds between two writes of what was measured, and of the record, which says that the run is alive. */
const CURVE_EVERY = 1000;
export const RECORD_EVERY = 5000;

/** Ways to end that leave a training as good as its last checkpoint. */
const INTERRUPTIONS: ReadonlySet<string> = new Set([
  'cancelled',
  'engine-stopped',
  'engine-lost',
  'worker-stopped',
  'checkpoint-differs',
]);

export interface RunKeeper {
  /** Keeps a change of the record. */
  write(run: StoredRun): void;
  log(line: string): void;
}

export class LiveRun {
  readonly settings: PruneSettings;
  /** Where training keeps its checkpoint. */
  readonly checkpoint: string;
  private readonly curve: CurveFile;
  private readonly started = Date.now();
  private readonly timer: NodeJS.Timeout;
  private flushed = 0;

  /** @param folder exists; the candidate goes there too */
  constructor(
    readonly id: string,
    readonly folder: string,
    private run: StoredRun,
    private readonly keeper: RunKeeper,
  ) {
    this.settings = run.settings;
    const files = runFiles(folder);
    this.checkpoint = files.checkpoint;
    // What a process that was killed had begun to write.
    for (const entry of readdirSync(folder)) {
      if (entry.startsWith(CANDIDATE_PREFIX) || isLeftover(entry))
        rmSync(path.join(folder, entry), { recursive: true, force: true });
    }
    this.curve = new CurveFile(files.curve);
    this.timer = setInterval(() => this.update({}), RECORD_EVERY);
    this.timer.unref();
    this.update({ state: 'running', message: null, error: null });
  }

  /** Of the training so far; null before it begins. */
  get points(): TrainingCurve | null {
    return this.run.training && this.curve.length > 0 ? this.curve.thinned(this.run.training) : null;
  }

  progress({ training }: Progress): void {
    if (!training) return;
    const { step, steps, loss, accuracy, rate, epoch, epochs } = training;
    this.curve.add({ step, loss, accuracy, rate });
    const now = Date.now();
    if (this.run.training?.steps === steps && now - this.flushed < CURVE_EVERY) return;
    this.flushed = now;
    this.flush();
    this.update({ training: { steps, epochs }, message: `epoch ${epoch} of ${epochs}` });
  }

  pause(paused: boolean): void {
    this.flush();
    this.update({ state: paused ? 'paused' : 'running' });
  }

  done(result: RunResult): void {
    this.attempt('result', () => writeResult(this.folder, result));
    this.end({ state: 'done', figures: figuresOf(result), message: null });
  }

  /** @returns what became of the run: `stopped` when it can go on from a checkpoint */
  fail(error: ErrorInfo): 'stopped' | 'failed' {
    const state = INTERRUPTIONS.has(error.code) && hasCheckpoint(this.folder) ? 'stopped' : 'failed';
    const isCancel = error.code === 'cancelled';
    this.end({ state, error: isCancel ? null : error, message: isCancel ? this.stoppedAt() : error.message });
    return state;
  }

  private stoppedAt(): string {
    return this.run.message === null ? 'Cancelled.' : `Cancelled in ${this.run.message}.`;
  }

  private end(change: Partial<StoredRun>): void {
    clearInterval(this.timer);
    this.flush();
    this.update({ ...change, seconds: (Date.now() - this.started) / 1000 });
  }

  private update(change: Partial<StoredRun>): void {
    this.run = { ...this.run, ...change, owner: process.pid, updatedAt: Date.now() };
    this.keeper.write(this.run);
  }

  private flush(): void {
    this.attempt('curve', () => this.curve.flush());
  }

  /** A disk that is full must not end what may have taken hours. */
  private attempt(what: string, write: () => void): void {
    try {
      write();
    } catch (error) {
      this.keeper.log(`The ${what} of run ${this.id} can't be written: ${error}`);
    }
  }
}
