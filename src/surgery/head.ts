/**
 * A new classifier for a model (transfer learning): the last layer gets random weights for another number of classes,
 * everything before it stays. Weights are drawn uniformly within ±1/√inputs, as PyTorch draws those of a linear layer;
 * biases start at zero.
 */
import { headLayer } from '../analysis/head';
import { findLayers, type Layer } from '../analysis/layers';
import { isFloatWeight, type StoredWeight } from '../analysis/weights';
import { headNotReplaceable } from '../errors';
import { attribute, type Graph, nodeLabel } from '../graph/graph';
import { consumers, producers, upstream } from '../graph/order';
import { seededRandom } from '../linalg/random';
import { elementCount, type FloatType } from '../tensor/dtype';
import { fromFloat, memoryTensor, type TensorRef } from '../tensor/tensor';

export interface NewHead {
  readonly graph: Graph;
  /** Name of the replaced layer. */
  readonly layer: string;
  readonly classesBefore: number;
}

/**
 * @param path of the model, for messages
 * @throws UserError `head-not-replaceable` when the last layer is no plain dense layer or 1×1 convolution, or when what
 *   comes after it is not done class by class
 */
export function withNewHead(
  graph: Graph,
  { classes, seed, path }: { classes: number; seed: number; path: string },
): NewHead {
  const head = headLayer(graph, findLayers(graph));
  if (!head) throw headNotReplaceable({ path, layer: null, reason: 'the model has no layer with weights' });
  const fail = (reason: string): never => {
    throw headNotReplaceable({ path, layer: head.name, reason });
  };
  const { matrices, weight, node } = head;
  if (matrices?.blocks !== 1) fail('its weight is not one matrix');
  if (!isFloatWeight(weight)) fail(`its weight is ${weight.ref.dtype}`);
  if (elementCount(weight.dims.slice(2)) !== 1) fail('it is a convolution over several pixels');
  const { rows, cols, outputsAre } = matrices as NonNullable<Layer['matrices']>;
  const [outputs, inputs] = outputsAre === 'rows' ? [rows, cols] : [cols, rows];
  const axis = storedAxis(weight, outputsAre === 'rows' ? 0 : 1);
  const dims = weight.ref.dims.map((size, at) => (at === axis ? classes : size));
  const random = seededRandom(seed);
  const limit = 1 / Math.sqrt(inputs);
  const values = Float64Array.from({ length: classes * inputs }, () => (2 * random.uniform() - 1) * limit);
  const replaced = new Map<string, TensorRef>();
  const store = (ref: TensorRef, data: Float64Array, size: readonly number[]): void => {
    if (!graph.initializers.has(ref.name)) fail('its weights are not stored as initializers');
    replaced.set(ref.name, memoryTensor(ref.name, fromFloat(data, ref.dtype as FloatType, size)));
  };
  store(weight.ref, values, dims);

  const readers = consumers(graph);
  if ((readers.get(weight.ref.name)?.length ?? 0) > 1) fail('its weight is used elsewhere too');
  const biases = head.bias ? [head.bias.ref] : [];
  let value = node.outputs[0];
  const made = producers(graph);
  // What may follow: additions of a stored bias, and operators that treat every class alike.
  for (let next = readers.get(value); next?.length; next = readers.get(value)) {
    if (next.length > 1) fail(`several nodes read its output '${value}'`);
    const [after] = next;
    for (const name of after.inputs) {
      const ref = graph.initializers.get(name);
      if (ref && after.opType === 'Add' && elementCount(ref.dims) === outputs) biases.push(ref);
      else if (name !== value && !ref && made.has(name) && !isConstant(graph, name))
        fail(`'${nodeLabel(after)}' joins it with another value`);
    }
    if (!FOLLOWERS.has(after.opType)) fail(`'${nodeLabel(after)}' (${after.opType}) comes after it`);
    value = after.outputs[0];
  }
  for (const ref of biases) {
    if ((readers.get(ref.name)?.length ?? 0) > 1) fail('its bias is used elsewhere too');
    const size = ref.dims.map((n) => (n === outputs ? classes : n));
    if (elementCount(ref.dims) === outputs) store(ref, new Float64Array(classes), size);
  }
  const initializers = new Map([...graph.initializers].map(([name, ref]) => [name, replaced.get(name) ?? ref]));
  const resized = <T extends { readonly name: string; readonly shape: readonly (number | string)[] | null }>(
    info: T,
  ): T => {
    const isAfter = info.shape?.includes(outputs) && upstream(graph, [info.name]).includes(node);
    return isAfter ? { ...info, shape: info.shape?.map((n, axis) => (axis > 0 && n === outputs ? classes : n)) } : info;
  };
  return {
    graph: { ...graph, initializers, outputs: graph.outputs.map(resized), valueInfo: graph.valueInfo.map(resized) },
    layer: head.name,
    classesBefore: outputs,
  };
}

/** Where the stored tensor has an axis of the weight as the layer sees it. */
function storedAxis({ via, ref }: StoredWeight, axis: number): number {
  return via.reduceRight((at, node) => {
    if (node.opType !== 'Transpose') return at;
    return attribute(node, 'perm', 'ints')?.[at] ?? ref.dims.length - 1 - at;
  }, axis);
}

/** Operators that may follow a classifier whatever its number of classes. */
const FOLLOWERS = new Set([
  'Add',
  'Softmax',
  'LogSoftmax',
  'Sigmoid',
  'Identity',
  'Flatten',
  'Squeeze',
  'Dropout',
  'Cast',
  'Reshape',
  'GlobalAveragePool',
  'ReduceMean',
]);

function isConstant(graph: Graph, name: string): boolean {
  return upstream(graph, [name]).every((node) => node.opType === 'Constant');
}
