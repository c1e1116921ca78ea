/**
 * Batches of model inputs from a dataset: chosen and shuffled with a seed, decoded ahead while the consumer works.
 * At most `prefetch` + 2 batches are in memory at a time.
 */
import { imageSizesDiffer, noReadableImages } from '../errors';
import { seededRandom } from '../linalg/random';
import type { Preprocessing } from '../protocol/facts';
import { type Dataset, SkipLog } from './dataset';
import { checkCancelled } from './limit';
import { type FittedImage, makePreprocessor, type Preprocessor } from './preprocess';

export interface Batch {
  /** [count, C, H, W] or [count, H, W, C]; the consumer owns it. */
  readonly images: Float32Array;
  readonly dims: readonly [number, number, number, number];
  /** One per image; null for a dataset without labels. */
  readonly labels: Int32Array | null;
  /** At least 1. Every batch but the last is full: images that can't be read are made up for by later ones. */
  readonly count: number;
  /** Images of the order that were taken up to and with this batch, unreadable ones included. */
  readonly taken: number;
}

export interface BatchOptions {
  readonly preprocessing: Preprocessing;
  /** Images per batch. */
  readonly batch: number;
  /** Which images; all when absent. */
  readonly indices?: ArrayLike<number>;
  /** Take this many of them, chosen with the seed. */
  readonly limit?: number;
  /** Default 0. */
  readonly seed?: number;
  /** Random order, from the seed; otherwise by index. */
  readonly shuffle?: boolean;
  /** Changes a preprocessed image, C·H·W floats in the model's layout, in place. */
  readonly augment?: Augment;
  /** Batches made ahead; default 1. */
  readonly prefetch?: number;
  /** Collects the images that could not be read. */
  readonly skips?: SkipLog;
  readonly signal?: AbortSignal;
}

/** @param index the image's number in the dataset */
export type Augment = (image: Float32Array, shape: readonly [c: number, h: number, w: number], index: number) => void;

/**
 * @throws UserError `no-readable-images` when every image failed, `image-sizes-differ` when images end up with
 *   different sizes, `preprocessing-invalid`, `cancelled`
 */
export async function* batches(dataset: Dataset, options: BatchOptions): AsyncGenerator<Batch, void, undefined> {
  const { prefetch = 1, skips = new SkipLog() } = options;
  const preprocessor = makePreprocessor(options.preprocessing);
  const order = chooseIndices(dataset, options);
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const loader = new Loader(dataset, order, preprocessor, options, skips, signal);
  const ahead: Promise<Batch | null>[] = [];
  let yielded = false;
  try {
    for (;;) {
      while (ahead.length <= prefetch) ahead.push(loader.next());
      const ready = await ahead.shift()!;
      checkCancelled(options.signal);
      if (!ready) break;
      yielded = true;
      yield ready;
    }
    if (!yielded && skips.count > 0) throw noReadableImages({ path: dataset.path, first: skips.names[0] });
  } finally {
    // The consumer may have left early: nothing may go on reading from a dataset that it is about to close.
    stop.abort();
    await Promise.allSettled(ahead);
  }
}

/** The images to take, in the order to take them. */
export function chooseIndices(
  dataset: Pick<Dataset, 'length'>,
  { indices, limit, seed = 0, shuffle = false }: Pick<BatchOptions, 'indices' | 'limit' | 'seed' | 'shuffle'>,
): Uint32Array {
  const all = indices ? Uint32Array.from(indices) : Uint32Array.from({ length: dataset.length }, (_, i) => i);
  const fewer = limit !== undefined && limit < all.length;
  // Images are often sorted by class: the first ones of such data would all be of one class.
  if (shuffle || fewer) seededRandom(seed).shuffle(all);
  const taken = fewer ? all.slice(0, limit) : all;
  return shuffle || !fewer ? taken : taken.sort();
}

/** Makes one batch after the other; calls queue up. */
class Loader {
  #position = 0;
  /** [C, H, W] of the images so far. */
  #shape: readonly [number, number, number] | null = null;
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly dataset: Dataset,
    private readonly order: Uint32Array,
    private readonly preprocessor: Preprocessor,
    private readonly options: Pick<BatchOptions, 'batch' | 'augment'>,
    private readonly skips: SkipLog,
    private readonly signal: AbortSignal,
  ) {}

  /** The next batch; null after the last. */
  next(): Promise<Batch | null> {
    const made = this.#last.then(() => this.#make());
    this.#last = made;
    // A failure is met by whoever awaits this batch; until then it must not count as unhandled.
    made.catch(() => {});
    return made;
  }

  async #make(): Promise<Batch | null> {
    const { batch, augment } = this.options;
    let images: Float32Array | null = null;
    const labels = new Int32Array(batch);
    let count = 0;
    let elements = 0;
    while (count < batch && this.#position < this.order.length) {
      checkCancelled(this.signal);
      const wanted = this.order.subarray(this.#position, this.#position + batch - count);
      this.#position += wanted.length;
      const size = this.preprocessor.decodeSize;
      const samples = await this.dataset.read(wanted, { size, signal: this.signal });
      this.skips.add(samples.skipped);
      const skipped = new Set(samples.skipped.map(({ index }) => index));
      const read = wanted.filter((index) => !skipped.has(index));
      samples.images.forEach((image, i) => {
        const fitted = this.preprocessor.fit(image, this.dataset.path);
        this.#checkShape(fitted);
        elements = this.#shape!.reduce((a, b) => a * b, 1);
        images ??= new Float32Array(batch * elements);
        this.preprocessor.write(fitted, images, count * elements);
        augment?.(images.subarray(count * elements, (count + 1) * elements), this.#shape!, read[i]);
        if (samples.labels) labels[count] = samples.labels[i];
        count += 1;
      });
    }
    if (!images || !this.#shape) return null;
    const taken = this.#position;
    const [c, h, w] = this.#shape;
    const nchw = this.preprocessor.preprocessing.layout === 'NCHW';
    return {
      images: (images as Float32Array).subarray(0, count * elements),
      dims: nchw ? [count, c, h, w] : [count, h, w, c],
      labels: this.dataset.labelled ? labels.subarray(0, count) : null,
      count,
      taken,
    };
  }

  #checkShape({ height, width }: FittedImage): void {
    this.#shape ??= [this.preprocessor.channels, height, width];
    const [, h, w] = this.#shape;
    if (height !== h || width !== w)
      throw imageSizesDiffer({ name: this.dataset.path, found: `${height}×${width}`, expected: `${h}×${w}` });
  }
}
