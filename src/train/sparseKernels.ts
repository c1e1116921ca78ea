/**
 * The two passes of global sparse momentum over all weights, as WebAssembly kernels on four floats at a time, several
 * times as fast as loops over typed arrays. They work on pieces that fit into the caches, copied in and out, so that the
 * vectors may lie anywhere.
 */
import {
  assemble,
  type Expression,
  f32x4,
  forUpTo,
  get,
  i32,
  i32x4,
  type Kernel,
  KernelBuilder,
  set,
} from '../linalg/wasm/assembler';
import { Instance, Memory, Module, pageBytes } from '../linalg/wasm/webAssembly';
import { TOP_BINS, TOP_SHIFT } from './greatest';

/** A step of one stretch of parameters. */
export interface StretchStep {
  readonly rate: number;
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly decay: number;
  /** Parameters whose bits are fewer than the least don't take their gradient; null where all do. */
  readonly ranks: { readonly bits: Uint32Array; readonly least: number } | null;
}

interface Kernels {
  score(g: number, gEnd: number, w: number, bits: number, bins: number): void;
  update(w: number, wEnd: number, g: number, v: number, bits: number, numbers: number): void;
}

/** Numbers of a piece. */
const PIECE = 8192;
const VECTOR = 16;
const BINS = 4 * TOP_BINS;
const LEAST = -(2 ** 31);

/** Where things lie in the memory, in bytes. */
const at = { g: 0, w: 4 * PIECE, v: 8 * PIECE, bits: 12 * PIECE, bins: 16 * PIECE, numbers: 16 * PIECE + 2 * BINS };
const PAGES = Math.ceil((at.numbers + 5 * 4) / pageBytes);

let module: object | undefined;

export class SparseKernels {
  private readonly kernels: Kernels;
  private readonly g: Float32Array;
  private readonly w: Float32Array;
  private readonly v: Float32Array;
  private readonly bits: Uint32Array;
  /** Two tables of counts: neighbours often fall into one bin, and would wait for each other. */
  private readonly bins: Uint32Array;
  private readonly numbers: Float32Array;
  private readonly least: Int32Array;

  constructor() {
    module ??= new Module(assemble({ score: score(), update: update() }));
    const memory = new Memory({ initial: PAGES, maximum: PAGES });
    this.kernels = new Instance(module, { env: { memory } }).exports as unknown as Kernels;
    [this.g, this.w, this.v] = [at.g, at.w, at.v].map((offset) => new Float32Array(memory.buffer, offset, PIECE));
    this.bits = new Uint32Array(memory.buffer, at.bits, PIECE);
    this.bins = new Uint32Array(memory.buffer, at.bins, 2 * TOP_BINS);
    this.numbers = new Float32Array(memory.buffer, at.numbers, 4);
    this.least = new Int32Array(memory.buffer, at.numbers + 4 * 4, 1);
  }

  /** @returns what gives the histogram of all scores that were computed since, by {@link TOP_SHIFT} */
  startScores(): () => Uint32Array {
    this.bins.fill(0);
    return () => this.bins.subarray(0, TOP_BINS).map((count, i) => count + this.bins[TOP_BINS + i]);
  }

  /** Writes the bits of |g·w|. */
  score(gradient: Float32Array, parameters: Float32Array, bits: Uint32Array): void {
    for (let from = 0; from < gradient.length; from += PIECE) {
      const to = Math.min(from + PIECE, gradient.length);
      const count = to - from;
      const padding = -count & 3;
      this.g.set(gradient.subarray(from, to));
      this.w.set(parameters.subarray(from, to));
      this.g.fill(0, count, count + padding);
      this.w.fill(0, count, count + padding);
      this.kernels.score(at.g, at.g + 4 * count, at.w, at.bits, at.bins);
      this.bins[0] -= padding;
      bits.set(this.bits.subarray(0, count), from);
    }
  }

  /** g ← g + decay·w, without g where it is not taken; v ← momentum·v + g; w ← w − rate·v, or as Nesterov has it. */
  update(parameters: Float32Array, gradient: Float32Array, velocity: Float32Array, step: StretchStep): void {
    const { rate, momentum, nesterov, decay, ranks } = step;
    this.numbers.set([decay, momentum, nesterov ? rate : 0, nesterov ? rate * momentum : rate]);
    this.least[0] = ranks?.least ?? LEAST;
    for (let from = 0; from < parameters.length; from += PIECE) {
      const to = Math.min(from + PIECE, parameters.length);
      const count = to - from;
      this.g.set(gradient.subarray(from, to));
      this.w.set(parameters.subarray(from, to));
      this.v.set(velocity.subarray(from, to));
      if (ranks) this.bits.set(ranks.bits.subarray(from, to));
      this.kernels.update(at.w, at.w + 4 * count, at.g, at.v, at.bits, at.numbers);
      parameters.set(this.w.subarray(0, count), from);
      velocity.set(this.v.subarray(0, count), from);
    }
  }
}

function score(): Kernel {
  const build = new KernelBuilder();
  const [g, gEnd, w, bits, bins] = Array.from({ length: 5 }, () => build.param());
  const value = build.local('v128');
  const bin = build.local('i32');
  return build.finish([
    forUpTo(g, get(gEnd), i32.constant(VECTOR), [
      set(value, f32x4.absolute(f32x4.multiply(f32x4.load(get(g)), f32x4.load(get(w))))),
      f32x4.store(get(bits), get(value)),
      set(value, i32x4.shiftRight(get(value), i32.constant(TOP_SHIFT))),
      ...([0, 1, 2, 3] as const).flatMap((lane) => {
        const table = lane % 2 === 0 ? 0 : BINS;
        return [
          set(bin, i32.add(get(bins), i32.multiply(i32x4.lane(get(value), lane), i32.constant(4)))),
          i32.store(get(bin), i32.add(i32.load(get(bin), table), i32.constant(1)), table),
        ];
      }),
      ...[w, bits].map((pointer) => set(pointer, i32.add(get(pointer), i32.constant(VECTOR)))),
    ]),
  ]);
}

function update(): Kernel {
  const build = new KernelBuilder();
  const [w, wEnd, g, v, bits, numbers] = Array.from({ length: 6 }, () => build.param());
  const [decay, momentum, ofSlope, ofVelocity, least, slope, velocity] = Array.from({ length: 7 }, () =>
    build.local('v128'),
  );
  const times = (a: Expression<'v128'>, b: Expression<'v128'>) => f32x4.multiply(a, b);
  return build.finish([
    ...[decay, momentum, ofSlope, ofVelocity, least].map((number, i) =>
      set(number, f32x4.loadSplat(get(numbers), 4 * i)),
    ),
    forUpTo(w, get(wEnd), i32.constant(VECTOR), [
      set(slope, i32x4.and(f32x4.load(get(g)), i32x4.atLeast(i32x4.load(get(bits)), get(least)))),
      set(slope, f32x4.add(get(slope), times(get(decay), f32x4.load(get(w))))),
      set(velocity, f32x4.add(times(get(momentum), f32x4.load(get(v))), get(slope))),
      f32x4.store(get(v), get(velocity)),
      f32x4.store(
        get(w),
        f32x4.subtract(
          f32x4.load(get(w)),
          f32x4.add(times(get(ofSlope), get(slope)), times(get(ofVelocity), get(velocity))),
        ),
      ),
      ...[g, v, bits].map((pointer) => set(pointer, i32.add(get(pointer), i32.constant(VECTOR)))),
    ]),
  ]);
}
