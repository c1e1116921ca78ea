/**
 * Host ⇄ webviews. The host owns the state of each open model; both webviews (model editor and side panel) show it.
 * A webview sends `ViewRequest`s and gets `ViewEvent`s; every request with an `id` is answered by one `reply`.
 */
import type { ErrorInfo } from '../errors';
import type { DatasetFacts, DeviceFacts, ModelFacts, Spectrum } from './facts';
import type { LayerDetail, Progress, Projection, RunResult } from './plan';
import type { PruneSettings } from './recipe';

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
  readonly selectedLayer: string | null;
}

export type RunState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'running'; readonly progress: Progress; readonly startedAt: number }
  | { readonly kind: 'done'; readonly result: RunResult; readonly savedAs: string | null }
  | { readonly kind: 'failed'; readonly error: ErrorInfo };

export interface ViewMethods {
  /** First message of a webview; answered with the whole state. */
  ready(params: Record<string, never>): SessionState;
  /** Spectra of the layers on screen. */
  spectra(params: { layers: readonly string[] }): Spectrum[];
  detail(params: { layer: string }): LayerDetail;
  /**
   * Replaces top-level settings keys and drops those in `remove` (a key set to undefined does not survive the wire).
   * `transient` tweaks (dragging) are projected but make no undo step; the change that ends a drag is not transient
   * and is one undo step from before the drag.
   */
  change(params: {
    settings: Partial<PruneSettings>;
    remove?: readonly ('data' | 'shapes')[];
    transient?: boolean;
  }): void;
  select(params: { layer: string | null }): void;
  undo(params: Record<string, never>): void;
  redo(params: Record<string, never>): void;
  /** Opens the host's file dialog for a dataset: `data.path`, or `data.evaluation` for the role 'evaluation'. */
  chooseData(params: { role?: 'data' | 'evaluation' }): void;
  /** Sizes for free input dimensions. */
  setShapes(params: { shapes: Readonly<Record<string, readonly number[]>> }): void;
  run(params: Record<string, never>): void;
  cancel(params: Record<string, never>): void;
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
