/**
 * Writes a model back as ONNX. Elements that were not touched are copied byte for byte; the same graph gives the
 * same file. Nothing is held in memory but small messages and one tensor's piece at a time.
 *
 * External data: an unchanged model keeps its data files (copied along into another folder). A changed one gets one
 * new data file beside it, `<name>.data`, since the old one belongs to the old model.
 */
import fs from 'node:fs';
import path from 'node:path';
import { type FileToWrite, writeFailure, writeFiles } from '../../atomic';
import { cannotWrite, modelTooLarge, outputExists, outputIsSource } from '../../errors';
import type { Graph } from '../../graph/graph';
import { copyRange, MessageWriter } from '../binary/protobufWriter';
import type { Model } from '../model';
import { openSource } from '../source';
import { fieldsOf } from './copy';
import { alignmentOf, DataFile } from './dataFile';
import { type ExternalFile, openExternal } from './external';
import { modelField } from './fields';
import { FieldOrigin } from './origin';
import { graphMessage, MAX_MESSAGE_BYTES } from './serialize';
import { inlineTensors, type TensorPlacement } from './tensorMessage';

const COMPARE_BYTES = 1024 * 1024;

export interface WriteOptions {
  readonly overwrite: boolean;
}

export interface Written {
  readonly path: string;
  /** Of all files written. */
  readonly bytes: number;
}

/**
 * Writes `graph` in place of the model's own graph into a new file.
 * @param output path of the new file; its folder must exist
 * @throws UserError `output-is-source`, `output-exists`, `cannot-write`, `file-changed`, `model-too-large`
 */
export function writeOnnx(model: Model, graph: Graph, output: string, options: WriteOptions): Written {
  const files = isUnchanged(graph, model.graph)
    ? [...besides(output, model.file.external.located), copyOf(model, output)]
    : changed(model, graph, output);
  checkPlaces(model, output, files, options);
  // Data files may lie in folders below the model's.
  for (const file of files) fs.mkdirSync(path.dirname(file.path), { recursive: true });
  return { path: output, bytes: writeFiles(files, options) };
}

/** Whether a graph holds the very elements of another, in the same order. */
function isUnchanged(graph: Graph, before: Graph): boolean {
  const isSame = (a: readonly unknown[], b: readonly unknown[]) =>
    a === b || (a.length === b.length && a.every((element, i) => element === b[i]));
  return (
    graph.name === before.name &&
    isSame(graph.nodes, before.nodes) &&
    isSame(graph.inputs, before.inputs) &&
    isSame(graph.outputs, before.outputs) &&
    isSame(graph.valueInfo, before.valueInfo) &&
    isSame([...graph.initializers.keys()], [...before.initializers.keys()]) &&
    isSame([...graph.initializers.values()], [...before.initializers.values()])
  );
}

function copyOf(model: Model, output: string): FileToWrite {
  const { source } = model.file;
  return { path: output, write: (sink) => copyRange(source, 0, source.size, sink) };
}

/** The files of a model whose graph was changed; the model comes last. */
function changed(model: Model, graph: Graph, output: string): FileToWrite[] {
  const usesData = model.file.external.located.length > 0;
  const layout = (movesInline: boolean) =>
    new DataFile(`${path.basename(output)}.data`, alignmentOf(model.graph), movesInline);
  let data = usesData ? layout(false) : null;
  let message = modelMessage(model, graph, data ?? inlineTensors);
  if (message.length > MAX_MESSAGE_BYTES) {
    data = layout(true);
    message = modelMessage(model, graph, data);
  }
  if (message.length > MAX_MESSAGE_BYTES) throw modelTooLarge({ bytes: message.length, limit: MAX_MESSAGE_BYTES });
  const files = besides(output, [...model.file.keptExternal]);
  if (data && data.size > 0) files.push({ path: `${output}.data`, write: (sink) => data.write(sink) });
  files.push({ path: output, write: (sink) => message.write(sink) });
  return files;
}

function modelMessage(model: Model, graph: Graph, placement: TensorPlacement): MessageWriter {
  const { source } = model.file;
  const out = new MessageWriter();
  for (const { field, start, end } of fieldsOf(new FieldOrigin(source, 0, 0, 0, source.size))) {
    if (field === modelField.graph) out.message(field, graphMessage(graph, placement));
    else out.copy(source, start, end);
  }
  return out;
}

/** Copies of data files that a model in another folder needs as well. Equal files that are there already are kept. */
function besides(output: string, files: readonly ExternalFile[]): FileToWrite[] {
  const folder = path.dirname(path.resolve(output));
  return files
    .map((file) => ({ file, target: path.join(folder, file.location) }))
    .filter(({ file, target }) => !isSameContent(file, target))
    .map(({ file, target }) => ({
      path: target,
      write: (sink) => {
        const source = openExternal(file);
        try {
          copyRange(source, 0, source.size, sink);
        } finally {
          source.close();
        }
      },
    }));
}

function isSameContent(file: ExternalFile, target: string): boolean {
  const stat = statOf(target);
  if (!stat?.isFile() || stat.size !== file.size) return false;
  if (fs.realpathSync(target) === file.path) return true;
  const [a, b] = [openExternal(file), openSource(target)];
  try {
    const [left, right] = [Buffer.allocUnsafe(COMPARE_BYTES), Buffer.allocUnsafe(COMPARE_BYTES)];
    for (let at = 0; at < file.size; at += COMPARE_BYTES) {
      const length = Math.min(COMPARE_BYTES, file.size - at);
      a.readInto(at, left.subarray(0, length));
      b.readInto(at, right.subarray(0, length));
      if (left.compare(right, 0, length, 0, length) !== 0) return false;
    }
    return true;
  } finally {
    a.close();
    b.close();
  }
}

/** Refuses places that are not free, before anything is written. */
function checkPlaces(model: Model, output: string, files: readonly FileToWrite[], { overwrite }: WriteOptions): void {
  const isFolder = statOf(path.dirname(path.resolve(output)))?.isDirectory();
  if (!isFolder) throw cannotWrite({ path: output, reason: 'its folder does not exist' });
  const own = [model.path, ...model.file.external.located.map((file) => file.path)].map(statOf);
  for (const file of files) {
    const stat = statOf(file.path);
    if (!stat) continue;
    if (own.some((one) => one?.dev === stat.dev && one.ino === stat.ino)) throw outputIsSource({ path: file.path });
    if (!stat.isFile()) throw cannotWrite({ path: file.path, reason: 'it is not a regular file' });
    if (!overwrite) throw outputExists({ path: file.path });
  }
}

function statOf(file: string): fs.Stats | undefined {
  try {
    return fs.statSync(file, { throwIfNoEntry: false });
  } catch (error) {
    throw writeFailure(file, error);
  }
}
