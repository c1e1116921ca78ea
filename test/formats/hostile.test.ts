/** Files that are damaged or made to do harm: each gives a typed error that names the place, in bounded time. */
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/errors';
import { openModel } from '../../src/formats';
import { readOnnx } from '../../src/formats/onnx/read';
import { makeNode } from '../../src/graph/graph';
import { float32Tensor } from '../../src/tensor/tensor';
import {
  bytesField,
  concat,
  intField,
  makeGraph,
  modelBytes,
  temporaryFile,
  temporaryFolder,
  value,
  varint,
} from '../support/onnxBuilder';
import { hasShared, sharedFile } from '../support/shared';

/** Opens a file, reads all its weights, and returns the error's code and message. */
function failure(file: string, open = openModel): { code: string; message: string } {
  try {
    const model = open(file);
    for (const tensor of model.graph.initializers.values()) tensor.read();
    model.close();
  } catch (error) {
    if (error instanceof UserError) return { code: error.code, message: error.message };
    throw error;
  }
  return { code: 'none', message: '' };
}

const graph = (...fields: Uint8Array[]) => concat(intField(1, 8), bytesField(7, ...fields));
const tensor = (...fields: Uint8Array[]) => graph(bytesField(5, bytesField(8, 'w'), ...fields));
const node = (inputs: string[], outputs: string[], ...more: Uint8Array[]) =>
  bytesField(
    1,
    ...inputs.map((name) => bytesField(1, name)),
    ...outputs.map((name) => bytesField(2, name)),
    bytesField(4, 'Relu'),
    ...more,
  );

function nested(levels: number): Uint8Array {
  let inner = bytesField(2, 'g');
  for (let i = 0; i < levels; i++)
    inner = node([], [`v${i}`], bytesField(5, bytesField(1, 'body'), bytesField(6, inner)));
  return graph(inner);
}

const negative = varint(-1);
const tooLong = Uint8Array.of(...new Array<number>(10).fill(0x80), 1);

const rows: [what: string, code: string, content: Uint8Array, place: string | RegExp][] = [
  ['an empty file', 'empty-file', new Uint8Array(0), '0 bytes'],
  ['a model without a graph', 'no-graph', intField(1, 8), 'no graph'],
  ['two graphs', 'corrupt-model', concat(graph(), bytesField(7)), 'byte 4'],
  ['text', 'corrupt-model', Buffer.from('hello, world'), /byte \d+/],
  ['random bytes', 'corrupt-model', Buffer.from('ffeeddccbbaa99887766', 'hex'), /byte \d+/],
  [
    'a length beyond the file',
    'corrupt-model',
    concat(intField(1, 8), varint(58), varint(1000), varint(1)),
    'length of 1000',
  ],
  ['a length of 2^63', 'corrupt-model', concat(varint(58), varint(2n ** 63n)), 'length of 9223372036854775808'],
  ['a negative length', 'corrupt-model', concat(varint(58), negative), 'length of 18446744073709551615'],
  ['a node longer than its graph', 'corrupt-model', graph(concat(varint(10), varint(5), varint(1))), 'at most 1 bytes'],
  ['a tag cut off', 'corrupt-model', concat(intField(1, 8), Uint8Array.of(0x80)), 'end of the file'],
  [
    'an integer that leaves its message',
    'corrupt-model',
    concat(bytesField(7, bytesField(1, Uint8Array.of(0x18, 0x80))), varint(0)),
    /byte \d+/,
  ],
  ['an integer of eleven bytes', 'corrupt-model', concat(varint(8), tooLong), 'at most 10 bytes'],
  ['a tag of eleven bytes', 'corrupt-model', tooLong, 'at most 10 bytes'],
  ['field number 0', 'corrupt-model', Uint8Array.of(2, 0), 'field number'],
  ['a field number beyond 2^29', 'corrupt-model', varint(2n ** 33n), 'field number'],
  ['a group', 'corrupt-model', concat(graph(), Uint8Array.of(0x7b)), 'wire type 3'],
  ['an integer for a graph', 'corrupt-model', intField(7, 1), 'wire type 2 for field 7'],
  ['text for the IR version', 'corrupt-model', bytesField(1, 'x'), 'wire type 0 for field 1'],
  ['raw data as an integer', 'corrupt-model', tensor(intField(9, 1)), 'wire type 2 for field 9'],
  [
    'packed floats of 5 bytes',
    'corrupt-model',
    graph(node([], ['y'], bytesField(5, bytesField(7, new Uint8Array(5))))),
    'multiple of 4',
  ],
  [
    'a float cut off',
    'corrupt-model',
    graph(node([], ['y'], bytesField(5, concat(varint(21), new Uint8Array(2))))),
    '4 bytes',
  ],
  [
    'a name that is not UTF-8',
    'corrupt-model',
    graph(node([], ['y'], bytesField(3, Uint8Array.of(0xff, 0xfe)))),
    'UTF-8',
  ],
  [
    'a negative dimension',
    'tensor-dims',
    tensor(concat(varint(8), negative), intField(2, 1)),
    "'w' has the impossible shape [-1]",
  ],
  [
    'dimensions whose product overflows',
    'tensor-dims',
    tensor(intField(1, 2 ** 40), intField(1, 2 ** 40), intField(2, 1)),
    "'w'",
  ],
  ['a dimension of 2^63', 'tensor-dims', tensor(concat(varint(8), varint(2n ** 63n - 1n)), intField(2, 1)), "'w'"],
  [
    'a huge tensor without values',
    'tensor-size',
    tensor(intField(1, 2 ** 36), intField(2, 1)),
    'needs 274877906944 bytes',
  ],
  [
    'a huge tensor of a few small values',
    'tensor-size',
    tensor(intField(1, 2 ** 36), intField(2, 7), bytesField(7, new Uint8Array(9))),
    'needs 549755813888 bytes',
  ],
  [
    'too few raw bytes',
    'tensor-size',
    tensor(intField(1, 2), intField(2, 1), bytesField(9, new Uint8Array(7))),
    'needs 8 bytes of values, found 7',
  ],
  [
    'too many raw bytes',
    'tensor-size',
    tensor(intField(1, 1), intField(2, 1), bytesField(9, new Uint8Array(8))),
    'needs 4 bytes of values, found 8',
  ],
  [
    'values in the field of another type',
    'tensor-size',
    tensor(intField(1, 1), intField(2, 1), bytesField(7, varint(1))),
    'found 0',
  ],
  ['an unknown element type', 'unknown-data-type', tensor(intField(2, 99)), 'element type 99'],
  ['no element type', 'unknown-data-type', tensor(), 'element type 0'],
  [
    'the same initializer twice',
    'duplicate-value',
    graph(...[1, 2].map(() => bytesField(5, bytesField(8, 'w'), intField(2, 1), bytesField(9, new Uint8Array(4))))),
    "'w'",
  ],
  ['the same output twice', 'duplicate-value', graph(node([], ['y']), node([], ['y'])), "'y'"],
  [
    'the same input twice',
    'duplicate-value',
    graph(bytesField(11, bytesField(1, 'x')), bytesField(11, bytesField(1, 'x'))),
    "'x'",
  ],
  [
    'a node that redefines an input',
    'duplicate-value',
    graph(bytesField(11, bytesField(1, 'x')), node([], ['x'])),
    "'x'",
  ],
  ['an input that nothing defines', 'undefined-value', graph(node(['nowhere'], ['y'])), "'y' reads 'nowhere'"],
  ['an output that nothing defines', 'undefined-output', graph(bytesField(12, bytesField(1, 'y'))), "'y'"],
  ['a node that reads itself', 'cyclic-graph', graph(node(['y'], ['y'])), "'y'"],
  ['a cycle of two nodes', 'cyclic-graph', graph(node(['b'], ['a']), node(['a'], ['b'])), "'a' reads 'b'"],
  [
    'nodes in the wrong order',
    'value-before-definition',
    graph(node(['b'], ['c']), node([], ['b'])),
    "before node 'b'",
  ],
  [
    'a branch that reads a later value',
    'value-before-definition',
    graph(node([], ['y'], bytesField(5, bytesField(1, 'b'), bytesField(6, node(['z'], ['i'])))), node([], ['z'])),
    "'z'",
  ],
  ['control flow 40 levels deep', 'nesting-too-deep', nested(40), '32 levels'],
  ['control flow 5,000 levels deep', 'nesting-too-deep', nested(5000), '32 levels'],
];

describe('a file with', () => {
  it.each(rows)('%s is refused as %s', (_, code, content, place) => {
    const error = failure(temporaryFile(content));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(place);
  });

  it('more parts than memory should hold is refused before it does harm', () => {
    const empty = bytesField(1);
    const nodes = Buffer.alloc(4_000_000, Buffer.from(empty));
    const before = process.memoryUsage().rss;
    expect(failure(temporaryFile(graph(nodes))).code).toBe('model-too-complex');
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 30);
  });

  it('an attribute of endless numbers is refused before they are made', () => {
    const ints = bytesField(5, bytesField(1, 'a'), bytesField(8, new Uint8Array(70_000_000)));
    expect(failure(temporaryFile(graph(node([], ['y'], ints)))).code).toBe('model-too-complex');
  });

  it('every possible truncation is an error', () => {
    const weight = float32Tensor(Float32Array.of(1, 2, 3, 4), [2, 2]);
    const whole = modelBytes(
      makeGraph({
        nodes: [makeNode('MatMul', ['x', 'w'], ['y'])],
        inputs: [value('x', ['N', 2])],
        outputs: [value('y', ['N', 2])],
        initializers: { w: weight },
      }),
    );
    const file = temporaryFile(whole);
    expect(failure(file).code).toBe('none');
    // The operator sets follow the graph: without them the rest is still a model.
    const graphEnd = whole.length - bytesField(8, intField(2, 17)).length;
    for (let length = 0; length < graphEnd; length++) {
      fs.writeFileSync(file, whole.subarray(0, length));
      expect(['empty-file', 'corrupt-model', 'no-graph']).toContain(failure(file).code);
    }
  });
});

describe('a file that', () => {
  it.each([
    ['/no/such/folder/model.onnx', 'file-not-found'],
    [__dirname, 'cannot-read'],
    ['/dev/null', 'cannot-read'],
  ])('is %s is refused as %s', (file, code) => expect(failure(file).code).toBe(code));

  it.skipIf(process.getuid?.() === 0)('may not be read is refused', () => {
    const file = temporaryFile('x');
    fs.chmodSync(file, 0);
    expect(failure(file)).toMatchObject({ code: 'cannot-read', message: expect.stringContaining('permission') });
  });

  it.each([
    ['model.h5', '\x89HDF\r\n\x1a\n', 'Keras'],
    ['model.onnx', '\x89HDF\r\n\x1a\n', 'Keras'],
    ['model.keras', 'PK\x03\x04', 'Keras'],
    ['model.pt', 'PK\x03\x04', 'PyTorch'],
    ['model.onnx', 'PK\x03\x04', 'zip archive'],
    ['model.th', '\x80\x02\x8a', 'PyTorch'],
    ['model.tflite', '\x1c\0\0\0TFL3', 'TensorFlow Lite'],
    ['model.safetensors', '\x10\0\0\0\0\0\0\0{"a"', 'safetensors'],
    ['model.json', '{"modelTopology":1}', 'TensorFlow.js'],
    ['saved_model.pb', '\x08\x01\x12\x02\x12\x00', 'TensorFlow graph'],
    ['frozen.pb', '\x0a\x04\x0a\x02ab', 'TensorFlow graph'],
    ['model.ort', '\x1c\0\0\0ORTM', 'ORT format'],
    ['model.onnx', 'version https://git-lfs.github.com/spec/v1', 'Git LFS'],
    ['model.onnx', '<!DOCTYPE html>', 'web page'],
  ])('is named %s and starts with %j is recognised as %s', (name, start, found) => {
    const error = failure(temporaryFile(Buffer.from(start, 'latin1'), name));
    expect(error).toMatchObject({ code: 'unsupported-format', message: expect.stringContaining(found) });
    expect(error.message).toContain('ONNX');
  });

  it('is ONNX under another name is opened', () => {
    expect(failure(temporaryFile(graph(), 'model.pb')).code).toBe('none');
  });

  it
    .skipIf(!hasShared)
    .each([
      'fer2013_mini_xception.hdf5',
      'mnist_cnn.h5',
      'mnist_cnn.keras',
      'resnet20_cifar10.safetensors',
      'resnet20_cifar10.th',
      'tiny_resnet8_cifar10.tflite',
      'tfjs_mnist_cnn/model.json',
    ])('is the real %s is refused with a way to convert it', (name) => {
    expect(failure(sharedFile(`data/models/${name}`)).code).toBe('unsupported-format');
  });
});

describe('external data', () => {
  function folderWith(location: string, entries: Record<string, string> = {}, dims = 2): string {
    const folder = temporaryFolder();
    fs.mkdirSync(path.join(folder, 'inner'));
    fs.writeFileSync(path.join(folder, 'secret.bin'), new Uint8Array(8));
    fs.writeFileSync(path.join(folder, 'inner', 'w.bin'), new Uint8Array(8));
    const pairs = Object.entries({ location, ...entries }).map(([key, text]) =>
      bytesField(13, bytesField(1, key), bytesField(2, text)),
    );
    const file = path.join(folder, 'inner', 'model.onnx');
    fs.writeFileSync(file, tensor(intField(1, dims), intField(2, 1), intField(14, 1), ...pairs));
    return file;
  }

  it.each([
    ['w.bin', {}, 'none'],
    ['./w.bin', { offset: '0', length: '8' }, 'none'],
    ['', {}, 'external-data-path'],
    ['/etc/passwd', {}, 'external-data-path'],
    ['../secret.bin', {}, 'external-data-path'],
    ['a/../../secret.bin', {}, 'external-data-path'],
    ['..\\secret.bin', {}, 'external-data-path'],
    ['C:\\secret.bin', {}, 'external-data-path'],
    ['c:secret.bin', {}, 'external-data-path'],
    ['\\\\server\\share\\w.bin', {}, 'external-data-path'],
    ['//server/share/w.bin', {}, 'external-data-path'],
    ['w.bin\0.txt', {}, 'external-data-path'],
    ['.', {}, 'external-data-path'],
    ['*/_ORT_MEM_ADDR_/*', {}, 'external-data-missing'],
    ['missing.bin', {}, 'external-data-missing'],
    ['w.bin/w.bin', {}, 'external-data-missing'],
    ['w.bin', { offset: '1' }, 'external-data-range'],
    ['w.bin', { offset: '9007199254740993' }, 'external-data-range'],
    ['w.bin', { offset: '-8' }, 'external-data-range'],
    ['w.bin', { offset: '0x0' }, 'external-data-range'],
    ['w.bin', { length: '99999999999999999999' }, 'external-data-range'],
    ['w.bin', { length: '4' }, 'tensor-size'],
  ] as [string, Record<string, string>, string][])('in %j with %j gives %s', (location, entries, code) => {
    const error = failure(folderWith(location, entries));
    expect(error.code).toBe(code);
    if (code !== 'none') expect(error.message).toContain("'w'");
  });

  it('through a link out of the folder is refused, through one inside it is read', () => {
    const file = folderWith('link.bin');
    const link = path.join(path.dirname(file), 'link.bin');
    fs.symlinkSync('../secret.bin', link);
    expect(failure(file)).toMatchObject({ code: 'external-data-path', message: expect.stringContaining('link') });
    fs.rmSync(link);
    fs.symlinkSync('w.bin', link);
    expect(failure(file).code).toBe('none');
  });

  it('below a linked folder that leads out is refused', () => {
    const file = folderWith('folder/secret.bin');
    fs.symlinkSync('..', path.join(path.dirname(file), 'folder'));
    expect(failure(file).code).toBe('external-data-path');
  });

  it('of a model that is itself a link is found beside the target, as in download caches', () => {
    const file = folderWith('w.bin');
    const folder = temporaryFolder();
    fs.symlinkSync(file, path.join(folder, 'model.onnx'));
    fs.symlinkSync(path.join(path.dirname(file), 'w.bin'), path.join(folder, 'w.bin'));
    expect(failure(path.join(folder, 'model.onnx')).code).toBe('none');
  });

  it('that is replaced after opening is reported', () => {
    const file = folderWith('w.bin');
    const model = readOnnx(file);
    fs.writeFileSync(path.join(path.dirname(file), 'w.bin'), new Uint8Array(9));
    const [weight] = model.graph.initializers.values();
    expect(() => weight.read()).toThrow(expect.objectContaining({ code: 'file-changed' }));
    model.close();
  });
});
