/**
 * Guesses how a model wants its images. The input's shape gives size, layout and channel count; which mean and std a
 * model was trained with cannot be seen, so the usual ones are offered in order of likelihood for someone who has
 * labelled images to try.
 */
import { inputNotImage } from '../errors';
import type { DatasetFacts, PortFacts, Preprocessing } from '../protocol/facts';
import type { PreprocessingInput } from '../protocol/recipe';
import type { Dataset } from './dataset';
import type { Score } from './metrics';
import { byte, normalizations, summarize } from './normalization';

type SeenImages = Pick<Dataset, 'imageShape' | 'values' | 'encoded' | 'preprocessing'>;

export interface Candidate {
  /** What its mean and std are known as. */
  readonly name: string;
  readonly preprocessing: Preprocessing;
}

export interface Guess {
  readonly preprocessing: Preprocessing;
  /** The preprocessing in one line. */
  readonly summary: string;
  /** `given` when the user gave any of the numbers that cannot be seen in the model. */
  readonly source: 'given' | 'guessed';
}

/**
 * The likeliest preprocessing, with what the dataset file and the user say put in its place.
 *
 * @param port the model's image input; null without a model, where images keep their size
 * @param override wins over the dataset file
 * @throws UserError `input-not-image`
 */
export function guessPreprocessing(port: PortFacts | null, dataset: SeenImages, override?: PreprocessingInput): Guess {
  const { scale, mean, std } = givenOf(dataset, override);
  const [{ preprocessing }] = candidatePreprocessings(port, dataset, override);
  const told = scale !== undefined || mean !== undefined || std !== undefined;
  return { preprocessing, summary: summarize(preprocessing), source: told ? 'given' : 'guessed' };
}

/**
 * Preprocessings to try for a model input on a dataset, likeliest first; at least one. They differ in the scale, mean,
 * std and channel order that nobody gave.
 *
 * @throws UserError `input-not-image`
 */
export function candidatePreprocessings(
  port: PortFacts | null,
  dataset: SeenImages,
  override?: PreprocessingInput,
): Candidate[] {
  const given = givenOf(dataset, override);
  const distinct = new Map<string, Candidate>();
  for (const { name, preprocessing } of usualPreprocessings(port, dataset)) {
    // A resize of the user's is final: a crop that was guessed for another size does not apply to it.
    const crop = given.resize === undefined ? preprocessing.crop : null;
    const complete = { ...preprocessing, crop, ...given };
    const key = JSON.stringify(complete);
    if (!distinct.has(key)) distinct.set(key, { name, preprocessing: complete });
  }
  return [...distinct.values()];
}

/**
 * Of candidates that were scored on the same images, the first that could be as good as the best: usual means and
 * stds differ too little for a few hundred images to tell them apart, and then the likelier one is right more often.
 *
 * @returns its index; −1 without scores
 */
export function likeliest(scores: readonly Pick<Score, 'accuracy' | 'confidence'>[]): number {
  const best = scores.reduce((most, { accuracy }) => Math.max(most, accuracy), 0);
  return scores.findIndex(({ confidence }) => confidence[1] >= best);
}

function givenOf(dataset: SeenImages, override: PreprocessingInput = {}): PreprocessingInput {
  const said = [...Object.entries(dataset.preprocessing ?? {}), ...Object.entries(override)];
  return Object.fromEntries(said.filter(([, value]) => value !== undefined));
}

function usualPreprocessings(port: PortFacts | null, dataset: SeenImages): Candidate[] {
  const input = port ? imageInput(port) : inputOfImages(dataset);
  const gray = input.channels === 1;
  const channels = gray ? 'gray' : 'RGB';
  const common = { ...guessGeometry(input, dataset), layout: input.layout, channels } as const;
  // Floats that are not pixels were normalized by whoever wrote them.
  if (dataset.values === 'free' || input.bytes)
    return [{ name: 'as they are', preprocessing: { ...common, scale: 1, mean: [0], std: [1] } }];
  const large = (input.height ?? defaultSize) >= largeSide;
  return normalizations
    .filter((normalization) => normalization.fits({ gray, large, side: input.height }))
    .map(({ name, scale, mean, std, channels: order = channels }) => ({
      name,
      // Floats from 0 to 1 were divided by 255 already.
      preprocessing: { ...common, scale: dataset.values === 'unit' ? scale / byte : scale, mean, std, channels: order },
    }));
}

/** What there is to know about a dataset before it is used. */
export function datasetFacts(dataset: Dataset, guess: Guess): DatasetFacts {
  return {
    path: dataset.path,
    kind: dataset.kind,
    images: dataset.length,
    labelled: dataset.labelled,
    classes: dataset.classes,
    imageShape: dataset.imageShape,
    preprocessing: guess.preprocessing,
    preprocessingSource: guess.source,
    summary: guess.summary,
    warnings: dataset.warnings,
  };
}

interface ImageInput {
  readonly layout: Preprocessing['layout'];
  readonly channels: 1 | 3;
  /** null where the model leaves it open. */
  readonly height: number | null;
  readonly width: number | null;
  /** The model takes bytes and normalizes them itself. */
  readonly bytes: boolean;
}

/** What image classifiers mostly take; used where neither model nor data says. */
const defaultSize = 224;
/** From this side on models are trained on photographs, of which the centre is cut out. */
const largeSide = 160;
/** The share of the resized image that such a cut keeps. */
const cropShare = 0.875;

/** Reads an input's shape as images. An axis of 1 or 3 is the channels; where both could be, NCHW, ONNX's own order. */
function imageInput({ name, shape, dtype }: PortFacts): ImageInput {
  const notImage = () => inputNotImage({ name, shape: shape ? `[${shape.join(', ')}]` : 'unknown' });
  if (shape?.length !== 4) throw notImage();
  const [, second, , last] = shape;
  const isChannels = (size: number | string): size is 1 | 3 => size === 1 || size === 3;
  const size = (axis: number) => (typeof shape[axis] === 'number' && shape[axis] > 0 ? shape[axis] : null);
  const bytes = dtype === 'uint8';
  if (isChannels(second)) return { layout: 'NCHW', channels: second, height: size(2), width: size(3), bytes };
  if (isChannels(last)) return { layout: 'NHWC', channels: last, height: size(1), width: size(2), bytes };
  if (typeof second === 'number') throw notImage();
  return { layout: 'NCHW', channels: 3, height: size(2), width: size(3), bytes };
}

function inputOfImages({ imageShape }: SeenImages): ImageInput {
  const channels = imageShape?.[0] === 1 ? 1 : 3;
  return { layout: 'NCHW', channels, height: imageShape?.[1] ?? null, width: imageShape?.[2] ?? null, bytes: false };
}

function guessGeometry({ height, width }: ImageInput, dataset: SeenImages): Pick<Preprocessing, 'resize' | 'crop'> {
  const stored = dataset.imageShape;
  const target: [number, number] = [height ?? stored?.[1] ?? defaultSize, width ?? stored?.[2] ?? defaultSize];
  const fits = stored !== null && stored[1] === target[0] && stored[2] === target[1];
  // Of image files only a sample was looked at, so that even a fitting size is asked for.
  if (fits) return { resize: dataset.encoded ? target : null, crop: null };
  if (Math.min(...target) < largeSide) return { resize: target, crop: null };
  return { resize: [Math.round(target[0] / cropShare), Math.round(target[1] / cropShare)], crop: target };
}
