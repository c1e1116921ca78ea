/**
 * Element types of a graph's values. Most operators give the type of their first input; the rest are listed here.
 * Source: the type constraints of the ONNX operator pages.
 */
import { attribute, constantValue, type Graph, type GraphNode } from '../graph/graph';
import { type DataType, dataTypeOfCode } from '../tensor/dtype';

type TypeRule = (
  node: GraphNode,
  typeOf: (input: number) => DataType | undefined,
  output: number,
) => DataType | undefined;

const bool: TypeRule = () => 'bool';
const int64: TypeRule = () => 'int64';
const typeOfInput =
  (index: number): TypeRule =>
  (_node, typeOf) =>
    typeOf(index);
/** The type that an attribute names; without it, what the operator's page says. */
const named =
  (name: string, otherwise?: DataType): TypeRule =>
  (node) => {
    const code = attribute(node, name, 'int');
    return code === undefined ? otherwise : dataTypeOfCode(code);
  };

const exceptions: Readonly<Record<string, TypeRule>> = {
  And: bool,
  Or: bool,
  Xor: bool,
  Not: bool,
  Equal: bool,
  Greater: bool,
  GreaterOrEqual: bool,
  Less: bool,
  LessOrEqual: bool,
  IsInf: bool,
  IsNaN: bool,
  ArgMax: int64,
  ArgMin: int64,
  NonMaxSuppression: int64,
  NonZero: int64,
  Shape: int64,
  Size: int64,
  Cast: named('to'),
  CastLike: typeOfInput(1),
  Constant: (node) => constantValue(node)?.dtype,
  ConstantOfShape: (node) => attribute(node, 'value', 'tensor')?.dtype ?? 'float32',
  ConvInteger: () => 'int32',
  MatMulInteger: () => 'int32',
  DequantizeLinear: typeOfInput(1),
  QuantizeLinear: (_node, typeOf) => typeOf(2) ?? 'uint8',
  EyeLike: (node, typeOf, output) => named('dtype')(node, typeOf, output) ?? typeOf(0),
  If: (node, _typeOf, output) => attribute(node, 'then_branch', 'graph')?.outputs[output]?.dtype ?? undefined,
  Loop: () => undefined,
  Scan: () => undefined,
  OneHot: typeOfInput(2),
  RandomNormal: named('dtype', 'float32'),
  RandomUniform: named('dtype', 'float32'),
  Where: typeOfInput(1),
};

/** Types of outputs after the first, where they differ from the first. */
const laterOutputs: Readonly<Record<string, DataType>> = { Dropout: 'bool', MaxPool: 'int64', TopK: 'int64' };

/** Type of every value whose type follows from the graph's inputs, initializers and operators. */
export function valueTypes(graph: Graph): Map<string, DataType> {
  const types = new Map<string, DataType>();
  for (const { name, dtype } of [...graph.valueInfo, ...graph.outputs, ...graph.inputs]) {
    if (dtype) types.set(name, dtype);
  }
  for (const [name, { dtype }] of graph.initializers) types.set(name, dtype);
  for (const node of graph.nodes) {
    const rule = Object.hasOwn(exceptions, node.opType) ? exceptions[node.opType] : typeOfInput(0);
    node.outputs.forEach((output, i) => {
      const type =
        (i > 0 && laterOutputs[node.opType]) || rule(node, (input) => types.get(node.inputs[input] ?? ''), i);
      if (output !== '' && type) types.set(output, type);
    });
  }
  return types;
}
