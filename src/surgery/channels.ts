/**
 * Removes channels from a graph: stored tensors are sliced (when they are read), nodes state their new sizes, and what
 * nobody reads any more goes.
 */
import { channelGroupFixed, channelGroupUnknown, channelsAllRemoved, channelUnknown } from '../errors';
import { type Attribute, type Graph, type GraphNode, int, ints, makeNode, type ValueInfo } from '../graph/graph';
import { freshNames } from '../graph/names';
import {
  type Consequences,
  type CutAxis,
  consequencesOf,
  type NewNumbers,
  type NodeChange,
  type Removal,
  removalOf,
} from '../prune/channels';
import { formOf } from '../prune/channelsCost';
import type { ChannelGroups, Group } from '../prune/groups';
import type { RemoveChannelsCut } from '../prune/plan';
import { int64Tensor, memoryTensor, renamedTensor, type Tensor, type TensorRef } from '../tensor/tensor';
import { withoutDeadWeights } from './deadWeights';
import { slicedTensor } from './slice';

/**
 * The graph without some channels.
 * @param irVersion of the model: before 4, initializers are listed among the inputs
 * @throws UserError `channel-group-unknown`, `channel-unknown`, `channels-all-removed`, `channel-group-fixed`
 */
export function removeChannels(groups: ChannelGroups, cuts: readonly RemoveChannelsCut[], irVersion: number): Graph {
  const removal = removalOfCuts(groups, cuts);
  if (removal.size === 0) return groups.wiring.graph;
  const consequences = consequencesOf(groups.wiring, removal);
  if (consequences.reason) {
    throw channelGroupFixed({ group: cuts.map(({ group }) => group).join(', '), reason: consequences.reason });
  }
  return new Removed(groups, removal, consequences, irVersion).graph();
}

/** The positions that cuts remove. @throws UserError as `removeChannels` */
export function removalOfCuts({ groups }: ChannelGroups, cuts: readonly RemoveChannelsCut[]): Removal {
  const byName = new Map(groups.map((group) => [group.name, group]));
  const chosen = new Map<Group, Set<number>>();
  for (const { group: name, channels } of cuts) {
    const group = byName.get(name);
    if (!group) throw channelGroupUnknown({ group: name, found: [...byName.keys()] });
    if (group.reason) throw channelGroupFixed({ group: name, reason: group.reason });
    const set = chosen.get(group) ?? new Set<number>();
    for (const channel of channels) {
      if (!Number.isInteger(channel) || channel < 0 || channel >= group.channels) {
        throw channelUnknown({ group: name, channel, count: group.channels });
      }
      set.add(channel);
    }
    if (set.size === group.channels && !group.canVanish) throw channelsAllRemoved({ group: name });
    chosen.set(group, set);
  }
  return removalOf([...chosen].map(([{ axes }, channels]) => ({ axes, channels })));
}

/** Which positions of an axis stay. */
export function keptOf({ isRemoved }: CutAxis): number[] {
  return Array.from({ length: isRemoved.length }, (_, i) => i).filter((i) => !isRemoved[i]);
}

class Removed {
  private readonly fresh: (wish: string) => string;
  private readonly initializers: Map<string, TensorRef>;
  /** New inputs of nodes by node index. */
  private readonly inputs = new Map<number, string[]>();
  /** New attributes of nodes by node index. */
  private readonly attributes = new Map<number, Map<string, Attribute>>();
  /** Nodes to be put before others, by their index. */
  private readonly before = new Map<number, GraphNode[]>();
  private readonly added: TensorRef[] = [];
  private readonly original: Graph;

  constructor(
    private readonly groups: ChannelGroups,
    private readonly removal: Removal,
    private readonly consequences: Consequences,
    private readonly irVersion: number,
  ) {
    this.original = groups.wiring.graph;
    this.fresh = freshNames(this.original);
    this.initializers = new Map(this.original.initializers);
  }

  graph(): Graph {
    for (const change of this.consequences.changes) this.restate(change);
    this.sliceTensors();
    return this.assembled();
  }

  /** Attributes and numbers that a node states. */
  private restate({ node, attributes, inputs }: NodeChange): void {
    for (const [name, value] of Object.entries(attributes)) {
      const own = this.attributesOf(node);
      const old = own.get(name);
      if (value === null) own.delete(name);
      else own.set(name, { ...old, ...(typeof value === 'number' ? int(value) : ints(value)) });
    }
    for (const [port, numbers] of inputs) this.setInput(node, port, this.numbers(node, port, numbers));
  }

  private numbers(node: number, port: number, { values, dims, replaces }: NewNumbers): string {
    const { name: label, inputs, outputs } = this.groups.wiring.nodes[node];
    const wish = `${label || outputs[0]}.sizes`;
    const old = inputs[port];
    const isShort = this.groups.wiring.stored.get(old)?.dtype === 'int32';
    const tensor: Tensor = isShort
      ? { dtype: 'int32', dims, data: Int32Array.from(values) }
      : { ...int64Tensor(values), dims };
    const stored = this.store(memoryTensor(this.fresh(wish), tensor));
    if (!replaces) return stored;
    const mask = this.store(
      memoryTensor(this.fresh(`${wish}.which`), { dtype: 'bool', dims, data: Uint8Array.from(replaces, Number) }),
    );
    const output = this.fresh(`${wish}.new`);
    this.insert(node, makeNode('Where', [mask, stored, old], [output], {}, output));
    return output;
  }

  private sliceTensors(): void {
    const { wiring } = this.groups;
    const values = new Set([...this.removal.values()].map(({ value }) => value));
    for (const [name, ref] of wiring.stored) {
      if (!values.has(name)) continue;
      const whole = cutsOf(ref, (axis) => this.removal.get(`${name}@${axis}`));
      if (whole) this.replace(name, slicedTensor(ref, whole));
      else this.sliceUses(name, ref);
    }
  }

  /** A vector for each form that its readers need; the first form keeps the name unless somebody needs the old one. */
  private sliceUses(name: string, ref: TensorRef): void {
    const { nodes, touching } = this.groups.wiring;
    const forms = new Map<string, { cuts: ReadonlyMap<number, readonly number[]> | null; uses: [number, number][] }>();
    for (const node of touching.get(name) ?? []) {
      for (const [port, input] of nodes[node].inputs.entries()) {
        if (input !== name) continue;
        const cutAt = (axis: number): CutAxis | undefined => this.removal.get(`${node}:${port}#${axis}`);
        const form = formOf(ref.dims.map((_, axis) => cutAt(axis)));
        const found = forms.get(form) ?? { cuts: cutsOf(ref, cutAt), uses: [] };
        found.uses.push([node, port]);
        forms.set(form, found);
      }
    }
    const isStillRead = this.groups.wiring.needed.has(name) || [...forms.values()].some(({ cuts }) => cuts === null);
    let isReplaced = isStillRead;
    for (const { cuts, uses } of forms.values()) {
      if (!cuts) continue;
      const sliced = slicedTensor(ref, cuts);
      if (!isReplaced) {
        this.replace(name, sliced);
        isReplaced = true;
        continue;
      }
      const copy = this.store(renamedTensor(this.fresh(name), sliced));
      for (const [node, port] of uses) this.setInput(node, port, copy);
    }
  }

  /** Puts a tensor in the place of a stored one, which may be an initializer or a node's constant. */
  private replace(name: string, ref: TensorRef): void {
    if (this.initializers.has(name)) {
      this.initializers.set(name, ref);
      return;
    }
    const node = this.groups.wiring.nodes.findIndex(({ outputs }) => outputs[0] === name);
    const attributes = this.attributesOf(node);
    const old = attributes.get('value');
    // A list of numbers in an attribute of its own becomes a tensor.
    attributes.clear();
    attributes.set('value', { ...old, kind: 'tensor', value: ref });
  }

  private store(ref: TensorRef): string {
    this.initializers.set(ref.name, ref);
    this.added.push(ref);
    return ref.name;
  }

  private setInput(node: number, port: number, name: string): void {
    const inputs = this.inputs.get(node) ?? [...this.groups.wiring.nodes[node].inputs];
    while (inputs.length < port) inputs.push('');
    inputs[port] = name;
    this.inputs.set(node, inputs);
  }

  private attributesOf(node: number): Map<string, Attribute> {
    const found = this.attributes.get(node) ?? new Map(this.groups.wiring.nodes[node].attributes);
    this.attributes.set(node, found);
    return found;
  }

  private insert(node: number, added: GraphNode): void {
    this.before.set(node, [...(this.before.get(node) ?? []), added]);
  }

  private assembled(): Graph {
    const graph = this.original;
    const nodes = graph.nodes.flatMap((node, i) => {
      const [inputs, attributes] = [this.inputs.get(i), this.attributes.get(i)];
      const own =
        inputs || attributes
          ? { ...node, inputs: inputs ?? node.inputs, attributes: attributes ?? node.attributes }
          : node;
      return [...(this.before.get(i) ?? []), own];
    });
    const changed = new Set([...this.removal.values()].filter(({ use }) => !use).map(({ value }) => value));
    const inputs = graph.inputs.map((info) => {
      const ref = this.initializers.get(info.name);
      const isCut = ref !== undefined && ref !== graph.initializers.get(info.name);
      return isCut ? { ...info, shape: ref.dims } : info;
    });
    const listed = this.irVersion >= 4 ? [] : this.added;
    const edited: Graph = {
      ...graph,
      nodes,
      inputs: [...inputs, ...listed.map(({ name, dtype, dims }): ValueInfo => ({ name, dtype, shape: dims }))],
      valueInfo: graph.valueInfo.filter(({ name }) => !changed.has(name)),
      initializers: this.initializers,
    };
    return withoutDeadWeights(edited, graph);
  }
}

/** Kept positions of the axes of a tensor that lose some; null when none does. */
function cutsOf(
  { dims }: TensorRef,
  cutAt: (axis: number) => CutAxis | undefined,
): ReadonlyMap<number, readonly number[]> | null {
  const cuts = dims.flatMap((_, axis): [number, number[]][] => {
    const cut = cutAt(axis);
    return cut?.count ? [[axis, keptOf(cut)]] : [];
  });
  return cuts.length ? new Map(cuts) : null;
}
