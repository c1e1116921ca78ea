/**
 * Channels to be removed, as positions of axes, and what follows from them for every node: shapes, and the sizes that
 * nodes state themselves. Nothing here changes a graph.
 */
import { nodeLabel } from '../graph/graph';
import { opDef } from '../ops';
import type { Dims, Resized, ResizedNode } from '../ops/coupling';
import { type SmallValue, smallValues } from '../ops/smallValues';
import type { Axis, Wiring } from './groupsWiring';

/** Positions of an axis that go. */
export interface CutAxis extends Axis {
  /** 1 where the position goes. */
  readonly isRemoved: Uint8Array;
  /** How many do. */
  readonly count: number;
}

/** By the key of the axis. */
export type Removal = ReadonlyMap<string, CutAxis>;

/** The positions of an axis that belong to channels of a group. */
export interface GroupedAxis extends Axis {
  /** The first of them. Joined axes are long, and a group has a short piece of them. */
  readonly first: number;
  /** The channel of each position from there to the last of them, −1 for none. */
  readonly channels: Int32Array;
}

/** Calls back with each position of a channel. */
export function eachChannel(
  { first, channels }: GroupedAxis,
  visit: (position: number, channel: number) => void,
): void {
  for (let i = 0; i < channels.length; i++) if (channels[i] >= 0) visit(first + i, channels[i]);
}

/** All positions that some channels of some groups have. */
export function removalOf(
  selected: Iterable<{ readonly axes: readonly GroupedAxis[]; readonly channels: Iterable<number> }>,
): Removal {
  const removal = new Map<string, CutAxis>();
  for (const { axes, channels } of selected) {
    const goes = new Set(channels);
    if (goes.size === 0) continue;
    for (const axis of axes) {
      const { key, value, use, size } = axis;
      const known = removal.get(key);
      const isRemoved = known?.isRemoved ?? new Uint8Array(size);
      let count = known?.count ?? 0;
      eachChannel(axis, (position, channel) => {
        if (isRemoved[position] || !goes.has(channel)) return;
        isRemoved[position] = 1;
        count++;
      });
      removal.set(key, { key, value, use, axis: axis.axis, size, isRemoved, count });
    }
  }
  return removal;
}

/** Shape of a value once the channels are gone. */
export function newShape(wiring: Wiring, removal: Removal, value: string): Dims | undefined {
  return wiring.shapeOf(value)?.map((size, axis) => size - (removal.get(`${value}@${axis}`)?.count ?? 0));
}

/** Shape of an input of a node, which may have a stored vector of its own. */
export function newInputShape(wiring: Wiring, removal: Removal, node: number, input: number): Dims | undefined {
  const value = wiring.nodes[node].inputs[input];
  return wiring
    .shapeOf(value)
    ?.map((size, axis) => size - (cutOf(wiring, removal, node, 'input', input, axis)?.count ?? 0));
}

function cutOf(
  { axisOf }: Wiring,
  removal: Removal,
  node: number,
  side: 'input' | 'output',
  index: number,
  axis: number,
): CutAxis | undefined {
  return removal.get(axisOf(node, { side, index, axis }).key);
}

/** Indices of the nodes that lose positions of an input or output, in graph order. */
export function cutNodes({ touching }: Wiring, removal: Removal): number[] {
  const found = new Set<number>();
  for (const { value, use } of removal.values()) {
    if (use) found.add(use.node);
    else for (const node of touching.get(value) ?? []) found.add(node);
  }
  return [...found].sort((a, b) => a - b);
}

/** New numbers for an input of a node. */
export interface NewNumbers {
  readonly values: readonly number[];
  readonly dims: Dims;
  /** Which of them differ from what the graph computes; null when the input becomes a stored tensor altogether. */
  readonly replaces: readonly boolean[] | null;
}

export interface NodeChange {
  readonly node: number;
  readonly attributes: NonNullable<Resized['attributes']>;
  readonly inputs: ReadonlyMap<number, NewNumbers>;
}

/** What nodes must state anew, or why one of them can't; and what else comes out differently. */
export interface Consequences {
  readonly changes: readonly NodeChange[];
  readonly reason: string | null;
  /** Nodes that calculate with a number of channels. */
  readonly calculates: readonly number[];
}

export function consequencesOf(wiring: Wiring, removal: Removal): Consequences {
  const changes: NodeChange[] = [];
  const numbers = newNumbers(wiring, removal);
  const checked = new Set<string>();
  for (const index of cutNodes(wiring, removal)) {
    const node = wiring.nodes[index];
    const rule = opDef(node.opType, node.domain)?.resized;
    if (!rule) continue;
    const fail = (why: string): Consequences => ({
      changes: [],
      reason: `'${nodeLabel(node)}' (${node.opType}): ${why}`,
      calculates: [],
    });
    const resized = rule(resizedNode(wiring, removal, index));
    if (typeof resized === 'string') return fail(resized);
    const inputs = new Map<number, NewNumbers>();
    for (const [port, wanted] of Object.entries(resized.inputs ?? {})) {
      checked.add(`${index}:${port}`);
      const value = node.inputs[Number(port)];
      const settled = settle(wanted, value ? numbers(value) : undefined, wiring.opset);
      if (typeof settled === 'string') return fail(settled);
      if (settled) inputs.set(Number(port), settled);
    }
    const attributes = resized.attributes ?? {};
    if (inputs.size || Object.keys(attributes).length) changes.push({ node: index, attributes, inputs });
  }
  return { changes, ...calculations(wiring, removal, numbers, checked) };
}

function newNumbers(wiring: Wiring, removal: Removal): (value: string) => SmallValue | undefined {
  const sizes = {
    shapeOf: (value: string) => newShape(wiring, removal, value),
    // The number of channels is the model's own; other sizes may be the data's.
    isFixed: (value: string, axis: number) => removal.has(`${value}@${axis}`),
  };
  return smallValues(wiring.graph, sizes, wiring.producer);
}

function resizedNode(wiring: Wiring, removal: Removal, index: number): ResizedNode {
  const op = wiring.coupled(index);
  return {
    ...op,
    newInputs: op.node.inputs.map((_, i) => newInputShape(wiring, removal, index, i) ?? []),
    newOutputs: op.node.outputs.map((name) => newShape(wiring, removal, name) ?? []),
    kept(side, port, axis) {
      const size = (side === 'input' ? op.inputs : op.outputs)[port][axis];
      const cut = cutOf(wiring, removal, index, side, port, axis);
      return Array.from({ length: size }, (_, i) => i).filter((i) => !cut?.isRemoved[i]);
    },
  };
}

/** Brings what is wanted and what the graph will compute together; null where nothing has to change. */
function settle(
  wanted: readonly (number | null)[],
  found: SmallValue | undefined,
  opset: number,
): NewNumbers | string | null {
  if (found?.values.length !== wanted.length) {
    if (wanted.includes(null)) return 'a size that it takes can only be known when it runs';
    if (found && !found.fixed.every(Boolean)) return 'sizes that it takes follow from the data';
    return { values: wanted as number[], dims: [wanted.length], replaces: null };
  }
  const replaces = wanted.map((value, i) => value !== null && value !== found.values[i]);
  if (!replaces.includes(true)) return null;
  if (replaces.some((replaced, i) => replaced && !found.fixed[i])) {
    return 'a number of channels that it takes is mixed with sizes of the data';
  }
  const values = wanted.map((value, i) => value ?? found.values[i]);
  if (found.fixed.every(Boolean)) return { values, dims: found.dims, replaces: null };
  // `Where` came with opset 9.
  if (opset < 9) return 'sizes that it takes follow from the data';
  return { values, dims: found.dims, replaces };
}

/**
 * Follows the sizes that the graph reads off its values: where a number that depends on the channels is used for
 * anything but a size that was settled, what is left is computed differently.
 */
function calculations(
  wiring: Wiring,
  removal: Removal,
  numbers: (value: string) => SmallValue | undefined,
  settled: ReadonlySet<string>,
): Pick<Consequences, 'reason' | 'calculates'> {
  const before = smallValues(wiring.graph, { shapeOf: wiring.shapeOf, isFixed: () => false }, wiring.producer);
  const calculates = new Set<number>();
  const seen = new Set<number>();
  const stack = cutNodes(wiring, removal).filter((node) => isWorkedOut(node));
  function isWorkedOut(node: number): boolean {
    const { outputs } = wiring.nodes[node];
    return outputs.length === 1 && !wiring.isStatic(outputs[0]) && numbers(outputs[0]) !== undefined;
  }
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    const [value] = wiring.nodes[node].outputs;
    const [old, now] = [before(value), numbers(value)];
    if (old && now && same(old.values, now.values)) continue;
    for (const reader of wiring.touching.get(value) ?? []) {
      if (reader === node) continue;
      if (isWorkedOut(reader)) {
        stack.push(reader);
        continue;
      }
      const { inputs, opType } = wiring.nodes[reader];
      const ports = inputs.flatMap((name, i) => (name === value ? [i] : []));
      if (ports.every((port) => settled.has(`${reader}:${port}`))) continue;
      if (now && !now.isInteger) {
        calculates.add(reader);
        continue;
      }
      const reason = `'${nodeLabel(wiring.nodes[reader])}' (${opType}) depends on how many there are`;
      return { reason, calculates: [] };
    }
  }
  return { reason: null, calculates: [...calculates] };
}

function same(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
