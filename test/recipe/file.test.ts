import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { settingsSchema } from '../../src/protocol/recipe';
import { loadRecipe, prunedPath, recipeText } from '../../src/recipe/file';

let folder: string;
let model: string;
const settings = settingsSchema.parse({
  method: 'basis',
  target: { kind: 'macs', value: 0.4 },
  data: { path: '../images', evaluation: 'test.csv', calibrationImages: 64 },
  layers: [{ match: 'conv1', rank: 3 }],
});

const half = { kind: 'macs', value: 0.5 };

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'espalier-recipe-'));
  mkdirSync(path.join(folder, 'models'));
  mkdirSync(path.join(folder, 'recipes'));
  model = path.join(folder, 'models', 'a.onnx');
  writeFileSync(model, 'weights');
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  const file = path.join(folder, 'recipes', name);
  writeFileSync(file, text);
  return file;
}

describe('recipe files', () => {
  it('name model and data as seen from their own folder, and come back as the same settings', async () => {
    const file = path.join(folder, 'recipes', 'a.prune.json');
    const text = await recipeText(file, model, settings);
    const written = JSON.parse(text);
    expect(written.model.path).toBe('../models/a.onnx');
    expect(written.data).toMatchObject({ path: '../images', evaluation: '../models/test.csv' });
    expect(await loadRecipe(write('a.prune.json', text))).toEqual({ model, settings });
  });

  it('name the model of a lottery ticket likewise, with data and without', async () => {
    const file = path.join(folder, 'recipes', 't.prune.json');
    for (const { data } of [settings, { data: undefined }]) {
      const ticket = settingsSchema.parse({ ...settings, data, method: 'gsm', gsm: { ticket: 'winners/b.onnx' } });
      const text = await recipeText(file, model, ticket);
      expect(JSON.parse(text).gsm.ticket).toBe('../models/winners/b.onnx');
      expect(await loadRecipe(write('t.prune.json', text))).toEqual({ model, settings: { ...ticket, target: half } });
    }
  });

  it('say nothing of a target where the method has none, and half of the MACs is meant where nothing is said', async () => {
    const file = path.join(folder, 'recipes', 'n.prune.json');
    for (const method of ['gsm', 'fine-tune'] as const)
      expect(JSON.parse(await recipeText(file, model, { ...settings, method }))).not.toHaveProperty('target');
    const { target, ...rest } = JSON.parse(await recipeText(file, model, settings));
    expect(target).toEqual(settings.target);
    const loaded = await loadRecipe(write('n.prune.json', JSON.stringify(rest)));
    expect(loaded.settings).toEqual({ ...settings, target: half });
  });

  it('refuse a model that is not the one they were made for', async () => {
    const text = await recipeText(path.join(folder, 'recipes', 'b.prune.json'), model, settings);
    const file = write('b.prune.json', text.replace(/"sha256": "[0-9a-f]{2}/, '"sha256": "00'));
    await expect(loadRecipe(file)).rejects.toMatchObject({ code: 'recipe-model-differs' });
  });

  it.each([
    ['no JSON', '{ version: 1 }', /JSON/],
    [
      'a wrong value',
      JSON.stringify({ version: 1, model: { path: 'a.onnx' }, method: 'basis', target: { kind: 'macs', value: 0 } }),
      /'target\.value'/,
    ],
    [
      'a percentage where a share is meant',
      JSON.stringify({ version: 1, model: { path: 'a.onnx' }, method: 'basis', target: { kind: 'macs', value: 50 } }),
      /at most 1 \(50 % is 0\.5\) at 'target\.value'/,
    ],
    [
      'another version',
      JSON.stringify({ version: 2, model: { path: 'a.onnx' }, method: 'basis', target: { kind: 'macs', value: 1 } }),
      /'version'/,
    ],
    ['a list', '[]', /at the top level/],
  ])('are refused with the place for %s', async (_what, text, message) => {
    const loading = loadRecipe(write('bad.prune.json', text));
    await expect(loading).rejects.toMatchObject({ code: 'recipe-invalid', message: expect.stringMatching(message) });
  });

  it('suggest a name for the pruned model beside the original', () => {
    expect(prunedPath(path.join('x', 'net.v2.onnx'))).toBe(path.join('x', 'net.v2.pruned.onnx'));
  });
});
