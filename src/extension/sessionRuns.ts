/**
 * The runs of one open model: the one that goes on, and the one on screen. Every run has its record from the start
 * (`runs/store.ts`); this is where records, engine and screen meet.
 */
import * as vscode from 'vscode';
import { type ErrorInfo, nothingToSave, runInProgress, runUnknown, workspaceNotTrusted } from '../errors';
import type { Progress } from '../protocol/plan';
import type { PruneSettings } from '../protocol/recipe';
import type { EngineRequester } from '../protocol/rpc';
import type { SessionState } from '../protocol/view';
import type { LiveRun } from './runs/live';
import type { RunStore } from './runs/store';

/** How a run ended; `stopped` when it can go on from a checkpoint. */
export type RunOutcome = 'done' | 'failed' | 'stopped' | 'cancelled';

/** Between two updates of the screen while training. Milliseconds. */
const PROGRESS_EVERY = 100;
const CURVE_EVERY = 500;

const reading: Progress = { phase: 'read', message: 'Starting', fraction: null };

/** What the runs need of their session. */
export interface RunHost {
  /** Absolute path of the model. */
  readonly path: string;
  readonly folder: string;
  readonly settings: PruneSettings;
  readonly state: SessionState;
  readonly engine: EngineRequester;
  readonly runs: RunStore;
  update(patch: Partial<SessionState>): void;
  replaceSettings(settings: PruneSettings): void;
  /** The error as it is shown; bugs go to the log. */
  told(error: unknown): ErrorInfo;
  /** Keeps what must outlive the window. */
  store(): void;
  project(): void;
  /** Nothing that is learned of the model may keep a run waiting. */
  stopLearning(): void;
}

export class SessionRuns {
  private running: {
    readonly source: vscode.CancellationTokenSource;
    readonly live: LiveRun;
    readonly done: Promise<RunOutcome>;
  } | null = null;

  /** @param shown the run on screen, going on or over */
  constructor(
    private readonly host: RunHost,
    private shown: string | null,
  ) {}

  get isRunning(): boolean {
    return this.running !== null;
  }

  /** Id of the run on screen. */
  get onScreen(): string | null {
    return this.shown;
  }

  /** The result on screen is no longer one of this model. */
  hide(): void {
    this.shown = null;
    this.host.update(this.screenOf(null));
  }

  /**
   * Starts a run; it goes on whether or not anyone looks.
   *
   * @returns resolves when it ended; result or error are in `state.run`
   * @throws UserError `workspace-not-trusted`
   */
  run(onProgress?: (progress: Progress) => void): Promise<RunOutcome> {
    if (this.running) return this.running.done;
    if (!vscode.workspace.isTrusted) throw workspaceNotTrusted();
    return this.start(this.host.runs.begin(this.host.path, this.host.settings), false, onProgress);
  }

  /**
   * Goes on with a training that was stopped, with the settings it was started with.
   *
   * @throws UserError `workspace-not-trusted`, `run-in-progress`, `run-unknown`
   */
  resume(id: string, onProgress?: (progress: Progress) => void): Promise<RunOutcome> {
    if (this.running) throw runInProgress();
    if (!vscode.workspace.isTrusted) throw workspaceNotTrusted();
    return this.start(this.host.runs.resume(this.ownRun(id)), true, onProgress);
  }

  cancel(): void {
    this.running?.source.cancel();
  }

  /** Ends the run that goes on, and waits until what it leaves is kept. */
  async stop(): Promise<void> {
    this.cancel();
    await this.running?.done;
  }

  /**
   * Shows a run's result and curve, and takes over its settings.
   *
   * @throws UserError `run-in-progress`, `run-unknown`
   */
  open(id: string): void {
    this.ownRun(id);
    if (this.running && this.shown !== id) throw runInProgress();
    this.useSettings(id);
    if (this.running) return;
    this.shown = id;
    this.host.update(this.screenOf(id));
    this.host.store();
  }

  /** @throws UserError `run-unknown` */
  useSettings(id: string): void {
    this.host.replaceSettings(this.host.runs.get(this.ownRun(id)).settings);
  }

  /** @throws UserError `run-in-progress` */
  delete(id: string): void {
    this.host.runs.delete(this.ownRun(id));
    if (this.shown !== id) return;
    this.shown = null;
    this.host.update(this.screenOf(null));
    this.host.store();
  }

  /** Holds the training of the run that goes on between two steps, or lets it go on. */
  async pause(paused: boolean): Promise<void> {
    const { run } = this.host.state;
    if (run.kind !== 'running' || run.paused === paused) return;
    this.host.update({ run: { ...run, paused } });
    this.running?.live.pause(paused);
    await this.host.engine.request('pause', { paused });
  }

  /**
   * Writes a run's model and recipe to their place.
   *
   * @param id the run on screen when left out
   * @throws UserError `nothing-to-save`, `run-unknown`, or why it can't be written
   */
  async save(
    output: string,
    { overwrite, id = this.shown }: { overwrite: boolean; id?: string | null },
  ): Promise<{ model: string; recipe: string }> {
    const record = id === null ? null : this.host.runs.read(this.ownRun(id));
    if (!id || !record?.result) throw nothingToSave();
    const saved = await this.host.engine.request('save', {
      run: record.result,
      settings: record.settings,
      folder: this.host.folder,
      output,
      overwrite,
    });
    this.host.runs.saved(id, saved.model);
    const { run } = this.host.state;
    if (run.kind === 'done' && run.runId === id) this.host.update({ run: { ...run, savedAs: saved.model } });
    return saved;
  }

  private start(live: LiveRun, resume: boolean, onProgress?: (progress: Progress) => void): Promise<RunOutcome> {
    const source = new vscode.CancellationTokenSource();
    const before = this.shown;
    this.host.stopLearning();
    this.shown = live.id;
    const startedAt = Date.now();
    this.host.update({
      run: { kind: 'running', runId: live.id, progress: reading, startedAt, paused: false },
      curve: live.points,
      error: null,
    });
    const done = this.runWith(live, resume, source.token, before, onProgress).finally(() => {
      this.running = null;
      source.dispose();
      this.host.store();
    });
    this.running = { source, live, done };
    this.host.store();
    return done;
  }

  private async runWith(
    live: LiveRun,
    resume: boolean,
    token: vscode.CancellationToken,
    before: string | null,
    onProgress: (progress: Progress) => void = () => undefined,
  ): Promise<RunOutcome> {
    const { settings, folder: storage, checkpoint } = live;
    const show = this.progressShower(live);
    try {
      const result = await this.host.engine.request(
        'run',
        { path: this.host.path, settings, folder: this.host.folder, storage, checkpoint, resume },
        {
          token,
          onProgress: (progress) => {
            live.progress(progress);
            show(progress);
            onProgress(progress);
          },
        },
      );
      live.done(result);
      this.host.update({ run: { kind: 'done', runId: live.id, settings, result, savedAs: null }, curve: live.points });
      // The run has calibrated what a projection can use from now on.
      this.host.project();
      return 'done';
    } catch (error) {
      const info = this.host.told(error);
      const outcome = live.fail(info);
      if (outcome === 'failed' && info.code === 'cancelled') {
        // A cancelled run takes nothing away: the result that was there before is still good.
        this.host.runs.delete(live.id);
        this.shown = before;
        this.host.update(this.screenOf(before));
        return 'cancelled';
      }
      this.host.update(this.screenOf(live.id));
      return outcome;
    }
  }

  /** Brings progress and curve to the screen, as often as an eye can follow. */
  private progressShower(live: LiveRun): (progress: Progress) => void {
    let shownAt = 0;
    let curveAt = 0;
    let phase = '';
    let compaction: NonNullable<Progress['training']>['compaction'];
    return (said) => {
      // It comes only when it has changed, and stays on screen until then.
      compaction = said.training?.compaction ?? compaction;
      const progress = said.training && compaction ? { ...said, training: { ...said.training, compaction } } : said;
      const { run } = this.host.state;
      const now = Date.now();
      if (run.kind !== 'running') return;
      // The last step before a pause stays on screen, so it must not be left out.
      const isTooSoon = now - shownAt < PROGRESS_EVERY && !run.paused;
      if (progress.training && phase === progress.phase && isTooSoon) return;
      // A pause that was asked for before the training was there to hear it.
      if (run.paused && phase !== progress.phase)
        void this.host.engine.request('pause', { paused: true }).catch(() => undefined);
      phase = progress.phase;
      shownAt = now;
      const isCurveDue = progress.training !== undefined && now - curveAt >= CURVE_EVERY;
      if (isCurveDue) curveAt = now;
      this.host.update({ run: { ...run, progress }, ...(isCurveDue ? { curve: live.points } : {}) });
    };
  }

  /** What the screen shows of a run that is over. */
  screenOf(id: string | null): Pick<SessionState, 'run' | 'curve'> {
    const { runs } = this.host;
    const nothing = { run: { kind: 'idle' }, curve: null } as const;
    if (id === null || !runs.has(id)) return nothing;
    const { model, settings, state, canResume, message, result, curve, savedAs, error } = runs.read(id);
    if (model !== this.host.path) return nothing;
    if (state === 'done') {
      // Storage may have been cleaned; a result without its file can't be saved.
      return result ? { run: { kind: 'done', runId: id, settings, result, savedAs }, curve } : nothing;
    }
    if (canResume) return { run: { kind: 'stopped', runId: id, message: message ?? '', canResume }, curve };
    return { run: error ? { kind: 'failed', error } : { kind: 'idle' }, curve };
  }

  /** @throws UserError `run-unknown` when it is no run of this model */
  private ownRun(id: string): string {
    if (this.host.runs.get(id).model !== this.host.path) throw runUnknown({ id });
    return id;
  }
}
