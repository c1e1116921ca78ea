/**
 * One open model: the state that both webviews show, and everything that changes it. The engine computes, the session
 * decides when: facts first without shapes, then with; a projection for the newest settings only; calibration when
 * there is data. What the user set up is stored at every finished step, so that it survives a reload of the window.
 * Failures of what the user asked for end up in `state.error` (or in the run's state), never in thin air.
 */
import { statSync } from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import * as vscode from 'vscode';
import { errorInfo, modelDeleted, notOnDisk, runInProgress, UserError, workspaceNotTrusted } from '../errors';
import type { DeviceFacts, ModelFacts, Spectrum } from '../protocol/facts';
import type { GroupDetail, LayerDetail } from '../protocol/plan';
import type { PruneSettings } from '../protocol/recipe';
import type { EngineRequester } from '../protocol/rpc';
import type { RemovableSetting, SessionState } from '../protocol/view';
import { relativePath } from '../recipe/file';
import { History } from './history';
import { latest } from './latest';
import { Learning, type LearningHost } from './learning';
import type { RunStore } from './runs/store';
import { type RunHost, SessionRuns } from './sessionRuns';
import type { SessionStore } from './sessionStore';
import { estimateAfter } from './trainingCost';

/** What a session needs from its surroundings. */
export interface SessionServices {
  /** `pid` tells whether it is still the process that was asked before: what it had cached goes with it. */
  readonly engine: EngineRequester & { readonly pid: number | undefined };
  readonly store: SessionStore;
  readonly runs: RunStore;
  readonly log: vscode.LogOutputChannel;
  /** Settings of a model that is opened for the first time. */
  defaults(): PruneSettings;
  devices(): Promise<readonly DeviceFacts[]>;
}

/** The state while there is no model: what the side panel shows then. */
export const emptyState: SessionState = {
  title: null,
  facts: null,
  loading: 'loading',
  error: null,
  settings: null,
  projection: null,
  dataset: null,
  devices: [],
  canUndo: false,
  canRedo: false,
  trusted: true,
  run: { kind: 'idle' },
  curve: null,
  runs: [],
  trainingTime: { kind: 'unknown' },
  sensitivity: { kind: 'unknown' },
  selectedLayer: null,
};

export class Session implements vscode.Disposable {
  /** Absolute path of the model file. */
  readonly path: string;
  private readonly changed = new vscode.EventEmitter<Partial<SessionState>>();
  /** Fires with the keys that changed, whole. */
  readonly onDidChange = this.changed.event;
  /** Webviews on screen that show this session. */
  readonly visibleIn = new Set<object>();
  readonly runs: SessionRuns;
  readonly learning = new Learning(this.learningHost());
  private current: SessionState;
  private readonly history: History<PruneSettings>;
  private readonly subscriptions: vscode.Disposable[] = [this.changed];
  /** Of the file as it was when it was read; null when it is gone. */
  private stamp: string | null = null;
  /** Counts loads, so that the answers of an older one are dropped. */
  private loads = 0;
  private readonly pending = new Set<Promise<unknown>>();
  private disposed = false;

  constructor(
    readonly uri: vscode.Uri,
    private readonly services: SessionServices,
  ) {
    this.path = uri.fsPath;
    const stored = services.store.load(uri);
    this.history = new History(stored?.settings ?? services.defaults());
    this.runs = new SessionRuns(this.runHost(), stored?.run ?? null);
    this.current = {
      ...emptyState,
      title: path.basename(uri.path),
      settings: this.history.value,
      selectedLayer: stored?.selectedLayer ?? null,
      trusted: vscode.workspace.isTrusted,
      runs: services.runs.of(this.path),
      ...this.runs.screenOf(this.runs.onScreen),
    };
    this.subscriptions.push(
      vscode.workspace.onDidGrantWorkspaceTrust(() => this.trust()),
      services.runs.onDidChange((model) => {
        if (model === this.path) this.update({ runs: services.runs.of(model) });
      }),
    );
    if (uri.scheme === 'file') {
      this.watch();
      this.load();
    } else {
      this.update({ loading: 'ready', error: errorInfo(notOnDisk({ uri: uri.toString() })) });
    }
  }

  get state(): SessionState {
    return this.current;
  }

  get settings(): PruneSettings {
    return this.history.value;
  }

  /** Relative data paths start here. */
  get folder(): string {
    return path.dirname(this.path);
  }

  get isRunning(): boolean {
    return this.runs.isRunning;
  }

  /** Resolves when everything the session has asked for so far is answered (except a run). */
  async settled(): Promise<void> {
    while (this.pending.size > 0) await Promise.allSettled([...this.pending]);
  }

  /** Reads the model anew. */
  load(note?: string): void {
    const load = ++this.loads;
    const isCurrent = () => !this.disposed && load === this.loads;
    this.stamp = stampOf(this.path);
    this.update({ loading: 'loading', error: null });
    this.track(
      (async () => {
        void this.services.devices().then(
          (devices) => !this.disposed && this.update({ devices }),
          (error: unknown) => this.fail(error),
        );
        const withNote = (facts: ModelFacts) => (note ? { ...facts, notes: [...facts.notes, note] } : facts);
        const facts = await this.services.engine.request('open', { path: this.path });
        if (!isCurrent()) return;
        this.update({ facts: withNote(facts), loading: 'shapes' });
        const shaped = await this.services.engine.request('shapes', { path: this.path, shapes: this.settings.shapes });
        if (!isCurrent()) return;
        this.update({ facts: withNote(shaped), loading: 'ready' });
        this.refreshData();
        this.project();
      })().catch((error: unknown) => {
        if (isCurrent()) this.update({ loading: 'ready', error: this.told(error) });
      }),
    );
  }

  spectra(layers: readonly string[]): Promise<Spectrum[]> {
    return this.services.engine.request('spectra', { path: this.path, layers });
  }

  detail(layer: string): Promise<LayerDetail> {
    return this.services.engine.request('detail', {
      path: this.path,
      layer,
      settings: this.settings,
      folder: this.folder,
    });
  }

  group(group: string): Promise<GroupDetail> {
    const { path, settings, folder } = this;
    return this.services.engine.request('group', { path, group, settings, folder });
  }

  /** Replaces some settings; `transient` ones are projected but are part of the step that follows. */
  change(
    patch: Partial<PruneSettings>,
    { transient = false, remove = [] }: { transient?: boolean; remove?: readonly RemovableSetting[] } = {},
  ): void {
    const next = { ...this.settings, ...patch };
    for (const key of remove) delete next[key];
    this.apply(() => this.history.set(next, { transient }));
    if (!transient) this.store();
  }

  /** Takes over other settings as they are, in one step. */
  replaceSettings(settings: PruneSettings): void {
    this.apply(() => this.history.set(settings, { transient: false }));
    this.store();
  }

  undo(): void {
    this.apply(() => this.history.undo());
    this.store();
  }

  redo(): void {
    this.apply(() => this.history.redo());
    this.store();
  }

  select(layer: string | null): void {
    this.update({ selectedLayer: layer });
    this.store();
  }

  /** With nothing on screen but the error, dismissing it is the wish to try again. */
  dismissError(): void {
    if (this.current.facts === null && this.uri.scheme === 'file') this.load();
    else this.update({ error: null });
  }

  /** Shows a failure of something the user asked for. */
  fail(error: unknown): void {
    if (this.disposed) return;
    if (!(error instanceof UserError && error.code === 'cancelled')) this.update({ error: this.told(error) });
  }

  /**
   * Uses a dataset after looking at it.
   *
   * @param file absolute path of a folder or file
   * @throws UserError what is wrong with the data; the settings then stay as they were
   */
  async useData(file: string, role: 'data' | 'evaluation' = 'data'): Promise<void> {
    const relative = relativePath(this.folder, file);
    const { data } = this.settings;
    if (role === 'evaluation' && data) {
      await this.services.engine.request('dataset', {
        path: file,
        model: this.path,
        preprocessing: data.preprocessing,
      });
      this.change({ data: { ...data, evaluation: relative } });
    } else {
      const dataset = await this.services.engine.request('dataset', {
        path: file,
        model: this.path,
        preprocessing: data?.preprocessing,
      });
      this.change({ data: { ...data, path: relative } });
      this.update({ dataset });
    }
  }

  /**
   * Measures how long training would take; what was found is in `state.trainingTime`.
   *
   * @throws UserError `workspace-not-trusted`, `run-in-progress`
   */
  async estimateTraining(): Promise<void> {
    if (!vscode.workspace.isTrusted) throw workspaceNotTrusted();
    if (this.isRunning) throw runInProgress();
    const { settings } = this;
    const measuring = { kind: 'measuring' } as const;
    this.update({ trainingTime: measuring });
    const isCurrent = () => this.current.trainingTime === measuring && !this.disposed;
    try {
      const time = await this.services.engine.request('trainingTime', {
        path: this.path,
        settings,
        folder: this.folder,
      });
      if (isCurrent()) this.update({ trainingTime: { kind: 'known', time } });
    } catch (error) {
      if (isCurrent()) this.update({ trainingTime: { kind: 'failed', error: this.told(error) } });
    }
  }

  dispose(): void {
    this.disposed = true;
    this.runs.cancel();
    this.learning.stop();
    for (const subscription of this.subscriptions) subscription.dispose();
  }

  private runHost(): RunHost {
    const session = this;
    const { engine, runs } = this.services;
    return {
      path: this.path,
      folder: this.folder,
      engine,
      runs,
      get settings() {
        return session.settings;
      },
      get state() {
        return session.state;
      },
      update: (patch) => this.update(patch),
      replaceSettings: (settings) => this.replaceSettings(settings),
      told: (error) => this.told(error),
      store: () => this.store(),
      project: () => this.project(),
      stopLearning: () => this.learning.stop(),
    };
  }

  private learningHost(): LearningHost {
    const session = this;
    return {
      get path() {
        return session.path;
      },
      get folder() {
        return session.folder;
      },
      get settings() {
        return session.settings;
      },
      get isRunning() {
        return session.isRunning;
      },
      get sensitivity() {
        return session.state.sensitivity;
      },
      get engine() {
        return session.services.engine;
      },
      showSensitivity: (sensitivity) => this.update({ sensitivity }),
      fail: (error) => this.fail(error),
      told: (error) => this.told(error),
      learned: () => this.track(this.projectLatest(undefined)),
    };
  }

  /** Changes the settings by a step of the history and follows up on what became different. */
  private apply(step: () => void): void {
    const before = this.settings;
    step();
    const settings = this.settings;
    this.update({
      settings,
      canUndo: this.history.canUndo,
      canRedo: this.history.canRedo,
      trainingTime: estimateAfter(this.current.trainingTime, before, settings),
    });
    this.learning.settingsChanged(before);
    if (!isDeepStrictEqual(before.shapes, settings.shapes)) {
      this.load();
      return;
    }
    const { data: dataBefore } = before;
    const { data } = settings;
    if (dataBefore?.path !== data?.path || !isDeepStrictEqual(dataBefore?.preprocessing, data?.preprocessing)) {
      this.refreshData();
    }
    this.project();
  }

  private refreshData(): void {
    const { data } = this.settings;
    if (!data) {
      this.update({ dataset: null });
      return;
    }
    this.track(
      this.services.engine
        .request('dataset', {
          path: path.resolve(this.folder, data.path),
          model: this.path,
          preprocessing: data.preprocessing,
        })
        .then((dataset) => {
          if (this.settings.data === data && !this.disposed) this.update({ dataset });
        })
        .catch((error: unknown) => {
          this.update({ dataset: null });
          this.fail(error);
        }),
    );
  }

  /** Projects the newest settings; then calibrates if that would make the projection truer. */
  private project(): void {
    if (this.current.loading !== 'ready' || this.current.facts === null) return;
    this.track(this.projectLatest(undefined));
    this.track(this.learning.calibrate());
  }

  private readonly projectLatest = latest(async (_: undefined) => {
    if (this.disposed) return;
    try {
      const projection = await this.services.engine.request('project', {
        path: this.path,
        settings: this.settings,
        folder: this.folder,
      });
      if (!this.disposed) this.update({ projection });
    } catch (error) {
      this.fail(error);
    }
  });

  private watch(): void {
    const pattern = new vscode.RelativePattern(
      vscode.Uri.joinPath(this.uri, '..'),
      escapeGlob(path.basename(this.path)),
    );
    const watcher = vscode.workspace.createFileSystemWatcher(pattern);
    let timer: NodeJS.Timeout | undefined;
    const reload = () => {
      clearTimeout(timer);
      // A writer touches a file many times; what counts is the file it leaves.
      timer = setTimeout(() => {
        // News of what was there already when the model was read comes late.
        if (stampOf(this.path) !== this.stamp) this.reloadChanged();
      }, 300);
    };
    watcher.onDidChange(reload);
    watcher.onDidCreate(reload);
    watcher.onDidDelete(() => {
      clearTimeout(timer);
      this.loads++;
      this.stamp = null;
      this.update({ loading: 'ready', error: errorInfo(modelDeleted({ path: this.path })) });
    });
    this.subscriptions.push(watcher, { dispose: () => clearTimeout(timer) });
  }

  private reloadChanged(): void {
    const time = new Date().toLocaleTimeString();
    this.learning.forget();
    // The candidate was made from the file as it was.
    if (this.current.run.kind === 'done') {
      this.runs.hide();
    }
    this.update({ trainingTime: { kind: 'unknown' } });
    this.load(`The file changed on disk at ${time}; all figures were read again.`);
    this.store();
  }

  private trust(): void {
    this.update({ trusted: true });
    if (this.current.error?.code === 'workspace-not-trusted') this.update({ error: null });
    this.project();
  }

  private update(patch: Partial<SessionState>): void {
    this.current = { ...this.current, ...patch };
    if (!this.disposed) this.changed.fire(patch);
  }

  private track(work: Promise<unknown>): void {
    this.pending.add(work);
    void work.finally(() => this.pending.delete(work));
  }

  private told(error: unknown): ReturnType<typeof errorInfo> {
    if (!(error instanceof UserError)) this.services.log.error(error instanceof Error ? error : String(error));
    return errorInfo(error);
  }

  private store(): void {
    this.services.store.save(this.uri, {
      settings: this.settings,
      selectedLayer: this.current.selectedLayer,
      run: this.runs.onScreen,
      storedAt: Date.now(),
    });
  }
}

/** File names may hold what globs give a meaning to. */
function escapeGlob(name: string): string {
  return name.replace(/[[\]{}*?]/g, (character) => `[${character}]`);
}

/** Changes when the file does. */
function stampOf(file: string): string | null {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat ? `${stat.size}:${stat.mtimeMs}:${stat.ino}` : null;
}
