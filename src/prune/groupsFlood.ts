/**
 * From the output channels of one layer to everything that has to go with them: ties spread labels over axes until
 * nothing changes. Positions with the same label can only be removed together (union-find, Tarjan 1975). The flood knows
 * no operators, only their ties.
 *
 * Where an axis could lose units of one of several kinds (whole groups, or one channel of each), the kind that something
 * else already follows is taken, and otherwise the one at the wished place in the list.
 */
import { nodeLabel } from '../graph/graph';
import { eachPosition, type Place, type Tie } from '../ops/coupling';
import type { Axis, Wiring } from './groupsWiring';

/** An axis with the label of each position, −1 where the flood did not come. */
export interface LabelledAxis extends Axis {
  readonly labels: Int32Array;
}

/** A tie that the flood went through. */
export interface Crossing {
  readonly node: number;
  readonly tie: Tie;
}

export interface Flood {
  readonly axes: ReadonlyMap<string, LabelledAxis>;
  readonly crossings: readonly Crossing[];
  /** The label that stands for all labels joined with it. */
  rootOf(label: number): number;
  /** Why positions with a root can't be removed. */
  readonly blocked: ReadonlyMap<number, string>;
  /** The largest number of kinds that there was to choose from. */
  readonly options: number;
}

/**
 * @param start the axis that the flood starts from
 * @param isOpen which of its positions do
 * @param wish which kind is taken where several can be
 */
export function flood(wiring: Wiring, start: Axis, isOpen: (position: number) => boolean, wish: number): Flood {
  const state = new State(wiring, wish);
  state.begin(start, isOpen);
  state.spread();
  return state.finish();
}

class State {
  private readonly axes = new Map<string, LabelledAxis>();
  private readonly parents: number[] = [];
  private readonly active = new Map<number, Set<Tie>>();
  private readonly queue: number[] = [];
  private readonly queued = new Set<number>();
  /** Nodes at which a kind has to be chosen, once nothing else is left to do. */
  private readonly undecided = new Set<number>();
  private options = 1;

  constructor(
    private readonly wiring: Wiring,
    private readonly wish: number,
  ) {}

  begin(axis: Axis, isOpen: (position: number) => boolean): void {
    const labels = Int32Array.from({ length: axis.size }, (_, position) =>
      isOpen(position) ? this.parents.push(this.parents.length) - 1 : -1,
    );
    this.axes.set(axis.key, { ...axis, labels });
    for (const node of this.wiring.touching.get(axis.value) ?? []) this.enqueue(node);
  }

  spread(): void {
    for (;;) {
      const node = this.queue.pop();
      if (node !== undefined) {
        this.queued.delete(node);
        this.visit(node);
        continue;
      }
      const [undecided] = this.undecided;
      if (undecided === undefined) return;
      this.undecided.delete(undecided);
      if (this.decide(undecided)) this.enqueue(undecided);
    }
  }

  finish(): Flood {
    const blocked = new Map<number, string>();
    for (const axis of this.axes.values()) {
      if (axis.use) continue;
      const needed = this.wiring.needed.get(axis.value);
      if (needed) this.block(axis, () => true, needed, blocked);
      for (const node of this.wiring.touching.get(axis.value) ?? []) this.checkCovered(axis, node, blocked);
    }
    const crossings = [...this.active].flatMap(([node, found]) => [...found].map((tie) => ({ node, tie })));
    return {
      axes: this.axes,
      crossings: crossings.sort((a, b) => a.node - b.node),
      rootOf: (label) => this.rootOf(label),
      blocked,
      options: this.options,
    };
  }

  private visit(node: number): void {
    const found = this.wiring.ties(node);
    if (typeof found === 'string') return;
    for (const tie of found) {
      if (tie.isChoice ? !this.isActive(node, tie) : !this.isReached(node, tie)) continue;
      this.activate(node, tie);
      this.apply(node, tie);
    }
    if (this.openChoices(node, found).length) this.undecided.add(node);
  }

  /** Labelled axes of a node whose ties are kinds to choose from, none of which is followed yet, and those ties. */
  private openChoices(node: number, all: readonly Tie[]): Tie[][] {
    const choices = new Map<string, Tie[]>();
    const settled = new Set<string>();
    for (const tie of all) {
      if (!tie.isChoice) continue;
      for (const place of tie.places) {
        const { key } = this.wiring.axisOf(node, place);
        if (!this.axes.has(key)) continue;
        if (this.isActive(node, tie)) settled.add(key);
        choices.set(key, [...(choices.get(key) ?? []), tie]);
      }
    }
    return [...choices].filter(([key]) => !settled.has(key)).map(([, found]) => found);
  }

  private decide(node: number): boolean {
    const all = this.wiring.ties(node);
    if (typeof all === 'string') return false;
    const open = this.openChoices(node, all);
    if (open.length === 0) return false;
    // A kind that another labelled axis of the node needs, too, comes first.
    const [candidates] = open;
    const wanted = candidates.find((tie) => open.slice(1).some((others) => others.includes(tie)));
    if (!wanted) this.options = Math.max(this.options, candidates.length);
    this.activate(node, wanted ?? candidates[Math.min(this.wish, candidates.length - 1)]);
    return true;
  }

  private isReached(node: number, { places }: Tie): boolean {
    return places.some((place) => this.axes.has(this.wiring.axisOf(node, place).key));
  }

  private isActive(node: number, tie: Tie): boolean {
    return this.active.get(node)?.has(tie) ?? false;
  }

  private activate(node: number, tie: Tie): void {
    const found = this.active.get(node);
    if (found) found.add(tie);
    else this.active.set(node, new Set([tie]));
  }

  /** Joins what meets in a unit, and labels what the unit has elsewhere. */
  private apply(node: number, tie: Tie): void {
    const units = new Array<number>(tie.units).fill(-1);
    for (const place of tie.places) {
      const found = this.axes.get(this.wiring.axisOf(node, place).key);
      if (!found) continue;
      eachPosition(place, tie.units, found.size, (position, unit) => {
        const label = found.labels[position];
        if (label >= 0) units[unit] = units[unit] < 0 ? this.rootOf(label) : this.join(units[unit], label);
      });
    }
    for (const place of tie.places) this.label(node, tie, place, units);
  }

  private label(node: number, tie: Tie, place: Place, units: readonly number[]): void {
    const axis = this.wiring.axisOf(node, place);
    const labels = this.axes.get(axis.key)?.labels ?? new Int32Array(axis.size).fill(-1);
    let grows = false;
    eachPosition(place, tie.units, axis.size, (position, unit) => {
      if (labels[position] >= 0 || units[unit] < 0) return;
      labels[position] = units[unit];
      grows = true;
    });
    if (!grows) return;
    this.axes.set(axis.key, { ...axis, labels });
    if (axis.use) return;
    for (const other of this.wiring.touching.get(axis.value) ?? []) this.enqueue(other);
  }

  private enqueue(node: number): void {
    if (this.queued.has(node)) return;
    this.queued.add(node);
    this.queue.push(node);
  }

  /** A node that reads or gives labelled positions must have a tie for each of them. */
  private checkCovered(axis: LabelledAxis, index: number, blocked: Map<number, string>): void {
    const node = this.wiring.nodes[index];
    const found = this.wiring.ties(index);
    const ties = typeof found === 'string' ? [] : found.filter((tie) => this.isActive(index, tie));
    const label = `'${nodeLabel(node)}' (${node.opType})`;
    const reason = typeof found === 'string' ? `${label}: ${found}` : `${label} needs all of them`;
    const check = (side: Place['side'], port: number): void => {
      const covered = new Uint8Array(axis.size);
      for (const tie of ties) {
        for (const place of tie.places) {
          if (place.side !== side || place.index !== port || place.axis !== axis.axis) continue;
          eachPosition(place, tie.units, axis.size, (position) => {
            covered[position] = 1;
          });
        }
      }
      this.block(axis, (position) => !covered[position], reason, blocked);
    };
    for (const [port, name] of node.inputs.entries()) if (name === axis.value) check('input', port);
    for (const [port, name] of node.outputs.entries()) if (name === axis.value) check('output', port);
  }

  private block(
    { labels }: LabelledAxis,
    isNeeded: (position: number) => boolean,
    reason: string,
    blocked: Map<number, string>,
  ): void {
    for (let position = 0; position < labels.length; position++) {
      if (labels[position] < 0 || !isNeeded(position)) continue;
      const root = this.rootOf(labels[position]);
      if (!blocked.has(root)) blocked.set(root, reason);
    }
  }

  private rootOf(label: number): number {
    let root = label;
    while (this.parents[root] !== root) root = this.parents[root] = this.parents[this.parents[root]];
    return root;
  }

  private join(a: number, b: number): number {
    const [first, second] = [this.rootOf(a), this.rootOf(b)];
    const [low, high] = first < second ? [first, second] : [second, first];
    this.parents[high] = low;
    return low;
  }
}
