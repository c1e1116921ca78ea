import { describe, expect, test } from 'vitest';
import type { Spectrum } from '../../src/protocol/facts';
import type { LayerDetail } from '../../src/protocol/plan';
import { DetailLoader } from '../../webview/details';
import { SpectraLoader } from '../../webview/spectra';
import { previewModel } from './preview/models';

const model = previewModel(60);
const names = model.facts.layers.filter(({ matrices }) => matrices !== null).map(({ name }) => name);

/** Requests that wait until the test answers them. */
function spectraHost() {
  const open: { layers: readonly string[]; answer(): void; fail(): void }[] = [];
  const loader = new SpectraLoader(
    (layers) =>
      new Promise<Spectrum[]>((resolve, reject) => {
        const answer = () => resolve(layers.flatMap((layer) => model.spectrum(layer) ?? []));
        open.push({ layers, answer, fail: () => reject(new Error('no')) });
      }),
    () => {},
  );
  return { loader, open };
}

const settle = async () => {
  for (let i = 0; i < 5; i++) await Promise.resolve();
};

describe('spectra', () => {
  test('come in batches, the first wanted first, two requests at a time', async () => {
    const { loader, open } = spectraHost();
    loader.want(names.slice(0, 30));
    expect(open.map(({ layers }) => layers)).toEqual([names.slice(0, 8), names.slice(8, 16)]);
    open[0].answer();
    await settle();
    expect(open.map(({ layers }) => layers)).toEqual([names.slice(0, 8), names.slice(8, 16), names.slice(16, 24)]);
    expect(loader.get(names[0])).toMatchObject({ layer: names[0] });
    expect(loader.get(names[9])).toBe('loading');
  });

  test('of rows that scrolled away are not asked for, and none twice', async () => {
    const { loader, open } = spectraHost();
    loader.want(names.slice(0, 30));
    loader.want([...names.slice(0, 4), ...names.slice(30, 34)]);
    for (const request of open) request.answer();
    await settle();
    const asked = open.flatMap(({ layers }) => layers);
    expect(asked).toEqual([...names.slice(0, 16), ...names.slice(30, 34)]);
    loader.want(names.slice(0, 4));
    expect(open.flatMap(({ layers }) => layers)).toEqual(asked);
  });

  test('that do not exist and requests that fail are told apart; one can try again', async () => {
    const { loader, open } = spectraHost();
    loader.want(['no such layer']);
    open[0].answer();
    await settle();
    expect(loader.get('no such layer')).toBe('none');
    loader.want([names[0]]);
    open[1].fail();
    await settle();
    expect(loader.get(names[0])).toBe('failed');
    loader.want([names[0]]);
    expect(open).toHaveLength(2);
    loader.retry(names[0]);
    open[2].answer();
    await settle();
    expect(loader.get(names[0])).toMatchObject({ layer: names[0] });
  });

  test('of an earlier model that come late are dropped', async () => {
    const { loader, open } = spectraHost();
    loader.want([names[0]]);
    loader.clear();
    open[0].answer();
    await settle();
    expect(loader.get(names[0])).toBe('loading');
    loader.want([names[0]]);
    expect(open).toHaveLength(2);
  });
});

describe('details', () => {
  const detail = (layer: string): LayerDetail => ({
    layer,
    basis: 'weights',
    importance: new Float64Array(1),
    threshold: null,
    energy: new Float64Array(2),
  });

  test('one request at a time, the latest wish next', async () => {
    const open: { layer: string; answer(): void }[] = [];
    const loader = new DetailLoader<LayerDetail>(
      (layer) => new Promise((resolve) => open.push({ layer, answer: () => resolve(detail(layer)) })),
      () => {},
    );
    loader.want('a', 1);
    loader.want('b', 1);
    loader.want('c', 1);
    expect(open.map(({ layer }) => layer)).toEqual(['a']);
    open[0].answer();
    await settle();
    expect(open.map(({ layer }) => layer)).toEqual(['a', 'c']);
    open[1].answer();
    await settle();
    expect(loader.get('c')).toMatchObject({ layer: 'c' });
    expect(loader.get('a')).toBeNull();
    loader.want('c', 1);
    expect(open).toHaveLength(2);
    loader.want('c', 2);
    expect(open.map(({ layer }) => layer)).toEqual(['a', 'c', 'c']);
    expect(loader.get('c')).toMatchObject({ layer: 'c' });
  });

  test('a failure says what went wrong, until the settings change', async () => {
    let fails = true;
    const loader = new DetailLoader(
      async (layer) => {
        if (fails) throw new Error('The engine stopped.');
        return detail(layer);
      },
      () => {},
    );
    loader.want('a', 1);
    await settle();
    expect(loader.get('a')).toEqual({ failure: 'The engine stopped.' });
    fails = false;
    loader.want('a', 2);
    await settle();
    expect(loader.get('a')).toMatchObject({ layer: 'a' });
  });
});
