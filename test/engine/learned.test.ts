/** What images tell: found once, and known to others who are told. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Learned, type LearningRequest, type News, type Subject } from '../../src/engine/learned';
import { OpenModels } from '../../src/engine/models';
import type { PruneSettings } from '../../src/protocol/recipe';
import { modelBytes, temporaryFile } from '../support/onnxBuilder';
import { settingsOf } from '../support/plans';
import { smallClassifier } from '../support/smallClassifier';
import { quiet } from '../support/stripesRuns';

const models = new OpenModels();
const file = temporaryFile(modelBytes(smallClassifier()));
/** The seeds for which something was learned, in turn. */
let looked: number[];
let news: News[];
beforeEach(() => {
  looked = [];
  news = [];
});
afterEach(() => models.closeAll());

const seeds: Subject<{ seed: number; large: string }, number> = {
  name: 'seeds',
  kept: 2,
  dependsOn: ({ basis: { score } }) => [score],
  async learn(_opened, { settings: { seed } }) {
    looked.push(seed);
    return { seed, large: 'moments' };
  },
  told: ({ seed }) => seed,
};
const learned = (subject = seeds) => new Learned(subject, models, (told) => news.push(structuredClone(told)));
const data = { path: 'images', preprocessing: { scale: 1, layout: 'NCHW' } } as const;
const request = (entries: Parameters<typeof settingsOf>[0] = {}): LearningRequest => ({
  path: file,
  settings: settingsOf({ data, ...entries }),
  folder: '/data',
});
const known = async (of: ReturnType<typeof learned>, settings: PruneSettings) =>
  of.known(await models.withShapes(file, settings.shapes), settings, '/data');

test('the same images are looked at once, whatever else is asked of them', async () => {
  const here = learned();
  const first = await here.learn(request(), quiet());
  const other = request({ target: { kind: 'params', value: 0.3 }, device: 'webgpu' });
  const preprocessing = { layout: 'NCHW', scale: 1 } as const;
  const turned = { ...other, settings: { ...other.settings, data: { ...data, preprocessing } } };
  expect(await here.learn(turned, quiet())).toBe(first);
  expect(looked).toEqual([0]);
  await here.learn(request({ basis: { score: 'energy' } }), quiet());
  await here.learn({ ...request(), folder: '/elsewhere' }, quiet());
  expect(looked).toEqual([0, 0, 0]);
});

test('others know what they are told, and of their own subject alone', async () => {
  const [here, there, stranger] = [learned(), learned(), learned({ ...seeds, name: 'others' })];
  await here.learn(request({ seed: 7 }), quiet());
  const { settings } = request({ seed: 7 });
  expect(await known(there, settings)).toBeNull();
  for (const each of news) {
    there.adopt(each);
    stranger.adopt(each);
  }
  expect(await Promise.all([here, there, stranger].map((each) => known(each, settings)))).toEqual([7, 7, null]);
  expect(await known(there, request({ seed: 8 }).settings)).toBeNull();
});

test('what is large goes first, and what was told of it stays known', async () => {
  const here = learned();
  for (const seed of [1, 2, 3]) await here.learn(request({ seed }), quiet());
  expect(await known(here, request({ seed: 1 }).settings)).toBe(1);
  for (const seed of [3, 2, 1]) await here.learn(request({ seed }), quiet());
  expect(looked).toEqual([1, 2, 3, 1]);
});

test('nothing is known or learned without images, nor kept of what failed', async () => {
  const here = learned({
    ...seeds,
    learn: async () => {
      looked.push(0);
      throw new Error('no such images');
    },
  });
  const without = request({ data: undefined });
  await expect(here.learn(without, quiet())).rejects.toMatchObject({ code: 'data-needed' });
  expect(await known(here, without.settings)).toBeNull();
  for (let i = 0; i < 2; i++) await expect(here.learn(request(), quiet())).rejects.toThrow('no such images');
  expect(looked).toEqual([0, 0]);
  expect(news).toEqual([]);
});
