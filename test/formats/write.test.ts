/** What writing keeps, what it changes, and where it refuses to write. */
import fs from 'node:fs';
import path from 'node:path';
import { InferenceSession, Tensor as RuntimeTensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { openModel } from '../../src/formats';
import { serializeGraph } from '../../src/formats/onnx/serialize';
import { writeOnnx } from '../../src/formats/onnx/write';
import { type Graph, int, makeNode } from '../../src/graph/graph';
import { bytesOf, float32Tensor, int64Tensor, memoryTensor, type TensorRef } from '../../src/tensor/tensor';
import {
  bytesField,
  concat,
  intField,
  makeGraph,
  modelBytes,
  temporaryFile,
  temporaryFolder,
  value,
} from '../support/onnxBuilder';
import { decodeModel, encodeModel, type PlainModel } from '../support/onnxProto';

const unknown = bytesField(777, 'from the future');

/** A model with everything that Espalier carries along, fields in an unusual order. */
function rich(): Uint8Array {
  const plain = encodeModel({
    irVersion: 10,
    producerName: 'tool',
    docString: 'about the model',
    modelVersion: 3,
    opsetImport: [{ version: 17 }, { domain: 'own', version: 1 }],
    metadataProps: [{ key: 'author', value: 'somebody' }],
    functions: [
      {
        name: 'Twice',
        domain: 'own',
        input: ['a'],
        output: ['b'],
        node: [{ input: ['a', 'a'], output: ['b'], opType: 'Add' }],
        opsetImport: [{ version: 17 }],
      },
    ],
    trainingInfo: [{ algorithm: { name: 'training', node: [] } }],
  });
  const graph = encodeModel({
    graph: {
      name: 'rich',
      docString: 'about the graph',
      metadataProps: [{ key: 'k', value: 'v' }],
      quantizationAnnotation: [{ tensorName: 'w' }],
      node: [
        { input: ['x', 'w'], output: ['h'], opType: 'MatMul', name: 'first', docString: 'about a node' },
        { input: ['h'], output: ['t'], opType: 'Twice', domain: 'own', name: 'second', overload: '' },
        {
          input: ['t', 'w'],
          output: ['y'],
          opType: 'MatMul',
          name: 'third',
          metadataProps: [{ key: 'a', value: 'b' }],
        },
      ],
      initializer: [{ name: 'w', dataType: 1, dims: [2, 2], floatData: [1, 2, 3, 4], docString: 'about w' }],
      input: [
        {
          name: 'x',
          docString: 'about x',
          type: {
            tensorType: { elemType: 1, shape: { dim: [{ dimParam: 'N' }, { dimValue: 2, denotation: 'FEATURE' }] } },
          },
        },
      ],
      output: [{ name: 'y', type: { tensorType: { elemType: 1, shape: { dim: [{}, { dimValue: 2 }] } } } }],
      valueInfo: [{ name: 'h', type: { sequenceType: { elemType: { tensorType: { elemType: 1 } } } } }],
    },
  });
  // The graph comes first, starts with an unknown field and is followed by one.
  const payload = graph.subarray(graph.length - innerLength(graph));
  return concat(bytesField(7, unknown, payload), unknown, plain);
}

/** The length that an encoded model of nothing but a graph states for it. */
function innerLength(graphField: Uint8Array): number {
  let length = 0;
  for (let i = 1, shift = 0; ; i++, shift += 7) {
    length |= (graphField[i] & 0x7f) << shift;
    if (graphField[i] < 0x80) return length;
  }
}

function write(
  bytes: Uint8Array,
  edit: (graph: Graph) => Graph,
): { before: PlainModel; after: PlainModel; bytes: Buffer } {
  const model = openModel(temporaryFile(bytes));
  const output = path.join(temporaryFolder(), 'out.onnx');
  writeOnnx(model, edit(model.graph), output, { overwrite: false });
  model.close();
  openModel(output).close();
  const written = fs.readFileSync(output);
  return { before: decodeModel(bytes), after: decodeModel(written), bytes: written };
}

const byName = <T extends { name: string }>(list: readonly T[], name: string): T => list.find((e) => e.name === name)!;

describe('writing', () => {
  it('keeps all that it does not know', () => {
    const { before, after, bytes } = write(rich(), (graph) => ({
      ...graph,
      nodes: graph.nodes.map((node) => (node.name === 'second' ? { ...node, outputs: ['t'] } : node)),
    }));
    expect(after).toEqual(before);
    // The graph's own unknown field is still its first, the model's still stands between the graph and the rest.
    expect(bytes.subarray(3, 3 + unknown.length)).toEqual(Buffer.from(unknown));
    expect(bytes.includes(Buffer.from(concat(unknown, intField(1, 10))))).toBe(true);
  });

  it('changes nothing in the file when a changed element says the same in the same way', () => {
    const whole = rich();
    const { bytes } = write(whole, (graph) => ({ ...graph, nodes: [...graph.nodes], outputs: [...graph.outputs] }));
    expect(bytes.equals(whole)).toBe(true);
  });

  it('keeps doc strings and metadata of changed nodes, values and graphs', () => {
    const { before, after } = write(rich(), (graph) => ({
      ...graph,
      name: 'renamed',
      nodes: graph.nodes.map((node) => ({ ...node, name: `${node.name}!` })),
      inputs: graph.inputs.map((input) => ({ ...input, shape: [4, 2] })),
      valueInfo: graph.valueInfo.map((info) => ({ ...info })),
    }));
    expect(after.graph).toMatchObject({
      name: 'renamed',
      docString: 'about the graph',
      metadataProps: before.graph.metadataProps,
    });
    expect(after.graph.node[0]).toEqual({ ...before.graph.node[0], name: 'first!' });
    expect(after.graph.node[2]).toEqual({ ...before.graph.node[2], name: 'third!' });
    expect(after.graph.input[0]).toMatchObject({ docString: 'about x', type: { tensorType: { elemType: 1 } } });
    expect(after.graph.input[0].type.tensorType.shape.dim).toEqual([{ dimValue: '4' }, { dimValue: '2' }]);
    expect(after.graph.valueInfo).toEqual(before.graph.valueInfo);
  });

  it('puts new nodes where the graph has them and leaves out removed ones', () => {
    const { before, after } = write(rich(), (graph) => {
      const [first, , third] = graph.nodes;
      const relu = makeNode('Relu', ['h'], ['t'], {}, 'between');
      const cast = makeNode('Cast', ['x'], ['z'], { to: int(1) });
      return { ...graph, nodes: [cast, first, relu, third, makeNode('Neg', ['y'], ['n'])] };
    });
    const [first, , third] = before.graph.node;
    expect(after.graph.node).toEqual([
      { input: ['x'], output: ['z'], opType: 'Cast', attribute: [{ name: 'to', i: '1', type: 2 }] },
      first,
      { input: ['h'], output: ['t'], opType: 'Relu', name: 'between' },
      third,
      { input: ['y'], output: ['n'], opType: 'Neg' },
    ]);
  });

  it('follows the order of the graph', () => {
    const { before, after } = write(
      encodeModel({ graph: { node: ['a', 'b', 'c'].map((name) => ({ name, opType: 'X', output: [name] })) } }),
      (graph) => ({ ...graph, nodes: [graph.nodes[1], graph.nodes[2], graph.nodes[0]] }),
    );
    expect(after.graph.node).toEqual([1, 2, 0].map((i) => before.graph.node[i]));
  });

  it('writes a clone of a shared initializer under its own name, with what the file says about it', () => {
    const { before, after } = write(rich(), (graph) => {
      const w = graph.initializers.get('w')!;
      const third = byName(graph.nodes, 'third');
      const initializers = new Map(graph.initializers)
        .set('w_2', w)
        .set('v', memoryTensor('v', int64Tensor([-1, 2 ** 40])));
      return { ...graph, initializers, nodes: [...graph.nodes.slice(0, 2), { ...third, inputs: ['t', 'w_2'] }] };
    });
    const [w] = before.graph.initializer;
    const raw = Buffer.from(bytesOf(BigInt64Array.of(-1n, 2n ** 40n))).toString('base64');
    expect(after.graph.initializer).toEqual([
      w,
      { ...w, name: 'w_2' },
      { name: 'v', dataType: 7, dims: ['2'], rawData: raw },
    ]);
  });

  it('moves an inner value to the outputs', () => {
    const { after } = write(rich(), (graph) => ({ ...graph, outputs: [...graph.outputs, ...graph.valueInfo] }));
    expect(after.graph.output[1]).toEqual(after.graph.valueInfo[0]);
  });

  it('writes every kind of attribute', () => {
    const inner = makeGraph({ nodes: [makeNode('Neg', ['x'], ['i'])], inputs: [], outputs: [value('i')] });
    const node = makeNode('Everything', ['x'], ['y'], {
      float: { kind: 'float', value: 0.5 },
      int: { kind: 'int', value: -(2 ** 40) },
      largest: { kind: 'int', value: Number(2n ** 63n - 1n) },
      smallest: { kind: 'int', value: Number(-(2n ** 63n)) },
      string: { kind: 'string', value: 'ß€😀' },
      floats: { kind: 'floats', value: [1, -2] },
      ints: { kind: 'ints', value: [0, 127, 128, -1, 2 ** 32, -(2 ** 32)] },
      strings: { kind: 'strings', value: ['', 'a'] },
      tensor: { kind: 'tensor', value: memoryTensor('t', float32Tensor(Float32Array.of(1), [1])) },
      graph: { kind: 'graph', value: inner },
      graphs: { kind: 'graphs', value: [inner, inner] },
    });
    const bytes = modelBytes(makeGraph({ nodes: [node], inputs: [value('x')], outputs: [value('y')] }));
    const plain = decodeModel(bytes).graph.node[0].attribute;
    expect(Object.fromEntries(plain.map((a: PlainModel) => [a.name, a.i ?? a.ints ?? a.f ?? a.floats]))).toMatchObject({
      float: 0.5,
      int: '-1099511627776',
      largest: '9223372036854775807',
      smallest: '-9223372036854775808',
      floats: [1, -2],
      ints: ['0', '127', '128', '-1', '4294967296', '-4294967296'],
    });
    const model = openModel(temporaryFile(bytes));
    const read = model.graph.nodes[0].attributes;
    for (const [name, attribute] of node.attributes) {
      const found = read.get(name)!;
      expect(found.kind).toBe(attribute.kind);
      if (found.kind === 'tensor') expect(found.value.read()).toEqual(float32Tensor(Float32Array.of(1), [1]));
      else if (found.kind === 'graph') expect(found.value.nodes[0]).toMatchObject({ opType: 'Neg', inputs: ['x'] });
      else if (found.kind === 'graphs') expect(found.value).toHaveLength(2);
      else expect(found).toMatchObject(attribute);
    }
    model.close();
  });

  it('edits a graph inside a node and keeps its surroundings', () => {
    const branch = (name: string) => ({
      name,
      docString: `about ${name}`,
      node: [{ opType: 'Identity', input: ['x'], output: [name], name: `${name}_node` }],
      output: [{ name }],
    });
    const bytes = encodeModel({
      graph: {
        input: [{ name: 'c' }, { name: 'x' }],
        node: [
          {
            opType: 'If',
            input: ['c'],
            output: ['y'],
            attribute: [
              { name: 'then_branch', type: 5, g: branch('a') },
              { name: 'else_branch', type: 5, g: branch('b'), docString: 'about else' },
            ],
          },
        ],
      },
    });
    const { before, after } = write(bytes, (graph) => {
      const [node] = graph.nodes;
      const then = node.attributes.get('then_branch')!;
      if (then.kind !== 'graph') throw new Error('not a graph');
      const changed: Graph = { ...then.value, nodes: [makeNode('Neg', ['x'], ['a'])] };
      return {
        ...graph,
        nodes: [
          { ...node, attributes: new Map(node.attributes).set('then_branch', { kind: 'graph', value: changed }) },
        ],
      };
    });
    const [, otherwise] = before.graph.node[0].attribute;
    const then = { ...branch('a'), node: [{ opType: 'Neg', input: ['x'], output: ['a'] }] };
    expect(after.graph.node[0].attribute).toEqual([{ name: 'then_branch', type: 5, g: then }, otherwise]);
  });

  it('replaces a weight by one that is read when it is written', () => {
    const { after } = write(rich(), (graph) => {
      const data = Float32Array.of(5, 6, 7, 8);
      const lazy: TensorRef = {
        name: 'w',
        dtype: 'float32',
        dims: [2, 2],
        bytes: 16,
        read: () => float32Tensor(data, [2, 2]),
      };
      return { ...graph, initializers: new Map([['w', lazy]]) };
    });
    expect(after.graph.initializer).toHaveLength(1);
    expect(Buffer.from(after.graph.initializer[0].rawData, 'base64')).toEqual(
      Buffer.from(bytesOf(Float32Array.of(5, 6, 7, 8))),
    );
  });
});

describe('a model in memory', () => {
  it('has the functions of the model it came from and runs', async () => {
    const model = openModel(temporaryFile(rich()));
    const bytes = serializeGraph({ ...model.graph, valueInfo: [] }, model.metadata);
    const session = await InferenceSession.create(bytes, { logSeverityLevel: 3 });
    const { y } = await session.run({ x: new RuntimeTensor('float32', Float32Array.of(1, 1), [1, 2]) });
    // x·W = [4, 6]; twice that is [8, 12]; times W = [44, 64].
    expect(y.data).toEqual(Float32Array.of(44, 64));
    await session.release();
    model.close();
  });

  it('is refused above the limit of ONNX without reading a weight', () => {
    const read = () => expect.unreachable('the weight is read');
    const huge: TensorRef = { name: 'w', dtype: 'float32', dims: [2 ** 30], bytes: 2 ** 32, read };
    const graph = { ...makeGraph({ nodes: [], inputs: [], outputs: [] }), initializers: new Map([['w', huge]]) };
    expect(() => modelBytes(graph)).toThrow(expect.objectContaining({ code: 'model-too-large' }));
  });
});

describe('external data', () => {
  /** Two weights in one file (one in a subfolder's file), one small tensor inside. */
  function external(): { file: string; folder: string } {
    const folder = temporaryFolder();
    const file = path.join(folder, 'model.onnx');
    fs.mkdirSync(path.join(folder, 'sub'));
    const big = Float32Array.from({ length: 512 }, (_, i) => i);
    fs.writeFileSync(path.join(folder, 'weights.bin'), concat(bytesOf(big), new Uint8Array(2048), bytesOf(big)));
    fs.writeFileSync(path.join(folder, 'sub', 'more.bin'), bytesOf(big));
    const place = (location: string, offset: number) =>
      Object.entries({ location, offset: String(offset), length: '2048' }).map(([key, text]) => ({ key, value: text }));
    const tensor = (name: string, location: string, offset: number) => ({
      name,
      dataType: 1,
      dims: [512],
      dataLocation: 1,
      externalData: place(location, offset),
    });
    const plain = {
      irVersion: 8,
      opsetImport: [{ version: 17 }],
      graph: {
        name: 'g',
        input: [{ name: 'x', type: { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 512 }] } } } }],
        node: [
          { opType: 'Add', input: ['x', 'a'], output: ['h'] },
          {
            opType: 'Constant',
            output: ['c'],
            attribute: [{ name: 'value', type: 4, t: tensor('', 'sub/more.bin', 0) }],
          },
          { opType: 'Sum', input: ['h', 'b', 'c', 's'], output: ['y'] },
        ],
        initializer: [
          tensor('a', 'weights.bin', 0),
          tensor('b', 'weights.bin', 4096),
          { name: 's', dataType: 1, dims: [1], floatData: [1] },
        ],
        output: [{ name: 'y', type: { tensorType: { elemType: 1, shape: { dim: [{ dimValue: 512 }] } } } }],
      },
    };
    fs.writeFileSync(file, encodeModel(plain));
    return { file, folder };
  }

  /** x + a + b + c + s at x = 0. */
  async function sums(source: string | Uint8Array): Promise<Float32Array> {
    const session = await (typeof source === 'string'
      ? InferenceSession.create(source, { logSeverityLevel: 3 })
      : InferenceSession.create(source, { logSeverityLevel: 3 }));
    const { y } = await session.run({ x: new RuntimeTensor('float32', new Float32Array(512), [512]) });
    await session.release();
    return y.data as Float32Array;
  }

  const expected = Float32Array.from({ length: 512 }, (_, i) => 3 * i + 1);

  it('of an unchanged model comes along, folders and all', async () => {
    const { file, folder } = external();
    const model = openModel(file);
    const target = temporaryFolder();
    const output = path.join(target, 'copy.onnx');
    const { bytes } = writeOnnx(model, model.graph, output, { overwrite: false });
    expect(bytes).toBe(model.fileBytes);
    expect(fs.readFileSync(output).equals(fs.readFileSync(file))).toBe(true);
    for (const name of ['weights.bin', 'sub/more.bin']) {
      expect(fs.readFileSync(path.join(target, name)).equals(fs.readFileSync(path.join(folder, name)))).toBe(true);
    }
    expect(await sums(output)).toEqual(expected);
    model.close();
  });

  it('that is in the way is kept when equal, refused when different, replaced when asked', () => {
    const { file } = external();
    const model = openModel(file);
    const target = temporaryFolder();
    writeOnnx(model, model.graph, path.join(target, 'one.onnx'), { overwrite: false });
    writeOnnx(model, model.graph, path.join(target, 'two.onnx'), { overwrite: false });
    fs.writeFileSync(path.join(target, 'weights.bin'), 'mine');
    const third = path.join(target, 'three.onnx');
    expect(() => writeOnnx(model, model.graph, third, { overwrite: false })).toThrow(
      expect.objectContaining({ code: 'output-exists', message: expect.stringContaining('weights.bin') }),
    );
    expect(fs.readFileSync(path.join(target, 'weights.bin'), 'utf8')).toBe('mine');
    expect(fs.readdirSync(target).sort()).toEqual(['one.onnx', 'sub', 'two.onnx', 'weights.bin']);
    writeOnnx(model, model.graph, third, { overwrite: true });
    expect(fs.statSync(path.join(target, 'weights.bin')).size).toBe(6144);
    model.close();
  });

  it('of a changed model is gathered in one new file, aligned as before', async () => {
    const { file } = external();
    const model = openModel(file);
    const output = path.join(temporaryFolder(), 'out.onnx');
    const data = Float32Array.from({ length: 512 }, (_, i) => 10 * i);
    const initializers = new Map(model.graph.initializers).set('b', memoryTensor('b', float32Tensor(data, [512])));
    writeOnnx(model, { ...model.graph, initializers }, output, { overwrite: false });
    const plain = decodeModel(fs.readFileSync(output)).graph;
    const places = [plain.initializer[0], plain.initializer[1], plain.node[1].attribute[0].t].map(
      (tensor: PlainModel) =>
        Object.fromEntries(tensor.externalData.map(({ key, value: text }: PlainModel) => [key, text])),
    );
    for (const place of places) {
      expect(place).toMatchObject({ location: 'out.onnx.data', length: '2048' });
      expect(Number(place.offset) % 4096).toBe(0);
    }
    expect(new Set(places.map((place) => place.offset)).size).toBe(3);
    expect(plain.initializer[2].externalData).toBeUndefined();
    expect(await sums(output)).toEqual(Float32Array.from({ length: 512 }, (_, i) => 12 * i + 1));
    model.close();
  });

  it('goes inside a model in memory', async () => {
    const { file } = external();
    const model = openModel(file);
    expect(await sums(serializeGraph(model.graph, model.metadata))).toEqual(expected);
    model.close();
  });

  it('is never written over', () => {
    const { file, folder } = external();
    fs.renameSync(path.join(folder, 'weights.bin'), path.join(folder, 'out.onnx.data'));
    fs.symlinkSync('out.onnx.data', path.join(folder, 'weights.bin'));
    const model = openModel(file);
    const graph = { ...model.graph, name: 'other' };
    expect(() => writeOnnx(model, graph, path.join(folder, 'out.onnx'), { overwrite: true })).toThrow(
      expect.objectContaining({ code: 'output-is-source', message: expect.stringContaining('out.onnx.data') }),
    );
    model.close();
  });
});

describe('a place that is not free', () => {
  const simple = () =>
    modelBytes(makeGraph({ nodes: [makeNode('Relu', ['x'], ['y'])], inputs: [value('x')], outputs: [value('y')] }));
  const changed = (graph: Graph): Graph => ({ ...graph, name: 'changed' });

  it.each([
    ['the model itself', (file: string) => file],
    ['a link to the model', (file: string) => link(file, fs.symlinkSync)],
    ['a hard link to the model', (file: string) => link(file, fs.linkSync)],
    ['the model by another spelling', (file: string) => path.join(path.dirname(file), 'x', '..', path.basename(file))],
  ])('is %s', (_, place) => {
    const file = temporaryFile(simple());
    const model = openModel(file);
    for (const graph of [model.graph, changed(model.graph)]) {
      const output = place(file);
      expect(() => writeOnnx(model, graph, output, { overwrite: true })).toThrow(
        expect.objectContaining({ code: 'output-is-source' }),
      );
    }
    expect(fs.readFileSync(file).equals(simple())).toBe(true);
    model.close();
  });

  function link(file: string, make: (target: string, place: string) => void): string {
    const place = path.join(temporaryFolder(), 'link.onnx');
    make(file, place);
    return place;
  }

  it('is another file, until overwriting is allowed', () => {
    const model = openModel(temporaryFile(simple()));
    const output = temporaryFile('precious');
    expect(() => writeOnnx(model, changed(model.graph), output, { overwrite: false })).toThrow(
      expect.objectContaining({ code: 'output-exists' }),
    );
    expect(fs.readFileSync(output, 'utf8')).toBe('precious');
    writeOnnx(model, changed(model.graph), output, { overwrite: true });
    expect(decodeModel(fs.readFileSync(output)).graph.name).toBe('changed');
    model.close();
  });

  it.each([
    ['a folder', () => temporaryFolder()],
    ['in a folder that does not exist', () => path.join(temporaryFolder(), 'no', 'out.onnx')],
    ['in a file', () => path.join(temporaryFile('x'), 'out.onnx')],
    ['a name that is too long', () => path.join(temporaryFolder(), `${'x'.repeat(300)}.onnx`)],
  ])('is %s', (_, place) => {
    const model = openModel(temporaryFile(simple()));
    const output = place();
    for (const overwrite of [false, true]) {
      expect(() => writeOnnx(model, changed(model.graph), output, { overwrite })).toThrow(
        expect.objectContaining({ code: 'cannot-write' }),
      );
    }
    model.close();
  });

  it('has nothing left behind when a weight fails to be read', () => {
    const model = openModel(temporaryFile(simple()));
    const folder = temporaryFolder();
    const broken: TensorRef = {
      name: 'w',
      dtype: 'float32',
      dims: [4],
      bytes: 16,
      read: () => {
        throw new Error('broken');
      },
    };
    const graph = { ...model.graph, initializers: new Map([['w', broken]]) };
    expect(() => writeOnnx(model, graph, path.join(folder, 'out.onnx'), { overwrite: false })).toThrow('broken');
    expect(fs.readdirSync(folder)).toEqual([]);
    model.close();
  });
});
