/**
 * Indexes the graph of an ONNX file: nodes, attributes, subgraphs and declared values become plain objects that
 * remember where they were read from; tensors become references.
 * Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, messages GraphProto, NodeProto, AttributeProto
 */
import { duplicateValue, nestingTooDeep } from '../../errors';
import { type Attribute, type Graph, type GraphNode, origin, type ValueInfo } from '../../graph/graph';
import type { TensorRef } from '../../tensor/tensor';
import type { ProtobufReader } from '../binary/protobuf';
import { MAX_DEPTH, type ReadContext } from './context';
import { attributeField, attributeType, graphField, nodeField } from './fields';
import { type FieldOrigin, fieldOrigin } from './origin';
import { readSparse } from './sparse';
import { type OnnxTensorRef, readTensor } from './tensor';
import { readValue } from './value';

/** Indexes the graph whose payload the reader stands before. */
export function readGraph(reader: ProtobufReader, context: ReadContext, from: FieldOrigin, depth = 0): Graph {
  const path = reader.source.path;
  if (depth > MAX_DEPTH) throw nestingTooDeep({ path, offset: from.fieldStart, limit: MAX_DEPTH });
  const nodes: GraphNode[] = [];
  const inputs: ValueInfo[] = [];
  const outputs: ValueInfo[] = [];
  const valueInfo: ValueInfo[] = [];
  const initializers = new Map<string, TensorRef>();
  const sparseInitializers: string[] = [];
  const store = (tensor: TensorRef): void => {
    if (initializers.has(tensor.name)) throw duplicateValue({ value: tensor.name });
    initializers.set(tensor.name, tensor);
  };
  let name = '';
  while (reader.next(from.end, 'a graph')) {
    switch (reader.field) {
      case graphField.node:
        nodes.push(readNode(reader, context, from, depth));
        break;
      case graphField.name:
        name = reader.string();
        break;
      case graphField.initializer: {
        store(readTensorField(reader, context, from));
        break;
      }
      case graphField.sparseInitializer:
        context.carry(() => {
          const sparse = readSparse(reader, context, from);
          if (typeof sparse === 'string') sparseInitializers.push(sparse);
          else store(sparse);
        });
        break;
      case graphField.input:
        inputs.push(readValue(reader, context));
        break;
      case graphField.output:
        outputs.push(readValue(reader, context));
        break;
      case graphField.valueInfo:
        valueInfo.push(readValue(reader, context));
        break;
      default:
        reader.skip();
    }
  }
  const graph: Graph = { name, nodes, inputs, outputs, valueInfo, initializers, sparseInitializers, [origin]: from };
  from.element = graph;
  return graph;
}

/** Most nodes have none. */
const noAttributes: ReadonlyMap<string, Attribute> = new Map();

/** Indexes the node that is the reader's field. Whether it uses external data counts for `parent` as well. */
export function readNode(reader: ProtobufReader, context: ReadContext, parent: FieldOrigin, depth: number): GraphNode {
  const { path } = reader.source;
  const from = fieldOrigin(reader);
  const inputs: string[] = [];
  const outputs: string[] = [];
  let attributes: Map<string, Attribute> | null = null;
  let name = '';
  let opType = '';
  let domain = '';
  context.spend(400, path);
  while (reader.next(from.end, 'a node')) {
    switch (reader.field) {
      case nodeField.input:
        inputs.push(readName(reader, context));
        break;
      case nodeField.output:
        outputs.push(readName(reader, context));
        break;
      case nodeField.name:
        name = readName(reader, context);
        break;
      case nodeField.opType:
        opType = readName(reader, context);
        break;
      case nodeField.domain:
        domain = standardDomain(readName(reader, context));
        break;
      case nodeField.attribute: {
        const [key, value] = readAttribute(reader, context, from, depth);
        attributes ??= new Map();
        attributes.set(key, value);
        break;
      }
      default:
        reader.skip();
    }
  }
  parent.external ||= from.external;
  const node: GraphNode = {
    name,
    opType,
    domain,
    inputs,
    outputs,
    attributes: attributes ?? noAttributes,
    [origin]: from,
  };
  from.element = node;
  return node;
}

/** The standard domain has two spellings. */
export function standardDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain;
}

function readName(reader: ProtobufReader, context: ReadContext): string {
  const name = reader.string();
  context.spend(40 + name.length, reader.source.path);
  return name;
}

function readTensorField(reader: ProtobufReader, context: ReadContext, parent: FieldOrigin): OnnxTensorRef {
  const from = fieldOrigin(reader);
  const tensor = readTensor(reader, context, from);
  parent.external ||= from.external;
  return tensor;
}

function readGraphField(reader: ProtobufReader, context: ReadContext, parent: FieldOrigin, depth: number): Graph {
  const from = fieldOrigin(reader);
  const graph = readGraph(reader, context, from, depth);
  parent.external ||= from.external;
  return graph;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Everything an attribute message may hold; its type says what counts. */
interface AttributeParts {
  float: number;
  int: number;
  string: string | null;
  tensor: TensorRef | null;
  graph: Graph | null;
  floats: number[] | null;
  ints: number[] | null;
  strings: (string | null)[] | null;
  graphs: Graph[] | null;
}

function readAttribute(
  reader: ProtobufReader,
  context: ReadContext,
  parent: FieldOrigin,
  depth: number,
): readonly [string, Attribute] {
  const { path } = reader.source;
  const from = fieldOrigin(reader);
  const parts: AttributeParts = {
    float: 0,
    int: 0,
    string: '',
    tensor: null,
    graph: null,
    floats: null,
    ints: null,
    strings: null,
    graphs: null,
  };
  let name = '';
  let type = 0;
  let seen = 0;
  let isReference = false;
  context.spend(200, path);
  while (reader.next(from.end, 'an attribute')) {
    switch (reader.field) {
      case attributeField.name:
        name = readName(reader, context);
        break;
      case attributeField.type:
        type = reader.int();
        break;
      case attributeField.refName:
        isReference = readName(reader, context) !== '';
        break;
      case attributeField.f:
        parts.float = reader.float();
        seen = attributeType.float;
        break;
      case attributeField.i:
        parts.int = reader.int();
        seen = attributeType.int;
        break;
      case attributeField.s:
        parts.string = reader.text();
        context.spend(parts.string?.length ?? 0, path);
        seen = attributeType.string;
        break;
      case attributeField.t:
        parts.tensor = readTensorField(reader, context, from);
        seen = attributeType.tensor;
        break;
      case attributeField.g:
        parts.graph = readGraphField(reader, context, from, depth + 1);
        seen = attributeType.graph;
        break;
      case attributeField.floats:
        // Before the numbers are made: each takes at least 4 bytes of this message.
        if (!parts.floats) context.spend(2 * (from.end - from.start), path);
        reader.floats((parts.floats ??= []));
        seen = attributeType.floats;
        break;
      case attributeField.ints:
        if (!parts.ints) context.spend(8 * (from.end - from.start), path);
        reader.ints((parts.ints ??= []));
        seen = attributeType.ints;
        break;
      case attributeField.strings: {
        const text = reader.text();
        context.spend(40 + (text?.length ?? 0), path);
        (parts.strings ??= []).push(text);
        seen = attributeType.strings;
        break;
      }
      case attributeField.graphs:
        (parts.graphs ??= []).push(readGraphField(reader, context, from, depth + 1));
        seen = attributeType.graphs;
        break;
      case attributeField.tensors:
      case attributeField.sparseTensor:
      case attributeField.sparseTensors:
        readUnreadTensor(reader, context, from);
        break;
      default:
        reader.skip();
    }
  }
  parent.external ||= from.external;
  const attribute: Mutable<Attribute> = isReference ? { kind: 'other' } : attributeOf(type || seen, parts);
  attribute[origin] = from;
  from.element = attribute;
  from.key = name;
  return [name, attribute];
}

/** Tensors in attributes of kinds that are carried along: only the external files they use matter. */
function readUnreadTensor(reader: ProtobufReader, context: ReadContext, from: FieldOrigin): void {
  const isSparse = reader.field !== attributeField.tensors;
  context.carry(() => {
    if (isSparse) readSparse(reader, context, from);
    else readTensorField(reader, context, from);
  });
}

function attributeOf(type: number, parts: AttributeParts): Attribute {
  const { string } = parts;
  const strings = parts.strings ?? [];
  switch (type) {
    case attributeType.float:
      return { kind: 'float', value: parts.float };
    case attributeType.int:
      return { kind: 'int', value: parts.int };
    case attributeType.string:
      // Some operators keep binary data in a string.
      return string === null ? { kind: 'other' } : { kind: 'string', value: string };
    case attributeType.tensor:
      return parts.tensor === null ? { kind: 'other' } : { kind: 'tensor', value: parts.tensor };
    case attributeType.graph:
      return parts.graph === null ? { kind: 'other' } : { kind: 'graph', value: parts.graph };
    case attributeType.floats:
      return { kind: 'floats', value: parts.floats ?? [] };
    case attributeType.ints:
      return { kind: 'ints', value: parts.ints ?? [] };
    case attributeType.strings:
      return strings.every((s): s is string => s !== null) ? { kind: 'strings', value: strings } : { kind: 'other' };
    case attributeType.graphs:
      return { kind: 'graphs', value: parts.graphs ?? [] };
    default:
      return { kind: 'other' };
  }
}
