/** Models in half or double precision as float32 ones, for training programs; what is trained is rounded back afterwards. */
import { type Graph, type GraphNode, int } from '../graph/graph';
import { type DataType, dataTypes } from '../tensor/dtype';
import { float32Tensor, type TensorRef, toFloat32 } from '../tensor/tensor';

const OTHERS: readonly DataType[] = ['float16', 'bfloat16', 'float64'];

/** @param graph with stored tensors as initializers */
export function asFloat32(graph: Graph): Graph {
  const isOther = (type: DataType | null): boolean => type !== null && OTHERS.includes(type);
  if (![...graph.initializers.values(), ...graph.inputs].some(({ dtype }) => isOther(dtype))) return graph;
  const single = <T extends { readonly dtype: DataType | null }>(value: T): T =>
    isOther(value.dtype) ? { ...value, dtype: 'float32' } : value;
  return {
    ...graph,
    nodes: graph.nodes.map(castingToSingle),
    inputs: graph.inputs.map(single),
    outputs: graph.outputs.map(single),
    valueInfo: [],
    initializers: new Map(
      [...graph.initializers].map(([name, ref]) => [name, isOther(ref.dtype) ? converted(ref) : ref]),
    ),
  };
}

function converted(ref: TensorRef): TensorRef {
  const { name, dims, bytes, dtype } = ref;
  return {
    name,
    dtype: 'float32',
    dims,
    bytes: (bytes * dataTypes.float32.bits) / dataTypes[dtype].bits,
    read: () => float32Tensor(toFloat32(ref.read()), dims),
  };
}

function castingToSingle(node: GraphNode): GraphNode {
  const to = node.attributes.get('to');
  if (node.opType !== 'Cast' || to?.kind !== 'int') return node;
  return OTHERS.some((type) => dataTypes[type].code === to.value)
    ? { ...node, attributes: new Map([...node.attributes, ['to', int(dataTypes.float32.code)]]) }
    : node;
}
