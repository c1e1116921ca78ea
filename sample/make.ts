/**
 * Makes `sample/workspace`: `npm run sample`. It draws the images, builds the network from other images drawn in the
 * same way, and writes the files that say how to use them. The images are the same bytes on every machine; the
 * network's last digits depend on how the machine's processor rounds.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { batches } from '../src/data/batches';
import { ClassifierScore } from '../src/data/metrics';
import { openDataset } from '../src/data/open';
import { makePreprocessor } from '../src/data/preprocess';
import { seededRandom } from '../src/linalg/random';
import type { DatasetFile, RecipeInput } from '../src/protocol/recipe';
import { createSession } from '../src/runtime/session';
import type { Images } from './builder';
import { channels, drawFigure, drawPart, figures, type parts, side } from './draw';
import { buildNetwork, type LayerPlan } from './network';

const workspace = path.resolve('sample/workspace');
/** Drawn for building the network only, never written. */
const imagesForNetwork = 10_000;
const seeds = { images: 3, filters: 4 };

const preprocessing = {
  scale: 1 / 255,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
  layout: 'NCHW' as const,
  channels: 'RGB' as const,
};

const layers: readonly LayerPlan[] = [
  { channels: 32, rank: 16, fields: 0, pool: false },
  { channels: 64, rank: 16, fields: 2, pool: true },
  { channels: 128, rank: 32, fields: 3, pool: true },
  { channels: 128, rank: 48, fields: 4, pool: false },
  { channels: 128, rank: 48, fields: 4, pool: false },
];

async function writeImages(part: keyof typeof parts): Promise<void> {
  for (const { figure, name, pixels } of drawPart(part)) {
    const folder = path.join(workspace, 'shapes', part, figure);
    mkdirSync(folder, { recursive: true });
    const image = sharp(pixels, { raw: { width: side, height: side, channels } });
    await image.png({ compressionLevel: 9 }).toFile(path.join(folder, name));
  }
}

function drawForNetwork(): { images: Images; labels: Int32Array } {
  const random = seededRandom(seeds.images);
  const preprocessor = makePreprocessor({ ...preprocessing, resize: null, crop: null });
  const elements = channels * side * side;
  const data = new Float32Array(imagesForNetwork * elements);
  const labels = Int32Array.from({ length: imagesForNetwork }, (_, i) => i % figures.length);
  labels.forEach((label, i) => {
    const pixels = drawFigure(figures[label], random);
    const image = { data: pixels, channels, height: side, width: side, layout: 'HWC' } as const;
    preprocessor.write(preprocessor.fit(image, figures[label]), data, i * elements);
  });
  return { images: { data, dims: [imagesForNetwork, channels, side, side] }, labels };
}

function writeJson(name: string, content: object): void {
  writeFileSync(path.join(workspace, name), `${JSON.stringify(content, null, 2)}\n`);
}

async function testAccuracy(model: string): Promise<string> {
  const session = await createSession(model);
  const dataset = await openDataset(path.join(workspace, 'shapes-test.dataset.json'));
  const score = new ClassifierScore();
  const options = { preprocessing: { ...preprocessing, resize: null, crop: null }, batch: 50 };
  for await (const { images, dims, labels } of batches(dataset, options)) {
    const outputs = await session.run({ images: { dtype: 'float32', dims, data: images } });
    score.add(outputs.scores.data as Float32Array, labels!);
  }
  await Promise.all([dataset.close(), session.release()]);
  return (100 * score.result()!.accuracy).toFixed(1);
}

async function main(): Promise<void> {
  rmSync(path.join(workspace, 'shapes'), { recursive: true, force: true });
  await writeImages('train');
  await writeImages('test');
  const dataset = (part: keyof typeof parts): DatasetFile => ({ path: `shapes/${part}`, split: part, preprocessing });
  writeJson('shapes-train.dataset.json', dataset('train'));
  writeJson('shapes-test.dataset.json', dataset('test'));
  const recipe: RecipeInput = {
    version: 1,
    model: { path: 'shapes-cnn.onnx' },
    data: { path: 'shapes-train.dataset.json', evaluation: 'shapes-test.dataset.json', calibrationImages: 512 },
    method: 'basis',
    multiple: 16,
    target: { kind: 'macs', value: 0.4 },
    protect: ['conv0'],
    seed: 0,
  };
  writeJson('shapes-cnn.prune.json', recipe);
  const { images, labels } = drawForNetwork();
  const network = await buildNetwork(images, labels, figures.length, layers, seededRandom(seeds.filters));
  const model = path.join(workspace, 'shapes-cnn.onnx');
  writeFileSync(model, network);
  console.log(`Wrote ${workspace}; accuracy on the test images ${await testAccuracy(model)} %.`);
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
