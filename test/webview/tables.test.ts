import { describe, expect, test } from 'vitest';
import { keyedRank } from '../../webview/controls/cutHandle';
import { toCsv } from '../../webview/controls/dataTable';
import { exact } from '../../webview/format';
import { proposedSize } from '../../webview/inputs';
import { formatNumbers, formatSize, parseNumbers, parseSize, withField } from '../../webview/preprocessing';
import { whyNotRun } from '../../webview/runnable';
import { retarget, targetChoice } from '../../webview/target';
import { isCurrentPlan, tiles } from '../../webview/tiles';
import { resultLines, speedSentence } from '../../webview/views/resultTables';
import { previewModel } from './preview/models';
import { baseState, scenarios, settings } from './preview/states';

const { facts } = previewModel(6);
const projection = {
  before: facts.totals,
  after: { params: facts.totals.params / 2, macs: facts.totals.macs! / 4, bytes: facts.totals.bytes / 2 },
  basis: 'weights' as const,
  shortfall: null,
  layers: facts.layers.map((layer) => ({
    layer: layer.name,
    action: 'keep' as const,
    reason: null,
    rank: layer.fullRank,
    params: layer.params,
    macs: layer.macs,
    bytes: layer.bytes,
    error: 0,
  })),
};
const planned = { ...baseState(facts), projection };
const done = scenarios.done.state(planned);
if (done.run.kind !== 'done') throw new Error('The scenario "done" has a result.');
const { run } = done;
const { result } = run;
const plain = (text: string) => text.replaceAll('\u00a0', ' ');

describe('CSV', () => {
  test('quotes what needs it, keeps every digit, leaves unknown values empty', () => {
    const columns = [{ label: 'Layer' }, { label: 'Value', format: exact }];
    const rows = [
      ['a,b', 1 / 3],
      ['say "x"', null],
      ['two\nlines', 2],
    ];
    expect(toCsv({ caption: '', columns, rows })).toBe(
      'Layer,Value\r\n"a,b",0.3333333333333333\r\n"say ""x""",\r\n"two\nlines",2\r\n',
    );
  });

  test('a name from a model never becomes a formula', () => {
    const rows = ['=cmd()', '+1', '-x', '@y'].map((name) => [name]);
    expect(toCsv({ caption: '', columns: [{ label: 'n' }], rows })).toBe("n\r\n'=cmd()\r\n'+1\r\n'-x\r\n'@y\r\n");
  });
});

describe('tiles', () => {
  test('now, after and saving', () => {
    const [macs, flops] = tiles(planned);
    expect(macs).toMatchObject({ id: 'macs', share: 0.25 });
    expect(plain(macs.note)).toBe('−75.0 %');
    expect(flops.label).toBe('FLOPs (2 × MACs)');
    expect(flops.title.split(' → ')[0]).toBe(exact(2 * facts.totals.macs!));
  });

  test('the file is an estimate until a run of this very plan', () => {
    expect(tiles(planned).find(({ id }) => id === 'file')?.after).toMatch(/^≈/);
    expect(tiles(done).find(({ id }) => id === 'file')?.after).not.toMatch(/^≈/);
    expect(isCurrentPlan(run, done)).toBe(true);
    const layers = projection.layers.map((layer, i) => (i === 1 ? { ...layer, rank: 1 } : layer));
    const moved = { ...done, projection: { ...projection, layers } };
    expect(isCurrentPlan(run, moved)).toBe(false);
    expect(tiles(moved).find(({ id }) => id === 'accuracy')?.note).toContain('another plan');
  });

  test('where the run decides what goes, the figures are its own until other settings are chosen', () => {
    const params = result.after.params + 7;
    const found = { ...run, result: { ...result, after: { ...result.after, params } } };
    const assumed = { ...projection, assumed: 'The run finds it.' };
    const shown = { ...done, run: found, projection: assumed };
    const exactParams = (state: typeof shown) =>
      tiles(state)
        .find(({ id }) => id === 'params')
        ?.title.split(' → ')[1];
    expect(exactParams(shown)).toBe(exact(params));
    const other = { ...shown, settings: { ...run.settings, seed: run.settings.seed + 1 } };
    expect(exactParams(other)).toBe(exact(projection.after.params));
    expect(tiles(other).find(({ id }) => id === 'accuracy')?.note).toContain('another plan');
  });

  test('a file that does not store its weights is not guessed at', () => {
    const small = { ...planned, facts: { ...facts, fileBytes: 80_000 } };
    expect(tiles(small).find(({ id }) => id === 'file')).toMatchObject({ after: null, share: null });
  });

  test('unknown MACs are not zero', () => {
    const unknown = scenarios.unknownShapes.state(planned);
    expect(tiles(unknown)[0]).toMatchObject({ before: 'unknown', after: null, share: null, pending: false });
    expect(tiles(scenarios.shapes.state(planned))[0]).toMatchObject({ before: 'Shapes…', pending: true });
  });

  test('latency and accuracy appear with a run', () => {
    expect(tiles(planned).map(({ id }) => id)).toEqual(['macs', 'flops', 'params', 'bytes', 'file']);
    expect(tiles(done).map(({ id }) => id)).toEqual([
      'macs',
      'flops',
      'params',
      'bytes',
      'file',
      'latency',
      'accuracy',
    ]);
  });
});

describe('results', () => {
  test('a line per measure, with what is known of its spread', () => {
    const lines = resultLines(result);
    expect(lines.map(({ label }) => label)).toEqual([
      'Parameters',
      'MACs',
      'FLOPs (2 × MACs)',
      'Weight bytes',
      'File size',
      'Accuracy',
      'Top-5 accuracy',
      'Loss (cross-entropy)',
      'Latency, median',
    ]);
    expect(plain(lines[5].notes[0])).toBe('95 % interval 91.1 % to 92.3 %');
    expect(plain(lines[5].change)).toBe('−3.2 points');
    expect(plain(lines[8].notes[1])).toMatch(/^interquartile range [\d.]+ µs$/);
  });

  test('without labels there is no accuracy, without a measurement no latency', () => {
    const bare = { accuracy: null, latency: null };
    const lines = resultLines({ before: { ...result.before, ...bare }, after: { ...result.after, ...bare } });
    expect(lines.map(({ label }) => label)).toEqual([
      'Parameters',
      'MACs',
      'FLOPs (2 × MACs)',
      'Weight bytes',
      'File size',
    ]);
  });

  test('speed stands beside the MACs', () => {
    expect(plain(speedSentence(result))).toBe('1.41× as fast with 25.0 % of the MACs.');
    expect(speedSentence({ ...result, speedup: null })).toBe('Latency was not measured.');
    expect(speedSentence({ ...result, after: { ...result.after, macs: null } })).toBe('1.41× as fast.');
  });
});

describe('the target', () => {
  test('bytes are a share up to 1 and a number above', () => {
    expect(targetChoice({ kind: 'bytes', value: 0.5 })).toBe('bytes');
    expect(targetChoice({ kind: 'bytes', value: 5e5 })).toBe('absolute');
    expect(targetChoice({ kind: 'macs', value: 0.5 })).toBe('macs');
  });

  test('another kind keeps its size', () => {
    expect(retarget({ kind: 'macs', value: 0.5 }, 'absolute', 4e6)).toEqual({ kind: 'bytes', value: 2e6 });
    expect(retarget({ kind: 'bytes', value: 1e6 }, 'params', 4e6)).toEqual({ kind: 'params', value: 0.25 });
    expect(retarget({ kind: 'bytes', value: 9e6 }, 'bytes', 4e6)).toEqual({ kind: 'bytes', value: 1 });
  });
});

test('a run is possible only when there is something to run', () => {
  expect(whyNotRun(planned)).toBe('');
  expect(whyNotRun({ ...planned, trusted: false })).toContain('trusted');
  expect(whyNotRun({ ...planned, facts: null })).not.toBe('');
  expect(whyNotRun({ ...planned, loading: 'shapes' })).not.toBe('');
  const whole = scenarios.noBases.state(planned);
  expect(whyNotRun(whole)).toContain('factorized');
  for (const method of ['channel', 'double', 'resrep', 'gsm', 'fine-tune'] as const) {
    expect(whyNotRun({ ...whole, settings: { ...settings, method } })).toBe('');
  }
  expect(whyNotRun({ ...scenarios.noLayers.state(planned), settings: { ...settings, method: 'channel' } })).not.toBe(
    '',
  );
});

describe('keys on the cut', () => {
  test.each([
    ['ArrowLeft', 9],
    ['ArrowRight', 11],
    ['PageDown', 7],
    ['PageUp', 13],
    ['Home', 1],
    ['End', 32],
    ['a', null],
  ])('%s', (key, rank) => {
    expect(keyedRank({ key }, 10, 32)).toBe(rank);
  });

  test('never leave the scale', () => {
    expect(keyedRank({ key: 'ArrowLeft' }, 1, 32)).toBe(1);
    expect(keyedRank({ key: 'PageUp' }, 31, 32)).toBe(32);
  });
});

describe('preprocessing fields', () => {
  test('numbers', () => {
    expect(parseNumbers('0.485, 0.456 0.406')).toEqual([0.485, 0.456, 0.406]);
    for (const text of ['', 'x', '1,2,3,4,5', '1,,NaN']) expect(parseNumbers(text)).toBeNull();
    expect(formatNumbers([1 / 3, 2])).toBe('0.333333, 2');
    expect(formatNumbers(undefined)).toBe('');
  });

  test('sizes', () => {
    expect(parseSize('224 × 192')).toEqual([224, 192]);
    expect(parseSize(' 32 ')).toEqual([32, 32]);
    for (const text of ['', '0', '3x', '20000', 'a x b', '1.5x2']) expect(parseSize(text)).toBeNull();
    expect(parseSize(formatSize([224, 192]))).toEqual([224, 192]);
  });

  test('an emptied field is given back to the guess', () => {
    const one = withField(undefined, 'scale', 0.5);
    expect(one).toEqual({ scale: 0.5 });
    expect(withField(one, 'layout', 'NHWC')).toEqual({ scale: 0.5, layout: 'NHWC' });
    expect(withField(one, 'scale', null)).toBeUndefined();
  });
});

test('free dimensions are proposed as one image of the usual size', () => {
  const port = { name: 'x', dtype: 'float32', shape: ['N', 3, 'h', 'w'] };
  expect([0, 2, 3].map((axis) => proposedSize(port, axis))).toEqual([1, 224, 224]);
  expect(proposedSize({ ...port, shape: ['N', 'length'] }, 1)).toBe(1);
});
