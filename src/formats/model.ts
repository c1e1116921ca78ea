/**
 * An opened model: its graph, what its file says beside the graph, and the file itself, which stays open so that
 * weights can be read when they are asked for and untouched parts can be written back as they were.
 */
import type { Graph, ModelMetadata } from '../graph/graph';
import type { OnnxFile } from './onnx/origin';

export interface Model {
  /** As it was given to `openModel`. */
  readonly path: string;
  readonly format: 'onnx';
  readonly graph: Graph;
  readonly metadata: ModelMetadata;
  /** Bytes of the model file and of all external data files. */
  readonly fileBytes: number;
  /** What the file holds that is carried along unread, one sentence each. */
  readonly notes: readonly string[];
  /** For the writer of the format. */
  readonly file: OnnxFile;
  /** Closes the file. Weights that were not read before can't be read any more. */
  close(): void;
}
