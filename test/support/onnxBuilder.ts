/** Small ONNX models for tests: well-formed ones through the serializer, hostile ones byte by byte. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';
import { serializeGraph } from '../../src/formats/onnx/serialize';
import type { Graph, GraphNode, ValueInfo } from '../../src/graph/graph';
import type { DataType } from '../../src/tensor/dtype';
import { memoryTensor, type Tensor } from '../../src/tensor/tensor';

export function value(name: string, shape: ValueInfo['shape'] = null, dtype: DataType = 'float32'): ValueInfo {
  return { name, dtype, shape };
}

/** A graph from its parts; what is left out is empty. */
export function makeGraph(parts: {
  readonly nodes: readonly GraphNode[];
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly initializers?: Readonly<Record<string, Tensor>>;
  readonly valueInfo?: readonly ValueInfo[];
  readonly name?: string;
}): Graph {
  const tensors = Object.entries(parts.initializers ?? {});
  return {
    name: parts.name ?? 'test',
    nodes: parts.nodes,
    inputs: parts.inputs,
    outputs: parts.outputs,
    valueInfo: parts.valueInfo ?? [],
    initializers: new Map(tensors.map(([name, tensor]) => [name, memoryTensor(name, tensor)])),
  };
}

export function modelBytes(graph: Graph, opset = 17, irVersion = 8): Uint8Array {
  return serializeGraph(graph, { irVersion, opsets: new Map([['', opset]]) });
}

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders.splice(0)) fs.rmSync(folder, { recursive: true, force: true });
});

/** A folder that is removed after the tests of the file. */
export function temporaryFolder(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'espalier-test-'));
  folders.push(folder);
  return folder;
}

/** Writes a file into a folder of its own and returns its path. */
export function temporaryFile(bytes: Uint8Array | string, name = 'model.onnx'): string {
  const file = path.join(temporaryFolder(), name);
  fs.writeFileSync(file, bytes);
  return file;
}

/** A protobuf varint, any 64-bit value; negative ones as two's complement. */
export function varint(value: number | bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

export function concat(...pieces: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(pieces);
}

/** A protobuf integer field. */
export function intField(field: number, value: number | bigint): Uint8Array {
  return concat(varint(field * 8), varint(value));
}

/** A protobuf length-delimited field: text, bytes, or the fields of a message. */
export function bytesField(field: number, ...content: readonly (Uint8Array | string)[]): Uint8Array {
  const payload = concat(...content.map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : piece)));
  return concat(varint(field * 8 + 2), varint(payload.length), payload);
}
