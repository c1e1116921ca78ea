/**
 * What a dataset is to the rest of Espalier: images that can be read by index, with or without labels.
 * Nothing is held in memory but labels and, for image files, their names; images are read when asked for.
 */
import type { DatasetFacts } from '../protocol/facts';
import type { DatasetFile, PreprocessingInput } from '../protocol/recipe';

export type Split = NonNullable<DatasetFile['split']>;

/** One image as stored, before preprocessing. */
export interface DecodedImage {
  /** Row-major. Bytes are 0 to 255. */
  readonly data: Uint8Array | Float32Array;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** CHW: one plane per channel; HWC: channels interleaved. */
  readonly layout: 'CHW' | 'HWC';
}

export interface SkippedImage {
  readonly index: number;
  readonly name: string;
  readonly reason: string;
}

export interface Samples {
  /** The images that could be read, in the order asked for. */
  readonly images: readonly DecodedImage[];
  /** One label per image of `images`; null for a dataset without labels. */
  readonly labels: Int32Array | null;
  readonly skipped: readonly SkippedImage[];
}

/**
 * How far image files may be shrunk while they are decoded, to save memory and time. Smaller images and those stored
 * as arrays keep their size.
 */
export interface DecodeSize {
  readonly height: number;
  readonly width: number;
  /** `fill` shrinks to this size; `outside` keeps the aspect ratio and covers it. */
  readonly fit: 'fill' | 'outside';
}

export interface ReadOptions {
  readonly size?: DecodeSize | null;
  readonly signal?: AbortSignal;
}

export interface Dataset {
  readonly kind: DatasetFacts['kind'];
  /** Absolute path that was opened. */
  readonly path: string;
  readonly length: number;
  readonly labelled: boolean;
  /** Names in label order; empty without labels. */
  readonly classes: readonly string[];
  /** One label per image; null without labels. */
  readonly labels: Int32Array | null;
  /** [channels, height, width] when all images (of image files: a sample of them) agree, else null. */
  readonly imageShape: readonly [number, number, number] | null;
  /** `bytes`: 0 to 255; `unit`: floats within 0 to 1; `free`: other floats, taken as they are. */
  readonly values: 'bytes' | 'unit' | 'free';
  /** Whether images are encoded files (PNG, JPEG, …), whose sizes may differ. */
  readonly encoded: boolean;
  /** What the dataset file says about preprocessing; null when it says nothing. */
  readonly preprocessing: PreprocessingInput | null;
  /** Things the user should know, e.g. files that were left out. */
  readonly warnings: readonly string[];
  /** How an image is called in messages. */
  nameOf(index: number): string;
  /** Reads images by index. A corrupt image is reported in `skipped` and does not stop the others. */
  read(indices: ArrayLike<number>, options?: ReadOptions): Promise<Samples>;
  /** Closes files and deletes temporary ones. */
  close(): Promise<void>;
}

export interface OpenOptions {
  /** Labels file of `.npy` or IDX images; found by its name when not given. */
  readonly labels?: string;
  /**
   * Which part to read where a folder or archive holds training and test data. Without it the test part is read,
   * and a warning says so.
   */
  readonly split?: Split;
  /** Class names in label order. */
  readonly classes?: readonly string[];
  /** Class name or label text → index of the model's output. */
  readonly labelMap?: Readonly<Record<string, number>>;
  /** Compressed data is unpacked to a temporary file, up to this many bytes. */
  readonly maxUnpackedBytes?: number;
  readonly signal?: AbortSignal;
}

/** Counts the images that could not be read and keeps the first few names. */
export class SkipLog {
  count = 0;
  /** The first few, as "name: reason". */
  readonly names: string[] = [];
  static readonly namesKept = 10;

  add(skipped: Iterable<SkippedImage>): void {
    for (const { name, reason } of skipped) {
      this.count += 1;
      if (this.names.length < SkipLog.namesKept) this.names.push(`${name}: ${reason}`);
    }
  }
}
