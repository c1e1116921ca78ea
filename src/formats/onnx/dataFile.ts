/**
 * Lays out the data file of a model that is being written: which tensors go there, and where.
 * Source: https://github.com/onnx/onnx/blob/main/docs/ExternalData.md
 */
import type { Sink } from '../../atomic';
import type { Graph } from '../../graph/graph';
import type { TensorRef } from '../../tensor/tensor';
import { OnnxTensorRef } from './tensor';
import { type ExternalPlace, type TensorPlacement, tensorPayload } from './tensorMessage';

/** Smaller tensors stay in the model, where runtimes can use them while they read it (shapes, axes). As in `onnx`. */
const THRESHOLD = 1024;
const MIN_ALIGNMENT = 64;
/** Where Windows can map a file into memory. */
const MAX_ALIGNMENT = 64 * 1024;

export class DataFile implements TensorPlacement {
  /** Bytes laid out so far. */
  size = 0;
  private readonly places = new Map<TensorRef, ExternalPlace>();

  constructor(
    /** Name of the file beside the model. */
    private readonly location: string,
    private readonly alignment: number,
    /** Whether large initializers leave the model too. */
    private readonly movesInline: boolean,
  ) {}

  place(tensor: TensorRef, isInitializer: boolean): ExternalPlace | null {
    const known = this.places.get(tensor);
    if (known) return known;
    const storage = tensor instanceof OnnxTensorRef ? tensor.storage.kind : 'memory';
    const mayMove = storage === 'memory' || this.movesInline;
    const isLarge = isInitializer && tensor.bytes >= THRESHOLD;
    if (storage !== 'external' && !(mayMove && isLarge)) return null;
    const offset = Math.ceil(this.size / this.alignment) * this.alignment;
    const place = { location: this.location, offset };
    this.places.set(tensor, place);
    this.size = offset + tensor.bytes;
    return place;
  }

  /** The data file it refers to is copied along. */
  carryExternal(): void {}

  write(sink: Sink): void {
    let at = 0;
    for (const [tensor, { offset }] of this.places) {
      sink(new Uint8Array(offset - at));
      tensorPayload(tensor).write(sink);
      at = offset + tensor.bytes;
    }
  }
}

/** The alignment that a graph's external tensors have, within sensible bounds. */
export function alignmentOf(graph: Graph): number {
  let alignment = MAX_ALIGNMENT;
  for (const tensor of graph.initializers.values()) {
    if (!(tensor instanceof OnnxTensorRef) || tensor.storage.kind !== 'external') continue;
    while (alignment > MIN_ALIGNMENT && tensor.storage.offset % alignment !== 0) alignment /= 2;
  }
  return alignment;
}
