/**
 * Opens an ONNX file: walks its protobuf once and records where everything lies. No weight is read.
 * Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, message ModelProto
 */
import { emptyFile, noGraph } from '../../errors';
import { type Graph, type ModelMetadata, origin } from '../../graph/graph';
import { validateGraph } from '../../graph/validate';
import { ProtobufReader } from '../binary/protobuf';
import type { Model } from '../model';
import { openSource, type Source } from '../source';
import { ReadContext } from './context';
import { ExternalFiles } from './external';
import { functionField, modelField, opsetField, trainingField } from './fields';
import { readGraph, readNode, standardDomain } from './graph';
import { FieldOrigin, fieldOrigin } from './origin';
import { readEntry } from './tensor';

/**
 * Indexes a model. The caller closes it.
 * @throws UserError for a file that can't be read, is not valid ONNX or refers to places it must not
 */
export function readOnnx(path: string): Model {
  const source = openSource(path);
  try {
    return readModel(source);
  } catch (error) {
    source.close();
    throw error;
  }
}

function readModel(source: Source): Model {
  const { path, size } = source;
  if (size === 0) throw emptyFile({ path });
  const reader = new ProtobufReader(source);
  const whole = new FieldOrigin(source, 0, 0, 0, size);
  const context = new ReadContext(new ExternalFiles(path));
  const opsets = new Map<string, number>();
  const properties = new Map<string, string>();
  const functions: string[] = [];
  let graph: Graph | null = null;
  let irVersion = 0;
  let producerName = '';
  let producerVersion = '';
  let hasTraining = false;
  while (reader.next(size, 'the model')) {
    switch (reader.field) {
      case modelField.irVersion:
        irVersion = reader.int();
        break;
      case modelField.producerName:
        producerName = reader.string();
        break;
      case modelField.producerVersion:
        producerVersion = reader.string();
        break;
      case modelField.opsetImport:
        readOpset(reader, opsets);
        break;
      case modelField.metadataProps:
        readEntry(reader, properties);
        break;
      case modelField.graph:
        if (graph) reader.fail('one graph', 'a second one', reader.fieldStart);
        graph = readGraph(reader, context, fieldOrigin(reader));
        break;
      case modelField.functions:
        context.carry(() => functions.push(readFunction(reader, context, whole)));
        break;
      case modelField.trainingInfo:
        context.carry(() => readTraining(reader, context));
        hasTraining = true;
        break;
      default:
        reader.skip();
    }
  }
  if (!graph) throw noGraph({ path });
  validateGraph(graph);
  const metadata: ModelMetadata = {
    irVersion,
    producerName,
    producerVersion,
    opsets,
    properties,
    functions,
    [origin]: whole,
  };
  whole.element = metadata;
  return {
    path,
    format: 'onnx',
    graph,
    metadata,
    fileBytes: size + context.external.bytes,
    notes: notes(metadata, graph, hasTraining),
    file: { source, external: context.external, keptExternal: context.kept },
    close: () => source.close(),
  };
}

function readOpset(reader: ProtobufReader, into: Map<string, number>): void {
  const end = reader.payloadEnd();
  let domain = '';
  let version = 0;
  while (reader.next(end, 'an operator set')) {
    if (reader.field === opsetField.domain) domain = standardDomain(reader.string());
    else if (reader.field === opsetField.version) version = reader.int();
    else reader.skip();
  }
  into.set(domain, version);
}

/** Walks a function and returns its full name. */
function readFunction(reader: ProtobufReader, context: ReadContext, parent: FieldOrigin): string {
  const from = fieldOrigin(reader);
  let domain = '';
  let name = '';
  while (reader.next(from.end, 'a function')) {
    if (reader.field === functionField.domain) domain = reader.string();
    else if (reader.field === functionField.name) name = reader.string();
    else if (reader.field === functionField.node) readNode(reader, context, from, 0);
    else reader.skip();
  }
  parent.external ||= from.external;
  return `${domain}.${name}`;
}

function readTraining(reader: ProtobufReader, context: ReadContext): void {
  const end = reader.payloadEnd();
  while (reader.next(end, 'training information')) {
    const isGraph = reader.field === trainingField.initialization || reader.field === trainingField.algorithm;
    if (isGraph) readGraph(reader, context, fieldOrigin(reader));
    else reader.skip();
  }
}

function notes({ functions }: ModelMetadata, graph: Graph, hasTraining: boolean): string[] {
  const sparse = graph.sparseInitializers?.length ?? 0;
  const found: string[] = [];
  if (functions.length > 0) found.push(`Model-local functions (${functions.length}) are kept and not looked into.`);
  if (sparse > 0) found.push(`Sparse initializers too large to unpack (${sparse}) are kept and not looked into.`);
  if (hasTraining) found.push('Training information is kept and not looked into.');
  return found;
}
