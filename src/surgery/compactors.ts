/**
 * Compactors put into a graph: a 1×1 convolution (or, behind a dense layer, a product) that is the identity, between a
 * layer with its normalization and whatever reads it (Ding et al., 2021, section 3). What reads the layer reads the
 * same value as before.
 */
import type { Layer } from '../analysis/layers';
import { type Graph, type GraphNode, int, makeNode } from '../graph/graph';
import { freshNames } from '../graph/names';
import { type CompactorPlace, normalizationOf } from '../prune/compaction/places';
import type { Wiring } from '../prune/groupsWiring';
import { float32Tensor, memoryTensor } from '../tensor/tensor';

export interface CompactedGraph {
  readonly graph: Graph;
  /** The initializer of each place's matrix, by the place's name: [D, D, 1, …] as its first layer takes it, or [D, D]. */
  readonly matrices: ReadonlyMap<string, string>;
}

export function withCompactors(
  { graph, layers, ...wiring }: Wiring,
  places: readonly CompactorPlace[],
): CompactedGraph {
  const fresh = freshNames(graph);
  const byName = new Map(layers.map((layer) => [layer.name, layer]));
  const initializers = new Map(graph.initializers);
  const replaced = new Map<GraphNode, readonly GraphNode[]>();
  const matrices = new Map<string, string>();
  for (const { name, layers: own, rows } of places) {
    const { length } = rows;
    const matrix = fresh(`${name}.compactor`);
    matrices.set(name, matrix);
    const identity = new Float32Array(length * length);
    for (let i = 0; i < length; i++) identity[i * length + i] = 1;
    const { node: first, weight } = byName.get(own[0]) as Layer;
    const kernel = first.opType === 'Conv' ? weight.dims.slice(2).map(() => 1) : [];
    initializers.set(matrix, memoryTensor(matrix, float32Tensor(identity, [length, length, ...kernel])));
    for (const layer of own) {
      const { node } = byName.get(layer) as Layer;
      const last = normalizationOf(node, { ...wiring }) ?? node;
      const before = fresh(`${last.outputs[0]}/before`);
      const label = fresh(`${layer}/compactor`);
      const inputs = [before, matrix];
      const outputs = [last.outputs[0]];
      const compactor =
        node.opType === 'Conv'
          ? makeNode('Conv', inputs, outputs, {}, label)
          : makeNode('Gemm', inputs, outputs, { transB: int(1) }, label);
      replaced.set(last, [{ ...last, outputs: [before, ...last.outputs.slice(1)] }, compactor]);
    }
  }
  return {
    graph: { ...graph, nodes: graph.nodes.flatMap((node) => replaced.get(node) ?? [node]), initializers },
    matrices,
  };
}
