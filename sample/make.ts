/**
 * Makes `sample/workspace`: `npm run sample`. It draws the images, trains the network on other images drawn in the same
 * way, and writes the files that say how to use them. The images are the same bytes on every machine; the network's last
 * digits depend on how the machine's processor rounds. What was measured while training goes to `sample/training.json`.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { batches } from '../src/data/batches';
import { ClassifierScore } from '../src/data/metrics';
import { openDataset } from '../src/data/open';
import { serializeGraph } from '../src/formats/onnx/serialize';
import type { DatasetFile, RecipeInput } from '../src/protocol/recipe';
import { createSession } from '../src/runtime/session';
import { metadata } from './builder';
import { channels, drawPart, type parts, side } from './draw';
import { preprocessing, trainSample } from './train';

const workspace = path.resolve('sample/workspace');
async function writeImages(part: keyof typeof parts): Promise<void> {
  for (const { figure, name, pixels } of drawPart(part)) {
    const folder = path.join(workspace, 'shapes', part, figure);
    mkdirSync(folder, { recursive: true });
    const image = sharp(pixels, { raw: { width: side, height: side, channels } });
    await image.png({ compressionLevel: 9 }).toFile(path.join(folder, name));
  }
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
  const quarter: RecipeInput = {
    ...recipe,
    target: { kind: 'macs', value: 0.25 },
    multiple: 1,
    training: { epochs: 8, loss: 'labels', lr: 0.02, batchNorm: 'train' },
  };
  writeJson('quarter.prune.json', quarter);
  const { graph, record } = await trainSample(({ step, steps, loss, rate }) => {
    if (step % 25 === 0)
      console.log(`Step ${step} of ${steps}: loss ${loss.toFixed(4)}, learning rate ${rate.toFixed(4)}`);
  });
  const model = path.join(workspace, 'shapes-cnn.onnx');
  const bytes = serializeGraph(graph, metadata);
  writeFileSync(model, bytes);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const measured = { model: { file: 'workspace/shapes-cnn.onnx', sha256 }, ...record };
  writeFileSync('sample/training.json', `${JSON.stringify(measured, null, 2)}\n`);
  console.log(`Wrote ${workspace}; accuracy on the test images ${await testAccuracy(model)} %.`);
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
