import { describe, expect, it } from 'vitest';
import { batches } from '../../src/data/batches';
import { candidatePreprocessings, guessPreprocessing, likeliest } from '../../src/data/guess';
import { ClassifierScore, type Score, wilsonInterval } from '../../src/data/metrics';
import { summarize } from '../../src/data/normalization';
import { openDataset } from '../../src/data/open';
import { makePreprocessor } from '../../src/data/preprocess';
import type { PortFacts, Preprocessing } from '../../src/protocol/facts';
import { createSession } from '../../src/runtime/session';
import { hasShared, sharedFile } from '../support/shared';

const port = (shape: PortFacts['shape'], dtype = 'float32'): PortFacts => ({ name: 'input', dtype, shape });
const stored = (imageShape: [number, number, number] | null, values: 'bytes' | 'unit' | 'free' = 'bytes') => ({
  imageShape,
  values,
  encoded: false,
  preprocessing: null,
});
const files = { imageShape: null, values: 'bytes', encoded: true, preprocessing: null } as const;

describe('geometry', () => {
  it.each([
    ['CIFAR', ['N', 3, 32, 32], stored([3, 32, 32]), { layout: 'NCHW', channels: 'RGB', resize: null, crop: null }],
    ['Keras', ['N', 32, 32, 3], stored([3, 32, 32]), { layout: 'NHWC', channels: 'RGB', resize: null, crop: null }],
    ['MNIST', [1, 1, 28, 28], stored([1, 28, 28]), { layout: 'NCHW', channels: 'gray', resize: null }],
    ['other size', ['', 3, 64, 48], stored([3, 32, 32]), { resize: [64, 48], crop: null }],
    ['photographs', ['N', 3, 224, 224], files, { resize: [256, 256], crop: [224, 224] }],
    ['small files', ['N', 3, 32, 32], files, { resize: [32, 32], crop: null }],
    ['open size, known images', ['N', 3, 'h', 'w'], stored([3, 96, 80]), { resize: null, crop: null }],
    ['open size, differing files', ['N', 3, 'h', 'w'], files, { resize: [256, 256], crop: [224, 224] }],
    ['open channels', ['N', 'c', 32, 32], stored([3, 32, 32]), { layout: 'NCHW', channels: 'RGB' }],
  ] as const)('%s', (_, shape, dataset, expected) => {
    const { preprocessing, source } = guessPreprocessing(port(shape), dataset as ReturnType<typeof stored>);
    expect(preprocessing).toMatchObject(expected);
    expect(source).toBe('guessed');
  });

  it.each([[null], [[1, 16000]], [['N', 5, 32, 32]], [[1, 2, 3]]] as const)('refuses an input of shape %o', (shape) => {
    expect(() => guessPreprocessing(port(shape), files)).toThrow(expect.objectContaining({ code: 'input-not-image' }));
  });
});

describe('candidates', () => {
  const names = (shape: PortFacts['shape'], dataset = stored(null)) =>
    candidatePreprocessings(port(shape), dataset).map(({ name }) => name);

  it('offer what models of that size are trained with', () => {
    expect(names([1, 3, 32, 32])).toEqual([
      'ImageNet mean and std',
      'CIFAR-10 mean and std',
      'CIFAR-100 mean and std',
      '0 to 1',
      '−1 to 1',
      '0 to 255',
    ]);
    expect(names([1, 3, 224, 224])).toEqual(['ImageNet mean and std', '0 to 1', '−1 to 1', '0 to 255', 'Caffe mean']);
    expect(names([1, 1, 28, 28])).toEqual(['0 to 1', 'MNIST mean and std', '−1 to 1', '0 to 255']);
  });

  it('are all usable', () => {
    for (const shape of [
      [1, 3, 32, 32],
      [1, 224, 224, 3],
      [1, 1, 28, 28],
    ])
      for (const { preprocessing } of candidatePreprocessings(port(shape), stored([3, 9, 9])))
        expect(makePreprocessor(preprocessing).preprocessing).toBe(preprocessing);
  });

  it('see values that are not bytes', () => {
    const [first] = candidatePreprocessings(port([1, 3, 32, 32]), stored([3, 32, 32], 'unit'));
    expect(first.preprocessing).toMatchObject({ scale: 1, mean: [0.485, 0.456, 0.406] });
    const raw = [{ name: 'as they are', preprocessing: expect.objectContaining({ scale: 1, mean: [0], std: [1] }) }];
    expect(candidatePreprocessings(port([1, 3, 32, 32]), stored([3, 32, 32], 'free'))).toEqual(raw);
    expect(candidatePreprocessings(port([1, 3, 32, 32], 'uint8'), stored([3, 32, 32]))).toEqual(raw);
  });
});

describe('what the user gives', () => {
  const input = port(['N', 3, 224, 224]);

  it('wins over the guess, the call over the file', () => {
    const dataset = { ...files, preprocessing: { mean: [0.5], std: [0.25] } };
    const { preprocessing, source } = guessPreprocessing(input, dataset, { std: [0.75], scale: undefined });
    expect(preprocessing).toMatchObject({ mean: [0.5], std: [0.75], scale: 1 / 255, crop: [224, 224] });
    expect(source).toBe('given');
  });

  it('is in every candidate', () => {
    const dataset = { ...files, preprocessing: { resize: [300, 300] as [number, number] } };
    for (const { preprocessing } of candidatePreprocessings(input, dataset, { channels: 'BGR' }))
      expect(preprocessing).toMatchObject({ resize: [300, 300], crop: null, channels: 'BGR' });
    expect(candidatePreprocessings(input, dataset, { scale: 1, mean: [0], std: [1], channels: 'RGB' })).toHaveLength(1);
  });

  it('of size alone leaves the numbers guessed, and a guessed crop out', () => {
    const guess = guessPreprocessing(input, files, { resize: [224, 224] });
    expect(guess).toMatchObject({ source: 'guessed', preprocessing: { resize: [224, 224], crop: null } });
  });
});

it('chooses the likelier of candidates that cannot be told apart', () => {
  const of = (...hits: number[]) =>
    likeliest(hits.map((k) => ({ accuracy: k / 256, confidence: wilsonInterval(k, 256) })));
  expect(of(240, 242, 120)).toBe(0);
  expect(of(120, 238, 242)).toBe(1);
  expect(of(30, 30, 30)).toBe(0);
  expect(of()).toBe(-1);
});

describe.skipIf(!hasShared)('on real models', () => {
  it.each(['resnet20_cifar10', 'vgg8_cifar10'])('the choice for %s is as accurate as the right one', async (model) => {
    const session = await createSession(sharedFile(`data/models/${model}.onnx`), { threads: 2 });
    const dataset = await openDataset(sharedFile('data/cifar10/test_batch.bin'));
    const scores: Score[] = [];
    for (const { preprocessing } of candidatePreprocessings(port(['N', 3, 32, 32]), dataset)) {
      const score = new ClassifierScore();
      for await (const { images, dims, labels } of batches(dataset, { preprocessing, batch: 64, limit: 128 })) {
        const outputs = await session.run({ [session.inputs[0].name]: { dtype: 'float32', dims, data: images } });
        score.add(Object.values(outputs)[0].data as Float32Array, labels!);
      }
      scores.push(score.result()!);
    }
    await dataset.close();
    await session.release();
    // Both were trained with a usual mean and std (the first two candidates are close to each other).
    expect(likeliest(scores)).toBe(0);
    expect(scores[0].accuracy).toBeGreaterThan(0.75);
    // Raw bytes are wrong for both, and look wrong.
    expect(scores[5].accuracy).toBeLessThan(0.5);
  });
});

describe('the summary', () => {
  const base: Preprocessing = {
    resize: [32, 32],
    crop: null,
    scale: 1 / 255,
    mean: [0],
    std: [1],
    layout: 'NCHW',
    channels: 'RGB',
  };
  it.each([
    [{}, '32×32 RGB, x/255, NCHW'],
    [{ scale: 1, resize: null, layout: 'NHWC', channels: 'gray' }, 'gray, x, NHWC'],
    [{ mean: [0.5, 0.5, 0.5], std: [0.5] }, '32×32 RGB, (x/255 − 0.5)/0.5, NCHW'],
    [
      { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
      '32×32 RGB, (x/255 − mean)/std with ImageNet mean and std, NCHW',
    ],
    [{ mean: [0.1, 0.2, 0.3] }, '32×32 RGB, x/255 − mean with mean 0.1, 0.2, 0.3, NCHW'],
    [{ scale: 1 / 127.5, mean: [1] }, '32×32 RGB, 0.007843·x − 1, NCHW'],
    [{ crop: [24, 24], std: [2] }, '24×24 (cut from 32×32) RGB, x/255/2, NCHW'],
  ] as const)('of %o', (change, expected) => {
    expect(summarize({ ...base, ...change })).toBe(expected);
  });
});
