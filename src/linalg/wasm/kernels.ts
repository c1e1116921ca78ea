/**
 * The inner loops of the dense linear algebra, as WebAssembly kernels on pairs of doubles, and the memory they work in.
 * Plain typed-array loops reach about half to a third of their speed. No fused multiply-add is used, so results are the
 * same bits on every machine.
 */
import { matrixTooLarge } from '../../errors';
import {
  assemble,
  type Expression,
  f64,
  f64x2,
  forUpTo,
  get,
  i32,
  type Kernel,
  KernelBuilder,
  type Local,
  set,
} from './assembler';
import { Instance, Memory, Module, pageBytes, type WebAssemblyMemory } from './webAssembly';

/** All arguments are byte addresses or byte counts in the workspace's memory. */
export interface Kernels {
  /**
   * out[i, j] += Σ_k left[k, i]·right[k, j] for a 4 × 4 tile; `left` and `right` hold 4 doubles per k (32 bytes), k runs
   * over an even count up to the address `leftEnd`; rows of `out` are `stride` apart.
   */
  tile(left: number, leftEnd: number, right: number, out: number, stride: number): void;
  /**
   * One pass over the lower triangle of a symmetric A of an even number of rows: A −= v·pᵀ + p·vᵀ, then y = A·u.
   * `row` is A's first row, `rowEnd` the address behind the last. Nothing above the diagonal is read or written.
   */
  updateMultiply(row: number, rowEnd: number, stride: number, v: number, p: number, u: number, y: number): void;
  /** Four rows x of a matrix: x −= (x·u) u, over an even count of elements given as bytes. */
  reflect(row: number, stride: number, u: number, bytes: number): void;
  /**
   * Plane rotations of neighbouring rows, upwards from `bottom`; `rotations` to `rotationsEnd` holds a cosine c and a
   * sine s each: (upper, lower) ← (c·upper − s·lower, s·upper + c·lower). Rows are whole blocks of 8 doubles (64 bytes).
   */
  rotate(bottom: number, bottomEnd: number, stride: number, rotations: number, rotationsEnd: number): void;
}

const maximumPages = 65536;
/** A memory that had to grow beyond this is not kept for the next call. */
const keptBytes = 256 * 2 ** 20;

/** Memory of the kernels, handed out from the start for each computation. */
export class Workspace {
  readonly kernels: Kernels;
  private readonly memory: WebAssemblyMemory = new Memory({ initial: 1, maximum: maximumPages });
  private used = 0;

  constructor(module: object) {
    const { exports } = new Instance(module, { env: { memory: this.memory } });
    this.kernels = exports as unknown as Kernels;
  }

  get bytes(): number {
    return this.memory.buffer.byteLength;
  }

  /**
   * Starts a new computation; earlier arrays of this workspace must not be used any more.
   * @throws UserError `matrix-too-large` when the system has no more memory
   */
  reset(bytes: number): void {
    this.used = 0;
    const missing = Math.ceil((bytes - this.bytes) / pageBytes);
    if (missing <= 0) return;
    try {
      this.memory.grow(missing);
    } catch {
      throw matrixTooLarge(bytes);
    }
  }

  /** `count` zeros; their address is `byteOffset`. */
  doubles(count: number): Float64Array {
    const array = new Float64Array(this.memory.buffer, this.used, count);
    this.used += paddedBytes(count);
    return array.fill(0);
  }
}

let module: object | undefined;
let workspace: Workspace | undefined;

/**
 * The workspace of this thread, with room for arrays of these lengths, in doubles. It is reused: whoever asks next takes
 * it over, so results must be copied out first.
 * @throws UserError `matrix-too-large` beyond 4 GiB, or when the system has not as much
 */
export function workspaceFor(...lengths: readonly number[]): Workspace {
  const bytes = lengths.reduce((sum, count) => sum + paddedBytes(count), 0);
  if (bytes > pageBytes * maximumPages) throw matrixTooLarge(bytes);
  if (workspace && workspace.bytes > keptBytes && bytes <= keptBytes) workspace = undefined;
  module ??= new Module(
    assemble({ tile: tile(), updateMultiply: updateMultiply(), reflect: reflect(), rotate: rotate() }),
  );
  workspace ??= new Workspace(module);
  workspace.reset(bytes);
  return workspace;
}

/** Whole cache lines, so that arrays start aligned. */
function paddedBytes(count: number): number {
  return Math.ceil(count / 8) * 64;
}

const pairBytes = 16;

function tile(): Kernel {
  const build = new KernelBuilder();
  const [left, leftEnd, right, out, stride] = params(build, 5);
  const factor = build.local('v128');
  const columns = [build.local('v128'), build.local('v128')];
  const sums = range(4).map(() => columns.map(() => build.local('v128')));
  // Not unrolled: V8 would load the values of all steps first and run out of registers.
  const step = [
    ...columns.map((column, pair) => set(column, f64x2.load(get(right), pair * pairBytes))),
    ...sums.flatMap((row, i) => [
      set(factor, f64x2.loadSplat(get(left), i * 8)),
      ...row.map((sum, pair) => accumulate(sum, f64x2.multiply(get(factor), get(columns[pair])))),
    ]),
  ];
  return build.finish([
    forUpTo(left, get(leftEnd), i32.constant(32), [...step, advance(right, 32)]),
    ...sums.flatMap((row) => [
      ...row.map((sum, pair) =>
        f64x2.store(get(out), f64x2.add(f64x2.load(get(out), pair * pairBytes), get(sum)), pair * pairBytes),
      ),
      set(out, i32.add(get(out), get(stride))),
    ]),
  ]);
}

function updateMultiply(): Kernel {
  const build = new KernelBuilder();
  const [row, rowEnd, stride, v, p, u, y] = params(build, 7);
  const [diagonal, column, columnEnd] = range(3).map(() => build.local('i32'));
  const [vj, pj, uj, yj, element] = range(5).map(() => build.local('v128'));
  const [upper, lower] = range(2).map(() => ({
    v: build.local('v128'),
    p: build.local('v128'),
    u: build.local('v128'),
    sum: build.local('v128'),
  }));
  const [a00, a10, a11] = range(3).map(() => build.local('f64'));
  const at = (vector: Local<'i32'>, offset: Local<'i32'>) => i32.add(get(vector), get(offset));
  const below = (address: Expression<'i32'>) => i32.add(address, get(stride));
  const twin = (part: typeof upper, address: Expression<'i32'>) => [
    set(
      element,
      f64x2.subtract(
        f64x2.load(address),
        f64x2.add(f64x2.multiply(get(part.v), get(pj)), f64x2.multiply(get(part.p), get(vj))),
      ),
    ),
    f64x2.store(address, get(element)),
    accumulate(part.sum, f64x2.multiply(get(element), get(uj))),
    accumulate(yj, f64x2.multiply(get(element), get(part.u))),
  ];
  const first = (pair: Local<'v128'>) => f64x2.lane(get(pair), 0);
  const lanes = (pair: Local<'v128'>) => f64.add(f64x2.lane(get(pair), 0), f64x2.lane(get(pair), 1));
  /** a − (v_i·p_j + p_i·v_j) of one element on or just below the diagonal. */
  const updated = (address: Expression<'i32'>, offset: number, i: typeof upper, j: typeof upper) =>
    f64.subtract(
      f64.load(address, offset),
      f64.add(f64.multiply(first(i.v), first(j.p)), f64.multiply(first(i.p), first(j.v))),
    );
  const rowPair = [
    ...[upper, lower].flatMap((part, i) => [
      set(part.v, f64x2.loadSplat(at(v, diagonal), i * 8)),
      set(part.p, f64x2.loadSplat(at(p, diagonal), i * 8)),
      set(part.u, f64x2.loadSplat(at(u, diagonal), i * 8)),
      set(part.sum, f64x2.zero),
    ]),
    set(column, i32.constant(0)),
    set(columnEnd, get(diagonal)),
    forUpTo(column, get(columnEnd), i32.constant(pairBytes), [
      set(vj, f64x2.load(at(v, column))),
      set(pj, f64x2.load(at(p, column))),
      set(uj, f64x2.load(at(u, column))),
      set(yj, f64x2.load(at(y, column))),
      ...twin(upper, at(row, column)),
      ...twin(lower, below(at(row, column))),
      f64x2.store(at(y, column), get(yj)),
    ]),
    set(a00, updated(at(row, diagonal), 0, upper, upper)),
    set(a10, updated(below(at(row, diagonal)), 0, lower, upper)),
    set(a11, updated(below(at(row, diagonal)), 8, lower, lower)),
    f64.store(at(row, diagonal), get(a00)),
    f64.store(below(at(row, diagonal)), get(a10)),
    f64.store(below(at(row, diagonal)), get(a11), 8),
    // Rows further down add their share to these two elements of y later.
    f64.store(at(y, diagonal), f64.add(lanes(upper.sum), dot2(get(a00), first(upper.u), get(a10), first(lower.u)))),
    f64.store(at(y, diagonal), f64.add(lanes(lower.sum), dot2(get(a10), first(upper.u), get(a11), first(lower.u))), 8),
    advance(diagonal, pairBytes),
  ];
  return build.finish([
    set(diagonal, i32.constant(0)),
    forUpTo(row, get(rowEnd), i32.add(get(stride), get(stride)), rowPair),
  ]);
}

function reflect(): Kernel {
  const build = new KernelBuilder();
  const [row, stride, u, bytes] = params(build, 4);
  const column = build.local('i32');
  const addresses = range(4).map(() => build.local('i32'));
  const sums = range(4).map(() => build.local('v128'));
  const uj = build.local('v128');
  const at = (address: Local<'i32'>) => i32.add(get(address), get(column));
  return build.finish([
    ...addresses.map((address, i) => set(address, i32.add(get(row), i32.multiply(get(stride), i32.constant(i))))),
    forUpTo(column, get(bytes), i32.constant(pairBytes), [
      set(uj, f64x2.load(at(u))),
      ...sums.map((sum, i) => accumulate(sum, f64x2.multiply(f64x2.load(at(addresses[i])), get(uj)))),
    ]),
    ...sums.map((sum) => set(sum, f64x2.splat(f64.add(f64x2.lane(get(sum), 0), f64x2.lane(get(sum), 1))))),
    set(column, i32.constant(0)),
    forUpTo(column, get(bytes), i32.constant(pairBytes), [
      set(uj, f64x2.load(at(u))),
      ...sums.map((sum, i) =>
        f64x2.store(at(addresses[i]), f64x2.subtract(f64x2.load(at(addresses[i])), f64x2.multiply(get(sum), get(uj)))),
      ),
    ]),
  ]);
}

function rotate(): Kernel {
  const build = new KernelBuilder();
  const [bottom, bottomEnd, stride, rotations, rotationsEnd] = params(build, 5);
  const [rotation, address, next] = range(3).map(() => build.local('i32'));
  const [cosine, sine, upper] = range(3).map(() => build.local('v128'));
  const carried = range(4).map(() => build.local('v128'));
  return build.finish([
    forUpTo(bottom, get(bottomEnd), i32.constant(64), [
      set(address, get(bottom)),
      set(rotation, get(rotations)),
      ...carried.map((lower, i) => set(lower, f64x2.load(get(address), i * pairBytes))),
      forUpTo(rotation, get(rotationsEnd), i32.constant(pairBytes), [
        set(cosine, f64x2.loadSplat(get(rotation))),
        set(sine, f64x2.loadSplat(get(rotation), 8)),
        set(next, i32.subtract(get(address), get(stride))),
        ...carried.flatMap((lower, i) => [
          set(upper, f64x2.load(get(next), i * pairBytes)),
          f64x2.store(
            get(address),
            f64x2.add(f64x2.multiply(get(sine), get(upper)), f64x2.multiply(get(cosine), get(lower))),
            i * pairBytes,
          ),
          set(lower, f64x2.subtract(f64x2.multiply(get(cosine), get(upper)), f64x2.multiply(get(sine), get(lower)))),
        ]),
        set(address, get(next)),
      ]),
      ...carried.map((lower, i) => f64x2.store(get(address), get(lower), i * pairBytes)),
    ]),
  ]);
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

function params(build: KernelBuilder, count: number): Local<'i32'>[] {
  return range(count).map(() => build.param());
}

function accumulate(sum: Local<'v128'>, term: Expression<'v128'>): Expression<'void'> {
  return set(sum, f64x2.add(get(sum), term));
}

function advance(pointer: Local<'i32'>, bytes: number): Expression<'void'> {
  return set(pointer, i32.add(get(pointer), i32.constant(bytes)));
}

function dot2(
  a: Expression<'f64'>,
  x: Expression<'f64'>,
  b: Expression<'f64'>,
  y: Expression<'f64'>,
): Expression<'f64'> {
  return f64.add(f64.multiply(a, x), f64.multiply(b, y));
}
