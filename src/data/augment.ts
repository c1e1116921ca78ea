/**
 * Augmentation of training images: a random crop after padding, and random horizontal flips. What happens to an image
 * follows from the seed, the epoch and the image's number alone, so that it does not matter who prepares it, or when.
 */
import { seededRandom } from '../linalg/random';
import type { Preprocessing } from '../protocol/facts';
import type { Augment } from './batches';

export interface Augmentation {
  /** Pixels of padding on every side, out of which a window of the image's size is cut. */
  readonly crop: number;
  /** Whether every other image is mirrored left to right. */
  readonly flip: boolean;
  /** Whether every image is mixed with another of its batch. */
  readonly mix: boolean;
}

/** @returns undefined when nothing is to be changed */
export function augmenter(
  { crop, flip }: Pick<Augmentation, 'crop' | 'flip'>,
  { mean, std, layout }: Preprocessing,
  seed: number,
  epoch: number,
): Augment | undefined {
  if (crop === 0 && !flip) return undefined;
  let scratch = new Float32Array(0);
  return (image, [channels, height, width], index) => {
    const random = seededRandom(mixed(seed, epoch, index));
    const top = crop === 0 ? 0 : random.index(2 * crop + 1) - crop;
    const left = crop === 0 ? 0 : random.index(2 * crop + 1) - crop;
    const mirrors = flip && random.index(2) === 1;
    if (top === 0 && left === 0 && !mirrors) return;
    if (scratch.length !== image.length) scratch = new Float32Array(image.length);
    scratch.set(image);
    const planar = layout === 'NCHW';
    const [pixelStep, planeStep] = planar ? [1, height * width] : [channels, 1];
    for (let c = 0; c < channels; c++) {
      // Padding is black: what a pixel of 0 becomes.
      const black = -mean[mean.length === 1 ? 0 : c] / std[std.length === 1 ? 0 : c];
      for (let y = 0; y < height; y++) {
        const sourceY = y + top;
        for (let x = 0; x < width; x++) {
          const sourceX = (mirrors ? width - 1 - x : x) + left;
          const inside = sourceY >= 0 && sourceY < height && sourceX >= 0 && sourceX < width;
          image[c * planeStep + (y * width + x) * pixelStep] = inside
            ? scratch[c * planeStep + (sourceY * width + sourceX) * pixelStep]
            : black;
        }
      }
    }
  };
}

/**
 * Mixes each image of a batch with another one, in any proportion (mixup: Zhang et al., ICLR 2018). For a network that
 * learns from another one, which sees the same mixtures, few images become many (Beyer et al., CVPR 2022).
 * @param images of the batch, one after another; changed in place
 * @param batch any number that tells the batches of an epoch apart
 */
export function mixImages(images: Float32Array, count: number, seed: number, epoch: number, batch: number): void {
  const random = seededRandom(mixed(seed, epoch, -2 - batch));
  const partners = random.shuffle(Uint32Array.from({ length: count }, (_, i) => i));
  const unmixed = images.slice();
  const size = images.length / count;
  for (let i = 0; i < count; i++) {
    const share = random.uniform();
    const [own, other] = [i * size, partners[i] * size];
    for (let e = 0; e < size; e++) images[own + e] = share * unmixed[own + e] + (1 - share) * unmixed[other + e];
  }
}

/** Numbers of images and epochs are small and alike; their seeds must not be (finalizer of MurmurHash3). */
function mixed(seed: number, epoch: number, index: number): number {
  const step = (hash: number, value: number): number => {
    let h = Math.imul(hash ^ value, 0x9e3779b1);
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return h ^ (h >>> 16);
  };
  return step(step(step(0x2545f491, seed), epoch), index);
}

/** The images in the order of an epoch. @param images their numbers; left as they are */
export function epochOrder(images: Uint32Array, seed: number, epoch: number): Uint32Array {
  return seededRandom(mixed(seed, epoch, -1)).shuffle(images.slice());
}
