/**
 * Groups of channels: what can only be removed together, with every axis it lives on.
 *
 * A *channel* is a set of positions of axes that ties hold together; a *group* is a set of channels that live on exactly
 * the same axes. So a group that keeps one channel leaves no axis empty (some can even go altogether), and every channel
 * of a group is worth comparing with the others. For every layer the result says which groups its outputs belong to, or why none can lose channels.
 */
import type { Layer } from '../analysis/layers';
import { nodeLabel } from '../graph/graph';
import { opDef } from '../ops';
import type { Tie } from '../ops/coupling';
import { consequencesOf, eachChannel, type GroupedAxis, removalOf } from './channels';
import { type ChannelCost, costModel } from './channelsCost';
import { type Flood, flood, type LabelledAxis } from './groupsFlood';
import { isBetter, numbering, type Part, partition, piece } from './groupsParts';
import { vanishing } from './groupsVanish';
import { type Axis, type ChannelModel, type Wiring, wiringOf } from './groupsWiring';

export interface Member {
  readonly layer: string;
  /**
   * `producer`: the channels are its outputs; `consumer`: it sums over them; `follower`: both its inputs and its outputs,
   * one by one (depthwise convolution).
   */
  readonly role: 'producer' | 'follower' | 'consumer';
}

/** Where a node adds up the channels of a group: a channel of zeros there is as good as removed. */
export interface SumPlace {
  readonly node: number;
  readonly input: number;
  /** Name of the layer that does, null when the node is none. */
  readonly layer: string | null;
  readonly axis: GroupedAxis;
}

/** Where a member's weight has the channels. */
export interface MemberWeight extends Member {
  /** Of the weight as the layer reads it. */
  readonly axis: GroupedAxis;
}

/** Where a member gives the channels: behind its normalization, if it has one to itself. */
export interface MemberOutput {
  readonly layer: string;
  readonly axis: GroupedAxis;
}

export interface Group {
  /** Of its first producer; stable for the same graph. */
  readonly name: string;
  readonly channels: number;
  /** Outputs of the first producer that make one channel: more than 1 where blocks go together. */
  readonly block: number;
  readonly axes: readonly GroupedAxis[];
  readonly members: readonly Member[];
  readonly weights: readonly MemberWeight[];
  /** Of producers and followers: what there is to observe of the channels while the model runs. */
  readonly outputs: readonly MemberOutput[];
  /** Vectors by which normalizations scale the channels. */
  readonly scales: readonly GroupedAxis[];
  readonly sums: readonly SumPlace[];
  /** Why a cut is not the same as zeros: a normalization across the channels, say; null when it is. */
  readonly inexact: string | null;
  /** Why no channel can be removed; null when they can. */
  readonly reason: string | null;
  /** Whether all channels can be removed, because others stay on every axis. */
  readonly canVanish: boolean;
  /** What removing each channel alone saves. */
  readonly savings: readonly ChannelCost[];
}

export interface LayerChannels {
  readonly layer: string;
  /** Names of the groups of its output channels, and of its input channels. */
  readonly outputs: readonly string[];
  readonly inputs: readonly string[];
  /** Where its output has the channels; null where it is not known. */
  readonly axis: Axis | null;
  /** Why none of its output channels can be removed; null when some can. */
  readonly reason: string | null;
}

export interface ChannelGroups {
  readonly wiring: Wiring;
  readonly groups: readonly Group[];
  /** In the order of the model's layers. */
  readonly layers: readonly LayerChannels[];
}

export function findGroups(model: ChannelModel): ChannelGroups {
  const wiring = wiringOf(model);
  const finder = new Finder(wiring);
  for (const layer of model.layers) finder.flood(layer);
  return { wiring, groups: finder.found(), layers: model.layers.map((layer) => finder.describe(layer)) };
}

class Finder {
  readonly groups: Group[] = [];
  private readonly nodeOf: ReadonlyMap<object, number>;
  private readonly layerAt: ReadonlyMap<number, Layer>;
  /** Group of each position of an axis, −1 for none. */
  private readonly taken = new Map<string, Int32Array>();
  private readonly names = new Map<string, number>();
  private readonly saved: ReturnType<typeof costModel>;

  constructor(private readonly wiring: Wiring) {
    this.nodeOf = new Map(wiring.nodes.map((node, i) => [node, i]));
    const top = wiring.layers.filter(({ path }) => path.length === 0);
    this.layerAt = new Map(top.map((layer) => [this.nodeOf.get(layer.node) as number, layer]));
    this.saved = costModel(wiring);
  }

  /** Finds the groups of a layer's outputs that are not known yet. */
  flood(layer: Layer): void {
    for (const axis of this.outputAxes(layer)) {
      const known = this.taken.get(axis.key);
      const isOpen = (position: number): boolean => (known?.[position] ?? -1) < 0;
      if (axis.size < 2 || !Array.from({ length: axis.size }, (_, i) => i).some(isOpen)) continue;
      let best = flood(this.wiring, axis, isOpen, 0);
      for (let wish = 1; wish < best.options; wish++) {
        const other = flood(this.wiring, axis, isOpen, wish);
        if (isBetter(this.worth(other), this.worth(best))) best = { ...other, options: best.options };
      }
      this.add(best);
    }
  }

  /** All groups, once every layer has been flooded. */
  found(): Group[] {
    const can = vanishing(this.groups, this.taken);
    return this.groups.map((group, i) => ({ ...group, canVanish: can[i] }));
  }

  describe(layer: Layer): LayerChannels {
    const found = (axes: readonly Axis[]): Group[] => {
      const indices = new Set(axes.flatMap(({ key }) => [...new Set(this.taken.get(key) ?? [])]));
      return [...indices].filter((i) => i >= 0).map((i) => this.groups[i]);
    };
    const given = this.outputAxes(layer);
    const outputs = found(given);
    const reason = outputs.some((group) => !group.reason)
      ? null
      : (outputs[0]?.reason ?? this.reasonWithoutGroup(layer));
    const names = (groups: readonly Group[]): string[] => groups.map(({ name }) => name);
    return {
      layer: layer.name,
      outputs: names(outputs),
      inputs: names(found(this.inputAxes(layer))),
      axis: given[0] ?? null,
      reason,
    };
  }

  private reasonWithoutGroup(layer: Layer): string {
    if (layer.path.length) return `inside the control flow of ${layer.path[0]}`;
    const found = this.wiring.ties(this.nodeOf.get(layer.node) as number);
    if (typeof found === 'string') return found;
    return 'it has a single output channel';
  }

  private tiesOf(layer: Layer): { node: number; ties: readonly Tie[] } {
    const node = layer.path.length ? undefined : this.nodeOf.get(layer.node);
    if (node === undefined) return { node: -1, ties: [] };
    const found = this.wiring.ties(node);
    return { node, ties: typeof found === 'string' ? [] : found.filter((tie) => weightPlace(layer, tie)) };
  }

  /** Axes of a layer's output that its weight has, too: those that no input has come first, and alone if there are any. */
  private outputAxes(layer: Layer): Axis[] {
    const { node, ties } = this.tiesOf(layer);
    const given = ties.filter((tie) => tie.across !== 'sum' && tie.places.some(({ side }) => side === 'output'));
    const own = given.filter((tie) => !this.readsData(node, tie));
    const axes = (own.length ? own : given).flatMap(({ places }) =>
      places.filter(({ side }) => side === 'output').map((place) => this.wiring.axisOf(node, place)),
    );
    return [...new Map(axes.map((axis) => [axis.key, axis])).values()];
  }

  private inputAxes(layer: Layer): Axis[] {
    const { node, ties } = this.tiesOf(layer);
    const read = ties.filter((tie) => tie.across === 'sum' || this.readsData(node, tie));
    return read.flatMap(({ places }) =>
      places.filter((place) => this.isData(node, place)).map((place) => this.wiring.axisOf(node, place)),
    );
  }

  private isData(node: number, { side, index }: Tie['places'][number]): boolean {
    return side === 'input' && !this.wiring.isStatic(this.wiring.nodes[node].inputs[index]);
  }

  private readsData(node: number, tie: Tie): boolean {
    return tie.places.some((place) => this.isData(node, place));
  }

  private roleOf(node: number, layer: Layer, tie: Tie): Member['role'] | null {
    if (!weightPlace(layer, tie)) return null;
    if (tie.across === 'sum') return 'consumer';
    return this.readsData(node, tie) ? 'follower' : 'producer';
  }

  /**
   * What a flood is worth, best first: some channels can go that are in no group yet; none of them is summed over between two activations (a head
   * is independent of other heads, a feature inside heads is not); it prunes many layers; in many steps.
   */
  private worth(found: Flood): number[] {
    const parts = partition(found).filter(
      (part) =>
        !part.reason && part.roots.length > 1 && !this.groupOf(found, part).axes.some((axis) => this.isTaken(axis)),
    );
    const free = new Set(parts.flatMap(({ keys }) => keys));
    let producers = 0;
    let isMixed = false;
    for (const { node, tie } of found.crossings) {
      const layer = this.layerAt.get(node);
      const place = layer && weightPlace(layer, tie);
      if (layer && place && free.has(this.wiring.axisOf(node, place).key)) {
        if (this.roleOf(node, layer, tie) === 'producer') producers++;
      }
      const read = tie.places.filter((at) => this.isData(node, at) && free.has(this.wiring.axisOf(node, at).key));
      if (tie.across === 'sum' && read.length > 1) isMixed = true;
    }
    const channels = parts.reduce((sum, { roots }) => sum + roots.length, 0);
    return [Number(channels > 0), Number(!isMixed), producers, channels];
  }

  private add(found: Flood): void {
    const added = partition(found).map((part) => this.groupOf(found, part));
    // In the order of the model: groups of the same flood may begin at different layers.
    for (const group of added.sort((a, b) => a.order - b.order)) {
      const index = this.groups.length;
      const overlaps = group.axes.some((axis) => this.isTaken(axis));
      for (const axis of group.axes) {
        const known = this.taken.get(axis.key) ?? new Int32Array(axis.size).fill(-1);
        eachChannel(axis, (position) => {
          if (known[position] < 0) known[position] = index;
        });
        this.taken.set(axis.key, known);
      }
      const { order: _order, ...plain } = group;
      const shared = overlaps ? 'some of them already go with another group, counted in another way' : null;
      this.groups.push(this.checked({ ...plain, name: this.unique(plain.name), reason: plain.reason ?? shared }));
    }
  }

  private isTaken(axis: GroupedAxis): boolean {
    const known = this.taken.get(axis.key);
    let isTaken = false;
    if (known) eachChannel(axis, (position) => (isTaken ||= known[position] >= 0));
    return isTaken;
  }

  private unique(name: string): string {
    const count = (this.names.get(name) ?? 0) + 1;
    this.names.set(name, count);
    return count === 1 ? name : `${name}#${count}`;
  }

  private groupOf(found: Flood, { keys, roots, reason }: Part): Group & { readonly order: number } {
    const own = new Set(keys);
    const members: Member[] = [];
    const weights: { layer: string; role: Member['role']; key: string }[] = [];
    const outputs = new Map<string, string>();
    const scales = new Set<string>();
    const sums: { node: number; input: number; key: string }[] = [];
    let first: string | null = null;
    let order = Number.POSITIVE_INFINITY;
    let inexact: string | null = null;
    for (const { node, tie } of found.crossings) {
      const has = (place: Tie['places'][number]): boolean => own.has(this.wiring.axisOf(node, place).key);
      if (!tie.places.some(has)) continue;
      const layer = this.layerAt.get(node);
      const place = layer && weightPlace(layer, tie);
      const role = layer && place && has(place) ? this.roleOf(node, layer, tie) : null;
      for (const key of this.scaleKeys(node, tie)) if (own.has(key)) scales.add(key);
      if (layer && role && place) {
        weights.push({ layer: layer.name, role, key: this.wiring.axisOf(node, place).key });
        const output = role === 'consumer' ? undefined : this.observed(node, tie);
        if (output !== undefined && own.has(output)) outputs.set(output, layer.name);
      }
      if (layer && role && !members.some((member) => member.layer === layer.name && member.role === role)) {
        members.push({ layer: layer.name, role });
        if (role === 'producer' && first === null) {
          first = this.wiring.axisOf(node, place as Tie['places'][number]).key;
          order = node;
        }
      }
      if (tie.across === 'statistics') inexact ??= `${this.label(node)} measures across them`;
      if (tie.across !== 'sum') continue;
      const read = tie.places.filter((at) => at.side === 'input' && has(at));
      const at = read.find((candidate) => this.isData(node, candidate)) ?? read[0];
      if (at) sums.push({ node, input: at.index, key: this.wiring.axisOf(node, at).key });
    }
    const number = numbering(found, first ?? keys[0], roots);
    const axes = new Map<string, GroupedAxis>();
    for (const key of keys) {
      const { labels, ...axis } = found.axes.get(key) as LabelledAxis;
      axes.set(key, { ...axis, ...piece(labels, (label) => number.get(found.rootOf(label)) ?? -1) });
    }
    const primary = axes.get(first ?? keys[0]) as GroupedAxis;
    const name = (members.find(({ role }) => role === 'producer') ?? members[0])?.layer ?? primary.value;
    return {
      name,
      channels: roots.length,
      block: Math.ceil(primary.channels.filter((channel) => channel >= 0).length / roots.length),
      axes: [...axes.values()],
      members,
      weights: weights.map(({ layer, role, key }) => ({ layer, role, axis: axes.get(key) as GroupedAxis })),
      outputs: [...outputs].map(([key, layer]) => ({ layer, axis: axes.get(key) as GroupedAxis })),
      scales: [...scales].map((key) => axes.get(key) as GroupedAxis),
      sums: sums.map(({ node, input, key }) => ({
        node,
        input,
        layer: this.layerAt.get(node)?.name ?? null,
        axis: axes.get(key) as GroupedAxis,
      })),
      inexact,
      reason: reason ?? (roots.length > 1 ? null : 'they can only be removed all together'),
      canVanish: false,
      savings: [],
      order,
    };
  }

  private scaleKeys(node: number, { places }: Tie): string[] {
    const { opType, domain } = this.wiring.nodes[node];
    const scale = opDef(opType, domain)?.scale;
    const found = places.filter(({ side, index }) => scale !== undefined && side === 'input' && index === scale);
    return found.map((place) => this.wiring.axisOf(node, place).key);
  }

  /** Key of the axis where a layer's channels are seen: of its output, or of the normalization that alone reads it. */
  private observed(node: number, { places }: Tie): string | undefined {
    const { wiring } = this;
    const place = places.find(({ side }) => side === 'output');
    if (!place) return undefined;
    const own = wiring.axisOf(node, place);
    const readers = (wiring.touching.get(own.value) ?? []).filter((reader) => reader !== node);
    const [reader] = readers.map((at) => wiring.nodes[at]);
    const isScaled = readers.length === 1 && opDef(reader.opType, reader.domain)?.scale !== undefined;
    if (!isScaled || reader.inputs[0] !== own.value) return own.key;
    return wiring.axisOf(readers[0], { side: 'output', index: 0, axis: own.axis }).key;
  }

  /** Tries one channel: whether every node can state its new sizes, and what is computed from their number. */
  private checked(group: Group): Group {
    if (group.reason) return group;
    const removal = removalOf([{ axes: group.axes, channels: [0] }]);
    const { reason, calculates } = consequencesOf(this.wiring, removal);
    if (reason) return { ...group, reason };
    const inexact =
      group.inexact ?? (calculates.length ? `${this.label(calculates[0])} calculates with their number` : null);
    return { ...group, inexact, savings: this.saved.each(group) };
  }

  private label(node: number): string {
    const { opType } = this.wiring.nodes[node];
    return `'${nodeLabel(this.wiring.nodes[node])}' (${opType})`;
  }
}

const weightPlace = ({ weightInput }: Layer, { places }: Tie): Tie['places'][number] | undefined =>
  places.find(({ side, index }) => side === 'input' && index === weightInput);
