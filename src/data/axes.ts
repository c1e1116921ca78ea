/** Which axis of an image array is channels. */
import type { DecodedImage } from './dataset';

type ImageAxes = Pick<DecodedImage, 'channels' | 'height' | 'width' | 'layout'>;

const mayBeChannels = (size: number): boolean => size === 1 || size === 3 || size === 4;

/**
 * Reads the axes of one image: height×width, height×width×channels or channels×height×width.
 * An image whose first and last axis could both be channels is taken as height×width×channels.
 *
 * @returns null when no axis has 1, 3 or 4 channels, or an axis is empty.
 */
export function imageAxes(axes: readonly number[]): ImageAxes | null {
  if (axes.some((size) => size < 1)) return null;
  if (axes.length === 2) return { channels: 1, height: axes[0], width: axes[1], layout: 'CHW' };
  if (axes.length !== 3) return null;
  const [a, b, c] = axes;
  if (mayBeChannels(c)) return { channels: c, height: a, width: b, layout: 'HWC' };
  if (mayBeChannels(a)) return { channels: a, height: b, width: c, layout: 'CHW' };
  return null;
}
