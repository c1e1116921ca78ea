import { describe, expect, it } from 'vitest';
import { serializeGraph } from '../../src/formats/onnx/serialize';
import { type Graph, makeNode } from '../../src/graph/graph';
import { measureLatency, quantile } from '../../src/runtime/latency';
import { profileNodes } from '../../src/runtime/profile';
import { builtInDevices, createSession, threadCount } from '../../src/runtime/session';
import type { DataType } from '../../src/tensor/dtype';
import { fromFloat, type Tensor, toFloat64 } from '../../src/tensor/tensor';
import { metadataOf, randomTensor, runGraph } from '../support/graphs';
import { makeGraph, temporaryFile, value } from '../support/onnxBuilder';

function identity(dtype: DataType, op = 'Identity'): Graph {
  return makeGraph({
    nodes: [makeNode(op, ['x'], ['y'])],
    inputs: [value('x', ['N', 2], dtype)],
    outputs: [value('y', null, dtype)],
  });
}
const bytesOf = (graph: Graph): Uint8Array => serializeGraph(graph, metadataOf());

describe('a session', () => {
  const integers: DataType[] = ['int8', 'uint8', 'int16', 'uint16', 'int32', 'int64'];
  it.each(integers)('takes and gives %s', async (dtype) => {
    const x = randomTensor([3, 2], 1, dtype);
    expect((await runGraph(identity(dtype), { x })).y).toEqual(x);
  });

  it.each(['float32', 'float64', 'float16'] as const)('takes and gives %s', async (dtype) => {
    const x = fromFloat(Float64Array.of(1, -0.5, 65504, 2 ** -24), dtype, [2, 2]);
    const { y } = await runGraph(identity(dtype), { x });
    expect(y).toEqual(x);
    expect([...toFloat64(y)]).toEqual([...toFloat64(x)]);
  });

  it('says what its inputs and outputs are', async () => {
    const session = await createSession(bytesOf(identity('float16')));
    expect(session.inputs).toEqual([{ name: 'x', dtype: 'float16', shape: ['N', 2] }]);
    expect(session.outputNames).toEqual(['y']);
    await session.release();
  });

  it('computes only what is asked for', async () => {
    const graph = makeGraph({
      nodes: [makeNode('Relu', ['x'], ['y']), makeNode('Neg', ['x'], ['z'])],
      inputs: [value('x', [1])],
      outputs: [value('y'), value('z')],
    });
    const session = await createSession(bytesOf(graph));
    const x: Tensor = { dtype: 'float32', dims: [1], data: Float32Array.of(3) };
    expect(Object.keys(await session.run({ x }, ['z']))).toEqual(['z']);
    expect(Object.keys(await session.run({ x }))).toEqual(['y', 'z']);
    await session.release();
  });

  it.each([
    ['bytes that are no model', Uint8Array.of(1, 2, 3)],
    ['an operator that does not exist', bytesOf(identity('float32', 'Mystery'))],
    ['a file that is not there', '/nowhere/model.onnx'],
  ])('is not made of %s', async (_name, model) => {
    await expect(createSession(model, { label: 'this model' })).rejects.toMatchObject({
      code: 'model-does-not-load',
      message: expect.stringMatching(/^ONNX Runtime could not load this model: ./),
    });
  });

  it('says what was wrong with its inputs', async () => {
    const session = await createSession(bytesOf(identity('float32')), { label: 'this model' });
    const wrong = randomTensor([2, 3]);
    await expect(session.run({ x: wrong })).rejects.toMatchObject({
      code: 'model-does-not-run',
      message: expect.stringMatching(/^ONNX Runtime could not run this model: .*Expected: 2/),
    });
    await expect(session.run({})).rejects.toMatchObject({ code: 'model-does-not-run' });
    await session.release();
  });

  it('blames the device where the model loads on the CPU', async () => {
    const absent = (['directml', 'coreml', 'cuda'] as const).find((device) => !builtInDevices().includes(device));
    expect(absent).toBeDefined();
    await expect(createSession(bytesOf(identity('float32')), { device: absent })).rejects.toMatchObject({
      code: 'device-failed',
      message: expect.stringContaining(`'${absent}'`),
    });
  });
});

describe('measuring', () => {
  it('takes quantiles between the values', () => {
    expect([0, 0.25, 0.5, 0.75, 1].map((q) => quantile([4, 1, 3, 2], q))).toEqual([1, 1.75, 2.5, 3.25, 4]);
    expect(quantile([7], 0.75)).toBe(7);
  });

  const product = makeGraph({
    nodes: [makeNode('MatMul', ['x', 'w'], ['h'], {}, 'product'), makeNode('Softmax', ['h'], ['y'], {}, 'soft')],
    inputs: [value('x', [1, 64])],
    outputs: [value('y')],
    initializers: { w: randomTensor([64, 64]) },
  });
  const feeds = { x: randomTensor([1, 64]) };

  it('runs all models equally often and says with what', async () => {
    const file = temporaryFile(bytesOf(product));
    const found = await measureLatency([file, bytesOf(product)], feeds, { threads: 1, seconds: 0, batch: 1 });
    expect(found).toHaveLength(2);
    for (const { median, iqr, ...rest } of found) {
      expect(rest).toEqual({ batch: 1, repetitions: 11, device: 'cpu', threads: 1 });
      expect(median).toBeGreaterThan(0);
      expect(iqr).toBeGreaterThanOrEqual(0);
    }
  });

  it('stops when cancelled', async () => {
    const abort = new AbortController();
    abort.abort(new Error('enough'));
    await expect(measureLatency([bytesOf(product)], feeds, { signal: abort.signal })).rejects.toThrow('enough');
  });

  it('finds the time of each product by its node', async () => {
    const times = await profileNodes(bytesOf(product), feeds, { threads: 1, runs: 4 });
    expect([...times.keys()]).toEqual(['product']);
    expect(times.get('product')).toBeGreaterThan(0);
  });

  it('counts the threads of the machine for 0', () => {
    expect(threadCount(3)).toBe(3);
    expect(threadCount()).toBeGreaterThan(0);
  });
});
