/** A dataset whose decoded images stay in memory after they were read once, so that training never waits for them. */
import type { Dataset, DecodedImage, ReadOptions, Samples } from './dataset';

/** Decoded images may take this many bytes. */
const LIMIT = 512 * 2 ** 20;

/**
 * The dataset itself when it is too large to be kept.
 * @param size [height, width] that images have after decoding, where it is known
 */
export function cached(dataset: Dataset, size: readonly [number, number] | null): Dataset {
  const shape = dataset.imageShape;
  const [height, width] = size ?? shape?.slice(1) ?? [Number.POSITIVE_INFINITY, 1];
  const elementBytes = dataset.encoded || dataset.values === 'bytes' ? 1 : 4;
  if (dataset.length * (shape?.[0] ?? 3) * height * width * elementBytes > LIMIT) return dataset;
  const kept = new Map<number, DecodedImage>();
  const bad = new Set<number>();
  return {
    ...dataset,
    async read(indices: ArrayLike<number>, options?: ReadOptions): Promise<Samples> {
      const wanted = Array.from(indices);
      const missing = wanted.filter((index) => !kept.has(index));
      let skipped: Samples['skipped'] = [];
      if (missing.length > 0) {
        const samples = await dataset.read(missing, options);
        skipped = samples.skipped;
        for (const { index } of skipped) bad.add(index);
        missing
          .filter((index) => !bad.has(index))
          .forEach((index, i) => {
            kept.set(index, detached(samples.images[i]));
          });
      }
      const found = wanted.filter((index) => kept.has(index));
      return {
        images: found.map((index) => kept.get(index) as DecodedImage),
        labels: dataset.labels && Int32Array.from(found, (index) => (dataset.labels as Int32Array)[index]),
        skipped,
      };
    },
  };
}

/** A copy of its own: images of one read may share a larger buffer. */
function detached(image: DecodedImage): DecodedImage {
  return { ...image, data: image.data.slice() };
}
