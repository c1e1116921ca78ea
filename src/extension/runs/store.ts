/**
 * The records of all runs of the workspace: one folder per run in the extension's storage. What was going on in a
 * window or an engine that is no more shows as stopped. Knows nothing of VS Code, so that it can be tested alone.
 */
import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { errorInfo, runInProgress, runInterrupted, runUnknown } from '../../errors';
import type { PruneSettings } from '../../protocol/recipe';
import type { RecordedState, RunRecord, RunSummary } from '../../protocol/runs';
import { CurveFile } from './curve';
import { LiveRun, RECORD_EVERY } from './live';
import { hasCheckpoint, readResult, readRun, runFiles, type StoredRun, writeRun } from './record';
import { runTitle } from './title';

/** Records kept per model; the oldest go first. */
const KEPT = 50;
/** The names we give; no other can leave our folder. */
const idPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export class RunStore {
  private readonly runs = new Map<string, StoredRun>();
  /** Those this process works on. */
  private readonly live = new Map<string, LiveRun>();
  private readonly events = new EventEmitter();

  /** @param folder need not exist */
  constructor(
    private readonly folder: string,
    private readonly log: (line: string) => void,
  ) {
    this.events.setMaxListeners(0);
    for (const id of existsSync(folder) ? readdirSync(folder) : []) {
      const run = idPattern.test(id) ? readRun(this.folderOf(id)) : null;
      if (run) this.runs.set(id, this.asFound(id, run));
    }
  }

  /** @param listener gets the model whose runs changed */
  onDidChange(listener: (model: string) => void): { dispose(): void } {
    this.events.on('change', listener);
    return { dispose: () => this.events.off('change', listener) };
  }

  /** Absolute paths, the one with the newest run first. */
  models(): string[] {
    return [...new Set(this.newestFirst().map(([, { model }]) => model))];
  }

  /** A model's runs, newest first. */
  of(model: string): RunSummary[] {
    return this.newestFirst().flatMap(([id, run]) => (run.model === model ? [this.summary(id, run)] : []));
  }

  /** @throws UserError `run-unknown` */
  get(id: string): RunSummary & { readonly model: string; readonly settings: PruneSettings } {
    const run = this.stored(id);
    return { ...this.summary(id, run), model: run.model, settings: run.settings };
  }

  has(id: string): boolean {
    return this.runs.has(id);
  }

  /**
   * With result and curve, which are read from their files.
   *
   * @throws UserError `run-unknown`
   */
  read(id: string): RunRecord & { readonly model: string } {
    const run = this.stored(id);
    const folder = this.folderOf(id);
    const curve = run.training && new CurveFile(runFiles(folder).curve).thinned(run.training);
    return {
      ...this.get(id),
      result: run.state === 'done' ? readResult(folder) : null,
      curve: this.live.get(id)?.points ?? (curve && curve.points.length > 0 ? curve : null),
      error: run.error,
    };
  }

  /** Begins a record; the oldest of the model go. */
  begin(model: string, settings: PruneSettings): LiveRun {
    const id = randomUUID();
    mkdirSync(this.folderOf(id), { recursive: true });
    const run = this.goOn(id, {
      version: 1,
      model,
      settings,
      startedAt: Date.now(),
      seconds: null,
      state: 'running',
      figures: null,
      savedAs: null,
      message: null,
      error: null,
      training: null,
      owner: process.pid,
      updatedAt: Date.now(),
    });
    const ended = this.of(model).filter((run) => !isGoingOn(run));
    for (const { id: old } of ended.slice(KEPT - 1)) this.remove(old);
    return run;
  }

  /**
   * Goes on with a run from its checkpoint.
   *
   * @throws UserError `run-unknown` when there is none, `run-in-progress`
   */
  resume(id: string): LiveRun {
    const run = this.stored(id);
    if (isGoingOn(run)) throw runInProgress();
    if (!this.summary(id, run).canResume) throw runUnknown({ id });
    return this.goOn(id, run);
  }

  saved(id: string, savedAs: string): void {
    this.write(id, { ...this.stored(id), savedAs });
  }

  /**
   * Removes a record with its candidate and checkpoint; models that were saved stay.
   *
   * @throws UserError `run-in-progress`
   */
  delete(id: string): void {
    const run = this.runs.get(id);
    if (!run) return;
    if (isGoingOn(run)) throw runInProgress();
    this.remove(id);
  }

  private remove(id: string): void {
    const run = this.runs.get(id);
    this.runs.delete(id);
    try {
      rmSync(this.folderOf(id), { recursive: true, force: true });
    } catch (error) {
      this.log(`The files of run ${id} stay: ${error}`);
    }
    if (run) this.changed(run.model);
  }

  private goOn(id: string, run: StoredRun): LiveRun {
    const live = new LiveRun(id, this.folderOf(id), run, {
      write: (changed) => this.write(id, changed),
      log: this.log,
    });
    this.live.set(id, live);
    return live;
  }

  /** A record whose files can't be written lives on in memory. */
  private write(id: string, run: StoredRun): void {
    this.runs.set(id, run);
    if (!isGoingOn(run)) this.live.delete(id);
    try {
      writeRun(this.folderOf(id), run);
    } catch (error) {
      this.log(`The record of run ${id} can't be written: ${error}`);
    }
    this.changed(run.model);
  }

  /** What was going on is so no more, unless another window still works on it. */
  private asFound(id: string, run: StoredRun): StoredRun {
    if (!isGoingOn(run)) return run;
    const isElsewhere =
      run.owner !== process.pid && isAlive(run.owner) && Date.now() - run.updatedAt < 6 * RECORD_EVERY;
    if (isElsewhere) return run;
    const error = errorInfo(runInterrupted());
    const place = run.message === null ? '' : ` in ${run.message}`;
    return {
      ...run,
      state: hasCheckpoint(this.folderOf(id)) ? 'stopped' : 'failed',
      error,
      message: `Interrupted${place}.`,
    };
  }

  private summary(id: string, run: StoredRun): RunSummary {
    const none = { macsShare: null, paramsShare: null, accuracy: null, accuracyBefore: null, speedup: null };
    return {
      id,
      title: runTitle(run.settings),
      method: run.settings.method,
      startedAt: run.startedAt,
      seconds: run.seconds,
      state: run.state,
      ...(run.figures ?? none),
      savedAs: run.savedAs,
      canResume: run.state === 'stopped' && hasCheckpoint(this.folderOf(id)),
      message: run.message,
    };
  }

  private stored(id: string): StoredRun {
    const run = this.runs.get(id);
    if (!run) throw runUnknown({ id });
    return run;
  }

  private newestFirst(): [string, StoredRun][] {
    return [...this.runs].sort(([, a], [, b]) => b.startedAt - a.startedAt);
  }

  private folderOf(id: string): string {
    return path.join(this.folder, id);
  }

  private changed(model: string): void {
    this.events.emit('change', model);
  }
}

function isGoingOn({ state }: { readonly state: RecordedState }): boolean {
  return state === 'running' || state === 'paused';
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Someone else's process is alive, too.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
