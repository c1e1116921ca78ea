/** The classifier at the end of a model. */
import type { Graph } from '../graph/graph';
import { upstream } from '../graph/order';
import type { Layer } from './layers';

/** The last layer that the outputs need; undefined in a graph without layers. */
export function headLayer(graph: Graph, layers: readonly Layer[]): Layer | undefined {
  const needed = new Set(
    upstream(
      graph,
      graph.outputs.map((output) => output.name),
    ),
  );
  return layers.filter((layer) => layer.path.length === 0 && needed.has(layer.node)).at(-1);
}
