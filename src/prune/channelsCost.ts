/**
 * What a removal of channels saves, in multiply-accumulates of the layers, parameters and bytes. A recount of the new graph
 * gives the same numbers: shapes are known, and shared tensors are counted as they will be stored.
 */
import { type StoredRead, storedTotals } from '../analysis/totals';
import type { GraphNode } from '../graph/graph';
import { opDef } from '../ops';
import { byteLength, elementCount } from '../tensor/dtype';
import { type CutAxis, cutNodes, type GroupedAxis, newInputShape, newShape, type Removal, removalOf } from './channels';
import type { Wiring } from './groupsWiring';

export interface ChannelCost {
  readonly params: number;
  readonly bytes: number;
  /** null when the cost of a layer among them is not known. */
  readonly macs: number | null;
}

interface Reads {
  readonly nodes: readonly number[];
  readonly reads: readonly StoredRead[];
}

export interface CostModel {
  /** What a removal saves as a whole. */
  saved(removal: Removal): ChannelCost;
  /** What each channel of a group saves alone. */
  each(group: { readonly axes: readonly GroupedAxis[]; readonly channels: number }): ChannelCost[];
}

export function costModel(wiring: Wiring): CostModel {
  const indexOf = new Map<GraphNode, number>(wiring.nodes.map((node, i) => [node, i]));
  const tensors = new Map<string, { nodes: number[]; reads: StoredRead[] }>();
  for (const read of storedTotals(wiring.graph).reads) {
    const found = tensors.get(read.ref.name) ?? { nodes: [], reads: [] };
    found.nodes.push(indexOf.get(read.reader) as number);
    found.reads.push(read);
    tensors.set(read.ref.name, found);
  }
  const layerNodes = new Set(
    wiring.layers.filter(({ path }) => path.length === 0).map(({ node }) => indexOf.get(node)),
  );
  const saved = (removal: Removal): ChannelCost => {
    let [params, bytes] = [0, 0];
    for (const name of new Set([...removal.values()].map(({ value }) => value))) {
      const tensor = tensors.get(name);
      if (!tensor) continue;
      const change = storedChange(wiring, removal, tensor);
      params += change.params;
      bytes += change.bytes;
    }
    let macs: number | null = 0;
    for (const node of cutNodes(wiring, removal)) {
      if (macs === null || !layerNodes.has(node)) continue;
      const change = macsChange(wiring, removal, node);
      macs = change === null ? null : macs + change;
    }
    return { params, bytes, macs };
  };
  const each: CostModel['each'] = ({ axes, channels }) => {
    // Channels with as many positions everywhere save the same, unless copies of a shared vector become alike.
    const isShared = axes.some(({ value, use }) => use && (tensors.get(value)?.reads.length ?? 0) > 1);
    const profiles = axes.map((axis) => positionsPerChannel(axis, channels));
    const known = new Map<string, ChannelCost>();
    return Array.from({ length: channels }, (_, channel) => {
      const profile = isShared ? `${channel}` : profiles.map((counts) => counts[channel]).join();
      const found = known.get(profile) ?? saved(removalOf([{ axes, channels: [channel] }]));
      known.set(profile, found);
      return found;
    });
  };
  return { saved, each };
}

function positionsPerChannel({ channels }: GroupedAxis, count: number): Int32Array {
  const counts = new Int32Array(count);
  for (const channel of channels) if (channel >= 0) counts[channel]++;
  return counts;
}

function macsChange(wiring: Wiring, removal: Removal, index: number): number | null {
  const node = wiring.nodes[index];
  const rule = opDef(node.opType, node.domain)?.macs;
  if (!rule) return null;
  const before = rule(node, {
    inputs: node.inputs.map((name) => wiring.shapeOf(name) ?? null),
    outputs: node.outputs.map((name) => wiring.shapeOf(name) ?? null),
  });
  const after = rule(node, {
    inputs: node.inputs.map((_, i) => newInputShape(wiring, removal, index, i) ?? null),
    outputs: node.outputs.map((name) => newShape(wiring, removal, name) ?? null),
  });
  return before === null || after === null ? null : before - after;
}

/** A tensor is stored once for each form that its readers need. */
function storedChange(wiring: Wiring, removal: Removal, { nodes, reads }: Reads): { params: number; bytes: number } {
  const [{ ref }] = reads;
  const forms = new Map<string, { count: number; roles: Set<StoredRead['role']> }>();
  const whole = new Set(reads.map(({ role }) => role));
  for (const [i, { input, role }] of reads.entries()) {
    const cuts = ref.dims.map((_, axis) =>
      removal.get(wiring.axisOf(nodes[i], { side: 'input', index: input, axis }).key),
    );
    const form = reads.length === 1 ? '' : formOf(cuts);
    const count = elementCount(ref.dims.map((size, axis) => size - (cuts[axis]?.count ?? 0)));
    const found = forms.get(form);
    if (found) found.roles.add(role);
    else forms.set(form, { count, roles: new Set([role]) });
  }
  const size = (count: number, roles: ReadonlySet<StoredRead['role']>) => ({
    params: roles.has('parameter') ? count : 0,
    bytes: roles.has('parameter') || roles.has('statistic') ? byteLength(ref.dtype, count) : 0,
  });
  const before = size(elementCount(ref.dims), whole);
  return [...forms.values()].reduce(
    (saved, { count, roles }) => {
      const { params, bytes } = size(count, roles);
      return { params: saved.params - params, bytes: saved.bytes - bytes };
    },
    { ...before },
  );
}

/** The same for the same positions of the same axes. */
export function formOf(cuts: readonly (CutAxis | undefined)[]): string {
  return cuts.map((cut) => (cut?.count ? cut.isRemoved.join('') : '')).join('/');
}
