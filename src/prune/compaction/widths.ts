/**
 * Multiply-accumulates of a model as a function of how many channels its groups keep: exact, and counted anew only where
 * a width changed, since a selection tries hundreds of them.
 */
import { opDef } from '../../ops';
import type { ChannelGroups, Group } from '../groups';
import type { Wiring } from '../groupsWiring';
import { positionsOf } from './places';

/** How much of an axis goes with each channel of a group. */
interface Share {
  readonly group: number;
  readonly axis: number;
  readonly positions: number;
}

interface CountedNode {
  readonly node: number;
  /** Shapes of its inputs, then of its outputs; null where unknown. */
  readonly shapes: readonly (readonly number[] | null)[];
  readonly shares: readonly (readonly Share[])[];
  /** Groups that its cost depends on. */
  readonly groups: readonly number[];
  /** What removed channels save, by their numbers. */
  readonly known: Map<string, number>;
}

/** Entries of a node's memory. A training counts for hours, always with other widths. */
const MOST_KNOWN = 1000;

export class WidthCounter {
  private readonly nodes: readonly CountedNode[];
  private readonly byGroup: readonly (readonly CountedNode[])[];

  /** @param whole multiply-accumulates of the model with all its channels */
  constructor(
    { wiring }: Pick<ChannelGroups, 'wiring'>,
    private readonly groups: readonly Group[],
    readonly whole: number,
  ) {
    this.nodes = countedNodes(wiring, groups);
    this.byGroup = groups.map((_, g) => this.nodes.filter(({ groups: own }) => own.includes(g)));
    this.wiring = wiring;
  }

  private readonly wiring: Wiring;

  /** With so many channels of each group removed. */
  macs(removed: ArrayLike<number>): number {
    return this.nodes.reduce((sum, counted) => sum - this.saved(counted, removed), this.whole);
  }

  /** What more channels of a group save. @param removed so many are gone already, these not */
  saving(removed: Int32Array, group: number, more = 1): number {
    const own = this.byGroup[group];
    const before = own.reduce((sum, counted) => sum + this.saved(counted, removed), 0);
    removed[group] += more;
    const after = own.reduce((sum, counted) => sum + this.saved(counted, removed), 0);
    removed[group] -= more;
    return after - before;
  }

  private saved(counted: CountedNode, removed: ArrayLike<number>): number {
    const key = counted.groups.map((g) => removed[g]).join();
    const known = counted.known.get(key);
    if (known !== undefined) return known;
    if (counted.known.size >= MOST_KNOWN) counted.known.clear();
    const saved =
      this.cost(
        counted,
        this.groups.map(() => 0),
      ) - this.cost(counted, removed);
    counted.known.set(key, saved);
    return saved;
  }

  private cost({ node: index, shapes, shares }: CountedNode, removed: ArrayLike<number>): number {
    const node = this.wiring.nodes[index];
    const now = shapes.map(
      (shape, i) =>
        shape?.map((size, axis) =>
          shares[i].reduce((left, s) => (s.axis === axis ? left - s.positions * removed[s.group] : left), size),
        ) ?? null,
    );
    const inputs = now.slice(0, node.inputs.length);
    return opDef(node.opType, node.domain)?.macs?.(node, { inputs, outputs: now.slice(node.inputs.length) }) ?? 0;
  }
}

function countedNodes(wiring: Wiring, groups: readonly Group[]): CountedNode[] {
  const axes = new Map<string, { group: number; positions: number }[]>();
  for (const [g, { axes: own, channels }] of groups.entries()) {
    for (const axis of own) {
      const found = axes.get(axis.key) ?? [];
      found.push({ group: g, positions: positionsOf(axis, channels)[0] });
      axes.set(axis.key, found);
    }
  }
  const layerNodes = new Set(wiring.layers.filter(({ path }) => path.length === 0).map(({ node }) => node));
  return wiring.nodes.flatMap((node, index) => {
    if (!layerNodes.has(node)) return [];
    const ports = [
      ...node.inputs.map((value, port) => ({ value, port, side: 'input' as const })),
      ...node.outputs.map((value, port) => ({ value, port, side: 'output' as const })),
    ];
    const shapes = ports.map(({ value }) => wiring.shapeOf(value) ?? null);
    const shares = ports.map(({ port, side }, i) =>
      (shapes[i] ?? []).flatMap((_, axis) =>
        (axes.get(wiring.axisOf(index, { side, index: port, axis }).key) ?? []).map((share) => ({ ...share, axis })),
      ),
    );
    const own = [...new Set(shares.flat().map(({ group }) => group))];
    return own.length ? [{ node: index, shapes, shares, groups: own, known: new Map() }] : [];
  });
}
