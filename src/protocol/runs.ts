/**
 * Runs as lasting records: what the host keeps of every run of the workspace, and what the screen shows of them. Times
 * are milliseconds since 1970 where a name ends in `At`, else seconds.
 */
import type { ErrorInfo } from '../errors';
import type { RunResult } from './plan';
import type { PruneSettings } from './recipe';

/** A stretch of training steps. */
export interface CurvePoint {
  /** The stretch's last step, from 1. */
  readonly step: number;
  /** Mean over the stretch. */
  readonly loss: number;
  /** The highest loss of one step in the stretch; equal to `loss` where a stretch is one step. */
  readonly highest: number;
  /** Share of the epoch's images up to the last step that were classified as wanted; null when nothing says what is. */
  readonly accuracy: number | null;
  /** Learning rate of the last step. */
  readonly rate: number;
}

export interface TrainingCurve {
  /** In the order of the steps, at most {@link CURVE_POINTS}. */
  readonly points: readonly CurvePoint[];
  /** Steps and epochs of the whole training, done or not. */
  readonly steps: number;
  readonly epochs: number;
}

export const CURVE_POINTS = 1000;

/** stopped: a training that was cancelled or interrupted. */
export type RecordedState = 'running' | 'paused' | 'stopped' | 'done' | 'failed';

export interface RunSummary {
  readonly id: string;
  /** For people, from the settings: "basis · 50 % MACs · 3 epochs". */
  readonly title: string;
  readonly method: PruneSettings['method'];
  readonly startedAt: number;
  /** How long it took; null while it has not ended. Of a resumed run: its last part. */
  readonly seconds: number | null;
  readonly state: RecordedState;
  /** What is left of the model, 0 to 1; null until the run is done, and where a count is unknown. */
  readonly macsShare: number | null;
  readonly paramsShare: number | null;
  /** 0 to 1, on the evaluation images; null until the run is done, and without labels. */
  readonly accuracy: number | null;
  /** Of the original. */
  readonly accuracyBefore: number | null;
  readonly speedup: number | null;
  /** Absolute path of the model it was last saved as. */
  readonly savedAs: string | null;
  /** Whether a checkpoint lies there to go on from. */
  readonly canResume: boolean;
  /** Why it stopped or failed, or how far training has come. */
  readonly message: string | null;
}

export interface RunRecord extends RunSummary {
  /** What it was run with; the editor's may have moved on. */
  readonly settings: PruneSettings;
  /** Of a run that is done. */
  readonly result: RunResult | null;
  /** Of a run that trained. */
  readonly curve: TrainingCurve | null;
  /** Of a run that failed or was interrupted. */
  readonly error: ErrorInfo | null;
}
