/**
 * Host ⇄ webviews. The host owns the state of each open model; both webviews (model editor and side panel) show it.
 * A webview sends `ViewRequest`s and gets `ViewEvent`s; every request with an `id` is answered by one `reply`.
 */
import type { ErrorInfo } from '../errors';
import type { DatasetFacts, DeviceFacts, ModelFacts, Spectrum } from './facts';
import type { GroupDetail, LayerDetail, Progress, Projection, RunResult, Sensitivity, TrainingTime } from './plan';
import type { PruneSettings } from './recipe';
import type { RunSummary, TrainingCurve } from './runs';

/** Everything shown about one model. The host sends patches: the keys that changed, whole. */
export interface SessionState {
  /** File name for people; null in the side panel while no model is open. */
  readonly title: string | null;
  readonly facts: ModelFacts | null;
  /** 'loading' until the first facts; then 'shapes' until MACs are known; then 'ready'. */
  readonly loading: 'loading' | 'shapes' | 'ready';
  /** Why the model could not be read or the last action failed; shown with its hint until dismissed. */
  readonly error: ErrorInfo | null;
  readonly settings: PruneSettings | null;
  readonly projection: Projection | null;
  readonly dataset: DatasetFacts | null;
  readonly devices: readonly DeviceFacts[];
  readonly canUndo: boolean;
  readonly canRedo: boolean;
  /** Workspace trust: inspecting works without it, running does not. */
  readonly trusted: boolean;
  readonly run: RunState;
  /** Of the run on screen; null when it did not train, or not yet. */
  readonly curve: TrainingCurve | null;
  /** This model's runs, newest first. */
  readonly runs: readonly RunSummary[];
  readonly trainingTime: TrainingEstimate;
  readonly sensitivity: SensitivityState;
  readonly selectedLayer: string | null;
}

export type RunState =
  | { readonly kind: 'idle' }
  | {
      readonly kind: 'running';
      readonly runId: string;
      readonly progress: Progress;
      readonly startedAt: number;
      /** Training waits between two steps; what comes before and after training does not pause. */
      readonly paused: boolean;
    }
  | {
      readonly kind: 'done';
      readonly runId: string;
      /** What was asked for. */
      readonly settings: PruneSettings;
      readonly result: RunResult;
      readonly savedAs: string | null;
    }
  /** A training that was cancelled or interrupted and can go on from its checkpoint. */
  | { readonly kind: 'stopped'; readonly runId: string; readonly message: string; readonly canResume: true }
  | { readonly kind: 'failed'; readonly error: ErrorInfo };

/** How long the training of the present settings would take; unknown again when settings that matter change. */
export type TrainingEstimate =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'measuring' }
  | { readonly kind: 'known'; readonly time: TrainingTime }
  | { readonly kind: 'failed'; readonly error: ErrorInfo };

/** What each group of channels bears; unknown again when settings that matter change. */
export type SensitivityState =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'measuring'; readonly progress: Progress }
  | { readonly kind: 'known'; readonly sensitivity: Sensitivity }
  | { readonly kind: 'failed'; readonly error: ErrorInfo };

/** Settings that may be absent. */
export type RemovableSetting = 'data' | 'shapes' | 'training' | 'transfer';

export interface ViewMethods {
  /** First message of a webview; answered with the whole state. */
  ready(params: Record<string, never>): SessionState;
  /** Spectra of the layers on screen. */
  spectra(params: { layers: readonly string[] }): Spectrum[];
  detail(params: { layer: string }): LayerDetail;
  /** Importance of the channels of a group under the current settings. */
  group(params: { group: string }): GroupDetail;
  /**
   * Replaces top-level settings keys and drops those in `remove` (a key set to undefined does not survive the wire).
   * `transient` tweaks (dragging) are projected but make no undo step; the change that ends a drag is not transient
   * and is one undo step from before the drag.
   */
  change(params: { settings: Partial<PruneSettings>; remove?: readonly RemovableSetting[]; transient?: boolean }): void;
  select(params: { layer: string | null }): void;
  undo(params: Record<string, never>): void;
  redo(params: Record<string, never>): void;
  /** Opens the host's file dialog for a dataset: `data.path`, or `data.evaluation` for the role 'evaluation'. */
  chooseData(params: { role?: 'data' | 'evaluation' }): void;
  /** Sizes for free input dimensions. */
  setShapes(params: { shapes: Readonly<Record<string, readonly number[]>> }): void;
  run(params: Record<string, never>): void;
  /** Ends the run; a training keeps its checkpoint. */
  cancel(params: Record<string, never>): void;
  /** Holds the running training between two steps, or lets it go on. */
  pause(params: { paused: boolean }): void;
  /** Goes on with a stopped run, with its own settings, from its checkpoint. */
  resumeRun(params: { id: string }): void;
  /** Shows a run's result, curve and settings; the settings change is one undo step. Not while another run goes on. */
  openRun(params: { id: string }): void;
  /** Only the settings; one undo step. */
  useRunSettings(params: { id: string }): void;
  /** Asks where to. */
  saveRun(params: { id: string }): void;
  /** Asks first; saved models stay. */
  deleteRun(params: { id: string }): void;
  /** Measures a few training steps; the answer is in `trainingTime`. */
  estimateTraining(params: Record<string, never>): void;
  /** Measures what each group of channels bears; progress and answer are in `sensitivity`. */
  measureSensitivity(params: Record<string, never>): void;
  cancelSensitivity(params: Record<string, never>): void;
  save(params: Record<string, never>): void;
  dismissError(params: Record<string, never>): void;
  /** Copies to the clipboard or saves an exported chart. */
  export(params: { kind: 'svg' | 'csv'; name: string; text: string; to: 'clipboard' | 'file' }): void;
  openModel(params: Record<string, never>): void;
}

export type ViewMethod = keyof ViewMethods;

export interface ViewRequest<M extends ViewMethod = ViewMethod> {
  readonly id: number;
  readonly method: M;
  readonly params: Parameters<ViewMethods[M]>[0];
}

export type ViewEvent =
  | { readonly type: 'reply'; readonly id: number; readonly ok: unknown }
  | { readonly type: 'reply'; readonly id: number; readonly error: ErrorInfo }
  | { readonly type: 'state'; readonly patch: Partial<SessionState> };
