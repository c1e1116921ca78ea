/**
 * Decodes image files with sharp (libvips). Pixels come out as other frameworks see them: EXIF rotation applied,
 * colour profiles ignored, transparency dropped, 8 bits per channel, first frame only. Gray comes as RGB.
 */
import sharp, { type Sharp } from 'sharp';
import type { DecodedImage, DecodeSize } from './dataset';

export const imageExtensions: readonly string[] = ['.png', '.jpg', '.jpeg', '.webp', '.gif', '.tif', '.tiff', '.avif'];

/** A larger picture is refused before its pixels are unpacked: 10 kB of PNG can claim gigabytes. */
const maxPixels = 100_000_000;

let configured = false;

/**
 * Only the loaders of the formats above may run (a file's content decides which one does, not its name: SVG, for
 * one, can refer to other files). No cache, since files change between runs; one thread per picture, since many
 * pictures are decoded at once.
 */
function configure(): void {
  if (configured) return;
  const loaders = ['Png', 'Jpeg', 'Webp', 'Nsgif', 'Tiff', 'Heif'].map((name) => `VipsForeignLoad${name}`);
  sharp.block({ operation: ['VipsForeignLoad'] });
  sharp.unblock({ operation: loaders });
  sharp.cache(false);
  sharp.concurrency(1);
  configured = true;
}

const open = (file: string | Buffer): Sharp => {
  configure();
  return sharp(file, { limitInputPixels: maxPixels, failOn: 'error', ignoreIcc: true, sequentialRead: true });
};

/**
 * Decodes one file. When a size is given, axes that are longer are shrunk to it on the way (bilinear, smoothed);
 * shorter ones are left, since libvips enlarges with another filter and half a pixel aside.
 */
export async function decodeImage(file: string | Buffer, size?: DecodeSize | null): Promise<DecodedImage> {
  let image = open(file).autoOrient();
  // Loading a JPEG at an eighth of its size is faster but changes the pixels that a model was trained to see.
  if (size) image = image.resize({ ...size, kernel: 'linear', withoutEnlargement: true, fastShrinkOnLoad: false });
  const { data, info } = await image.removeAlpha().raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  return { data, channels: info.channels, height: info.height, width: info.width, layout: 'HWC' };
}

/** [channels, height, width] from a file's header, rotation applied. */
export async function imageHeader(file: string): Promise<[number, number, number]> {
  const { channels, hasAlpha, autoOrient } = await open(file).metadata();
  return [channels - (hasAlpha ? 1 : 0), autoOrient.height, autoOrient.width];
}
