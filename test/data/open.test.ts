import { mkdir, readdir, symlink, truncate } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Dataset, OpenOptions } from '../../src/data/dataset';
import { openDataset } from '../../src/data/open';
import { hasShared, sharedFile } from '../support/shared';
import { cifarRecord, idxBytes, picture, plain, put, scratch } from './scratch';

const fixtures = path.resolve(__dirname, '../fixtures/numpy');

/** Opens a dataset, looks at it and closes it. */
async function withDataset<T>(file: string, look: (d: Dataset) => T | Promise<T>, options?: OpenOptions): Promise<T> {
  const dataset = await openDataset(file, options);
  try {
    return await look(dataset);
  } finally {
    await dataset.close();
  }
}

const refusal = (file: string, options?: OpenOptions) =>
  withDataset(file, () => 'opened', options).catch((error) => `${error.code}: ${error.message}`);

/** The first pixel of every image, by channel. */
async function firstPixels(dataset: Dataset, indices?: number[]): Promise<number[][]> {
  const { images } = await dataset.read(indices ?? Array.from({ length: dataset.length }, (_, i) => i));
  return images.map(({ data, channels, height, width, layout }) =>
    Array.from({ length: channels }, (_, c) => data[layout === 'CHW' ? c * height * width : c]),
  );
}

/** Has temporary files made in a folder of the test's own, and gives what is left there. */
async function ownTemporaries(): Promise<() => Promise<string[]>> {
  const folder = await scratch();
  vi.stubEnv(process.platform === 'win32' ? 'TEMP' : 'TMPDIR', folder);
  onTestFinished(() => void vi.unstubAllEnvs());
  return () => readdir(folder);
}

describe.skipIf(!hasShared)('real data', () => {
  it('reads CIFAR-10 with its class names', () =>
    withDataset(sharedFile('data/cifar10/test_batch.bin'), async (d) => {
      expect(d).toMatchObject({ kind: 'cifar', length: 10_000, labelled: true, imageShape: [3, 32, 32] });
      expect(d.classes).toEqual('airplane automobile bird cat deer dog frog horse ship truck'.split(' '));
      const perClass = new Array(10).fill(0);
      d.labels!.forEach((label) => {
        perClass[label] += 1;
      });
      expect(perClass).toEqual(new Array(10).fill(1000));
      // Any order, neighbours or not, gives the same images.
      const [a] = (await d.read([4000, 4001, 7])).images;
      const [, b] = (await d.read([3999, 4000])).images;
      expect(b).toEqual(a);
    }));

  it('reads the test batch of a folder that holds training data too, and says so', () =>
    withDataset(sharedFile('data/cifar10'), (d) => {
      expect(d.length).toBe(10_000);
      expect(d.nameOf(3)).toBe('test_batch.bin[3]');
      expect(d.warnings).toEqual([expect.stringContaining('only the test part')]);
    }));

  it('reads the transfer set', () =>
    withDataset(
      sharedFile('data/cifar100_transfer10'),
      (d) => {
        expect(d.length).toBe(1000);
        expect(d.classes[9]).toBe('tulip');
      },
      { split: 'train' },
    ));

  it('unpacks MNIST, finds its labels, and leaves no temporary file', async () => {
    const temporaries = await ownTemporaries();
    await withDataset(sharedFile('data/mnist/t10k-images-idx3-ubyte.gz'), async (d) => {
      expect(d).toMatchObject({ kind: 'idx', length: 10_000, imageShape: [1, 28, 28] });
      const { images, labels } = await d.read([0, 1, 9999]);
      expect([...labels!]).toEqual([7, 2, 6]);
      expect(images[0].data.filter((v) => v > 0).length).toBe(116);
    });
    expect(await temporaries()).toEqual([]);
  });

  it('reads the test part of the MNIST folder, or the part that is asked for', async () => {
    const folder = sharedFile('data/mnist');
    expect(await withDataset(folder, (d) => d.length)).toBe(10_000);
    expect(await withDataset(folder, (d) => d.length, { split: 'train' })).toBe(20_000);
    expect(await refusal(folder, { split: 'all' })).toMatch(/^dataset-ambiguous/);
  });
});

describe('class folders', () => {
  it('numbers classes by name and decodes PNG, JPEG and WebP', async () => {
    const folder = await scratch();
    await put(folder, 'dog/b.jpeg', await plain([0, 0, 255], 'jpeg'));
    await put(folder, 'dog/deep/c.webp', await plain([9, 8, 7], 'webp'));
    await put(folder, 'cat/a.PNG', await plain([1, 2, 3]));
    await put(folder, 'cat/notes.txt', 'no image');
    await withDataset(folder, async (d) => {
      expect(d).toMatchObject({ kind: 'folders', length: 3, classes: ['cat', 'dog'], imageShape: [3, 8, 8] });
      expect([...d.labels!]).toEqual([0, 1, 1]);
      expect(await firstPixels(d)).toEqual([
        [1, 2, 3],
        [0, 0, 254],
        [9, 8, 7],
      ]);
    });
  });

  it('takes images without class folders as unlabelled', async () => {
    const folder = await scratch();
    await put(folder, 'a.png', await plain([1, 2, 3]));
    await withDataset(folder, async (d) => {
      expect(d).toMatchObject({ length: 1, labelled: false, classes: [], labels: null });
      expect((await d.read([0])).labels).toBeNull();
    });
  });

  it('skips, counts and names what is no image, and keeps labels in step', async () => {
    const folder = await scratch();
    const whole = await sharp(Buffer.from(Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 7919) % 256)), {
      raw: { width: 64, height: 64, channels: 3 },
    })
      .jpeg()
      .toBuffer();
    await put(folder, 'a/1.png', 'not an image at all');
    await put(folder, 'a/2.png', await plain([4, 4, 4]));
    await put(folder, 'b/1.jpg', whole.subarray(0, whole.length / 2));
    await put(folder, 'b/2.png', await plain([5, 5, 5]));
    await put(
      folder,
      'b/3.png',
      '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>',
    );
    await withDataset(folder, async (d) => {
      const { images, labels, skipped } = await d.read([0, 1, 2, 3, 4]);
      expect(images.map(({ data }) => data[0])).toEqual([4, 5]);
      expect([...labels!]).toEqual([0, 1]);
      expect(skipped.map(({ index, name }) => [index, name])).toEqual([
        [0, path.join('a', '1.png')],
        [2, path.join('b', '1.jpg')],
        [4, path.join('b', '3.png')],
      ]);
      for (const { reason } of skipped) expect(reason).not.toBe('');
    });
  });

  it('refuses a picture of too many pixels before it unpacks them', async () => {
    const folder = await scratch();
    const wide = await sharp({ create: { width: 20_000, height: 6_000, channels: 3, background: '#000' } })
      .png()
      .toBuffer();
    await put(folder, 'a/bomb.png', wide);
    await withDataset(folder, async (d) => {
      const { images, skipped } = await d.read([0]);
      expect(images).toEqual([]);
      expect(skipped[0].reason).toMatch(/pixel limit/);
    });
  });

  it('applies EXIF rotation and drops transparency', async () => {
    const folder = await scratch();
    const pixels = Buffer.from([10, 20, 30, 40, 50, 60]);
    const raw = { raw: { width: 2, height: 1, channels: 3 } } as const;
    await put(folder, 'a/turned.png', await sharp(pixels, raw).withMetadata({ orientation: 6 }).png().toBuffer());
    await put(folder, 'b/clear.png', await picture(Buffer.from([10, 20, 30, 0]), [1, 1, 4]));
    await put(
      folder,
      'c/gray.png',
      await sharp(Buffer.from([77]), { raw: { width: 1, height: 1, channels: 1 } })
        .toColourspace('b-w')
        .png()
        .toBuffer(),
    );
    await withDataset(folder, async (d) => {
      const { images } = await d.read([0, 1, 2]);
      expect(images[0]).toMatchObject({ height: 2, width: 1, channels: 3 });
      expect([...images[0].data]).toEqual([10, 20, 30, 40, 50, 60]);
      expect([...images[1].data]).toEqual([10, 20, 30]);
      expect([...images[2].data]).toEqual([77, 77, 77]);
      expect(d.imageShape).toBeNull();
    });
  });

  it('reads the test part of a folder of parts', async () => {
    const folder = await scratch();
    for (const [name, value] of [
      ['train/a/1', 1],
      ['train/b/1', 2],
      ['test/a/1', 3],
      ['test/b/1', 4],
    ] as const)
      await put(folder, `${name}.png`, await plain([value, 0, 0]));
    const reds = (options?: OpenOptions) =>
      withDataset(folder, async (d) => (await firstPixels(d)).map(([r]) => r), options);
    expect(await reds()).toEqual([3, 4]);
    expect(await reds({ split: 'train' })).toEqual([1, 2]);
    expect((await reds({ split: 'all' })).sort()).toEqual([1, 2, 3, 4]);
    expect(await withDataset(folder, (d) => d.classes)).toEqual(['a', 'b']);
  });

  it('takes folders 0, 1, 2, … as labels', async () => {
    const folder = await scratch();
    for (let i = 0; i < 12; i++) await put(folder, `${i}/x.png`, await plain([i, i, i]));
    await withDataset(folder, async (d) => {
      const { images, labels } = await d.read(Array.from({ length: 12 }, (_, i) => i));
      expect(images.map(({ data }) => data[0])).toEqual([...labels!]);
      expect(d.warnings).toEqual([expect.stringContaining('numbers')]);
    });
  });

  it('leaves out links that lead out of the folder', async () => {
    const folder = await scratch();
    const secret = await put(await scratch(), 'elsewhere/secret.png', await plain([1, 1, 1]));
    await put(folder, 'a/own.png', await plain([2, 2, 2]));
    await symlink(secret, path.join(folder, 'a/out.png'));
    await symlink(path.dirname(secret), path.join(folder, 'b'));
    await symlink(path.join(folder, 'a/own.png'), path.join(folder, 'a/within.png'));
    await symlink(folder, path.join(folder, 'a/loop'));
    await withDataset(folder, async (d) => {
      const names = Array.from({ length: d.length }, (_, i) => d.nameOf(i));
      expect(names).toContain(path.join('a', 'within.png'));
      expect(names.filter((name) => /out\.png|secret/.test(name))).toEqual([]);
      expect(d.classes).toEqual(['a']);
      expect(d.warnings.join()).toMatch(/^2 links that lead out.*: b, a.out\.png/);
    });
  });

  it('says that a folder is empty', async () => {
    const folder = await scratch();
    await mkdir(path.join(folder, 'a'));
    expect(await refusal(folder)).toMatch(/^dataset-empty/);
    expect(await refusal(path.join(folder, 'nothing'))).toMatch(/^dataset-not-found/);
    expect(await refusal(await put(folder, 'x.txt', 'words'))).toMatch(/^dataset-unknown/);
  });
});

describe('CIFAR', () => {
  it('tells one label byte from two by the size', async () => {
    const folder = await scratch();
    const ten = await put(folder, 'ten.bin', Buffer.concat([cifarRecord([3], 30), cifarRecord([1], 10)]));
    const hundred = await put(
      folder,
      'hundred.bin',
      Buffer.concat([cifarRecord([19, 99], 5), cifarRecord([0, 42], 6)]),
    );
    await withDataset(ten, async (d) => {
      expect([...d.labels!]).toEqual([3, 1]);
      expect(d.classes).toEqual(['0', '1', '2', '3']);
      expect((await firstPixels(d, [1, 0])).map(([r]) => r)).toEqual([10, 30]);
    });
    await withDataset(hundred, async (d) => {
      expect([...d.labels!]).toEqual([99, 42]);
      expect((await firstPixels(d)).map(([r]) => r)).toEqual([5, 6]);
    });
  });

  it('decides by the labels when both sizes fit', async () => {
    const folder = await scratch();
    const count = 3073;
    const records = Array.from({ length: count }, (_, i) => cifarRecord([i % 20, i % 100], i % 251));
    const file = await put(folder, 'both.bin', Buffer.concat(records));
    await withDataset(file, async (d) => {
      expect(d.length).toBe(count);
      expect(d.labels![177]).toBe(77);
    });
  });

  it('joins the batches of a folder in the order of their names', async () => {
    const folder = await scratch();
    await put(folder, 'data_batch_1.bin', cifarRecord([0], 1));
    await put(folder, 'data_batch_2.bin', Buffer.concat([cifarRecord([1], 2), cifarRecord([0], 3)]));
    await put(folder, 'batches.meta.txt', 'plane\ncar\n');
    await withDataset(folder, async (d) => {
      expect(d.classes).toEqual(['plane', 'car']);
      expect((await firstPixels(d, [2, 0, 1])).map(([r]) => r)).toEqual([3, 1, 2]);
      expect(d.nameOf(2)).toBe('data_batch_2.bin[1]');
    });
  });

  it('skips a record whose label is no class', async () => {
    const folder = await scratch();
    const file = await put(folder, 'x.bin', Buffer.concat([cifarRecord([200], 1), cifarRecord([1], 2)]));
    await put(folder, 'classes.txt', 'a\nb');
    await withDataset(file, async (d) => {
      const { images, labels, skipped } = await d.read([0, 1]);
      expect([images.length, [...labels!], skipped[0].name]).toEqual([1, [1], 'x.bin[0]']);
    });
  });

  it('refuses a cut file', async () => {
    const file = await put(await scratch(), 'x.bin', cifarRecord([1], 2).subarray(0, 3000));
    expect(await refusal(file)).toBe(
      `dataset-malformed: '${file}': found 3000 bytes, expected records of 3073 (CIFAR-10) or 3074 bytes (CIFAR-100).`,
    );
  });
});

describe('IDX', () => {
  const images = idxBytes([2, 2, 3], Buffer.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]));
  const labels = idxBytes([2], Buffer.from([4, 2]));

  it('reads images with the labels beside them, packed or not', async () => {
    const folder = await scratch();
    const file = await put(folder, 'train-images-idx3-ubyte', images);
    await put(folder, 'train-labels-idx1-ubyte.gz', gzipSync(labels));
    await withDataset(file, async (d) => {
      expect(d).toMatchObject({ length: 2, imageShape: [1, 2, 3] });
      const read = await d.read([1]);
      expect([...read.images[0].data]).toEqual([7, 8, 9, 10, 11, 12]);
      expect([...read.labels!]).toEqual([2]);
    });
  });

  it('reads big-endian floats and a channel axis', async () => {
    const bytes = Buffer.alloc(4 + 16 + 12);
    bytes.set([0, 0, 13, 4]);
    [1, 1, 1, 3].forEach((d, i) => void bytes.writeUInt32BE(d, 4 + 4 * i));
    [0.25, 0.5, 1].forEach((v, i) => void bytes.writeFloatBE(v, 20 + 4 * i));
    await withDataset(await put(await scratch(), 'x-images-idx4-ubyte', bytes), async (d) => {
      expect(d).toMatchObject({ imageShape: [3, 1, 1], values: 'unit', labelled: false });
      expect(await firstPixels(d)).toEqual([[0.25, 0.5, 1]]);
    });
  });

  it('refuses headers that do not fit the file', async () => {
    const folder = await scratch();
    const huge = Buffer.from(images);
    huge.writeUInt32BE(0xffffffff, 4);
    huge.writeUInt32BE(0xffffffff, 8);
    const file = await put(folder, 'a-images-idx3-ubyte', huge);
    expect(await refusal(file)).toMatch(/^dataset-malformed: .* found 28 bytes, expected 5534023/);
    await put(folder, 'a-images-idx3-ubyte', images.subarray(0, 20));
    expect(await refusal(file)).toMatch(/^dataset-malformed: .* found 20 bytes, expected 28/);
    await put(folder, 'a-images-idx3-ubyte', images.subarray(0, 7));
    expect(await refusal(file)).toMatch(/^dataset-malformed: .* expected a whole header/);
    await put(folder, 'a-images-idx3-ubyte', Buffer.from('\x00\x00\x08\x09 and more'));
    expect(await refusal(file)).toMatch(/^dataset-malformed: .* found the first bytes 00000809/);
  });

  it('refuses packed data that is cut, damaged, larger than it says, or too large', async () => {
    const folder = await scratch();
    const temporaries = await ownTemporaries();
    const packed = gzipSync(images);
    const file = await put(folder, 'a-images-idx3-ubyte.gz', packed.subarray(0, packed.length - 9));
    expect(await refusal(file)).toMatch(/^dataset-malformed: .* found damaged compressed data/);
    await put(folder, 'a-images-idx3-ubyte.gz', gzipSync(Buffer.concat([images, Buffer.alloc(50_000_000)])));
    expect(await refusal(file)).toMatch(/^dataset-malformed: .* found more than 28 bytes/);
    await put(folder, 'a-images-idx3-ubyte.gz', gzipSync(idxBytes([0xffffffff, 1000, 1000], Buffer.alloc(100))));
    expect(await refusal(file)).toMatch(/^dataset-too-large/);
    await put(folder, 'a-images-idx3-ubyte.gz', packed);
    expect(await refusal(file, { maxUnpackedBytes: 20 })).toMatch(
      /^dataset-too-large: .* unpacks to 28 bytes; at most 20/,
    );
    expect(await temporaries()).toEqual([]);
  });

  it('refuses labels of another number', async () => {
    const folder = await scratch();
    const file = await put(folder, 'a-images-idx3-ubyte', images);
    await put(folder, 'a-labels-idx1-ubyte', idxBytes([3], Buffer.from([1, 2, 3])));
    expect(await refusal(file)).toMatch(/^dataset-malformed: .* found 3 labels, expected 2/);
  });

  it('stops when a file shrinks while it is open', async () => {
    const file = await put(await scratch(), 'a-images-idx3-ubyte', images);
    await withDataset(file, async (d) => {
      await truncate(file, 20);
      await expect(d.read([1])).rejects.toMatchObject({ code: 'dataset-malformed' });
    });
  });
});

describe('NumPy', () => {
  const lastImage = [6, 1, 3, 81, 74, 206];

  it('reads the test pair of an archive in place', () =>
    withDataset(path.join(fixtures, 'stored.npz'), async (d) => {
      expect(d).toMatchObject({
        kind: 'numpy',
        length: 6,
        imageShape: [3, 4, 5],
        classes: ['0', '1', '2'],
        values: 'bytes',
      });
      expect(d.warnings).toHaveLength(1);
      const { images, labels } = await d.read([5, 0]);
      expect([...labels!]).toEqual([1, 0]);
      expect([...images[0].data.subarray(0, 6)]).toEqual(lastImage);
      expect(images[0].layout).toBe('HWC');
    }));

  it('reads the training pair when asked', () =>
    withDataset(path.join(fixtures, 'stored.npz'), (d) => expect(d.length).toBe(2), { split: 'train' }));

  it('unpacks a compressed archive and cleans up', async () => {
    const temporaries = await ownTemporaries();
    await withDataset(path.join(fixtures, 'packed.npz'), async (d) => {
      const { images, labels } = await d.read([5]);
      expect([...images[0].data.subarray(0, 6), ...labels!]).toEqual([...lastImage, 1]);
      expect(await temporaries()).not.toEqual([]);
    });
    expect(await temporaries()).toEqual([]);
  });

  it('reads big-endian floats in NCHW with one-hot labels', () =>
    withDataset(path.join(fixtures, 'x.npy'), async (d) => {
      expect(d).toMatchObject({ length: 6, imageShape: [3, 4, 5], values: 'unit' });
      expect([...d.labels!]).toEqual([0, 2, 1, 2, 0, 1]);
      const [first] = await firstPixels(d, [5]);
      expect(first.map((v) => Math.round(v * 255))).toEqual(lastImage.slice(0, 3));
    }));

  it('finds arrays without telling names by their shapes', () =>
    withDataset(path.join(fixtures, 'unnamed.npz'), async (d) => {
      expect([...d.labels!]).toEqual([0, 2, 1, 2, 0, 1]);
      expect(await firstPixels(d, [5])).toEqual([lastImage.slice(0, 3)]);
    }));

  it('refuses Fortran order, damaged headers and archives', async () => {
    expect(await refusal(path.join(fixtures, 'fortran.npy'))).toMatch(/Fortran order/);
    const folder = await scratch();
    const npy = (header: string, data = Buffer.alloc(0)) => {
      const head = Buffer.from(`\x93NUMPY\x01\x00\x00\x00${header}\n`, 'latin1');
      head.writeUInt16LE(header.length + 1, 8);
      return Buffer.concat([head, data]);
    };
    const file = await put(folder, 'x.npy', npy("{'descr': '|O', 'fortran_order': False, 'shape': (2, 2, 2)}"));
    expect(await refusal(file)).toMatch(/^dataset-malformed/);
    await put(folder, 'x.npy', npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 9999999, 3)}"));
    expect(await refusal(file)).toMatch(/^dataset-malformed: .* found 0 bytes of elements/);
    const zip = await put(folder, 'x.npz', 'PK but nothing else');
    expect(await refusal(zip)).toMatch(/no end of a ZIP directory/);
  });
});

describe('CSV', () => {
  it('finds columns by heading, text labels, any separator', async () => {
    const folder = await scratch();
    for (const name of ['a', 'b', 'c']) await put(folder, `img/${name}.png`, await plain([1, 2, 3]));
    const file = await put(
      folder,
      'set.csv',
      '\ufeffsplit;Label;Filename\nx;dog;img/a.png\nx;cat;img/b.png\nx;dog;"img/c.png"\n',
    );
    await withDataset(file, (d) => {
      expect(d).toMatchObject({ kind: 'csv', length: 3, classes: ['cat', 'dog'] });
      expect([...d.labels!]).toEqual([1, 0, 1]);
      expect(d.nameOf(2)).toBe(path.join('img', 'c.png'));
    });
  });

  it('takes rows without heading, with numbers as labels', async () => {
    const folder = await scratch();
    await put(folder, 'a.png', await plain([1, 2, 3]));
    const file = await put(folder, 'set.csv', 'a.png,3\r\na.png,0\r\nmissing.png,1\r\n');
    await withDataset(file, async (d) => {
      expect([[...d.labels!], d.classes]).toEqual([
        [3, 0, 1],
        ['0', '1', '2', '3'],
      ]);
      const { labels, skipped } = await d.read([0, 1, 2]);
      expect([...labels!]).toEqual([3, 0]);
      expect(skipped).toEqual([{ index: 2, name: 'missing.png', reason: 'the file does not exist' }]);
    });
  });

  it.each(['/etc/hostname.png,1', '../other.png,1', 'a/../../x.png,1', 'C:\\x.png,1', '..\\x.png,1'])(
    'refuses %s',
    async (row) => {
      expect(await refusal(await put(await scratch(), 'set.csv', row))).toMatch(/^dataset-path-outside/);
    },
  );

  it('skips an image behind a link that leads out', async () => {
    const folder = await scratch();
    await symlink(await put(await scratch(), 'secret.png', await plain([1, 1, 1])), path.join(folder, 'in.png'));
    await withDataset(await put(folder, 'set.csv', 'in.png,0'), async (d) => {
      const { images, skipped } = await d.read([0]);
      expect(images).toEqual([]);
      expect(skipped[0].reason).toMatch(/outside its folder/);
    });
  });

  it('refuses rows without a label, absurd labels and endless rows', async () => {
    const folder = await scratch();
    const file = await put(folder, 'set.csv', 'path,label\na.png,1\nb.png\n');
    expect(await refusal(file)).toMatch(/^dataset-malformed: .*row 3/);
    await put(folder, 'set.csv', 'a.png,999999999');
    expect(await refusal(file)).toMatch(/^label-out-of-range/);
    await put(folder, 'set.csv', `a.png,${'x'.repeat(200_000)}`);
    expect(await refusal(file)).toMatch(/^dataset-malformed/);
  });
});

describe('dataset files', () => {
  const record = (label: number) => cifarRecord([label], label);

  it('name data beside them, with classes, label map and preprocessing', async () => {
    const folder = await scratch();
    await put(folder, 'data/x.bin', Buffer.concat([record(0), record(1)]));
    const content = {
      path: 'data/x.bin',
      classes: ['ape', 'bee'],
      labelMap: { ape: 7, '1': 3 },
      preprocessing: { scale: 1 },
    };
    const file = await put(folder, 'x.dataset.json', JSON.stringify(content));
    await withDataset(file, (d) => {
      expect(d).toMatchObject({ path: file, kind: 'cifar', preprocessing: { scale: 1 } });
      expect([...d.labels!]).toEqual([7, 3]);
    });
  });

  it('map class folders to the model’s outputs', async () => {
    const folder = await scratch();
    for (const name of ['cat', 'dog']) await put(folder, `pets/${name}/1.png`, await plain([1, 1, 1]));
    const file = await put(folder, 'x.dataset.json', JSON.stringify({ path: 'pets', labelMap: { cat: 5, dog: 2 } }));
    await withDataset(file, (d) => {
      expect([...d.labels!]).toEqual([5, 2]);
      expect(d.classes).toEqual(['0', '1', 'dog', '3', '4', 'cat']);
    });
    await put(folder, 'x.dataset.json', JSON.stringify({ path: 'pets', labelMap: { cat: 5 } }));
    expect(await refusal(file)).toMatch(/^label-unmapped: .*'dog'/);
    await put(folder, 'x.dataset.json', JSON.stringify({ path: 'pets', classes: ['dog', 'cat'] }));
    expect(await withDataset(file, (d) => [...d.labels!])).toEqual([1, 0]);
  });

  it('read the part they name, else what naming the data itself would read', async () => {
    const folder = await scratch();
    await put(folder, 'data/data_batch_1.bin', Buffer.concat([record(0), record(1)]));
    await put(folder, 'data/test_batch.bin', record(2));
    const labels = async (split?: string) => {
      const file = await put(folder, 'x.dataset.json', JSON.stringify({ path: 'data', split }));
      return withDataset(file, (d) => [...d.labels!]);
    };
    const itself = await withDataset(path.join(folder, 'data'), (d) => [...d.labels!]);
    expect(itself).toEqual([2]);
    expect(await labels()).toEqual(itself);
    expect(await labels('train')).toEqual([0, 1]);
    expect(await labels('all')).toEqual([0, 1, 2]);
  });

  it('may not lead out of their folder', async () => {
    const outside = await scratch();
    await put(outside, 'x.bin', record(1));
    await mkdir(path.join(outside, 'inner'));
    await symlink(path.join(outside, 'x.bin'), path.join(outside, 'inner/link.bin'));
    const tryPath = async (named: string) =>
      refusal(await put(outside, 'inner/x.dataset.json', JSON.stringify({ path: named })));
    for (const named of [path.join(outside, 'x.bin'), '../x.bin', 'a/../../x.bin', 'link.bin'])
      expect(await tryPath(named)).toMatch(/^dataset-path-outside/);
    expect(await tryPath('gone.bin')).toMatch(/^dataset-not-found/);
  });

  it('may not reach out through the folder they name', async () => {
    const outside = await scratch();
    await put(outside, 'x.bin', record(1));
    const folder = path.join(outside, 'inner');
    await mkdir(folder);
    await symlink(path.join(outside, 'x.bin'), path.join(folder, 'test.bin'));
    const file = await put(folder, 'x.dataset.json', JSON.stringify({ path: '.' }));
    expect(await refusal(file)).toMatch(/^dataset-(empty|path-outside)/);
  });

  it.each([
    ['{', 'JSON'],
    ['{"path": "x.bin", "split": "half"}', 'split'],
    ['{"path": "x.bin", "colour": 1}', 'colour'],
    ['{"path": "x.dataset.json"}', 'another dataset file'],
  ])('refuse %s', async (text, found) => {
    const message = await refusal(await put(await scratch(), 'x.dataset.json', text));
    expect(message).toMatch(/^dataset-malformed/);
    expect(message).toContain(found);
  });
});
