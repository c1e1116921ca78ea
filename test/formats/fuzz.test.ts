/** Damaged files give a typed error or a model whose weights can be read; never anything else, never for long. */
import fs from 'node:fs';
import { describe, expect, it } from 'vitest';
import { UserError } from '../../src/errors';
import { openModel } from '../../src/formats';
import { writeOnnx } from '../../src/formats/onnx/write';
import { attribute, type Graph, int, ints, makeNode } from '../../src/graph/graph';
import { float32Tensor, int64Tensor, memoryTensor } from '../../src/tensor/tensor';
import { makeGraph, modelBytes, temporaryFile, value } from '../support/onnxBuilder';

/** mulberry32: small, seeded, good enough to choose bytes. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const branch = (name: string): Graph =>
  makeGraph({
    nodes: [makeNode('Reshape', ['h', `${name}_shape`], [`${name}_out`])],
    inputs: [],
    outputs: [value(`${name}_out`, ['N', 4])],
    initializers: { [`${name}_shape`]: int64Tensor([-1, 4]) },
    name,
  });

const seedModel = modelBytes(
  makeGraph({
    nodes: [
      makeNode('Conv', ['x', 'w', 'b'], ['h'], { kernel_shape: ints([1, 1]), group: int(1) }, 'conv'),
      makeNode('Constant', [], ['c'], {
        value: { kind: 'tensor', value: memoryTensor('', { dtype: 'bool', dims: [], data: Uint8Array.of(1) }) },
      }),
      makeNode('If', ['c'], ['y'], {
        then_branch: { kind: 'graph', value: branch('then') },
        else_branch: { kind: 'graph', value: branch('else') },
      }),
    ],
    inputs: [value('x', ['N', 2, 'H', 'W'])],
    outputs: [value('y', ['M', 4])],
    initializers: {
      w: float32Tensor(
        Float32Array.from({ length: 8 }, (_, i) => i / 7),
        [4, 2, 1, 1],
      ),
      b: float32Tensor(new Float32Array(4), [4]),
    },
    valueInfo: [value('h', ['N', 4, 'H', 'W'])],
  }),
);

/** Opens, reads and writes back; errors other than UserError go through. */
function exercise(file: string, output: string): string {
  try {
    const model = openModel(file);
    try {
      const { graph } = model;
      for (const tensor of graph.initializers.values()) if (tensor.dtype !== 'string') tensor.read();
      for (const node of graph.nodes) attribute(node, 'value', 'tensor')?.read();
      const nodes = graph.nodes.map((node) => ({ ...node, name: `${node.name}_` }));
      writeOnnx(model, { ...graph, nodes }, output, { overwrite: true });
      openModel(output).close();
    } finally {
      model.close();
    }
    return 'model';
  } catch (error) {
    if (error instanceof UserError) return error.code;
    throw error;
  }
}

describe('a model damaged by chance', () => {
  const kinds: Record<string, (bytes: Buffer, random: () => number) => Buffer> = {
    'one byte changed': (bytes, random) => {
      bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      return bytes;
    },
    'ten bytes changed': (bytes, random) => {
      for (let i = 0; i < 10; i++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      return bytes;
    },
    'one bit changed': (bytes, random) => {
      bytes[Math.floor(random() * bytes.length)] ^= 1 << Math.floor(random() * 8);
      return bytes;
    },
    'its end cut off': (bytes, random) => bytes.subarray(0, Math.floor(random() * bytes.length)),
    'a piece removed': (bytes, random) => {
      const at = Math.floor(random() * bytes.length);
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + Math.floor(random() * 8))]);
    },
    'a piece repeated': (bytes, random) => {
      const at = Math.floor(random() * bytes.length);
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.max(0, at - 20))]);
    },
  };

  it.each(Object.keys(kinds))('with %s', (kind) => {
    const file = temporaryFile(seedModel);
    const output = `${file}.out.onnx`;
    expect(exercise(file, output)).toBe('model');
    const random = randomNumbers(20260101);
    const outcomes = new Set<string>();
    for (let i = 0; i < 150; i++) {
      const damaged = kinds[kind](Buffer.from(seedModel), random);
      fs.writeFileSync(file, damaged);
      try {
        outcomes.add(exercise(file, output));
      } catch (error) {
        const found = damaged.toString('base64');
        throw new Error(`${kind}, attempt ${i}: ${(error as Error).stack}\n${found}`);
      }
    }
    expect(outcomes).toContain('corrupt-model');
  });
});
