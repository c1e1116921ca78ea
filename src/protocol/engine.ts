/**
 * Host ⇄ engine: one interface of methods, from which request, reply and handler types are derived, so that a new
 * method does not compile until both ends have it. The wire is JSON-RPC over the child's IPC channel
 * (vscode-jsonrpc; `serialization: 'advanced'`, so typed arrays cross as they are).
 */
import type { AccuracyFacts, DatasetFacts, DeviceFacts, LatencyFacts, ModelFacts, Spectrum } from './facts';
import type { GroupDetail, LayerDetail, Projection, RunResult, Sensitivity, TrainingTime } from './plan';
import type { PreprocessingInput, PruneSettings } from './recipe';

/** Sizes by input name, for inputs with free dimensions. */
export type InputShapes = Readonly<Record<string, readonly number[]>>;

export interface EngineMethods {
  /** Structure and weights-only facts; macs and output shapes are null until `shapes` ran. */
  open(params: { path: string }): ModelFacts;
  /** Facts with shapes and MACs, found by running the model once. */
  shapes(params: { path: string; shapes?: InputShapes }): ModelFacts;
  /** Spectra of some layers; those without a matrix form are left out. */
  spectra(params: { path: string; layers: readonly string[] }): Spectrum[];
  /**
   * What the settings would do. Uses calibrated activation bases when `calibrate` ran for the same data, else the
   * weights. Relative data paths in the settings start at `folder`.
   */
  project(params: { path: string; settings: PruneSettings; folder: string }): Projection;
  detail(params: { path: string; layer: string; settings: PruneSettings; folder: string }): LayerDetail;
  /** Importance of the channels of a group under the settings. */
  group(params: { path: string; group: string; settings: PruneSettings; folder: string }): GroupDetail;
  /** What each group of coupled channels bears, measured on the settings' data; cached. Progress. */
  sensitivity(params: { path: string; settings: PruneSettings; folder: string }): Sensitivity;
  /** Learns of the settings' images what their method needs: moments, scores; cached. Progress. */
  calibrate(params: { path: string; settings: PruneSettings; folder: string }): { images: number };
  dataset(params: { path: string; model?: string; preprocessing?: PreprocessingInput }): DatasetFacts;
  devices(params: Record<string, never>): DeviceFacts[];
  /** Progress. */
  evaluate(params: {
    path: string;
    data: string;
    limit?: number;
    preprocessing?: PreprocessingInput;
    device?: PruneSettings['device'];
    threads?: number;
    shapes?: InputShapes;
  }): { accuracy: AccuracyFacts; latency: LatencyFacts | null; warnings: readonly string[] };
  /** The whole way: calibrate, decompose, refit, write a candidate into `storage`, verify, evaluate, measure. Progress. */
  run(params: {
    path: string;
    settings: PruneSettings;
    /** Relative data paths in the settings start here. */
    folder: string;
    /** Folder for the candidate and its recipe. */
    storage: string;
    /** Where training keeps its checkpoint; a file in `storage` when left out. */
    checkpoint?: string;
    /** Go on from that checkpoint, left by a training that was stopped. */
    resume?: boolean;
  }): RunResult;
  /** Holds a running training between two steps, or lets it go on; a run that starts later is not paused. */
  pause(params: { paused: boolean }): void;
  /** How long the settings' training would take, from a few steps of it. Needs data. */
  trainingTime(params: { path: string; settings: PruneSettings; folder: string }): TrainingTime;
  /** Writes a run's candidate and recipe to their place, atomically. */
  save(params: { run: RunResult; settings: PruneSettings; folder: string; output: string; overwrite: boolean }): {
    model: string;
    recipe: string;
  };
  compare(params: { a: string; b: string; data?: string; limit?: number }): ModelComparison;
}

export interface ModelComparison {
  readonly a: ModelFacts;
  readonly b: ModelFacts;
  readonly layers: readonly {
    readonly name: string;
    readonly a: { shape: readonly number[]; params: number; macs: number | null } | null;
    readonly b: { shape: readonly number[]; params: number; macs: number | null } | null;
    /** ‖Wa − Wb‖_F / ‖Wa‖_F for weights of equal shape. */
    readonly difference: number | null;
  }[];
  /** Largest |ya − yb| / max |ya| over the outputs on the same input; null when outputs do not match. */
  readonly outputDifference: number | null;
  readonly latency: { readonly a: LatencyFacts; readonly b: LatencyFacts; readonly speedup: number } | null;
  readonly accuracy: { readonly a: AccuracyFacts; readonly b: AccuracyFacts } | null;
}

export type EngineMethod = keyof EngineMethods;
export type EngineParams<M extends EngineMethod> = Parameters<EngineMethods[M]>[0];
export type EngineResult<M extends EngineMethod> = ReturnType<EngineMethods[M]>;

/** Long work has a lane of its own, so that looking at a model never waits for a run; what steers it never queues. */
export const lanes: Readonly<Record<EngineMethod, 'look' | 'work' | 'steer'>> = {
  open: 'look',
  shapes: 'look',
  spectra: 'look',
  project: 'look',
  detail: 'look',
  group: 'look',
  sensitivity: 'work',
  dataset: 'look',
  devices: 'look',
  calibrate: 'work',
  evaluate: 'work',
  run: 'work',
  pause: 'steer',
  trainingTime: 'work',
  save: 'work',
  compare: 'work',
};
