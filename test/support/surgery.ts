/** Splits layers of graphs made in code and compares what ONNX Runtime computes before and after. */
import { expect } from 'vitest';
import { findLayers, type Layer } from '../../src/analysis/layers';
import { type Graph, type ModelMetadata, standardOpset } from '../../src/graph/graph';
import { freshNames } from '../../src/graph/names';
import { consumers } from '../../src/graph/order';
import { factorsOf, type OutputBasis, outputMetric, weightBasis } from '../../src/surgery/bases';
import { batchNormScale } from '../../src/surgery/batchNorm';
import { type Factors, recombined, replaceNodes, twoLayers } from '../../src/surgery/factorize';
import { type LayerMatrix, layerMatrix } from '../../src/surgery/layerMatrix';
import { type Tensor, toFloat64 } from '../../src/tensor/tensor';
import { metadataOf, randomTensor, runGraph } from './graphs';

export interface Split {
  readonly layer: Layer;
  readonly matrix: LayerMatrix;
  readonly basis: OutputBasis;
}

export function layerNamed(graph: Graph, name?: string): Layer {
  const layers = findLayers(graph);
  const layer = name === undefined ? layers[0] : layers.find((found) => found.name === name);
  if (!layer) throw new Error(`no layer '${name}' among ${layers.map((found) => found.name)}`);
  expect(layer.reason).toBeNull();
  return layer;
}

/** A layer in the basis of its weights, weighed by the BatchNormalization behind it if there is one. */
export function splitOf(graph: Graph, name?: string): Split {
  const layer = layerNamed(graph, name);
  const matrix = layerMatrix(layer);
  const metric = outputMetric(batchNormScale(layer, consumers(graph)), matrix.blocks * matrix.outputs);
  return { layer, matrix, basis: weightBasis(matrix, metric) };
}

/** The graph with one layer replaced. */
export function withFactors(
  graph: Graph,
  { layer, matrix }: Pick<Split, 'layer' | 'matrix'>,
  factors: Factors,
  {
    metadata = metadataOf(),
    finish = 'two-layers',
  }: { metadata?: ModelMetadata; finish?: 'two-layers' | 'recombined' } = {},
): { graph: Graph; inner: string | null } {
  const make = finish === 'two-layers' ? twoLayers : recombined;
  const site = { opset: standardOpset(metadata) ?? 1, fresh: freshNames(graph) };
  const replacement = make(layer, matrix, factors, site);
  return {
    graph: replaceNodes(graph, new Map([[layer.node, replacement]]), metadata.irVersion),
    inner: replacement.inner,
  };
}

/** The first layer (or the named one) cut to a rank in the basis of its weights. */
export function cutTo(
  graph: Graph,
  rank: number,
  options: Parameters<typeof withFactors>[3] & { name?: string } = {},
): Graph {
  const split = splitOf(graph, options.name);
  return withFactors(graph, split, factorsOf(split.matrix, split.basis, rank), options).graph;
}

/** Normal random inputs of the sizes that the graph declares; free sizes are 2. */
export function randomInputs(graph: Graph, seed = 9): Record<string, Tensor> {
  const inputs = graph.inputs.filter((input) => !graph.initializers.has(input.name));
  return Object.fromEntries(
    inputs.map(({ name, dtype, shape }, i) => [
      name,
      randomTensor(
        (shape ?? []).map((size) => (typeof size === 'number' ? size : 2)),
        seed + i,
        dtype ?? 'float32',
      ),
    ]),
  );
}

/** Largest |a − b| over all outputs, relative to the largest |a|. */
export async function outputDifference(
  before: Graph,
  after: Graph,
  metadata = metadataOf(),
  inputs = randomInputs(before),
): Promise<number> {
  const a = await runGraph(before, inputs, metadata);
  const b = await runGraph(after, inputs, metadata);
  expect(Object.keys(b)).toEqual(Object.keys(a));
  let [largest, difference] = [0, 0];
  for (const [name, tensor] of Object.entries(a)) {
    expect(b[name].dims).toEqual(tensor.dims);
    expect(b[name].dtype).toBe(tensor.dtype);
    const other = toFloat64(b[name]);
    toFloat64(tensor).forEach((value, i) => {
      largest = Math.max(largest, Math.abs(value));
      difference = Math.max(difference, Math.abs(value - other[i]));
    });
  }
  expect(largest).toBeGreaterThan(0);
  return difference / largest;
}
