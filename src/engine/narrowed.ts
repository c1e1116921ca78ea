/** A model without some of its channels, in memory: as an opened model, which layer each node is, and what it lost. */
import { modelFacts } from '../analysis/facts';
import { channelAxis, findLayers } from '../analysis/layers';
import { storedTotals } from '../analysis/totals';
import type { Graph, GraphNode } from '../graph/graph';
import type { LayerProjection, Projection } from '../protocol/plan';
import { projectionOf } from '../prune/channelPlan';
import { newShape } from '../prune/channels';
import type { ChannelGroups } from '../prune/groups';
import type { RemoveChannelsCut } from '../prune/plan';
import { removalOfCuts, removeChannels } from '../surgery/channels';
import type { OpenedModel } from './models';

/** Shapes of values, by name. */
type Shapes = ReadonlyMap<string, readonly number[]>;

/**
 * A graph as an opened model: its weights are read from the file when they are asked for.
 * @param from a model with the same layers
 * @param mark tells it from the model, where what is known of either is kept
 */
export function openedWith(from: OpenedModel, graph: Graph, values: Shapes, mark: string): OpenedModel {
  const model = { ...from.model, graph };
  const layers = findLayers(graph);
  const outputs = new Map(from.layers.map(({ name, node }) => [name, node.outputs[0]]));
  const known = new Map(values);
  for (const { node, name } of layers) {
    // A layer that took its normalization in gives that one's output.
    const before = outputs.get(name);
    const shape = before === undefined ? undefined : known.get(before);
    if (shape && !known.has(node.outputs[0])) known.set(node.outputs[0], shape);
  }
  const shapes = { ...from.shapes, values: known };
  const facts = modelFacts(model, layers, shapes);
  return { ...from, model, layers, uses: storedTotals(graph).uses, shapes, facts, stamp: `${from.stamp}/${mark}` };
}

/** The model without some channels. @throws UserError as `removeChannels` */
export function withoutChannels(
  opened: OpenedModel,
  groups: ChannelGroups,
  cuts: readonly RemoveChannelsCut[],
): OpenedModel {
  if (!cuts.length) return opened;
  const graph = removeChannels(groups, cuts, opened.model.metadata.irVersion);
  return openedWith(opened, graph, shapesWithout(opened.shapes.values, groups, cuts), JSON.stringify(cuts));
}

/** Shapes once channels are gone. */
export function shapesWithout(values: Shapes, groups: ChannelGroups, cuts: readonly RemoveChannelsCut[]): Shapes {
  const removal = removalOfCuts(groups, cuts);
  return new Map([...values].map(([value, shape]) => [value, newShape(groups.wiring, removal, value) ?? shape]));
}

/** Which layer of a model each node is of a graph that was made from it: outputs keep their names. */
export function layersIn(graph: Graph, from: OpenedModel): Map<GraphNode, string> {
  const named = new Map(
    from.layers.filter(({ path }) => !path.length).map(({ node, name }) => [node.outputs[0], name]),
  );
  return new Map(
    graph.nodes.flatMap((node) => {
      const name = named.get(node.outputs[0]);
      return name === undefined ? [] : [[node, name] as const];
    }),
  );
}

export interface Loss {
  readonly from: OpenedModel;
  readonly after: OpenedModel;
  /** Of the model before. */
  readonly groups: ChannelGroups;
  /** Channels that went, by group; none where a group is absent. */
  readonly lost: ReadonlyMap<string, number>;
  /** Why a group lost none. */
  whyWhole(group: string): string;
}

/** What became of a model that lost channels, by counting what is left. */
export function projectionAfter({ from, after, groups, lost, whyWhole }: Loss): Projection {
  const now = new Map(after.facts.layers.map((layer, i) => [layer.name, { ...layer, layer: after.layers[i] }]));
  const known = new Map(groups.layers.map((layer) => [layer.layer, layer]));
  return {
    before: from.facts.totals,
    after: after.facts.totals,
    basis: 'weights',
    shortfall: null,
    groups: groups.groups.map((group) => {
      const { name, channels } = group;
      return projectionOf(group, channels - (lost.get(name) ?? 0), whyWhole(name));
    }),
    layers: from.facts.layers.map((layer, i): LayerProjection => {
      const found = now.get(layer.name) ?? { ...layer, layer: from.layers[i] };
      const { params, macs, bytes, outputShape } = found;
      const base = { layer: layer.name, rank: layer.fullRank, error: 0, params, macs, bytes };
      if (found.weight.shape.join() !== layer.weight.shape.join()) {
        const channels = outputShape?.[channelAxis(found.layer, outputShape.length)] ?? 0;
        return { ...base, action: 'narrow', reason: null, channels };
      }
      return { ...base, action: 'keep', reason: known.get(layer.name)?.reason ?? 'all channels it shares stay' };
    }),
  };
}
