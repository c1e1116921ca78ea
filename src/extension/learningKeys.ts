/** For which settings holds what was learned from images: same key, same knowledge. */
import type { PruneSettings } from '../protocol/recipe';

const MEASURED_SCORES: readonly string[] = ['taylor-per-mac', 'fisher-per-mac'];
const CRITERIA_OF_WEIGHTS: readonly string[] = ['l1', 'l2', 'bn-scale', 'fpgm', 'random'];

/** What a calibration finds out depends on this; null where the method learns nothing from images. */
export function calibrationKey(settings: PruneSettings): string | null {
  const { data, basis, channel, method, seed, shapes } = settings;
  if (!data) return null;
  const { score, foldBatchNorm } = basis;
  const ofBases = basis.basis === 'weights' ? null : [foldBatchNorm, MEASURED_SCORES.includes(score) ? score : null];
  const bySensitivity = channel.allocation === 'sensitivity';
  const ofChannels =
    CRITERIA_OF_WEIGHTS.includes(channel.criterion) && !bySensitivity
      ? null
      : [channel.criterion, bySensitivity ? [channel.aggregate, channel.normalize] : null];
  const learnt = {
    basis: [ofBases],
    channel: [ofChannels],
    double: [ofBases, ofChannels],
    gsm: [],
    resrep: [],
    'fine-tune': [],
  }[method];
  if (learnt.every((part) => part === null)) return null;
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
