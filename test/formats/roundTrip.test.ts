/** Laws of reading and writing, on every real ONNX model there is. */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { openModel } from '../../src/formats';
import { writeOnnx } from '../../src/formats/onnx/write';
import { type Graph, type GraphNode, makeNode } from '../../src/graph/graph';
import { toFloat32 } from '../../src/tensor/tensor';
import { temporaryFolder } from '../support/onnxBuilder';
import { decodeModel, type PlainModel } from '../support/onnxProto';
import { hasShared, sharedFile } from '../support/shared';

const models = [
  'basic_pitch_audio.onnx',
  'face_detector_rfb320.onnx',
  'light_resnet50.onnx',
  'light_vgg19.onnx',
  'mobilenet_v1_025_imagenet.onnx',
  'resnet20_cifar10.onnx',
  'resnet20_cifar10_bnfused.onnx',
  'resnet20_cifar10_int8_qdq.onnx',
  'resnet20_external/resnet20.onnx',
  'resnet56_cifar10.onnx',
  'silero_vad_controlflow.onnx',
  'vgg8_cifar10.onnx',
].map((name) => `data/models/${name}`);

const sha256 = (file: string) => createHash('sha256').update(fs.readFileSync(file)).digest('hex');

/** A graph with one more node, a renamed node and one output more, all else untouched. */
function edited(graph: Graph): Graph {
  const [first, ...others] = graph.nodes;
  const renamed: GraphNode = { ...first, name: `${first.name}_renamed` };
  const source = graph.inputs.find((input) => !graph.initializers.has(input.name))!;
  const probe = makeNode('Shape', [source.name], ['espalier_probe'], {}, 'espalier_probe_node');
  return {
    ...graph,
    nodes: [renamed, ...others, probe],
    outputs: [...graph.outputs, { name: 'espalier_probe', dtype: 'int64', shape: [source.shape!.length] }],
  };
}

describe.skipIf(!hasShared).each(models)('%s', (name) => {
  it('is the same file after reading and writing, also when the graph was rebuilt from the same elements', () => {
    const model = openModel(sharedFile(name));
    const folder = temporaryFolder();
    const { graph } = model;
    const rebuilt: Graph = { ...graph, nodes: [...graph.nodes], initializers: new Map(graph.initializers) };
    for (const [i, same] of [graph, rebuilt].entries()) {
      const output = path.join(folder, `copy${i}.onnx`);
      const { bytes } = writeOnnx(model, same, output, { overwrite: false });
      expect(sha256(output)).toBe(sha256(model.path));
      expect(bytes).toBe(i === 0 ? model.fileBytes : fs.statSync(output).size);
    }
    model.close();
  });

  it('has every value that protobufjs finds', () => {
    const model = openModel(sharedFile(name));
    const plain = decodeModel(fs.readFileSync(model.path));
    checkGraph(model.graph, plain.graph);
    expect(model.metadata.irVersion).toBe(Number(plain.irVersion));
    model.close();
  });

  it('keeps everything but the edit, and runs in ONNX Runtime', async () => {
    const model = openModel(sharedFile(name));
    const output = path.join(temporaryFolder(), 'edited.onnx');
    writeOnnx(model, edited(model.graph), output, { overwrite: false });
    const [before, after] = [model.path, output].map((file) => decodeModel(fs.readFileSync(file)));

    expect(after.graph.node[0].name).toBe(`${before.graph.node[0].name ?? ''}_renamed`);
    const probe = {
      input: [expect.any(String)],
      output: ['espalier_probe'],
      opType: 'Shape',
      name: 'espalier_probe_node',
    };
    expect(after.graph.node.pop()).toEqual(probe);
    expect(after.graph.output.pop()).toMatchObject({ name: 'espalier_probe' });
    after.graph.node[0].name = before.graph.node[0].name;
    for (const plain of [before, after]) dropPlaces(plain);
    expect(after).toEqual(before);

    const reread = openModel(output);
    for (const [key, tensor] of model.graph.initializers) {
      expect(reread.graph.initializers.get(key)!.read()).toEqual(tensor.read());
    }
    const session = await InferenceSession.create(output, { logSeverityLevel: 3, graphOptimizationLevel: 'disabled' });
    expect(session.outputNames.at(-1)).toBe('espalier_probe');
    await session.release();
    model.close();
    reread.close();
  });
});

/** Where tensors lie in the data file may change. */
function dropPlaces(plain: PlainModel): void {
  for (const tensor of plain.graph.initializer ?? []) delete tensor.externalData;
}

function checkGraph(graph: Graph, plain: PlainModel): void {
  const names = (list: PlainModel[] | undefined) => (list ?? []).map((element) => element.name ?? '');
  expect(graph.inputs.map((input) => input.name)).toEqual(names(plain.input));
  expect(graph.outputs.map((output) => output.name)).toEqual(names(plain.output));
  expect(graph.valueInfo.map((value) => value.name)).toEqual(names(plain.valueInfo));
  expect([...graph.initializers.keys()]).toEqual(names(plain.initializer));
  expect(graph.nodes).toHaveLength(plain.node?.length ?? 0);
  graph.nodes.forEach((node, i) => {
    const other = plain.node[i];
    expect(node.name).toBe(other.name ?? '');
    expect(node.opType).toBe(other.opType);
    expect(node.inputs).toEqual(other.input ?? []);
    expect(node.outputs).toEqual(other.output ?? []);
    expect([...node.attributes.keys()]).toEqual(names(other.attribute));
    for (const attribute of other.attribute ?? []) checkAttribute(node, attribute);
  });
}

function checkAttribute(node: GraphNode, plain: PlainModel): void {
  const found = node.attributes.get(plain.name)!;
  switch (found.kind) {
    case 'float':
      expect(found.value).toBe(plain.f ?? 0);
      break;
    case 'int':
      expect(found.value).toBe(Number(plain.i ?? 0));
      break;
    case 'string':
      expect(found.value).toBe(Buffer.from(plain.s ?? '', 'base64').toString());
      break;
    case 'floats':
      expect(found.value).toEqual(plain.floats ?? []);
      break;
    case 'ints':
      expect(found.value).toEqual((plain.ints ?? []).map(Number));
      break;
    case 'tensor':
      expect(found.value.dims).toEqual((plain.t.dims ?? []).map(Number));
      if (plain.t.rawData) {
        const { data } = found.value.read();
        expect(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64')).toBe(plain.t.rawData);
      }
      break;
    case 'graph':
      checkGraph(found.value, plain.g);
      break;
    default:
      expect.unreachable(`an attribute of kind ${found.kind} is not in these models`);
  }
}

describe.skipIf(!hasShared)('real models', () => {
  it('lists initializers as inputs in old models', () => {
    const model = openModel(sharedFile('data/models/face_detector_rfb320.onnx'));
    const names = model.graph.inputs.map((input) => input.name);
    expect([...model.graph.initializers.keys()].every((name) => names.includes(name))).toBe(true);
    expect(names).toHaveLength(model.graph.initializers.size + 1);
    model.close();
  });

  it('finds the branches of control flow', () => {
    const model = openModel(sharedFile('data/models/silero_vad_controlflow.onnx'));
    const branch = model.graph.nodes.find((node) => node.opType === 'If')!.attributes.get('then_branch');
    expect(branch?.kind === 'graph' && branch.value.nodes.length).toBeGreaterThan(10);
    model.close();
  });

  it('writes an unchanged model with its data file into another folder and beside itself', () => {
    const folder = temporaryFolder();
    const original = sharedFile('data/models/resnet20_external/resnet20.onnx');
    const model = openModel(original);
    const output = path.join(folder, 'resnet20.onnx');
    writeOnnx(model, model.graph, output, { overwrite: false });
    expect(sha256(output)).toBe(sha256(original));
    expect(sha256(`${output}.data`)).toBe(sha256(`${original}.data`));
    model.close();

    const copy = openModel(output);
    const beside = path.join(folder, 'beside.onnx');
    writeOnnx(copy, copy.graph, beside, { overwrite: false });
    expect(sha256(beside)).toBe(sha256(original));
    expect(fs.readdirSync(folder).sort()).toEqual(['beside.onnx', 'resnet20.onnx', 'resnet20.onnx.data']);
    copy.close();
  });

  it('streams changed and kept external weights into one new data file', async () => {
    const original = sharedFile('data/models/resnet20_external/resnet20.onnx');
    const model = openModel(original);
    const [name, tensor] = [...model.graph.initializers].find(([, ref]) => ref.dims.length === 4 && ref.bytes > 2000)!;
    const halved = toFloat32(tensor.read()).map((x) => x / 2);
    const initializers = new Map(model.graph.initializers);
    const data = { dtype: 'float32' as const, dims: tensor.dims, data: halved };
    initializers.set(name, { name, dtype: 'float32', dims: tensor.dims, bytes: tensor.bytes, read: () => data });
    const output = path.join(temporaryFolder(), 'halved.onnx');
    writeOnnx(model, { ...model.graph, initializers }, output, { overwrite: false });

    const written = openModel(output);
    for (const [key, ref] of written.graph.initializers) {
      const expected = key === name ? data : model.graph.initializers.get(key)!.read();
      expect(ref.read()).toEqual(expected);
    }
    const places = decodeModel(fs.readFileSync(output)).graph.initializer.flatMap(
      (plain: PlainModel) => plain.externalData ?? [],
    );
    const locations = places.filter((entry: PlainModel) => entry.key === 'location');
    expect(new Set(locations.map((entry: PlainModel) => entry.value))).toEqual(new Set(['halved.onnx.data']));
    expect(Math.abs(fs.statSync(`${output}.data`).size - fs.statSync(`${original}.data`).size)).toBeLessThan(65536);
    const session = await InferenceSession.create(output, { logSeverityLevel: 3, graphOptimizationLevel: 'disabled' });
    await session.release();
    model.close();
    written.close();
  });

  it('copies an attribute integer that a number can not hold', () => {
    const model = openModel(sharedFile('data/models/resnet20_cifar10.onnx'));
    const graph = { ...model.graph, nodes: model.graph.nodes.map((node) => ({ ...node, name: `${node.name}!` })) };
    const output = path.join(temporaryFolder(), 'renamed.onnx');
    writeOnnx(model, graph, output, { overwrite: false });
    const [before, after] = [model.path, output].map((file) => decodeModel(fs.readFileSync(file)).graph.node);
    expect(after.map((n: PlainModel) => n.attribute)).toEqual(before.map((n: PlainModel) => n.attribute));
    model.close();
  });
});
