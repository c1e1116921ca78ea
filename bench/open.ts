/**
 * How long opening a model takes and how much memory it needs, against protobufjs decoding the same bytes.
 * Each line is measured in a process of its own: the first opening, the median of several, and what the process grew
 * by at its peak. Models: 20,000 nodes; 256 MB of weights inside the file; 1 GB of weights in a data file (a sparse
 * file: its blocks read as zeros, which costs memory as any other).
 *
 * `npm run bench -- open`
 */
import { fork } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openModel } from '../src/formats';
import { serializeGraph } from '../src/formats/onnx/serialize';
import { writeOnnx } from '../src/formats/onnx/write';
import { type Graph, type GraphNode, int, ints, makeNode } from '../src/graph/graph';
import { float32Tensor, memoryTensor, type TensorRef } from '../src/tensor/tensor';
import { decodeModel, encodeModel } from '../test/support/onnxProto';

const REPETITIONS = 7;
const NODES = 20_000;
const MEBIBYTE = 2 ** 20;

type Task = 'prepare' | 'espalier' | 'espalier-weights' | 'espalier-write' | 'protobufjs';

interface Result {
  /** Milliseconds. */
  readonly first: number;
  readonly median: number;
  /** Growth of resident memory, bytes. */
  readonly memory: number;
}

const tasks: Readonly<Record<Task, (file: string) => void>> = {
  /** In a process of its own too: peak memory is inherited from the process that starts another. */
  prepare(folder) {
    write(folder, 'nodes.onnx', manyNodes());
    write(folder, 'inside.onnx', weights(64, 4 * MEBIBYTE));
    external(folder, 'external.onnx', 256, 4 * MEBIBYTE);
  },
  espalier: (file) => openModel(file).close(),
  /** Opens and reads every weight once, one after the other. */
  'espalier-weights': (file) => {
    const model = openModel(file);
    for (const tensor of model.graph.initializers.values()) tensor.read();
    model.close();
  },
  /** Writes the model with one node renamed. */
  'espalier-write': (file) => {
    const model = openModel(file);
    const [first, ...others] = model.graph.nodes;
    const graph = { ...model.graph, nodes: [{ ...first, name: 'renamed' }, ...others] };
    writeOnnx(model, graph, `${file}.written`, { overwrite: true });
    model.close();
  },
  protobufjs: (file) => {
    decodeModel(fs.readFileSync(file));
  },
};

function main(): void {
  const [task, file] = process.argv.slice(2);
  if (task in tasks) process.send?.(measure(task as Task, file));
  else compare().catch((error: unknown) => fail(error));
}

function fail(error: unknown): void {
  console.error(error);
  process.exitCode = 1;
}

function measure(task: Task, file: string): Result {
  const before = process.memoryUsage().rss;
  const times: number[] = [];
  for (let i = 0; i < (task === 'prepare' ? 1 : REPETITIONS); i++) {
    const start = performance.now();
    tasks[task](file);
    times.push(performance.now() - start);
  }
  const [first] = times;
  times.sort((a, b) => a - b);
  return { first, median: times[times.length >> 1], memory: process.resourceUsage().maxRSS * 1024 - before };
}

async function compare(): Promise<void> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'espalier-bench-'));
  try {
    await inOwnProcess('prepare', folder);
    const models = [
      { title: `${NODES} nodes`, name: 'nodes.onnx', isWeighty: false },
      { title: '256 MB of weights inside', name: 'inside.onnx', isWeighty: true },
      { title: '1 GB of weights in a data file', name: 'external.onnx', isWeighty: true },
    ];
    for (const { title, name, isWeighty } of models) {
      const file = path.join(folder, name);
      console.log(`\n${title} (${(fs.statSync(file).size / 1e6).toFixed(1)} MB model file)`);
      const ours = await inOwnProcess('espalier', file);
      print('open', ours);
      if (isWeighty) print('open and read all weights', await inOwnProcess('espalier-weights', file));
      print('open, rename a node and write', await inOwnProcess('espalier-write', file));
      const theirs = await inOwnProcess('protobufjs', file);
      print('protobufjs decode', theirs);
      console.log(`  opening takes ${(ours.median / theirs.median).toFixed(3)} of protobufjs's time`);
    }
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

function print(what: string, { first, median, memory }: Result): void {
  const [a, b, c] = [first.toFixed(1), median.toFixed(1), (memory / MEBIBYTE).toFixed(0)];
  console.log(`  ${what.padEnd(30)} first ${a.padStart(8)} ms  median ${b.padStart(8)} ms  ${c.padStart(5)} MiB more`);
}

function inOwnProcess(task: Task, file: string): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = fork(process.argv[1], [task, file]);
    child.once('message', (result) => resolve(result as Result));
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${task} ended with code ${code}`)));
  });
}

function write(folder: string, name: string, graph: Graph): void {
  const bytes = serializeGraph(graph, { irVersion: 8, opsets: new Map([['', 17]]) });
  fs.writeFileSync(path.join(folder, name), bytes);
}

/** A chain of convolutions and activations, as exporters name and annotate them. */
function manyNodes(): Graph {
  const nodes: GraphNode[] = [];
  const initializers = new Map<string, TensorRef>();
  for (let i = 0; i < NODES; i += 2) {
    const weight = `model.blocks.${i}.convolution.weight`;
    initializers.set(weight, memoryTensor(weight, float32Tensor(new Float32Array(64), [8, 8, 1, 1])));
    const attributes = { kernel_shape: ints([1, 1]), pads: ints([0, 0, 0, 0]), strides: ints([1, 1]), group: int(1) };
    nodes.push(
      makeNode('Conv', [`value_${i}`, weight], [`value_${i + 1}`], attributes, `/model/blocks.${i}/convolution/Conv`),
      makeNode('Relu', [`value_${i + 1}`], [`value_${i + 2}`], {}, `/model/blocks.${i}/activation/Relu`),
    );
  }
  return graphOf(nodes, `value_${NODES}`, initializers);
}

function weights(count: number, bytes: number): Graph {
  const nodes: GraphNode[] = [];
  const initializers = new Map<string, TensorRef>();
  const tensor = float32Tensor(new Float32Array(bytes / 4), [bytes / 4]);
  for (let i = 0; i < count; i++) {
    initializers.set(`weight_${i}`, memoryTensor(`weight_${i}`, tensor));
    nodes.push(makeNode('Add', [`value_${i}`, `weight_${i}`], [`value_${i + 1}`]));
  }
  return graphOf(nodes, `value_${count}`, initializers);
}

function graphOf(nodes: readonly GraphNode[], output: string, initializers: ReadonlyMap<string, TensorRef>): Graph {
  const port = (name: string) => ({ name, dtype: 'float32' as const, shape: null });
  return { name: 'bench', nodes, inputs: [port('value_0')], outputs: [port(output)], valueInfo: [], initializers };
}

function external(folder: string, name: string, count: number, bytes: number): void {
  const data = path.join(folder, `${name}.data`);
  fs.writeFileSync(data, '');
  fs.truncateSync(data, count * bytes);
  const indices = Array.from({ length: count }, (_, i) => i);
  const place = (i: number) => ({ location: path.basename(data), offset: String(i * bytes), length: String(bytes) });
  const plain = {
    irVersion: 8,
    opsetImport: [{ version: 17 }],
    graph: {
      name: 'bench',
      input: [{ name: 'value_0' }],
      output: [{ name: `value_${count}` }],
      node: indices.map((i) => ({ opType: 'Add', input: [`value_${i}`, `weight_${i}`], output: [`value_${i + 1}`] })),
      initializer: indices.map((i) => ({
        name: `weight_${i}`,
        dataType: 1,
        dims: [bytes / 4],
        dataLocation: 1,
        externalData: Object.entries(place(i)).map(([key, value]) => ({ key, value })),
      })),
    },
  };
  fs.writeFileSync(path.join(folder, name), encodeModel(plain));
}

main();
