/** For which settings holds what was learned from images: same key, same knowledge. */
import type { PruneSettings } from '../protocol/recipe';
import { isMeasuredScore, learnsFromImages } from '../settings/images';

/** What a calibration finds out depends on this; null where the method learns nothing from images. */
export function calibrationKey(settings: PruneSettings): string | null {
  const { data, basis, channel, method, seed, shapes } = settings;
  if (!data || !learnsFromImages(settings)) return null;
  const { score, foldBatchNorm } = basis;
  const { criterion, allocation, aggregate, normalize } = channel;
  const learnt =
    method === 'basis'
      ? [method, foldBatchNorm, isMeasuredScore(score) ? score : null]
      : [criterion, allocation === 'sensitivity' ? [aggregate, normalize] : null];
  return JSON.stringify([data.path, data.calibrationImages, data.preprocessing, seed, shapes, learnt]);
}

/** What the sensitivity of groups depends on. */
export function sensitivityKey({ data, channel, seed, shapes }: PruneSettings): string {
  const { criterion, aggregate, normalize } = channel;
  return JSON.stringify([
    data?.path,
    data?.calibrationImages,
    data?.preprocessing,
    seed,
    shapes,
    criterion,
    aggregate,
    normalize,
  ]);
}
