/**
 * Checks gradient rules. A case is one node: its gradients, computed by the graph that the rules emit, are held
 * against central differences of the node itself and against what PyTorch found (stored by
 * `test/fixtures/gradients/make.py`, which reads the same cases).
 *
 * The loss is Σ Y·R with fixed weights R. Shapes are found at other batch sizes than the case has, so every case also
 * shows that a rule does not depend on the batch.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { serializeGraph } from '../../src/formats/onnx/serialize';
import { type Attribute, float, type Graph, int, ints, makeNode, string, type ValueInfo } from '../../src/graph/graph';
import type { Shape } from '../../src/ops/gradient';
import { valueTypes } from '../../src/ops/types';
import { createSession, type DeviceId } from '../../src/runtime/session';
import { type DataType, dataTypes, elementCount } from '../../src/tensor/dtype';
import { fromFloat, int64Tensor, memoryTensor, type Tensor, toFloat64 } from '../../src/tensor/tensor';
import { buildGradient } from '../../src/train/autodiff';
import { type ForwardGraph, specialize } from '../../src/train/specialize';
import { metadataOf } from './graphs';

/** How the values of an input are made; all are fixed functions of the element's index. */
export type Fill =
  /** Uniform in (−1, 1). */
  | 'uniform'
  /** At least 0.1 away from 0, up to 4. */
  | 'awayFromZero'
  /** In (0.5, 2). */
  | 'positive'
  /** All different, at least 0.05 apart, in no order. */
  | 'distinct'
  /** Small integers with many ties. */
  | 'ties';

export type CaseInput =
  /** Differentiated. */
  | { readonly dims: readonly number[]; readonly fill?: Fill; readonly fixed?: boolean }
  /** Stored in the model. */
  | { readonly ints: readonly number[]; readonly dims?: readonly number[] }
  | { readonly bools: readonly number[]; readonly dims: readonly number[] }
  | { readonly floats: readonly number[]; readonly dims?: readonly number[] }
  /** Left out. */
  | null;

export interface GradientCase {
  readonly name: string;
  readonly op: string;
  readonly opset?: number;
  readonly attributes?: Readonly<Record<string, number | string | readonly number[]>>;
  readonly inputs: readonly CaseInput[];
  /** 1 unless given. */
  readonly outputs?: number;
  /** How many of the outputs count in the loss; all that are floats unless given. */
  readonly lossOutputs?: number;
  /** The runtime has no kernel of the operator for float64. */
  readonly float32?: boolean;
  /** The first axis of these inputs is free. */
  readonly batch?: readonly number[];
  /** At a kink: no central difference exists, only PyTorch's choice counts. */
  readonly kink?: boolean;
  /** What PyTorch gives is another choice at a kink, or it has no such operator. */
  readonly noPyTorch?: boolean;
}

/** Per differentiated input: sum against fixed weights, Euclidean norm, first elements. */
type Expected = Readonly<Record<string, readonly (readonly number[])[]>>;

const folder = path.resolve(__dirname, '../fixtures/gradients');

export const families = readdirSync(path.join(folder, 'cases')).map((file) => path.basename(file, '.json'));

export function casesOf(family: string): GradientCase[] {
  return JSON.parse(readFileSync(path.join(folder, 'cases', `${family}.json`), 'utf8'));
}

function expectedOf(family: string): Expected {
  return JSON.parse(readFileSync(path.join(folder, 'expected', `${family}.json`), 'utf8'));
}

/** Uniform in [0, 1), the same here and in make.py. */
function hash(i: number, seed: number): number {
  const x = Math.sin((i + 1) * 12.9898 + (seed + 1) * 78.233) * 43758.5453;
  return x - Math.floor(x);
}

/** Values of an input of a case. @param seed index of the input */
export function filled(count: number, seed: number, fill: Fill = 'uniform'): Float64Array {
  return Float64Array.from({ length: count }, (_, i) => {
    const u = 2 * hash(i, seed) - 1;
    switch (fill) {
      case 'uniform':
        return u;
      case 'awayFromZero':
        return Math.sign(u) * (0.1 + 3.9 * Math.abs(u));
      case 'positive':
        return 0.5 + 1.5 * hash(i, seed);
      case 'distinct': {
        // 7919 is prime to every size in use, so this is a permutation.
        return ((i * 7919 + seed * 13) % count) * 0.05 - count * 0.02;
      }
      case 'ties':
        return Math.floor(3 * hash(i, seed));
    }
  });
}

/** Weights of an output in the loss. */
export function lossWeights(count: number, output: number): Float64Array {
  return filled(count, 100 + output);
}

const FLOAT_ATTRIBUTES = new Set(['alpha', 'beta', 'epsilon', 'momentum', 'gamma', 'bias', 'cubic_coeff_a']);

function attributeOf(name: string, value: number | string | readonly number[]): Attribute {
  if (typeof value === 'string') return string(value);
  if (typeof value !== 'number') return ints(value);
  return FLOAT_ATTRIBUTES.has(name) ? float(value) : int(value);
}

interface Model {
  readonly graph: Graph;
  /** Differentiated inputs. */
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly outputs: readonly string[];
}

function modelOf(row: GradientCase, dtype: 'float32' | 'float64'): Model {
  const feeds: Record<string, Tensor> = {};
  const inputs: ValueInfo[] = [];
  const stored = new Map<string, Tensor>();
  const names = row.inputs.map((input, i) => {
    const name = `x${i}`;
    if (input === null) return '';
    if ('ints' in input) stored.set(name, int64Tensor(input.ints, input.dims ?? [input.ints.length]));
    else if ('bools' in input)
      stored.set(name, { dtype: 'bool', dims: input.dims, data: Uint8Array.from(input.bools) });
    else if ('floats' in input) {
      const single = row.op === 'Resize' ? 'float32' : dtype;
      stored.set(name, fromFloat(Float64Array.from(input.floats), single, input.dims ?? []));
    } else {
      const tensor = fromFloat(filled(elementCount(input.dims), i, input.fill), dtype, input.dims);
      if (input.fixed) stored.set(name, tensor);
      else {
        feeds[name] = tensor;
        const shape = row.batch?.includes(i) ? ['N', ...input.dims.slice(1)] : input.dims;
        inputs.push({ name, dtype, shape });
      }
    }
    return name;
  });
  const outputs = Array.from({ length: row.outputs ?? 1 }, (_, i) => `y${i}`);
  const attributes = Object.fromEntries(
    Object.entries(row.attributes ?? {}).map(([name, value]) => [name, attributeOf(name, value)]),
  );
  const graph: Graph = {
    name: 'case',
    nodes: [makeNode(row.op, names, outputs, attributes, row.op)],
    inputs,
    outputs: outputs.map((name): ValueInfo => ({ name, dtype: null, shape: null })),
    valueInfo: [],
    initializers: new Map([...stored].map(([name, tensor]) => [name, memoryTensor(name, tensor)])),
  };
  const types = valueTypes(graph);
  const typed = graph.outputs.map((output) => ({ ...output, dtype: types.get(output.name) ?? dtype }));
  const floats = typed.filter((output) => dataTypes[output.dtype].kind === 'float').map((output) => output.name);
  return { graph: { ...graph, outputs: typed }, feeds, outputs: floats.slice(0, row.lossOutputs) };
}

/** Appends the value `loss` = Σ Y·R over some outputs; the weights R are new inputs, named after their outputs. */
export function withWeightedLoss(
  { graph, shapes }: Pick<ForwardGraph, 'graph' | 'shapes'>,
  outputs: readonly string[],
  dtype: DataType = 'float32',
): { readonly graph: Graph; readonly shapes: ReadonlyMap<string, Shape> } {
  const known = new Map<string, Shape>([...shapes, ['loss', []]]);
  const inputs: ValueInfo[] = [];
  const nodes = outputs.flatMap((name) => {
    const shape = shapes.get(name) as Shape;
    inputs.push({ name: `${name}_weights`, dtype, shape: shape.map((size) => size ?? 'N') });
    known.set(`${name}_weights`, shape).set(`${name}_weighted`, shape).set(`${name}_sum`, []);
    return [
      makeNode('Mul', [name, `${name}_weights`], [`${name}_weighted`]),
      makeNode('ReduceSum', [`${name}_weighted`], [`${name}_sum`], { keepdims: int(0) }),
    ];
  });
  const sums = outputs.map((name) => `${name}_sum`);
  return {
    graph: {
      ...graph,
      nodes: [...graph.nodes, ...nodes, makeNode('Sum', sums, ['loss'])],
      inputs: [...graph.inputs, ...inputs],
    },
    shapes: known,
  };
}

/** Gradients of Σ Y·R by the rules, and a function that computes that sum. */
async function differentiate(
  row: GradientCase,
  device: DeviceId,
  dtype: 'float32' | 'float64',
): Promise<{
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly gradients: ReadonlyMap<string, Float64Array>;
  loss(feeds: Readonly<Record<string, Tensor>>): Promise<number>;
  release(): Promise<void>;
}> {
  const model = modelOf(row, dtype);
  const opset = row.opset ?? 18;
  const metadata = metadataOf({ opset });
  const session = await createSession(serializeGraph(model.graph, metadata), { threads: 1, label: row.name });
  const forward = await session.run(model.feeds);
  const weights = new Map(
    model.outputs.map((name, i) => [name, lossWeights((forward[name] as Tensor).data.length, i)]),
  );
  const forwardGraph = await specialize(model.graph, metadata);
  const { graph, shapes } = withWeightedLoss(forwardGraph, model.outputs, dtype);
  const program = buildGradient(
    { ...graph, outputs: [] },
    { loss: 'loss', wrt: Object.keys(model.feeds), shapes, device },
  );
  const backward = await createSession(serializeGraph(program.graph, forwardGraph.metadata), {
    threads: 1,
    device,
    label: `gradient of ${row.name}`,
  });
  const results = await backward.run({
    ...model.feeds,
    ...Object.fromEntries(
      [...weights].map(([name, w]) => [`${name}_weights`, fromFloat(w, dtype, (forward[name] as Tensor).dims)]),
    ),
  });
  await backward.release();
  const gradients = new Map<string, Float64Array>();
  for (const [name, gradient] of program.gradients) {
    expect((results[gradient] as Tensor).dims, `shape of the gradient of ${name}`).toEqual(model.feeds[name].dims);
    gradients.set(name, toFloat64(results[gradient] as Tensor));
  }
  return {
    feeds: model.feeds,
    gradients,
    async loss(feeds) {
      const values = await session.run(feeds);
      let total = 0;
      for (const [name, w] of weights) {
        const y = toFloat64(values[name] as Tensor);
        for (let i = 0; i < w.length; i++) total += w[i] * y[i];
      }
      return total;
    },
    release: () => session.release(),
  };
}

/** Runs all checks of a case on the CPU. Tolerances are relative to the largest element of a gradient. */
export async function checkGradient(row: GradientCase, family: string): Promise<void> {
  const { feeds, gradients, loss, release } = await differentiate(row, 'cpu', row.float32 ? 'float32' : 'float64');
  try {
    expect([...gradients.keys()]).toEqual(Object.keys(feeds));
    if (!row.kink) {
      // Truncation grows with the square of the step, rounding with its inverse.
      const [step, tolerance] = row.float32 ? [1e-2, 2e-3] : [1e-5, 1e-7];
      for (const [name, gradient] of gradients) {
        await expectDifferences(name, feeds, gradient, loss, step, tolerance);
      }
    }
    if (!row.noPyTorch) expectPyTorch(row, family, gradients, row.float32 ? 1e-4 : 1e-5);
  } finally {
    await release();
  }
}

/** Holds the gradients of a case on another device, in float32, against PyTorch's. */
export async function checkGradientOn(device: DeviceId, row: GradientCase, family: string): Promise<void> {
  const { gradients, release } = await differentiate(row, device, 'float32');
  await release();
  expectPyTorch(row, family, gradients, 2e-4);
}

function expectPyTorch(
  row: GradientCase,
  family: string,
  gradients: ReadonlyMap<string, Float64Array>,
  tolerance: number,
): void {
  const expected = expectedOf(family)[row.name];
  expect(expected, 'run test/fixtures/gradients/make.py').toBeDefined();
  [...gradients.values()].forEach((gradient, i) => {
    expectSummary(gradient, expected[i], tolerance);
  });
}

/** What the fixtures keep of a gradient. */
function summary(gradient: Float64Array): number[] {
  const weights = filled(gradient.length, 200);
  const projection = gradient.reduce((sum, value, i) => sum + value * weights[i], 0);
  return [projection, Math.sqrt(gradient.reduce((sum, value) => sum + value * value, 0)), ...gradient.slice(0, 6)];
}

/** Holds a gradient against what the fixtures keep of PyTorch's. @param tolerance relative to the largest entry */
export function expectSummary(
  gradient: Float64Array,
  expected: readonly number[],
  tolerance: number,
  label = '',
): void {
  const scale = Math.max(1e-3, ...expected.map(Math.abs));
  summary(gradient).forEach((value, at) => {
    expect(Math.abs(value - expected[at]), `${label} entry ${at}: ${value}, PyTorch has ${expected[at]}`).toBeLessThan(
      tolerance * scale,
    );
  });
}

async function expectDifferences(
  name: string,
  feeds: Readonly<Record<string, Tensor>>,
  gradient: Float64Array,
  loss: (feeds: Readonly<Record<string, Tensor>>) => Promise<number>,
  step: number,
  tolerance: number,
): Promise<void> {
  const { dtype, dims, data } = feeds[name];
  const scale = Math.max(1e-2, ...Array.from(gradient, Math.abs));
  for (let i = 0; i < gradient.length; i++) {
    const at = async (shift: number): Promise<{ x: number; loss: number }> => {
      const moved = data.slice() as Float32Array | Float64Array;
      moved[i] += shift;
      return { x: moved[i], loss: await loss({ ...feeds, [name]: { dtype, dims, data: moved } }) };
    };
    // float32 makes other steps of the wished ones.
    const [up, down] = [await at(step), await at(-step)];
    const difference = (up.loss - down.loss) / (up.x - down.x);
    expect(
      Math.abs(difference - gradient[i]),
      `${name}[${i}]: ${gradient[i]}, differences give ${difference}`,
    ).toBeLessThan(tolerance * scale);
  }
}
