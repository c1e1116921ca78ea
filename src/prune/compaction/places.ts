/**
 * Where compactors go: behind every layer that gives the channels of a group, when it and its normalization can be
 * multiplied with a matrix afterwards. A compactor's rows are what is pruned, and channels that can only go together
 * have rows that go together.
 */
import type { Layer } from '../../analysis/layers';
import { isFloatWeight } from '../../analysis/weights';
import { attribute, type GraphNode } from '../../graph/graph';
import { groupsOf } from '../../ops/convolution';
import type { PruneSettings } from '../../protocol/recipe';
import { eachChannel } from '../channels';
import type { ChannelGroups, Group } from '../groups';
import type { Wiring } from '../groupsWiring';
import { matchAny, matchOverrides } from '../match';

/** A channel of one of the groups that lose channels. */
export interface RowOwner {
  /** Index among {@link Compaction.groups}. */
  readonly group: number;
  readonly channel: number;
}

/** One matrix, square, that one or several layers share. */
export interface CompactorPlace {
  /** Of its first layer. */
  readonly name: string;
  /** Names of the layers whose outputs it recombines. */
  readonly layers: readonly string[];
  /** Whose channel each row is, in the order of the layers' outputs; null for one that stays. */
  readonly rows: readonly (RowOwner | null)[];
}

/** A group with compactors, and how narrow it may become. */
export interface CompactedGroup {
  readonly group: Group;
  readonly least: number;
}

export interface Compaction {
  readonly groups: readonly CompactedGroup[];
  readonly places: readonly CompactorPlace[];
  /** Why other groups have none, by name. */
  readonly declined: ReadonlyMap<string, string>;
}

export interface PlaceOptions {
  /** Whether residual chains, where several layers give the same channels, have compactors. */
  readonly followers: boolean;
  /** Fewest channels of a group. */
  readonly minRows: number;
  /** Why groups have none, by name, beside what the graph says. */
  readonly against?: ReadonlyMap<string, string>;
}

/** The layers that a run can put compactors behind. */
export function compactionOf(
  { groups, layers, wiring }: ChannelGroups,
  settings: Pick<PruneSettings, 'protect' | 'groups'>,
  { followers, minRows, against }: PlaceOptions,
): Compaction {
  const byName = new Map(wiring.layers.map((layer) => [layer.name, layer]));
  const axisOf = new Map(layers.map(({ layer, axis }) => [layer, axis]));
  const isProtected = matchAny(settings.protect);
  const override = matchOverrides(settings.groups);
  const declined = new Map<string, string>();
  const found: CompactedGroup[] = [];
  for (const group of groups) {
    const share = override(group.name)?.ratio ?? 0;
    const least = Math.min(group.channels, Math.max(minRows, Math.ceil(share * group.channels)));
    const reason =
      group.reason ??
      (override(group.name)?.keep ? 'locked' : null) ??
      (least === group.channels ? 'all of its channels are asked for' : null) ??
      group.inexact ??
      protectedBy(group, isProtected) ??
      against?.get(group.name) ??
      againstCompactors(group, byName, wiring, followers);
    if (reason !== null) {
      declined.set(group.name, reason);
      continue;
    }
    found.push({ group, least });
  }
  const rows = new Map<string, (RowOwner | null)[]>();
  for (const [index, { group }] of found.entries()) {
    for (const layer of producersOf(group)) {
      const axis = axisOf.get(layer);
      const own = group.axes.find(({ key }) => key === axis?.key);
      if (!axis || !own) throw new Error(`the outputs of '${layer}' are not an axis of '${group.name}'`);
      const known = rows.get(layer) ?? Array.from({ length: axis.size }, () => null);
      eachChannel(own, (position, channel) => {
        known[position] = { group: index, channel };
      });
      rows.set(layer, known);
    }
  }
  // Layers of a kind whose outputs are the same channels in the same order live in one space and share a matrix.
  const places = new Map<string, { name: string; layers: string[]; rows: (RowOwner | null)[] }>();
  for (const [layer, owners] of rows) {
    const { node, weight } = byName.get(layer) as Layer;
    const channels = owners.map((owner) => (owner ? `${owner.group}:${owner.channel}` : ''));
    // The matrix has the rank of the weights.
    const key = [node.opType, weight.dims.length, ...channels].join();
    const place = places.get(key);
    if (place) place.layers.push(layer);
    else places.set(key, { name: layer, layers: [layer], rows: owners });
  }
  return { groups: found, places: [...places.values()], declined };
}

export function producersOf({ members }: Group): string[] {
  return members.filter(({ role }) => role === 'producer').map(({ layer }) => layer);
}

function protectedBy({ members }: Group, isProtected: (layer: string) => boolean): string | null {
  const guarded = members.find(({ layer, role }) => role !== 'consumer' && isProtected(layer));
  return guarded ? `protected with ${guarded.layer}` : null;
}

function againstCompactors(
  group: Group,
  layers: ReadonlyMap<string, Layer>,
  wiring: Wiring,
  followers: boolean,
): string | null {
  const producers = producersOf(group);
  if (producers.length === 0) return 'no layer gives its channels';
  if (producers.length > 1 && !followers) {
    return `${producers.length} layers give the same channels to a sum; the option for residual chains includes them`;
  }
  if (group.block > 1) return 'several outputs make one channel';
  for (const name of producers) {
    const reason = againstFolding(layers.get(name) as Layer, wiring);
    if (reason) return `${name}: ${reason}`;
  }
  const uneven = group.axes.some((axis) => new Set(positionsOf(axis, group.channels)).size > 1);
  return uneven ? 'its channels are not all of one size' : null;
}

/** How many positions of an axis each channel has. */
export function positionsOf(axis: Group['axes'][number], channels: number): Int32Array {
  const counts = new Int32Array(channels);
  eachChannel(axis, (_, channel) => {
    counts[channel]++;
  });
  return counts;
}

/** Why a matrix can't be multiplied into a layer; null when it can. */
function againstFolding({ node, path, weight, bias, weightInput }: Layer, wiring: Wiring): string | null {
  if (path.length) return `inside the control flow of ${path[0]}`;
  if (node.opType === 'Conv') {
    if (groupsOf(node) !== 1) return 'a matrix would mix the groups of a grouped convolution';
  } else if (node.opType !== 'Gemm') return `a matrix can't be multiplied into ${node.opType}`;
  else if (!isPlainGemm(node) || weightInput !== 1) return 'a Gemm with factors or a transposed input';
  if (!isFloatWeight(weight) || weight.dtype !== 'float32') return `its weight is ${weight.ref.dtype}`;
  if (!wiring.stored.has(node.inputs[weightInput])) return 'its weight is computed';
  if (node.inputs[2] && !bias) return 'its bias is computed';
  if (bias?.dims.slice(0, -1).some((size) => size !== 1)) return 'its bias differs from row to row';
  if (readersOf(node.inputs[weightInput], wiring).length > 1) return 'other layers share its weight';
  const norm = normalizationOf(node, wiring);
  if (norm?.inputs.slice(1).some((name) => !wiring.stored.has(name))) return 'its normalization is computed';
  return null;
}

function isPlainGemm(node: GraphNode): boolean {
  const factor = (name: 'alpha' | 'beta'): number => attribute(node, name, 'float') ?? 1;
  return factor('alpha') === 1 && factor('beta') === 1 && attribute(node, 'transA', 'int') !== 1;
}

/** The nodes that read a value themselves. */
export function readersOf(value: string, { nodes, touching }: Pick<Wiring, 'nodes' | 'touching'>): GraphNode[] {
  return (touching.get(value) ?? []).map((i) => nodes[i]).filter(({ inputs }) => inputs.includes(value));
}

/** The BatchNormalization that alone reads a layer's output; undefined without one. */
export function normalizationOf(
  { outputs: [value] }: GraphNode,
  wiring: Pick<Wiring, 'nodes' | 'touching' | 'needed'>,
): GraphNode | undefined {
  const readers = readersOf(value, wiring);
  const [reader] = readers;
  const isOwn = readers.length === 1 && reader.opType === 'BatchNormalization' && reader.inputs[0] === value;
  return isOwn && !wiring.needed.has(value) && attribute(reader, 'training_mode', 'int') !== 1 ? reader : undefined;
}
