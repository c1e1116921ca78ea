/** Which weights of a model stay zero while it trains on: those of its own, or those of a model that was pruned before. */
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { findLayers, type Layer } from '../analysis/layers';
import { isFloatWeight } from '../analysis/weights';
import { resolveBeside } from '../data/confine';
import { fileNotFound, ticketDiffers } from '../errors';
import type { Graph } from '../graph/graph';
import { float32Tensor, toFloat32 } from '../tensor/tensor';
import { withTrained } from '../train/prepare';
import { Zeroed } from '../train/zeroed';
import type { Scene } from './scene';

/** 1 where a weight may change, by the name of the stored tensor. */
export type KeptWeights = ReadonlyMap<string, Uint8Array>;

/** The weights of layers that are not zero. @param wanted names of stored tensors */
export function keptWeights(graph: Graph, wanted: ReadonlySet<string>): KeptWeights {
  return new Map(
    layersOf(graph)
      .filter(({ weight }) => wanted.has(weight.ref.name))
      .map(({ weight: { ref } }) => [ref.name, nonZeros(toFloat32(ref.read()))]),
  );
}

/**
 * The weights that a pruned model keeps, of the layers of another that are like its own. Layers in which it has no zero
 * are left out.
 * @param file relative to the scene's folder
 * @throws UserError `ticket-differs`, `dataset-path-outside`, and what opening a model throws
 */
export async function ticketWeights(
  { folder, tools, settings }: Scene,
  file: string,
  graph: Graph,
): Promise<KeptWeights> {
  const place = await resolveBeside(path.join(await realpath(folder), 'recipe'), file, (path) =>
    fileNotFound({ path }),
  );
  const pruned = await tools.models.withShapes(place, settings.shapes);
  const own = new Map(layersOf(graph).map((layer) => [layer.name, layer]));
  const kept = new Map<string, Uint8Array>();
  for (const { name, weight } of layersOf(pruned.model.graph)) {
    const mask = nonZeros(toFloat32(weight.ref.read()));
    if (!mask.includes(0)) continue;
    const layer = own.get(name);
    const [found, expected] = [layer?.weight.ref.dims, weight.ref.dims].map((dims) => dims?.join('×'));
    if (!layer || found !== expected) throw ticketDiffers({ path: file, layer: name, found, expected: `${expected}` });
    kept.set(layer.weight.ref.name, mask);
  }
  if (kept.size === 0) throw ticketDiffers({ path: file, layer: null, found: 'no zero', expected: 'weights of zero' });
  return kept;
}

/** A graph with zeros where nothing is kept, and what that took away. */
export function masked(graph: Graph, kept: KeptWeights) {
  const changed = new Map<string, ReturnType<typeof float32Tensor>>();
  const zeroed = new Zeroed();
  for (const { weight } of layersOf(graph)) {
    const { ref } = weight;
    const mask = kept.get(ref.name);
    if (!mask || changed.has(ref.name)) continue;
    const values = toFloat32(ref.read()).slice();
    zeroed.apply(values, mask);
    changed.set(ref.name, float32Tensor(values, ref.dims));
  }
  return { graph: withTrained(graph, changed), ranked: new Set(changed.keys()), ...zeroed.counts };
}

function layersOf(graph: Graph): Layer[] {
  return findLayers(graph).filter(({ path: inside, weight }) => inside.length === 0 && isFloatWeight(weight));
}

function nonZeros(values: Float32Array): Uint8Array {
  return Uint8Array.from(values, (value) => (value === 0 ? 0 : 1));
}
