/** Projections, runs and their results: what the screen and the command line show of pruning. */
import type { AccuracyFacts, LatencyFacts, Totals } from './facts';

/** `narrow`: it loses channels of its inputs or outputs. */
export type LayerAction = 'keep' | 'factorize' | 'narrow';

/** What the current settings would do to one layer. */
export interface LayerProjection {
  readonly layer: string;
  readonly action: LayerAction;
  /** Why the layer stays as it is; null when it is changed. */
  readonly reason: string | null;
  /** Kept rank per block; the full rank for a layer left alone. */
  readonly rank: number;
  /** Output channels that stay; absent where none can be removed. */
  readonly channels?: number;
  readonly params: number;
  readonly macs: number | null;
  readonly bytes: number;
  /**
   * Share of what counts that is dropped, 0 to 1: of a factorized layer energy, which is the expected relative squared
   * error of its output (or weight); of a narrow one the importance of its output channels, or of its inputs where no
   * output goes.
   */
  readonly error: number;
}

/** Channels that can only be removed together, and what the current settings would do to them. */
export interface GroupProjection {
  /** Of its first layer. */
  readonly name: string;
  /** How many channels it has, and how many stay. */
  readonly channels: number;
  readonly kept: number;
  /** Outputs of its first layer that make one channel. */
  readonly block: number;
  readonly members: readonly { readonly layer: string; readonly role: 'producer' | 'follower' | 'consumer' }[];
  /** Why none of its channels is removed; null when some are. */
  readonly reason: string | null;
  /** Why removing a channel is not the same as a channel of zeros; null when it is. */
  readonly inexact: string | null;
  /** What removing one channel alone saves, on average; macs null when unknown. */
  readonly perChannel: { readonly macs: number | null; readonly params: number };
}

/** Importance of each channel of a group under the current settings. */
export interface GroupDetail {
  readonly group: string;
  /** By which criterion; null when the channels have no scores yet. */
  readonly criterion: string | null;
  readonly importance: Float64Array;
  /** 1 where the channel stays. */
  readonly kept: Uint8Array;
}

/** How much the outputs suffer when a group loses channels, measured. */
export interface Sensitivity {
  /** Shares of channels removed, rising. */
  readonly ratios: readonly number[];
  readonly groups: readonly {
    readonly name: string;
    /** Per ratio: points of accuracy lost; without labels the squared change of the outputs relative to their own. */
    readonly damage: readonly number[];
  }[];
  readonly unit: 'accuracy' | 'divergence';
  readonly images: number;
}

export interface Projection {
  readonly before: Totals;
  readonly after: Totals;
  readonly layers: readonly LayerProjection[];
  /** Groups of coupled channels, for methods that remove channels. */
  readonly groups?: readonly GroupProjection[];
  /** Which basis the scores come from; activations need a calibration first. */
  readonly basis: 'weights' | 'activations';
  /** Set when the target can't be met: what stands in the way and what is reached instead. */
  readonly shortfall: string | null;
  /** Names and globs in the settings that match no layer; absent when there are none. */
  readonly unmatched?: readonly string[];
  /** For people: what was taken for a target that only a run can measure; absent when the target is counted. */
  readonly assumed?: string;
}

/** Importance of each basis of a layer under the current settings. */
export interface LayerDetail {
  readonly layer: string;
  readonly basis: 'weights' | 'activations';
  /** In the order of the basis; what the global threshold compares. */
  readonly importance: Float64Array;
  /** importance ≥ threshold is kept (before rounding to a multiple); null when overridden. */
  readonly threshold: number | null;
  /** Share of the basis's energy kept at rank r, r from 0 to full. */
  readonly energy: Float64Array;
}

export interface Check {
  readonly name: string;
  readonly passed: boolean;
  /** What was compared, the figure found and the tolerance. */
  readonly detail: string;
}

export interface BeforeAfter {
  readonly params: number;
  readonly macs: number | null;
  readonly bytes: number;
  readonly fileBytes: number;
  readonly accuracy: AccuracyFacts | null;
  readonly latency: LatencyFacts | null;
}

/** What unstructured pruning left of a layer's weight. */
export interface LayerSparsity {
  readonly layer: string;
  readonly weights: number;
  /** Weights that are not zero. */
  readonly nonZero: number;
  /** Whether its weights could become zero at all. */
  readonly pruned: boolean;
}

/** What a run did that set single weights to zero. */
export interface SparsityReport {
  /** Weights of the model that could become zero, and those of them that are left and are not. */
  readonly weights: number;
  readonly nonZero: number;
  /** ‖weights that were set to zero‖ / ‖weights‖, before they were. */
  readonly cut: number;
  /** e to the minus this is what became of a weight that took no gradient at all; null where none was to decay. */
  readonly decayExponent: number | null;
  /** Accuracy on the evaluation images before weights were set to zero, and right after; null where not measured. */
  readonly accuracy: { readonly trained: number | null; readonly masked: number | null };
  /** How the file holds the zeros. */
  readonly saved: 'dense' | 'sparse' | 'compact';
  /** Channels that were taken out as no weight was left in them; absent where none were looked for. */
  readonly idleChannels?: number;
  /** In graph order. */
  readonly layers: readonly LayerSparsity[];
}

export interface LayerLatency {
  readonly layer: string;
  /** Median milliseconds spent in the layer's node(s); null where the runtime fused them away. */
  readonly before: number | null;
  readonly after: number | null;
}

export interface RunResult {
  readonly id: string;
  readonly model: string;
  /** Where the candidate lies until it is saved. */
  readonly candidate: string;
  readonly before: BeforeAfter;
  readonly after: BeforeAfter;
  readonly layers: readonly LayerProjection[];
  readonly layerLatency: readonly LayerLatency[];
  /** Factor by which the candidate is faster, measured interleaved; null when latency was not measured. */
  readonly speedup: number | null;
  /** Why it is not faster, when it is not. */
  readonly speedupNote: string | null;
  readonly verification: readonly Check[];
  /** Absent when nothing was trained. */
  readonly training?: TrainingReport;
  /** Of a method that sets single weights to zero. */
  readonly sparsity?: SparsityReport;
  readonly seconds: number;
  readonly device: string;
  readonly warnings: readonly string[];
}

/** check: what speaks against the settings is said before the work begins. */
export type RunPhase =
  | 'read'
  | 'check'
  | 'calibrate'
  | 'decompose'
  | 'refit'
  | 'train'
  | 'write'
  | 'evaluate'
  | 'measure';

export interface Progress {
  readonly phase: RunPhase;
  /** For people: "Refitting layer2.0.conv1". */
  readonly message: string;
  /** 0 to 1 within the whole job; null when unknown. */
  readonly fraction: number | null;
  /** While training. */
  readonly training?: TrainingProgress;
}

export interface TrainingProgress {
  /** Steps done, and steps of the whole run. */
  readonly step: number;
  readonly steps: number;
  /** From 1. */
  readonly epoch: number;
  readonly epochs: number;
  /** Of this step's batch. */
  readonly loss: number;
  /** Share of this epoch's images so far that were classified as wanted; null when nothing says what is wanted. */
  readonly accuracy: number | null;
  readonly rate: number;
  /** Of late. */
  readonly imagesPerSecond: number;
  /** For the rest of the training; null until a few steps were measured. */
  readonly secondsLeft: number | null;
  /** Norm of the weights that would be set to zero now, relative to that of all; of methods that do that. */
  readonly cut?: number;
  /** Of ResRep, whenever it has changed. */
  readonly compaction?: CompactionProgress;
}

/** How far a ResRep training has come. */
export interface CompactionProgress {
  readonly layers: readonly CompactedLayer[];
  /** Channels that are masked: they are pulled to zero and nothing else moves them. */
  readonly masked: number;
  /** Multiply-accumulates without them, those wanted, and those of the whole model. */
  readonly macs: number;
  readonly target: number;
  readonly whole: number;
  /** Steps done when the target was first met; null before. */
  readonly reached: number | null;
}

/** A compactor, named after the first layer it belongs to. */
export interface CompactedLayer {
  readonly layer: string;
  readonly rows: number;
  readonly masked: number;
  /** Euclidean norm of each row, 1 at the start. */
  readonly norms: readonly number[];
}

/** How a ResRep training ended; `masked` of the layers and `macs` are those of the network that was cut. */
export interface CompactionReport extends CompactionProgress {
  /** Channels that were cut. */
  readonly cut: number;
  /** Masked rows that have vanished, and the largest norm of a masked row. */
  readonly vanished: number;
  readonly largest: number;
}

/** What a training would cost, measured before it starts. */
export interface TrainingTime {
  readonly seconds: number;
  readonly steps: number;
  readonly secondsPerStep: number;
  /** Elements of trained tensors. */
  readonly trainedParams: number;
  /** Why the training would not do what it is for, for people; absent when nothing speaks against it. */
  readonly warning?: string;
}

/** What training did, for charts and reports. */
export interface TrainingReport {
  /** Loss of every step. */
  readonly losses: readonly number[];
  readonly epochs: readonly { readonly loss: number; readonly accuracy: number | null }[];
  /** Accuracy on the evaluation images between pruning and training; null without labels. */
  readonly untrained: number | null;
  readonly seconds: number;
  readonly imagesPerSecond: number;
  /** Elements of trained tensors. */
  readonly trainedParams: number;
  /** Of ResRep. */
  readonly compaction?: CompactionReport;
}
