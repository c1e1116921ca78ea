/**
 * Goes along with a ResRep training: measures the rows of the compactors, chooses anew which are masked, and says how
 * far that has come.
 */
import type { CompactionProgress, TrainingProgress } from '../protocol/plan';
import type { Compaction, RowOwner } from '../prune/compaction/places';
import { type CompactionSchedule, NEEDED_REACH, reachOf, type ScheduledRun } from '../prune/compaction/schedule';
import { type RowSelection, selectRows } from '../prune/compaction/select';
import type { WidthCounter } from '../prune/compaction/widths';
import { float32Tensor, type Tensor, toFloat32 } from '../tensor/tensor';
import { MASK } from '../train/compaction';
import type { Companion } from '../train/loop';
import type { ProgramState, TrainingProgram } from '../train/program';

export interface MaskedRun {
  readonly compaction: Compaction;
  readonly counter: WidthCounter;
  readonly schedule: CompactionSchedule;
  readonly run: Pick<ScheduledRun, 'steps' | 'rate'>;
  /** Multiply-accumulates. */
  readonly target: number;
  /** Groups keep a multiple of this many channels. */
  readonly multiple: number;
  /** Initializers of the places' matrices. */
  readonly matrices: ReadonlyMap<string, string>;
  /** Whether rows are masked that can't vanish any more. */
  readonly unchecked: boolean;
}

/** Names among the vectors of a checkpoint. */
const MASKED = 'compaction/masked';
const REACHED = 'compaction/reached';

export class MaskKeeper implements Companion {
  /** Rows that are pulled to zero take the network's answers with them, most of all in short runs. */
  readonly raisesLoss = true;
  /** 1 where a channel is masked, by group. */
  masked: readonly Uint8Array[];
  private count = 0;
  private macs: number;
  /** Steps done when the target was first met. */
  private reached: number | null = null;
  private norms: readonly Float64Array[] = [];
  private isNews = true;
  /** How far a row can fall that is masked at a step. */
  private readonly reach: Float64Array;

  constructor(private readonly given: MaskedRun) {
    this.masked = given.compaction.groups.map(({ group }) => new Uint8Array(group.channels));
    this.macs = given.counter.whole;
    const { maskedLambda: lambda, momentum } = given.schedule;
    this.reach = reachOf({ ...given.run, lambda, momentum });
  }

  before(step: number, program: Pick<TrainingProgram, 'tensors'>): Readonly<Record<string, Tensor>> {
    const { warmupSteps, interval } = this.given.schedule;
    const isDue = (step - warmupSteps) % interval === 0;
    if (isDue || this.norms.length === 0) {
      this.measure(program);
      if (isDue && step >= warmupSteps) this.choose(step);
    }
    const rows = this.given.compaction.places.flatMap(({ rows: owners }) =>
      owners.map((owner) => (owner && this.masked[owner.group][owner.channel] ? 0 : 1)),
    );
    return { [MASK]: float32Tensor(Float32Array.from(rows), [rows.length]) };
  }

  state(): ProgramState {
    return {
      [MASKED]: Float32Array.from(this.masked.flatMap((group) => [...group])),
      [REACHED]: Float32Array.of(this.reached ?? -1),
    };
  }

  restore(state: ProgramState): void {
    const all = state[MASKED] ?? new Float32Array(0);
    let offset = 0;
    this.masked = this.masked.map(({ length }) => {
      const part = Uint8Array.from(all.subarray(offset, offset + length));
      offset += length;
      return part;
    });
    const removed = this.masked.map((group) => group.reduce((sum, one) => sum + one, 0));
    this.count = removed.reduce((sum, n) => sum + n, 0);
    this.macs = this.given.counter.macs(removed);
    const reached = state[REACHED]?.[0] ?? -1;
    this.reached = reached < 0 ? null : reached;
    this.isNews = true;
  }

  progress(): Partial<TrainingProgress> {
    if (!this.isNews) return {};
    this.isNews = false;
    return { compaction: this.report() };
  }

  report(): CompactionProgress {
    const { compaction, counter, target } = this.given;
    return {
      layers: compaction.places.map(({ name, rows }, i) => ({
        layer: name,
        rows: rows.length,
        masked: rows.filter((owner) => owner && this.masked[owner.group][owner.channel]).length,
        norms: Array.from(this.norms[i] ?? [], (norm) => Number(norm.toPrecision(4))),
      })),
      masked: this.count,
      macs: this.macs,
      target,
      whole: counter.whole,
      reached: this.reached,
    };
  }

  /** Norms of all rows, by place. */
  measure(program: Pick<TrainingProgram, 'tensors'>): readonly Float64Array[] {
    const { compaction, matrices } = this.given;
    const tensors = program.tensors(new Set(matrices.values()));
    this.norms = compaction.places.map(({ name, rows }) =>
      rowNorms(toFloat32(tensors.get(matrices.get(name) as string) as Tensor), rows.length),
    );
    this.isNews = true;
    return this.norms;
  }

  private choose(step: number): void {
    const { compaction, counter, target, schedule, multiple } = this.given;
    const most = this.macs > target ? this.count + schedule.rowsPerRefresh : Number.POSITIVE_INFINITY;
    const selection: RowSelection = selectRows(counter, {
      scores: scoresOf(compaction, this.norms, 'mean'),
      least: compaction.groups.map(({ least }) => least),
      target,
      most,
      multiple,
    });
    if (!this.canVanish(selection, step)) return;
    this.masked = selection.masked;
    this.count = selection.count;
    this.macs = selection.macs;
    if (selection.met) this.reached ??= step;
  }

  /** Whether all that is newly masked can still reach zero; else what is masked stays as it is, to the end. */
  private canVanish({ masked }: RowSelection, step: number): boolean {
    if (this.given.unchecked) return true;
    const norms = scoresOf(this.given.compaction, this.norms, 'largest');
    const largest = masked.reduce(
      (most, flags, g) =>
        flags.reduce((m, flag, c) => (flag && !this.masked[g][c] ? Math.max(m, norms[g][c]) : m), most),
      0,
    );
    return this.reach[step] >= NEEDED_REACH * largest;
  }
}

export function rowNorms(Q: Float32Array, size: number): Float64Array {
  return Float64Array.from({ length: size }, (_, j) => {
    let sum = 0;
    for (let i = 0; i < size; i++) sum += Q[j * size + i] ** 2;
    return Math.sqrt(sum);
  });
}

/** Norms of channels: the quadratic mean, or the largest, of the rows that go with each. */
export function scoresOf(
  { groups, places }: Compaction,
  norms: readonly Float64Array[],
  by: 'mean' | 'largest',
): Float64Array[] {
  const sums = groups.map(({ group }) => new Float64Array(group.channels));
  const counts = groups.map(({ group }) => new Float64Array(group.channels));
  for (const [p, { rows }] of places.entries()) {
    for (const [row, owner] of rows.entries()) {
      if (!owner) continue;
      const { group, channel }: RowOwner = owner;
      const square = norms[p][row] ** 2;
      sums[group][channel] = by === 'mean' ? sums[group][channel] + square : Math.max(sums[group][channel], square);
      counts[group][channel]++;
    }
  }
  return sums.map((values, g) => values.map((sum, c) => Math.sqrt(by === 'mean' ? sum / counts[g][c] : sum)));
}
