import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { drawPart, figures, parts } from '../../sample/draw';
import { batches } from '../../src/data/batches';
import { guessPreprocessing } from '../../src/data/guess';
import { ClassifierScore } from '../../src/data/metrics';
import { openDataset } from '../../src/data/open';
import { datasetSchema, recipeSchema } from '../../src/protocol/recipe';
import { createSession } from '../../src/runtime/session';

const workspace = path.resolve(__dirname, '../../sample/workspace');
const inWorkspace = (name: string) => path.join(workspace, name);

describe('the sample workspace', () => {
  it('holds the images that the script draws', async () => {
    for (const part of ['train', 'test'] as const) {
      let index = 0;
      for (const { figure, name, pixels } of drawPart(part)) {
        // All are drawn, since the seed runs through; one in seven is compared.
        if (index++ % 7 !== 0) continue;
        const stored = await sharp(inWorkspace(`shapes/${part}/${figure}/${name}`))
          .raw()
          .toBuffer();
        expect(stored.equals(pixels), `${part}/${figure}/${name}`).toBe(true);
      }
      expect(index).toBe(parts[part].perClass * figures.length);
    }
  });

  it('is small', async () => {
    const files = await readdir(workspace, { recursive: true, withFileTypes: true });
    const sizes = files.filter((f) => f.isFile()).map((f) => stat(path.join(f.parentPath, f.name)));
    const bytes = (await Promise.all(sizes)).reduce((sum, { size }) => sum + size, 0);
    expect(sizes.length).toBeLessThan(1000);
    expect(bytes).toBeLessThan(4_000_000);
  });

  it('has valid datasets and a valid recipe that names what is there', async () => {
    const json = async (name: string) => JSON.parse(await readFile(inWorkspace(name), 'utf8'));
    const recipe = recipeSchema.parse(await json('shapes-cnn.prune.json'));
    const quarter = recipeSchema.parse(await json('quarter.prune.json'));
    expect([quarter.model, quarter.data]).toEqual([recipe.model, recipe.data]);
    expect(quarter.training?.epochs).toBeGreaterThan(0);
    for (const name of [recipe.data!.path, recipe.data!.evaluation!]) {
      const { path: folder } = datasetSchema.parse(await json(name));
      expect(await readdir(inWorkspace(folder))).toEqual([...figures]);
    }
    expect((await stat(inWorkspace(recipe.model.path))).isFile()).toBe(true);
  });

  it('has a network that tells the test images apart, by the preprocessing given and by the one guessed', async () => {
    const session = await createSession(inWorkspace('shapes-cnn.onnx'), { threads: 2 });
    const dataset = await openDataset(inWorkspace('shapes-test.dataset.json'));
    const port = { ...session.inputs[0], dtype: 'float32' };
    const given = guessPreprocessing(port, dataset);
    const guessed = guessPreprocessing(port, { ...dataset, preprocessing: null });
    expect([given.source, guessed.source]).toEqual(['given', 'guessed']);
    expect(given.preprocessing).toEqual(guessed.preprocessing);
    const score = new ClassifierScore();
    for await (const { images, dims, labels } of batches(dataset, { preprocessing: given.preprocessing, batch: 60 })) {
      const { scores } = await session.run({ images: { dtype: 'float32', dims, data: images } });
      score.add(scores.data as Float32Array, labels!);
    }
    await Promise.all([dataset.close(), session.release()]);
    expect(score.result()).toMatchObject({ images: 360, classCount: 8 });
    expect(score.result()!.accuracy).toBeGreaterThan(0.95);
  });
});
