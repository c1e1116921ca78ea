/**
 * Models that are open in this thread: graph, layers, shapes, facts. A model is read again when its file changed, and
 * the least recently used one is closed when there are many.
 */
import { statSync } from 'node:fs';
import { type KnownShapes, modelFacts } from '../analysis/facts';
import { findLayers, type Layer } from '../analysis/layers';
import { storedTotals } from '../analysis/totals';
import { errorInfo } from '../errors';
import { openModel } from '../formats';
import type { Model } from '../formats/model';
import type { Graph } from '../graph/graph';
import type { ModelFacts } from '../protocol/facts';
import { type InputShapes, inputShapes, probeShapes } from '../runtime/shapes';

export interface OpenedModel {
  readonly model: Model;
  readonly layers: readonly Layer[];
  readonly uses: ReadonlyMap<string, number>;
  facts: ModelFacts;
  shapes: KnownShapes;
  /** The sizes the shapes were found for, as text; null before. */
  shapesFor: string | null;
  readonly stamp: string;
}

const NOT_YET: KnownShapes = { values: new Map(), inputs: null, reason: 'the model has not been run yet' };
const KEPT = 6;
/** Milliseconds. */
const LINGER = 60_000;

export class OpenModels {
  private readonly open = new Map<string, OpenedModel>();
  private readonly probing = new Map<string, Promise<OpenedModel>>();
  private readonly closing = new Map<NodeJS.Timeout, Model>();

  /** The model with weights-only facts, or with whatever is known already. */
  get(path: string): OpenedModel {
    const known = this.open.get(path);
    const stamp = fileStamp(path);
    if (known?.stamp === stamp) {
      // Most recently used last.
      this.open.delete(path);
      this.open.set(path, known);
      return known;
    }
    if (known) this.close(path);
    const model = openModel(path);
    const layers = findLayers(model.graph);
    const opened: OpenedModel = {
      model,
      layers,
      uses: storedTotals(model.graph).uses,
      facts: modelFacts(model, layers, NOT_YET),
      shapes: NOT_YET,
      shapesFor: null,
      stamp,
    };
    this.open.set(path, opened);
    for (const oldest of this.open.keys()) {
      if (this.open.size <= KEPT) break;
      this.close(oldest);
    }
    return opened;
  }

  /** The model with shapes and MACs, or with the reason why they are unknown. */
  async withShapes(path: string, given: InputShapes = {}): Promise<OpenedModel> {
    const opened = this.get(path);
    const key = JSON.stringify(given);
    if (opened.shapesFor === key) return opened;
    // Requests that come together share one run of the model.
    const job = [path, opened.stamp, key].join('\0');
    const running = this.probing.get(job) ?? this.probe(opened, given, key).finally(() => this.probing.delete(job));
    this.probing.set(job, running);
    return running;
  }

  private async probe(opened: OpenedModel, given: InputShapes, key: string): Promise<OpenedModel> {
    opened.shapes = await findShapes(opened.model, opened.layers, given);
    opened.shapesFor = key;
    opened.facts = modelFacts(opened.model, opened.layers, opened.shapes);
    return opened;
  }

  /** Forgets a model; its file is closed once the requests that still read its weights must be done. */
  private close(path: string): void {
    const model = this.open.get(path)?.model;
    this.open.delete(path);
    if (!model) return;
    const timer = setTimeout(() => {
      this.closing.delete(timer);
      model.close();
    }, LINGER);
    timer.unref();
    this.closing.set(timer, model);
  }

  /** Closes all files at once. */
  closeAll(): void {
    for (const [timer, model] of this.closing) {
      clearTimeout(timer);
      model.close();
    }
    for (const { model } of this.open.values()) model.close();
    this.closing.clear();
    this.open.clear();
  }
}

/** Shapes of what layers read and write: by running, else as the file declares them. */
export async function findShapes(
  { graph, metadata }: Pick<Model, 'graph' | 'metadata'>,
  layers: readonly Layer[],
  given: InputShapes = {},
): Promise<KnownShapes> {
  const values = layers
    .filter((layer) => layer.path.length === 0)
    .flatMap(({ node }) => [...node.inputs, ...node.outputs]);
  const stored = new Set([
    ...graph.initializers.keys(),
    ...layers.flatMap(({ node, weightInput, rule }) => [
      node.inputs[weightInput],
      rule.bias === undefined ? undefined : node.inputs[rule.bias],
    ]),
  ]);
  let inputs: Record<string, number[]>;
  try {
    inputs = inputShapes(graph, given);
  } catch (error) {
    return { values: new Map(), inputs: null, reason: errorInfo(error).message };
  }
  try {
    const found = await probeShapes(
      graph,
      metadata,
      layers,
      values.filter((name) => !stored.has(name)),
      inputs,
    );
    return { values: found, inputs, reason: null };
  } catch (error) {
    return { values: declaredShapes(graph, inputs), inputs: null, reason: errorInfo(error).message };
  }
}

/** Fully known shapes that the file declares; a free batch axis counts as 1. */
function declaredShapes(
  graph: Graph,
  inputs: Readonly<Record<string, readonly number[]>>,
): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>(Object.entries(inputs));
  for (const { name, shape } of [...graph.valueInfo, ...graph.outputs]) {
    const dims = shape?.map((size, axis) => (axis === 0 && typeof size === 'string' ? 1 : size));
    if (dims?.every((size): size is number => typeof size === 'number')) shapes.set(name, dims);
  }
  return shapes;
}

/** Changes when the file does. */
export function fileStamp(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat ? `${stat.size}:${stat.mtimeMs}` : 'missing';
}
