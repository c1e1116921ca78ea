/** Graphs made in code, inspected and run as the engine does it. */
import { modelFacts } from '../../src/analysis/facts';
import { findLayers } from '../../src/analysis/layers';
import { findShapes } from '../../src/engine/models';
import { serializeGraph } from '../../src/formats/onnx/serialize';
import type { Graph, ModelMetadata } from '../../src/graph/graph';
import { seededRandom } from '../../src/linalg/random';
import type { ModelFacts } from '../../src/protocol/facts';
import { createSession } from '../../src/runtime/session';
import type { InputShapes } from '../../src/runtime/shapes';
import { byteLength, type DataType, elementCount, isFloatType } from '../../src/tensor/dtype';
import { dataFromBytes, fromFloat, type Tensor } from '../../src/tensor/tensor';

export function metadataOf({ opset = 17, irVersion = 8 } = {}): ModelMetadata {
  return {
    irVersion,
    producerName: '',
    producerVersion: '',
    opsets: new Map([['', opset]]),
    properties: new Map(),
    functions: [],
  };
}

/** Normal random numbers for floats; whole numbers from 0 to 6 for integers. */
export function randomTensor(dims: readonly number[], seed = 1, dtype: DataType = 'float32', spread = 1): Tensor {
  const random = seededRandom(seed);
  const count = elementCount(dims);
  if (isFloatType(dtype)) {
    return fromFloat(
      Float64Array.from({ length: count }, () => spread * random.normal()),
      dtype,
      dims,
    );
  }
  const data = dataFromBytes(dtype, new Uint8Array(byteLength(dtype, count)));
  const isBig = data instanceof BigInt64Array || data instanceof BigUint64Array;
  for (let i = 0; i < count; i++) data[i] = (isBig ? BigInt(random.index(7)) : random.index(7)) as never;
  return { dtype, dims, data };
}

/** What the engine says of a graph: layers, shapes and counts. */
export async function factsOf(graph: Graph, metadata = metadataOf(), shapes: InputShapes = {}): Promise<ModelFacts> {
  const layers = findLayers(graph);
  const known = await findShapes({ graph, metadata }, layers, shapes);
  return modelFacts({ path: 'graph.onnx', graph, metadata, fileBytes: 0, notes: [] }, layers, known);
}

/** Runs a graph once with ONNX Runtime on the CPU. */
export async function runGraph(
  graph: Graph,
  feeds: Readonly<Record<string, Tensor>>,
  metadata = metadataOf(),
): Promise<Record<string, Tensor>> {
  const session = await createSession(serializeGraph(graph, metadata), { threads: 1, label: 'the test graph' });
  try {
    return await session.run(feeds);
  } finally {
    await session.release();
  }
}
