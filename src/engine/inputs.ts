/**
 * A dataset made ready for one model: preprocessing chosen (given, or the usual one that scores best on a few labelled
 * images), batches in the model's own size and type.
 */
import { type Augmentation, augmenter, epochOrder, mixImages } from '../data/augment';
import { type Batch, batches, chooseIndices } from '../data/batches';
import { cached } from '../data/cache';
import { type Dataset, SkipLog } from '../data/dataset';
import { candidatePreprocessings, datasetFacts, guessPreprocessing, likeliest } from '../data/guess';
import { ClassifierScore, type Score } from '../data/metrics';
import { summarize } from '../data/normalization';
import { openDataset } from '../data/open';
import { inputsNotOneImage } from '../errors';
import type { DatasetFacts, PortFacts, Preprocessing } from '../protocol/facts';
import type { PreprocessingInput } from '../protocol/recipe';
import { createSession, type Session } from '../runtime/session';
import type { InputShapes } from '../runtime/shapes';
import { fromFloat, type Tensor, toFloat32 } from '../tensor/tensor';
import type { OpenedModel } from './models';

export interface FeedBatch {
  readonly feeds: Readonly<Record<string, Tensor>>;
  /** One per image; null without labels. */
  readonly labels: Int32Array | null;
  /** Images; a model with a fixed batch may get more rows than this, filled with zeros. */
  readonly count: number;
}

export interface Inputs {
  readonly dataset: Dataset;
  readonly facts: DatasetFacts;
  /** Name of the model's image input. */
  readonly input: string;
  /** Shape of one batch of one. */
  readonly shape: readonly number[];
  /** Images per batch. */
  readonly batch: number;
  /** The model's own batch size; null when it takes any. */
  readonly fixedBatch: number | null;
  /** [height, width] of the images as the model sees them. */
  readonly imageSize: readonly [number, number];
  readonly skips: SkipLog;
  batches(options: FeedOptions): AsyncGenerator<FeedBatch, void, undefined>;
  /** One epoch of training: every image once, in an order and with changes that follow from seed and epoch. */
  epoch(options: EpochOptions): AsyncGenerator<FeedBatch & { readonly taken: number }, void, undefined>;
  /** The same as `batches`, without labels; where the batch is fixed, without a last one that is not full. */
  feeds(options: FeedOptions): AsyncGenerator<Readonly<Record<string, Tensor>>, void, undefined>;
  close(): Promise<void>;
}

export interface FeedOptions {
  /** At most this many images; all when absent. */
  readonly count?: number;
  readonly seed?: number;
  readonly signal?: AbortSignal;
}

export interface EpochOptions {
  /** From 0. */
  readonly epoch: number;
  readonly seed: number;
  /** Images per batch; the model's own batch size where that is fixed. */
  readonly batch: number;
  /** Train on so many of the images, chosen with the seed. */
  readonly images?: number;
  /** How many images of the epoch's order to leave out: an earlier run had them. */
  readonly taken: number;
  readonly augmentation: Augmentation;
  readonly signal: AbortSignal;
}

/** Images on which candidate preprocessings are compared. */
const TRIAL_IMAGES = 256;
/** Elements of a batch of inputs: about 100 images of 32×32. */
const BATCH_ELEMENTS = 100 * 3 * 32 * 32;

const chosen = new Map<string, Preprocessing>();

export interface InputOptions {
  readonly preprocessing?: PreprocessingInput;
  /** The model was not trained on these labels: they can't tell which preprocessing it expects. */
  readonly isForeign?: boolean;
  /** Choosing a preprocessing takes seconds. */
  readonly signal?: AbortSignal;
}

/** @throws UserError `inputs-not-one-image` and everything that opening a dataset throws */
export async function openInputs(
  opened: OpenedModel,
  dataPath: string,
  { preprocessing: given, isForeign = false, signal }: InputOptions = {},
): Promise<Inputs> {
  const port = imageInput(opened);
  const dataset = await openDataset(dataPath);
  try {
    const guess = guessPreprocessing(port, dataset, given);
    const preprocessing =
      guess.source === 'given' || !dataset.labelled || isForeign
        ? guess.preprocessing
        : await choosePreprocessing(opened, port, dataset, given, signal);
    return prepared(
      port,
      dataset,
      preprocessing,
      datasetFacts(dataset, { ...guess, preprocessing, summary: summarize(preprocessing) }),
    );
  } catch (error) {
    await dataset.close();
    throw error;
  }
}

/** Sizes to run a model of images with: those of the settings, else those of the data. */
export function givenShapes(
  { shapes }: OpenedModel,
  { input, shape }: Inputs,
  settings: { readonly shapes?: InputShapes },
): InputShapes | undefined {
  return settings.shapes ?? (shapes.inputs ? { [input]: shape } : undefined);
}

/** A dataset without a model: what it holds, and the preprocessing its images suggest. */
export async function datasetAlone(dataPath: string, given?: PreprocessingInput): Promise<DatasetFacts> {
  const dataset = await openDataset(dataPath);
  try {
    return datasetFacts(dataset, guessPreprocessing(null, dataset, given));
  } finally {
    await dataset.close();
  }
}

/** The model's only input, as an image; free sizes filled with what the shapes were found for. */
function imageInput({ facts, model }: OpenedModel): PortFacts {
  const [port, ...others] = facts.inputs;
  if (!port || others.length)
    throw inputsNotOneImage({ path: model.path, found: facts.inputs.map((input) => input.name) });
  return port;
}

function prepared(port: PortFacts, dataset: Dataset, preprocessing: Preprocessing, facts: DatasetFacts): Inputs {
  const skips = new SkipLog();
  const fixed = typeof port.shape?.[0] === 'number' && port.shape[0] > 0 ? port.shape[0] : null;
  const [height, width] = preprocessing.crop ?? preprocessing.resize ?? dataset.imageShape?.slice(1) ?? [224, 224];
  const channels = preprocessing.channels === 'gray' ? 1 : 3;
  const shape =
    preprocessing.layout === 'NCHW'
      ? [1, channels, height as number, width as number]
      : [1, height as number, width as number, channels];
  const elements = channels * (height as number) * (width as number);
  const batch = fixed ?? Math.max(1, Math.min(100, Math.floor(BATCH_ELEMENTS / elements)));
  async function* all({ count, seed = 0, signal }: FeedOptions): AsyncGenerator<FeedBatch, void, undefined> {
    for await (const made of batches(dataset, { preprocessing, batch, limit: count, seed, skips, signal })) {
      yield { feeds: { [port.name]: inputTensor(made, port, fixed) }, labels: made.labels, count: made.count };
    }
  }
  let kept: Dataset | null = null;
  async function* epoch(options: EpochOptions): AsyncGenerator<FeedBatch & { taken: number }, void, undefined> {
    const { seed, taken, signal } = options;
    const size = fixed ?? options.batch;
    kept ??= cached(dataset, preprocessing.resize);
    const order = epochOrder(trainingImages(dataset, options), seed, options.epoch);
    const augment = augmenter(options.augmentation, preprocessing, seed, options.epoch);
    const indices = order.subarray(taken);
    for await (const made of batches(kept, { preprocessing, batch: size, indices, augment, skips, signal })) {
      // A program of fixed batch size can't be told that some rows do not count.
      if (fixed && made.count < fixed) return;
      const end = taken + made.taken;
      if (options.augmentation.mix) mixImages(made.images, made.count, seed, options.epoch, end);
      const feeds = { [port.name]: inputTensor(made, port, fixed) };
      yield { feeds, labels: made.labels, count: made.count, taken: end };
    }
  }
  return {
    dataset,
    facts,
    epoch,
    input: port.name,
    shape,
    batch,
    fixedBatch: fixed,
    imageSize: [height, width],
    skips,
    batches: all,
    async *feeds(options) {
      let isFirst = true;
      for await (const { feeds, count } of all(options)) {
        // A fixed batch that was filled up would tell of images that are not there.
        if (fixed && count < fixed && !isFirst) return;
        isFirst = false;
        yield feeds;
      }
    },
    close: () => dataset.close(),
  };
}

/** Numbers of the images to train on. */
function trainingImages({ length }: Dataset, { images, seed }: Pick<EpochOptions, 'images' | 'seed'>): Uint32Array {
  return chooseIndices({ length }, { limit: images, seed });
}

/** A batch in the input's type, filled up to the model's fixed batch. */
function inputTensor({ images, dims, count }: Batch, { dtype }: PortFacts, fixed: number | null): Tensor {
  const [, ...image] = dims;
  const shape = [fixed ?? count, ...image];
  let values = images;
  if (fixed && fixed > count) {
    values = new Float32Array((images.length / count) * fixed);
    values.set(images);
  }
  if (dtype === 'uint8') return { dtype, dims: shape, data: Uint8Array.from(values) };
  return fromFloat(values, dtype === 'float16' || dtype === 'float64' ? dtype : 'float32', shape);
}

/** Of the usual preprocessings, the likeliest that does as well as any on a few images. */
async function choosePreprocessing(
  opened: OpenedModel,
  port: PortFacts,
  dataset: Dataset,
  given: PreprocessingInput | undefined,
  signal: AbortSignal | undefined,
): Promise<Preprocessing> {
  const key = JSON.stringify([opened.model.path, opened.stamp, dataset.path, given ?? null]);
  const known = chosen.get(key);
  if (known) return known;
  const candidates = candidatePreprocessings(port, dataset, given).map(({ preprocessing }) => preprocessing);
  const scores: Score[] = [];
  const session = await createSession(opened.model.path, { label: opened.model.path });
  try {
    for (const preprocessing of candidates) {
      const facts = datasetFacts(dataset, { preprocessing, summary: '', source: 'guessed' });
      const inputs = prepared(port, dataset, preprocessing, facts);
      const count = inputs.batch >= 32 ? TRIAL_IMAGES : TRIAL_IMAGES / 4;
      const score = await scoreOf(session, inputs, { count, signal });
      if (score) scores.push(score);
    }
  } finally {
    await session.release();
  }
  const found = candidates[Math.max(0, likeliest(scores))] as Preprocessing;
  chosen.set(key, found);
  return found;
}

/** Runs a classifier over labelled images and scores its first output that has one row per image. */
export async function scoreOf(
  session: Session,
  inputs: Inputs,
  options: FeedOptions & { onBatch?: (images: number) => void },
): Promise<Score | null> {
  const score = new ClassifierScore();
  const output = session.outputNames[0] as string;
  let done = 0;
  for await (const { feeds, labels, count } of inputs.batches(options)) {
    options.signal?.throwIfAborted();
    const logits = toFloat32((await session.run(feeds, [output]))[output] as Tensor);
    const rows = (feeds[inputs.input] as Tensor).dims[0] as number;
    if (labels) score.add(logits.subarray(0, (logits.length / rows) * count), labels);
    done += count;
    options.onBatch?.(done);
  }
  return score.result();
}
