/**
 * Plain data about models, as it crosses process borders and as `--json` prints it.
 * Counts are numbers, sizes are bytes, times are milliseconds unless a name says otherwise.
 */

/** A graph input or output. A string is a free dimension's name ('' when it has none). */
export interface PortFacts {
  readonly name: string;
  readonly dtype: string | null;
  readonly shape: readonly (number | string)[] | null;
}

export interface ModelFacts {
  /** Absolute path of the file. */
  readonly path: string;
  readonly format: 'onnx';
  readonly irVersion: number;
  /** Version of the standard operator set; null when the model imports none. */
  readonly opset: number | null;
  readonly producer: string;
  readonly inputs: readonly PortFacts[];
  readonly outputs: readonly PortFacts[];
  readonly nodeCount: number;
  /** Size of the model file with its external data. */
  readonly fileBytes: number;
  readonly totals: Totals;
  readonly layers: readonly LayerFacts[];
  /** Sizes used for the free dimensions of the inputs, by input name; null while shapes are not known. */
  readonly shapes: Readonly<Record<string, readonly number[]>> | null;
  /** Why shapes are unknown, when they are. */
  readonly shapesReason: string | null;
  /** Things worth knowing: functions left alone, control flow, quantized weights, … */
  readonly notes: readonly string[];
}

export interface Totals {
  /** Elements of all float and quantized initializers, except BatchNormalization's running statistics. */
  readonly params: number;
  /** Multiply-accumulates at batch 1 of all layers; null when a layer's count is unknown. */
  readonly macs: number | null;
  /** Bytes of all weights. */
  readonly bytes: number;
}

export interface LayerFacts {
  /** Unique in the model; what recipes match. From the weight's name where that is readable, else the node's. */
  readonly name: string;
  /** The ONNX node's name, or its first output when it has none. */
  readonly node: string;
  readonly opType: string;
  /** Names of the enclosing control-flow nodes and branches; empty at the top level. */
  readonly path: readonly string[];
  readonly weight: {
    readonly name: string;
    readonly shape: readonly number[];
    readonly dtype: string;
    /** Operators between the stored tensor and the layer, e.g. `['DequantizeLinear']`. */
    readonly via: readonly string[];
  };
  /** Weight and bias elements. */
  readonly params: number;
  readonly bytes: number;
  readonly macs: number | null;
  readonly macsReason: string | null;
  readonly outputShape: readonly number[] | null;
  /** The weight as matrices: `blocks` of `rows` × `cols`; null when it has no matrix form. */
  readonly matrices: { readonly blocks: number; readonly rows: number; readonly cols: number } | null;
  /** min(rows, cols): the number of singular values per block; 0 without a matrix form. */
  readonly fullRank: number;
  /** Ranks strictly below this save multiply-accumulates (k·c/(k+c)); null without a matrix form. */
  readonly breakEvenRank: number | null;
  /** Why this layer can't be factorized at all; null when it can. */
  readonly reason: string | null;
}

/** Singular values of one layer's weight and what follows from them. */
export interface Spectrum {
  readonly layer: string;
  /**
   * Descending. For a layer of several blocks (groups): the root mean square over the blocks at each index,
   * since all blocks keep the same rank.
   */
  readonly singularValues: Float64Array;
  /** The raw values, block after block; the same array as `singularValues` for one block. */
  readonly blockValues: Float64Array;
  readonly blocks: number;
  /** energy[r] = Σ_{j≤r} σ² / Σ σ², j and r from 0: what rank r + 1 keeps; the last entry is 1. */
  readonly energy: Float64Array;
  /** exp of the entropy of σ/Σσ (Roy & Vetterli, 2007). */
  readonly effectiveRank: number;
  /** ‖W‖²_F / σ₁². */
  readonly stableRank: number;
  /** σ₁ / σ_min; Infinity when rank-deficient. */
  readonly condition: number;
  /** Largest singular value that a random matrix with the bulk's noise level would have. */
  readonly marchenkoPasturEdge: number;
  /** Singular values below this are rounding noise. */
  readonly noiseFloor: number;
}

export interface AccuracyFacts {
  readonly images: number;
  /** Images that could not be decoded: how many, and the first few names. */
  readonly skipped: { readonly count: number; readonly names: readonly string[] };
  /** 0 to 1; null without labels. */
  readonly accuracy: number | null;
  readonly top5: number | null;
  /** 95 % Wilson interval of the accuracy. */
  readonly confidence: readonly [number, number] | null;
  /** Mean cross-entropy; null without labels. */
  readonly loss: number | null;
  /** Every class the model tells apart, by name where the dataset has one. */
  readonly classes: readonly string[];
  /** confusion[actual * classes.length + predicted]; empty without labels, and for too many classes. */
  readonly confusion: Uint32Array;
  readonly device: string;
  /** One line for people: what was done to the images. */
  readonly preprocessing: string;
  /** Set when the accuracy is near chance: the preprocessing is probably wrong. */
  readonly warning: string | null;
}

export interface LatencyFacts {
  /** Milliseconds per run. */
  readonly median: number;
  /** Interquartile range, milliseconds. */
  readonly iqr: number;
  readonly batch: number;
  readonly repetitions: number;
  readonly device: string;
  readonly threads: number;
}

export interface DeviceFacts {
  readonly id: 'cpu' | 'webgpu' | 'cuda' | 'directml' | 'coreml';
  readonly name: string;
  readonly available: boolean;
  /** Why it is not available, or what to know about it. */
  readonly note: string | null;
}

/** How raw images become the model's input. */
export interface Preprocessing {
  /** [height, width] after resizing; null leaves the size. */
  readonly resize: readonly [number, number] | null;
  readonly crop: readonly [number, number] | null;
  /** Pixel values (0 to 255) are multiplied by this before mean and std apply. */
  readonly scale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly layout: 'NCHW' | 'NHWC';
  readonly channels: 'RGB' | 'BGR' | 'gray';
}

export interface DatasetFacts {
  readonly path: string;
  readonly kind: 'folders' | 'cifar' | 'idx' | 'numpy' | 'csv';
  readonly images: number;
  readonly labelled: boolean;
  /** Class names, or numbers as text when the data has none. */
  readonly classes: readonly string[];
  /** [channels, height, width] of a stored image; null when images differ. */
  readonly imageShape: readonly [number, number, number] | null;
  readonly preprocessing: Preprocessing;
  /** Whether the preprocessing was given by the user's file or guessed from the model's input. */
  readonly preprocessingSource: 'given' | 'guessed';
  /** The preprocessing in one line. */
  readonly summary: string;
  readonly warnings: readonly string[];
}
