/** What the engine learns of a model from the user's images: started, cancelled, forgotten with the settings it holds for. */
import * as vscode from 'vscode';
import { runInProgress, UserError, workspaceNotTrusted } from '../errors';
import type { PruneSettings } from '../protocol/recipe';
import type { EngineRequester } from '../protocol/rpc';
import type { SensitivityState } from '../protocol/view';
import { calibrationKey, sensitivityKey } from './learningKeys';

/** What learning needs of its session. */
export interface LearningHost {
  /** Absolute path of the model. */
  readonly path: string;
  readonly folder: string;
  readonly settings: PruneSettings;
  readonly isRunning: boolean;
  readonly sensitivity: SensitivityState;
  readonly engine: EngineRequester & { readonly pid: number | undefined };
  showSensitivity(state: SensitivityState): void;
  fail(error: unknown): void;
  told(error: unknown): Extract<SensitivityState, { kind: 'failed' }>['error'];
  /** Called when the projection would come out truer than before. */
  learned(): void;
}

export class Learning {
  private calibrating: vscode.CancellationTokenSource | null = null;
  /** Of the last calibration that was started; it is not started twice for the same. */
  private calibratedFor: string | null = null;
  private measuring: vscode.CancellationTokenSource | null = null;

  constructor(private readonly host: LearningHost) {}

  /** Starts to learn what the settings' method needs of the images, unless that is known; resolves when it is over. */
  async calibrate(): Promise<void> {
    const { host } = this;
    const key = calibrationKey(host.settings);
    if (key === null || !vscode.workspace.isTrusted || host.isRunning) return;
    const wanted = `${host.engine.pid} ${key}`;
    if (wanted === this.calibratedFor) return;
    this.calibratedFor = wanted;
    this.calibrating?.cancel();
    const source = new vscode.CancellationTokenSource();
    this.calibrating = source;
    try {
      const { path, settings, folder } = host;
      const options = { token: source.token, onProgress: () => undefined };
      await host.engine.request('calibrate', { path, settings, folder }, options);
      host.learned();
    } catch (error) {
      // What failed for these data fails again; only what was cut short is tried again.
      if (!(error instanceof UserError && error.code === 'cancelled')) host.fail(error);
      else if (this.calibratedFor === wanted) this.calibratedFor = null;
    } finally {
      if (this.calibrating === source) this.calibrating = null;
      source.dispose();
    }
  }

  /**
   * Measures what each group of channels bears; progress and result are shown as they come.
   *
   * @throws UserError `workspace-not-trusted`, `run-in-progress`
   */
  async measureSensitivity(): Promise<void> {
    const { host } = this;
    if (!vscode.workspace.isTrusted) throw workspaceNotTrusted();
    if (host.isRunning) throw runInProgress();
    this.measuring?.cancel();
    const source = new vscode.CancellationTokenSource();
    this.measuring = source;
    host.showSensitivity({ kind: 'measuring', progress: { phase: 'measure', message: 'Starting', fraction: null } });
    const show = (state: SensitivityState): void => {
      if (this.measuring === source) host.showSensitivity(state);
    };
    try {
      const { path, settings, folder } = host;
      const onProgress = (progress: Extract<SensitivityState, { kind: 'measuring' }>['progress']) =>
        show({ kind: 'measuring', progress });
      const options = { token: source.token, onProgress };
      const sensitivity = await host.engine.request('sensitivity', { path, settings, folder }, options);
      show({ kind: 'known', sensitivity });
    } catch (error) {
      const isCancelled = error instanceof UserError && error.code === 'cancelled';
      show(isCancelled ? { kind: 'unknown' } : { kind: 'failed', error: host.told(error) });
    } finally {
      if (this.measuring === source) this.measuring = null;
      source.dispose();
    }
  }

  cancelSensitivity(): void {
    if (this.measuring === null) return;
    this.measuring.cancel();
    this.measuring = null;
    this.host.showSensitivity({ kind: 'unknown' });
  }

  /** A sensitivity that was measured, or is, for other settings is none. */
  settingsChanged(before: PruneSettings): void {
    if (sensitivityKey(before) === sensitivityKey(this.host.settings)) return;
    this.cancelSensitivity();
    if (this.host.sensitivity.kind !== 'unknown') this.host.showSensitivity({ kind: 'unknown' });
  }

  /** The model's file is another. */
  forget(): void {
    this.calibratedFor = null;
    this.cancelSensitivity();
    this.host.showSensitivity({ kind: 'unknown' });
  }

  /** Makes way for a run. */
  stop(): void {
    this.calibrating?.cancel();
    this.cancelSensitivity();
  }
}
