/** Prunes channels of graphs made in code or read from files, and holds the result against every promise. */
import { expect } from 'vitest';
import { findLayers } from '../../src/analysis/layers';
import { storedTotals } from '../../src/analysis/totals';
import { type Graph, type ModelMetadata, standardOpset } from '../../src/graph/graph';
import { validateGraph } from '../../src/graph/validate';
import { opDef } from '../../src/ops';
import { costModel } from '../../src/prune/channelsCost';
import { type ChannelGroups, findGroups } from '../../src/prune/groups';
import { valuesToProbe } from '../../src/prune/groupsWiring';
import type { RemoveChannelsCut } from '../../src/prune/plan';
import { type InputShapes, inputShapes, probeShapes } from '../../src/runtime/shapes';
import { removalOfCuts, removeChannels } from '../../src/surgery/channels';
import { maskChannels } from '../../src/surgery/channelsMask';
import { type Tensor, toFloat64 } from '../../src/tensor/tensor';
import { metadataOf, runGraph } from './graphs';
import { randomInputs } from './surgery';

export async function shapesOf(graph: Graph, metadata: ModelMetadata, given: InputShapes = {}) {
  const layers = findLayers(graph);
  return probeShapes(graph, metadata, layers, valuesToProbe(graph), inputShapes(graph, given));
}

export async function groupsOf(graph: Graph, metadata = metadataOf(), given: InputShapes = {}): Promise<ChannelGroups> {
  const shapes = await shapesOf(graph, metadata, given);
  return findGroups({ graph, opset: standardOpset(metadata) ?? 1, layers: findLayers(graph), shapes });
}

/** Removes a share of a group's channels, spread over it; at least one goes, and one stays unless all are asked for. */
export function cutShare({ name, channels }: ChannelGroups['groups'][number], share: number): RemoveChannelsCut {
  const count = share === 1 ? channels : Math.min(channels - 1, Math.max(1, Math.round(share * channels)));
  const removed = Array.from({ length: count }, (_, i) => Math.floor(((i + 0.5) * channels) / count));
  return { kind: 'removeChannels', group: name, channels: removed };
}

/** Counts of a graph: of what is stored, and of its layers with the shapes that a run gives. */
export async function recount(graph: Graph, metadata: ModelMetadata, given: InputShapes = {}) {
  const shapes = await shapesOf(graph, metadata, given);
  const { params, bytes } = storedTotals(graph);
  const macs = findLayers(graph)
    .filter(({ path }) => path.length === 0)
    .reduce((sum, { node, weight, weightInput }) => {
      const inputs = node.inputs.map((name, i) => (i === weightInput ? weight.dims : (shapes.get(name) ?? null)));
      const outputs = node.outputs.map((name) => shapes.get(name) ?? null);
      return sum + (opDef(node.opType, node.domain)?.macs?.(node, { inputs, outputs }) ?? Number.NaN);
    }, 0);
  return { params, bytes, macs };
}

export interface Check {
  readonly metadata?: ModelMetadata;
  readonly given?: InputShapes;
  readonly feeds?: Readonly<Record<string, Tensor>>;
  /** Relative to the largest output. */
  readonly tolerance?: number;
}

/** Of the whole graphs. */
const counts = new WeakMap<ChannelGroups, ReturnType<typeof recount>>();

/** Carries cuts out and checks: a valid graph that runs, counts as predicted, and the outputs of the masked graph. */
export async function checkCuts(
  groups: ChannelGroups,
  cuts: readonly RemoveChannelsCut[],
  { metadata = metadataOf(), given = {}, feeds, tolerance = 1e-4 }: Check = {},
): Promise<Graph> {
  const { graph } = groups.wiring;
  const label = cuts.map(({ group, channels }) => `${group} −${channels.length}`).join(', ');
  const pruned = removeChannels(groups, cuts, metadata.irVersion);
  validateGraph(pruned);
  const inputs = feeds ?? randomInputs(graph);
  const after = await runGraph(pruned, inputs, metadata);
  const before = await (counts.get(groups) ?? recount(graph, metadata, given));
  counts.set(groups, Promise.resolve(before));
  const saved = costModel(groups.wiring).saved(removalOfCuts(groups, cuts));
  expect(await recount(pruned, metadata, given), label).toEqual({
    params: before.params - saved.params,
    bytes: before.bytes - saved.bytes,
    macs: before.macs - (saved.macs as number),
  });
  const touched = new Set(cuts.map(({ group }) => group));
  const isExact = groups.groups.every(({ name, inexact }) => !touched.has(name) || inexact === null);
  const masked = await runGraph(maskChannels(groups, cuts), inputs, metadata);
  expect(Object.keys(after)).toEqual(Object.keys(masked));
  for (const [name, tensor] of Object.entries(masked)) {
    expect(after[name].dims, `${label}: ${name}`).toEqual(tensor.dims);
    const [a, b] = [toFloat64(tensor), toFloat64(after[name])];
    let [largest, difference] = [1e-6, 0];
    a.forEach((value, i) => {
      largest = Math.max(largest, Math.abs(value));
      difference = Math.max(difference, Math.abs(value - b[i]));
    });
    if (isExact) expect(difference / largest, `${label}: ${name}`).toBeLessThan(tolerance);
  }
  return pruned;
}

/**
 * Groups that can lose channels, as text: name, number of channels, and how many outputs make one if it is not 1; `~`
 * marks those where a cut is not the same as zeros, `*` those that can go altogether.
 */
export function openGroups({ groups }: ChannelGroups): string {
  return groups
    .filter(({ reason }) => reason === null)
    .map(
      ({ name, channels, block, inexact, canVanish }) =>
        `${name} ${channels}${block > 1 ? `×${block}` : ''}${inexact ? '~' : ''}${canVanish ? '*' : ''}`,
    )
    .join(', ');
}

/** Groups of a graph, pruned alone and together by 10, 50 and 90 %, and altogether where they can go. */
export async function checkArchitecture(graph: Graph, check: Check = {}): Promise<ChannelGroups> {
  const groups = await groupsOf(graph, check.metadata, check.given);
  const open = groups.groups.filter(({ reason }) => reason === null);
  for (const group of open)
    for (const share of [0.1, 0.5, 0.9]) await checkCuts(groups, [cutShare(group, share)], check);
  for (const share of [0.1, 0.5, 0.9]) {
    await checkCuts(
      groups,
      open.map((group) => cutShare(group, share)),
      check,
    );
  }
  const whole = open.filter(({ canVanish }) => canVanish).map((group) => cutShare(group, 1));
  for (const cut of whole) await checkCuts(groups, [cut], check);
  if (whole.length > 1) await checkCuts(groups, whole, check);
  return groups;
}
