/**
 * Guesses how a model wants its images. The input's shape gives size, layout and channel count; which mean and std a
 * model was trained with cannot be seen, so the usual ones are offered in order of likelihood for someone who has
 * labelled images to try.
 */
import { inputNotImage } from '../errors';
import type { DatasetFacts, PortFacts, Preprocessing } from '../protocol/facts';
import type { PreprocessingInput } from '../protocol/recipe';
import type { Dataset } from './dataset';
import { byte, normalizations, summarize } from './normalization';

type SeenImages = Pick<Dataset, 'imageShape' | 'values' | 'encoded'>;

export interface Candidate {
  /** What its mean and std are known as. */
  readonly name: string;
  readonly preprocessing: Preprocessing;
}

/**
 * Preprocessings to try for a model input on a dataset, likeliest first; at least one. They differ in scale, mean,
 * std and channel order only.
 *
 * @param port the model's image input; null without a model, where images keep their size
 * @throws UserError `input-not-image`
 */
export function candidatePreprocessings(port: PortFacts | null, dataset: SeenImages): Candidate[] {
  const input = port ? imageInput(port) : inputOfImages(dataset);
  const geometry = guessGeometry(input, dataset);
  const gray = input.channels === 1;
  const channels = gray ? 'gray' : 'RGB';
  const large = (input.height ?? defaultSize) >= largeSide;
  const known = normalizations.filter((n) => n.fits({ gray, large, side: input.height }));
  // Floats that are not pixels were normalized by whoever wrote them.
  if (dataset.values === 'free' || input.bytes)
    return [{ name: 'as they are', preprocessing: { ...geometry, ...asTheyAre, layout: input.layout, channels } }];
  return known.map(({ name, scale, mean, std, channels: order }) => ({
    name,
    preprocessing: {
      ...geometry,
      // Floats from 0 to 1 were divided by 255 already.
      scale: dataset.values === 'unit' ? scale / byte : scale,
      mean,
      std,
      layout: input.layout,
      channels: order ?? channels,
    },
  }));
}

export interface Guess {
  readonly preprocessing: Preprocessing;
  /** The preprocessing in one line. */
  readonly summary: string;
  readonly source: 'given' | 'guessed';
}

/**
 * The likeliest preprocessing, with what the user gave put in its place. `given` when the user gave any of the
 * numbers that cannot be seen in the model.
 *
 * @throws UserError `input-not-image`
 */
export function guessPreprocessing(
  port: PortFacts | null,
  dataset: SeenImages & Pick<Dataset, 'preprocessing'>,
  override?: PreprocessingInput,
): Guess {
  const given = withoutUndefined({ ...dataset.preprocessing, ...withoutUndefined(override ?? {}) });
  const preprocessing: Preprocessing = { ...candidatePreprocessings(port, dataset)[0].preprocessing, ...given };
  // A resize of the user's is final: the crop that was guessed with another size does not apply to it.
  const sized =
    given.resize !== undefined && given.crop === undefined ? { ...preprocessing, crop: null } : preprocessing;
  const told = given.scale !== undefined || given.mean !== undefined || given.std !== undefined;
  return { preprocessing: sized, summary: summarize(sized), source: told ? 'given' : 'guessed' };
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

const asTheyAre = { scale: 1, mean: [0], std: [1] };

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

function withoutUndefined(input: PreprocessingInput): PreprocessingInput {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
}
