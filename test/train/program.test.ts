/** Training programs: what they train, what they leave alone, and that they compute what the model computes. */
import { describe, expect, test } from 'vitest';
import { constantValue, makeNode } from '../../src/graph/graph';
import {
  bytesOf,
  float32Tensor,
  fromFloat,
  memoryTensor,
  type Tensor,
  type TensorRef,
  toFloat32,
} from '../../src/tensor/tensor';
import { adamW } from '../../src/train/optimizers';
import { withTrained } from '../../src/train/prepare';
import type { TrainChoice } from '../../src/train/trainable';
import { metadataOf, randomTensor, runGraph } from '../support/graphs';
import { type Toy, toyModel, toyProgram, toyStep } from '../support/training';

async function stepped(toy: Toy, count: number, rate = 0.05): Promise<number[]> {
  const losses: number[] = [];
  for (let i = 0; i < count; i++) losses.push((await toy.program.step(toyStep(32, i).feeds, rate, i + 1)).loss);
  return losses;
}

/** Names of stored tensors whose bytes differ between two graphs. */
function changed(before: ReturnType<typeof toyModel>, after: ReturnType<typeof toyModel>): string[] {
  return [...before.initializers]
    .filter(([name, ref]) => {
      const other = after.initializers.get(name);
      return !other || Buffer.compare(bytesOf(ref.read().data), bytesOf(other.read().data)) !== 0;
    })
    .map(([name]) => name);
}

const head = ['head.weight', 'head.bias'];
const affine = ['bn.weight', 'bn.bias'];

describe('trains what was chosen, and leaves the rest as it was byte for byte:', () => {
  test.each<[TrainChoice, string[]]>([
    ['head', head],
    // The factors go into the second layer's weight.
    ['scaling', ['convB.weight', ...head]],
    ['bn', ['convB.weight', 'convB.bias', ...affine, ...head]],
    ['small', ['convB.weight', 'convB.bias', ...affine, ...head]],
    ['all', ['convA.weight', 'convB.weight', 'convB.bias', ...affine, ...head]],
  ])('%s', async (choice, expected) => {
    const graph = toyModel();
    const toy = await toyProgram({ graph, choice });
    await stepped(toy, 3);
    const after = withTrained(graph, toy.prepared.stored(toy.program.tensors()));
    await toy.program.release();
    expect(changed(graph, after).sort()).toEqual([...expected].sort());
    expect([...after.initializers.keys()]).toEqual([...graph.initializers.keys()]);
  });
});

test.each<TrainChoice>(['scaling', 'bn', 'all'])(
  'the written model computes what the program does: %s',
  async (choice) => {
    const graph = toyModel();
    const toy = await toyProgram({ graph, choice });
    await stepped(toy, 5);
    const tensors = toy.program.tensors();
    await toy.program.release();
    const { x } = toyStep(8, 99).feeds;
    const [before, written, program] = await Promise.all([
      runGraph(graph, { x }),
      runGraph(withTrained(graph, toy.prepared.stored(tensors)), { x }),
      runGraph(toy.prepared.inference(tensors), { x }, toy.prepared.metadata),
    ]);
    const values = ({ y }: Record<string, Tensor>): number[] => Array.from(toFloat32(y));
    values(written).forEach((value, i) => {
      expect(value).toBeCloseTo(values(program)[i], 5);
    });
    expect(Math.max(...values(written).map((value, i) => Math.abs(value - values(before)[i])))).toBeGreaterThan(0.01);
  },
);

test('a scaling factor’s gradient is that of its basis: halving the factors is halving the columns', async () => {
  const graph = toyModel();
  const toy = await toyProgram({ graph, choice: 'scaling' });
  const slot = toy.program.slots.find(({ name }) => name.includes('factors'));
  expect(slot?.dims).toEqual([4]);
  const factors = float32Tensor(Float32Array.of(0.5, 2, 1, -1), [4]);
  const stored = toy.prepared.stored(new Map([[slot?.name ?? '', factors]]));
  const weight = graph.initializers.get('convB.weight')?.read().data as Float32Array;
  expect(Array.from(toFloat32(stored.get('convB.weight') as Tensor))).toEqual(
    Array.from(weight, (value, i) => value * Number(factors.data[i % 4])),
  );
  await toy.program.release();
});

test('learns', async () => {
  const toy = await toyProgram();
  const losses = await stepped(toy, 80);
  await toy.program.release();
  const mean = (values: number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;
  expect(mean(losses.slice(0, 5))).toBeGreaterThan(0.9);
  expect(mean(losses.slice(-5))).toBeLessThan(0.3);
});

test('learns with AdamW and weight decay on weights only', async () => {
  const toy = await toyProgram({}, { optimizer: adamW(), weightDecay: 0.01 });
  const losses = await stepped(toy, 60, 0.02);
  await toy.program.release();
  expect(losses[0]).toBeGreaterThan(0.8);
  expect(losses[59]).toBeLessThan(0.3);
});

test('learns without BatchNormalization, as exporters that fold it leave models', async () => {
  const graph = toyModel({ normalized: false });
  const toy = await toyProgram({ graph, choice: 'bn' });
  expect(toy.prepared.trainables.map(({ name }) => name)).toContain('convB.bias');
  const losses = await stepped(toy, 60);
  await toy.program.release();
  expect(losses[59]).toBeLessThan(losses[0]);
});

test('leaves alone what only an output gives that the loss does not read', async () => {
  const plain = toyModel();
  const graph = {
    ...plain,
    nodes: [...plain.nodes, makeNode('Conv', ['inner', 'other.weight'], ['other'])],
    outputs: [...plain.outputs, { name: 'other', dtype: 'float32' as const, shape: null }],
    initializers: new Map([
      ...plain.initializers,
      ['other.weight', memoryTensor('other.weight', randomTensor([2, 4, 1, 1]))],
    ]),
  };
  const toy = await toyProgram({ graph });
  await stepped(toy, 2);
  const after = withTrained(graph, toy.prepared.stored(toy.program.tensors()));
  await toy.program.release();
  expect(changed(graph, after)).toContain('convA.weight');
  expect(changed(graph, after)).not.toContain('other.weight');
});

test('learns from another model without labels', async () => {
  const teacher = await toyProgram();
  await stepped(teacher, 60);
  const taught = withTrained(toyModel(), teacher.prepared.stored(teacher.program.tensors()));
  await teacher.program.release();
  const toy = await toyProgram({ graph: toyModel({ seed: 6 }), teacher: { graph: taught, metadata: metadataOf() } });
  const results = [];
  for (let i = 0; i < 80; i++) results.push(await toy.program.step(toyStep(32, i, false).feeds, 0.05, i + 1));
  await toy.program.release();
  expect(results[79].loss).toBeLessThan(0.2 * results[0].loss);
  // Hits count agreement with the teacher.
  expect(results[79].hits).toBeGreaterThan(28);
});

test('reads batches of any size', async () => {
  const toy = await toyProgram();
  for (const count of [1, 7, 32, 3]) {
    const { loss } = await toy.program.step(toyStep(count, count).feeds, 0.01, 1);
    expect(loss).toBeGreaterThan(0);
  }
  await toy.program.release();
});

test('a mean loss does not depend on how large the batch is', async () => {
  const toy = await toyProgram();
  const { feeds } = toyStep(4, 1);
  const double = Object.fromEntries(
    Object.entries(feeds).map(([name, { dtype, dims, data }]) => {
      const twice =
        dtype === 'int64'
          ? BigInt64Array.from([...(data as BigInt64Array), ...(data as BigInt64Array)])
          : Float32Array.from([...(data as Float32Array), ...(data as Float32Array)]);
      return [name, { dtype, dims: [8, ...dims.slice(1)], data: twice }];
    }),
  );
  const state = toy.program.state();
  const small = await toy.program.step(feeds, 0.1, 1);
  const after = toy.program.state().parameters;
  toy.program.restore(state);
  const large = await toy.program.step(double, 0.1, 1);
  expect(large.loss).toBeCloseTo(small.loss, 6);
  expect(large.norm).toBeCloseTo(small.norm, 5);
  toy.program.state().parameters.forEach((value, i) => {
    expect(value).toBeCloseTo(after[i], 5);
  });
  await toy.program.release();
});

test('keeps the state when a step gives no number', async () => {
  const toy = await toyProgram();
  const before = toy.program.state();
  const { feeds } = toyStep(4, 1);
  const broken = { ...feeds, x: float32Tensor(new Float32Array(4 * 2 * 36).fill(Number.NaN), [4, 2, 6, 6]) };
  const { loss } = await toy.program.step(broken, 0.1, 1);
  expect(loss).toBeNaN();
  expect(toy.program.state()).toEqual(before);
  await toy.program.release();
});

test('updates running statistics when they are trained', async () => {
  const graph = toyModel();
  const toy = await toyProgram({ graph, trainsStatistics: true });
  const { feeds } = toyStep(32, 1);
  const mapped = (
    await runGraph({ ...graph, outputs: [{ name: 'mapped', dtype: 'float32', shape: null }] }, { x: feeds.x })
  ).mapped;
  await toy.program.step(feeds, 0.05, 1);
  const means = new Float64Array(5);
  toFloat32(mapped).forEach((value, i) => {
    means[Math.floor(i / 36) % 5] += value / (32 * 36);
  });
  const old = graph.initializers.get('bn.mean')?.read().data as Float32Array;
  const now = toFloat32(toy.program.tensors().get('bn.mean') as Tensor);
  now.forEach((value, c) => {
    expect(value).toBeCloseTo(0.9 * old[c] + 0.1 * means[c], 5);
  });
  await toy.program.release();
});

test('half-precision models are trained in single precision and written back as they came', async () => {
  const graph = toyModel();
  const half = {
    ...graph,
    inputs: graph.inputs.map((input) => ({ ...input, dtype: 'float16' as const })),
    outputs: graph.outputs.map((output) => ({ ...output, dtype: 'float16' as const })),
    initializers: new Map(
      [...graph.initializers].map(([name, ref]) => [
        name,
        memoryTensor(name, fromFloat(toFloat32(ref.read()), 'float16', ref.dims)),
      ]),
    ),
  };
  const toy = await toyProgram({ graph: half });
  const losses = await stepped(toy, 20);
  const after = withTrained(half, toy.prepared.stored(toy.program.tensors()));
  await toy.program.release();
  expect(losses[19]).toBeLessThan(losses[0]);
  expect(changed(half, after)).toContain('convA.weight');
  expect([...after.initializers.values()].map(({ dtype }) => dtype)).toEqual(Array(9).fill('float16'));
});

test('weights in Constant nodes are trained and go back into them', async () => {
  const graph = toyModel();
  const name = 'convA.weight';
  const { dims, dtype } = graph.initializers.get(name) ?? { dims: [], dtype: 'float32' as const };
  const held = memoryTensor('value', graph.initializers.get(name)?.read() ?? float32Tensor(new Float32Array(), []));
  const constant = makeNode('Constant', [], [name], { value: { kind: 'tensor', value: held } });
  const stored = new Map([...graph.initializers].filter(([key]) => key !== name));
  const model = { ...graph, nodes: [constant, ...graph.nodes], initializers: stored };
  const toy = await toyProgram({ graph: model });
  await stepped(toy, 3);
  const after = withTrained(model, toy.prepared.stored(toy.program.tensors()));
  await toy.program.release();
  const value = after.nodes[0].attributes.get('value');
  if (value?.kind !== 'tensor') throw new Error('no tensor');
  expect(value.value).toMatchObject({ name: 'value', dtype, dims });
  expect(toFloat32(value.value.read())).not.toEqual(toFloat32(held.read()));
  expect([...after.initializers.keys()]).toEqual([...stored.keys()]);
});

test('a bias in a list of numbers becomes a tensor', async () => {
  const graph = toyModel();
  const { 'head.bias': bias, ...rest } = Object.fromEntries(graph.initializers);
  const zeros = Array.from(toFloat32(bias.read()));
  const constant = makeNode('Constant', [], ['head.bias'], { value_floats: { kind: 'floats', value: zeros } });
  const model = { ...graph, nodes: [constant, ...graph.nodes], initializers: new Map(Object.entries(rest)) };
  const toy = await toyProgram({ graph: model });
  await stepped(toy, 2);
  const after = withTrained(model, toy.prepared.stored(toy.program.tensors()));
  const trained = toy.program.tensors().get('head.bias') as Tensor;
  await toy.program.release();
  const value = constantValue(after.nodes[0]) as TensorRef;
  expect([...after.nodes[0].attributes.keys()]).toEqual(['value']);
  expect(toFloat32(value.read())).toEqual(toFloat32(trained));
});

test('refuses what leaves nothing to train', async () => {
  const graph = toyModel();
  const empty = { ...graph, nodes: [], initializers: new Map(), outputs: [{ ...graph.inputs[0] }] };
  await expect(toyProgram({ graph: empty })).rejects.toMatchObject({ code: 'not-trainable' });
});

test('weights that are not kept stay at zero, whatever the optimizer carries along', async () => {
  const graph = toyModel();
  const ref = graph.initializers.get('convA.weight');
  const values = toFloat32(ref?.read() as Tensor).map((value, i) => (i % 3 ? 0 : value));
  const sparse = withTrained(graph, new Map([['convA.weight', float32Tensor(values, ref?.dims ?? [])]]));
  const kept = new Map([['convA.weight', Uint8Array.from(values, (value) => (value === 0 ? 0 : 1))]]);
  for (const optimizer of [undefined, adamW()]) {
    const more = { kept, weightDecay: 0.01, ...(optimizer ? { optimizer } : {}) };
    const toy = await toyProgram({ graph: sparse }, more);
    await stepped(toy, 5);
    const after = toFloat32(toy.program.tensors().get('convA.weight') as Tensor);
    await toy.program.release();
    expect([...after].map((value) => value === 0)).toEqual([...values].map((value) => value === 0));
    expect(after[0]).not.toBe(values[0]);
  }
});
