/**
 * Turns graphs into ONNX messages. What was read from a file and not touched is copied byte for byte, in its place;
 * what a changed element's file says beyond the graph's vocabulary (doc strings, metadata, unknown fields) is kept.
 * Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 */
import { modelTooLarge } from '../../errors';
import type { Attribute, Graph, GraphNode, ModelMetadata, origin, ValueInfo } from '../../graph/graph';
import type { TensorRef } from '../../tensor/tensor';
import { MessageWriter } from '../binary/protobufWriter';
import { copyElement, copyFields, type FieldRange, fieldsOf } from './copy';
import { attributeField, attributeType, graphField, modelField, nodeField, opsetField } from './fields';
import { type FieldOrigin, originOf, untouched } from './origin';
import { SparseTensorRef, sparseMessage } from './sparse';
import { inlineTensors, type TensorPlacement, tensorMessage } from './tensorMessage';
import { writeValue } from './valueMessage';

/** Protobuf's limit for a message. */
export const MAX_MESSAGE_BYTES = 2 ** 31 - 1;

/**
 * A whole model in memory, for a runtime: every tensor inside, and the functions of the model that `header` came from.
 * @throws UserError `model-too-large` above 2 GiB
 */
export function serializeGraph(
  graph: Graph,
  header: Pick<ModelMetadata, 'irVersion' | 'opsets' | typeof origin>,
): Uint8Array {
  const model = new MessageWriter()
    .int(modelField.irVersion, header.irVersion)
    .string(modelField.producerName, 'espalier');
  model.message(modelField.graph, graphMessage(graph, inlineTensors));
  for (const [domain, version] of header.opsets) {
    const opset = new MessageWriter();
    if (domain !== '') opset.string(opsetField.domain, domain);
    model.message(modelField.opsetImport, opset.int(opsetField.version, version));
  }
  const from = originOf(header);
  if (from) {
    if (from.external) inlineTensors.carryExternal('functions');
    copyFields(model, from, (field) => field === modelField.functions);
  }
  if (model.length > MAX_MESSAGE_BYTES) throw modelTooLarge({ bytes: model.length, limit: MAX_MESSAGE_BYTES });
  const bytes = Buffer.allocUnsafeSlow(model.length);
  let at = 0;
  model.write((piece) => {
    bytes.set(piece, at);
    at += piece.length;
  });
  return bytes;
}

/** One repeated field of a graph message. */
interface ElementList {
  readonly count: number;
  /** Index of each untouched element by the place of its field in the file. */
  readonly places: ReadonlyMap<number, number>;
  write(index: number): void;
  /** Index of the first element that is not written yet. */
  next: number;
}

/** Fields keep the order of the file the graph was read from; new elements go where the new order puts them. */
export function graphMessage(graph: Graph, placement: TensorPlacement): MessageWriter {
  const out = new MessageWriter();
  const from = originOf(graph);
  const stored = [...graph.initializers];
  const initializers = stored.filter(([, tensor]) => !(tensor instanceof SparseTensorRef));
  const sparse = stored.filter((entry): entry is [string, SparseTensorRef] => entry[1] instanceof SparseTensorRef);
  const values = (list: readonly ValueInfo[], field: number): ElementList =>
    elements(list, field, (value) => writeValue(out, field, value));
  const lists = new Map<number, ElementList>([
    [
      graphField.node,
      elements(graph.nodes, graphField.node, (node) => writeNode(out, graphField.node, node, placement)),
    ],
    [
      graphField.initializer,
      elements(
        initializers.map(([, tensor]) => tensor),
        graphField.initializer,
        (tensor, i) => writeTensor(out, graphField.initializer, tensor, initializers[i][0], placement),
      ),
    ],
    [
      graphField.sparseInitializer,
      elements(
        sparse.map(([, tensor]) => tensor),
        graphField.sparseInitializer,
        (tensor, i) => writeSparse(out, tensor, sparse[i][0]),
      ),
    ],
    [graphField.input, values(graph.inputs, graphField.input)],
    [graphField.output, values(graph.outputs, graphField.output)],
    [graphField.valueInfo, values(graph.valueInfo, graphField.valueInfo)],
  ]);
  const hasName = from !== undefined && (from.element as Graph).name === graph.name;
  if (!hasName && graph.name !== '') out.string(graphField.name, graph.name);
  if (from) {
    const fields = fieldsOf(from);
    const unread = unreadSparse(from, fields);
    const last = new Map(fields.map(({ field, start }) => [field, start]));
    for (const { field, start, end } of fields) {
      const list = lists.get(field);
      if (!list) {
        if (field !== graphField.name || hasName) out.copy(from.source, start, end);
        continue;
      }
      if (field === graphField.sparseInitializer && unread.has(start)) out.copy(from.source, start, end);
      const index = list.places.get(start) ?? -1;
      flush(list, last.get(field) === start ? list.count : index + 1);
    }
  }
  for (const list of lists.values()) flush(list, list.count);
  return out;
}

/** Where the sparse tensors lie that were carried along unread. */
function unreadSparse(from: FieldOrigin, fields: readonly FieldRange[]): ReadonlySet<number> {
  const read = new Set(
    [...(from.element as Graph).initializers.values()]
      .filter((tensor) => tensor instanceof SparseTensorRef)
      .map((tensor) => originOf(tensor)?.fieldStart),
  );
  const places = fields.filter(({ field }) => field === graphField.sparseInitializer).map(({ start }) => start);
  return new Set(places.filter((start) => !read.has(start)));
}

function writeSparse(out: MessageWriter, tensor: SparseTensorRef, name: string): void {
  const same = copyable(tensor);
  if (same && tensor.name === name) copyElement(out, graphField.sparseInitializer, same);
  else out.message(graphField.sparseInitializer, sparseMessage(tensor, name));
}

function elements<T extends object>(
  list: readonly T[],
  field: number,
  write: (element: T, index: number) => void,
): ElementList {
  const places = new Map<number, number>();
  list.forEach((element, i) => {
    const from = untouched(element);
    if (from?.field === field) places.set(from.fieldStart, i);
  });
  return { count: list.length, places, write: (i) => write(list[i], i), next: 0 };
}

function flush(list: ElementList, until: number): void {
  while (list.next < until) list.write(list.next++);
}

/** The place of an element whose bytes can be copied: it is untouched and no tensor in it has to move. */
function copyable(element: object): FieldOrigin | undefined {
  const from = untouched(element);
  return from?.external ? undefined : from;
}

const nodeFields: ReadonlySet<number> = new Set(Object.values(nodeField));
/** NodeProto.overload chooses among functions of the same name, so it belongs to the operator. */
const overloadField = 8;

function writeNode(out: MessageWriter, field: number, node: GraphNode, placement: TensorPlacement): void {
  const same = copyable(node);
  if (same) {
    copyElement(out, field, same);
    return;
  }
  const message = new MessageWriter();
  for (const input of node.inputs) message.string(nodeField.input, input);
  for (const output of node.outputs) message.string(nodeField.output, output);
  if (node.name !== '') message.string(nodeField.name, node.name);
  message.string(nodeField.opType, node.opType);
  for (const [name, attribute] of node.attributes) writeAttribute(message, name, attribute, placement);
  if (node.domain !== '') message.string(nodeField.domain, node.domain);
  const from = originOf(node);
  if (from) {
    const before = from.element as GraphNode;
    const isSameOperator = before.opType === node.opType && before.domain === node.domain;
    copyFields(message, from, (f) => !nodeFields.has(f) && (f !== overloadField || isSameOperator));
  }
  out.message(field, message);
}

function writeAttribute(out: MessageWriter, name: string, attribute: Attribute, placement: TensorPlacement): void {
  const from = untouched(attribute);
  if (from?.key === name && (!from.external || attribute.kind === 'other')) {
    if (from.external) placement.carryExternal(`attribute '${name}'`);
    copyElement(out, nodeField.attribute, from);
    return;
  }
  const message = new MessageWriter().string(attributeField.name, name);
  writeAttributeValue(message, name, attribute, placement);
  out.message(nodeField.attribute, message);
}

function writeAttributeValue(out: MessageWriter, name: string, attribute: Attribute, placement: TensorPlacement): void {
  switch (attribute.kind) {
    case 'float':
      out.float(attributeField.f, attribute.value);
      break;
    case 'int':
      out.int(attributeField.i, attribute.value);
      break;
    case 'string':
      out.string(attributeField.s, attribute.value);
      break;
    case 'floats':
      for (const value of attribute.value) out.float(attributeField.floats, value);
      break;
    case 'ints':
      for (const value of attribute.value) out.int(attributeField.ints, value);
      break;
    case 'strings':
      for (const value of attribute.value) out.string(attributeField.strings, value);
      break;
    case 'tensor':
      writeTensor(out, attributeField.t, attribute.value, attribute.value.name, placement);
      break;
    case 'graph':
      writeGraph(out, attributeField.g, attribute.value, placement);
      break;
    case 'graphs':
      for (const graph of attribute.value) writeGraph(out, attributeField.graphs, graph, placement);
      break;
    case 'other':
      throw new Error(`Attribute '${name}' is of a kind that can only be copied`);
    default:
      attribute satisfies never;
  }
  out.int(attributeField.type, attributeType[attribute.kind]);
}

function writeGraph(out: MessageWriter, field: number, graph: Graph, placement: TensorPlacement): void {
  const same = copyable(graph);
  if (same) copyElement(out, field, same);
  else out.message(field, graphMessage(graph, placement));
}

function writeTensor(
  out: MessageWriter,
  field: number,
  tensor: TensorRef,
  name: string,
  placement: TensorPlacement,
): void {
  const same = copyable(tensor);
  const place = placement.place(tensor, field === graphField.initializer);
  if (same && !place && tensor.name === name) copyElement(out, field, same);
  else out.message(field, tensorMessage(tensor, name, place));
}
