/** Global sparse momentum: the invariants of its rule, on vectors and in a training program. */
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/linalg/random';
import { elementCount } from '../../src/tensor/dtype';
import { float32Tensor, toFloat32 } from '../../src/tensor/tensor';
import { train } from '../../src/train/loop';
import { sgd } from '../../src/train/optimizers';
import { constant, steps } from '../../src/train/schedules';
import {
  activeCount,
  decayExponent,
  keptCount,
  maskedBySize,
  type SparseMomentum,
  sparseMomentum,
} from '../../src/train/sparseMomentum';
import type { Slot } from '../../src/train/trainingGraph';
import { toyData, toyProgram, toyStep } from '../support/training';

/** Vectors of two weights and a bias, one after the other. */
const slots: Slot[] = [
  { name: 'a', dims: [6, 10], vector: 'parameters', offset: 0, decays: true },
  { name: 'bias', dims: [6], vector: 'parameters', offset: 60, decays: false },
  { name: 'b', dims: [4, 6], vector: 'parameters', offset: 66, decays: true },
];
const SIZE = 90;
const isBias = (i: number): boolean => i >= 60 && i < 66;

function drawn(seed: number): Float32Array {
  const random = seededRandom(seed);
  return Float32Array.from({ length: SIZE }, () => random.normal());
}

const rule: SparseMomentum = { keep: 0.1, momentum: 0.9, weightDecay: 0.01 };

/** What one step from rest changes, in the direction of the gradient alone: 1 where a parameter took it. */
function took(given: Partial<SparseMomentum>, parameters: Float32Array, gradient: Float32Array): boolean[] {
  const after = parameters.slice();
  const velocity = new Float32Array(SIZE);
  const step = sparseMomentum({ ...rule, weightDecay: 0, ...given }).start(slots);
  step({ parameters: after, gradient, states: [velocity], rate: 0.1 });
  return [...after].map((value, i) => value !== parameters[i]);
}

describe('in a step', () => {
  const parameters = drawn(1);
  const gradient = drawn(2);

  test.each([1 / 84, 0.1, 0.29, 0.5, 0.99])('as many weights take their gradient as are kept: %f', (keep) => {
    const active = took({ keep }, parameters, gradient).filter((is, i) => is && !isBias(i));
    expect(active).toHaveLength(activeCount(keep, 84));
  });

  test('biases always take theirs', () => {
    expect(took({ keep: 0.01 }, parameters, gradient).filter((is, i) => is && isBias(i))).toHaveLength(6);
  });

  test('the weights whose product with their gradient is greatest are taken, over all tensors together', () => {
    const score = (i: number): number => Math.abs(parameters[i] * gradient[i]);
    const wanted = [...parameters.keys()]
      .filter((i) => !isBias(i))
      .sort((a, b) => score(b) - score(a))
      .slice(0, 8);
    const active = took({ keep: 0.1 }, parameters, gradient);
    expect([...active.keys()].filter((i) => active[i] && !isBias(i)).sort()).toEqual(wanted.sort());
  });

  test('among equals the first are taken, and a weight of exactly zero never is', () => {
    const ones = new Float32Array(SIZE).fill(1);
    const active = took({ keep: 0.1 }, ones, ones);
    expect([...active.keys()].filter((i) => active[i] && !isBias(i))).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    const few = new Float32Array(SIZE);
    few[3] = 1;
    const found = took({ keep: 0.1 }, few, ones);
    expect([...found.keys()].filter((i) => found[i] && !isBias(i))).toEqual([3]);
  });

  test('exempt tensors take theirs and are not counted', () => {
    const active = took({ keep: 0.1, exempt: new Set(['b']) }, parameters, gradient);
    expect(active.slice(66).every((is) => is)).toBe(true);
    expect(active.slice(0, 60).filter((is) => is)).toHaveLength(6);
  });
});

describe.each([false, true])('when all weights are kept it is SGD with momentum; Nesterov %s', (nesterov) => {
  test('as the graph computes it', async () => {
    const optimizer = { momentum: 0.9, nesterov };
    const options = { clip: 5, weightDecay: 0.01 };
    const plain = await toyProgram({}, { ...options, optimizer: sgd(optimizer) });
    const sparse = await toyProgram({}, { ...options, optimizer: sparseMomentum({ ...rule, keep: 1, nesterov }) });
    for (let i = 0; i < 20; i++) {
      const { feeds } = toyStep(32, i);
      const [a, b] = [await plain.program.step(feeds, 0.05, i + 1), await sparse.program.step(feeds, 0.05, i + 1)];
      // The graph rounds after every operation, the typed arrays once at the end.
      expect(Math.abs(a.loss - b.loss)).toBeLessThan(1e-5);
    }
    const [a, b] = [plain, sparse].map(({ program }) => program.state().parameters);
    const difference = Math.max(...a.map((value, i) => Math.abs(value - b[i])));
    expect(difference).toBeLessThan(1e-5);
    await plain.program.release();
    await sparse.program.release();
  });
});

test('a weight without gradient decays by the recurrence: 50,000 steps leave 0.2864 of it', () => {
  const [rate, momentum, weightDecay, count] = [5e-3, 0.98, 1e-4, 50_000];
  const parameters = new Float32Array(SIZE).fill(1);
  const gradient = new Float32Array(SIZE);
  // One weight is large and always the one that is active.
  parameters[0] = 1000;
  const states = [new Float32Array(SIZE)];
  const step = sparseMomentum({ keep: 1 / 84, momentum, weightDecay }).start(slots);
  let [before, now] = [1, 1];
  for (let i = 0; i < count; i++) {
    gradient[0] = 1e-6 * Math.sign(parameters[0]);
    step({ parameters, gradient, states, rate });
    // The first step has no step before it: Z starts at 0.
    const next =
      i === 0 ? now - rate * weightDecay * now : (1 + momentum - rate * weightDecay) * now - momentum * before;
    [before, now] = [now, next];
  }
  expect(now).toBeCloseTo(0.2864, 4);
  // Single precision rounds 50,000 times.
  expect(Math.abs(parameters[70] / now - 1)).toBeLessThan(2e-3);
  const exponent = decayExponent({ rate, schedule: constant, steps: count, momentum, weightDecay });
  expect(Math.exp(-exponent)).toBeCloseTo(0.2865, 4);
});

test('the exponent of the published schedules', () => {
  const published = (rate: number, perEpoch: number, epochs: number, at: number[], momentum: number, decay: number) =>
    decayExponent({
      rate,
      schedule: steps(
        at.map((epoch) => epoch / epochs),
        0.1,
      ),
      steps: perEpoch * epochs,
      momentum,
      weightDecay: decay,
    });
  expect(published(5e-3, 781, 600, [400, 500], 0.98, 1e-4)).toBeCloseTo(8.02, 1);
  expect(published(5e-3, 781, 600, [400, 500], 0.9, 1e-4)).toBeCloseTo(1.6, 1);
  expect(published(1e-2, 234, 280, [160, 200, 240], 0.99, 5e-4)).toBeCloseTo(19.2, 0);
});

describe('in the end', () => {
  const [a, bias, b] = [
    drawn(5).slice(0, 60),
    drawn(6).slice(0, 6),
    drawn(7)
      .slice(0, 24)
      .map((value) => 10 * value),
  ];
  const tensors = new Map(
    [a, bias, b].map((values, i) => [slots[i].name, float32Tensor(values, slots[i].dims)] as const),
  );

  test.each([0.01, 0.1, 0.29, 1 / 3, 0.9, 1])('N − ⌊N(1 − keep)⌋ weights are left: %f', (keep) => {
    const { tensors: masked, kept, weights } = maskedBySize(tensors, slots, { keep });
    const left = ['a', 'b'].flatMap((name) => [...toFloat32(masked.get(name) as never)]).filter((value) => value !== 0);
    expect(weights).toBe(84);
    expect(left).toHaveLength(keptCount(keep, 84));
    expect(kept).toBe(left.length);
    expect(toFloat32(masked.get('bias') as never)).toEqual(bias);
  });

  test('they are the largest of all, not of each layer', () => {
    const { tensors: masked, cut } = maskedBySize(tensors, slots, { keep: 0.25 });
    const sizes = [...a, ...b].map(Math.abs).sort((x, y) => y - x);
    const norm = (values: number[]): number => Math.hypot(...values);
    expect([...toFloat32(masked.get('a') as never)].filter((value) => value !== 0)).toHaveLength(
      [...a].filter((value) => Math.abs(value) >= sizes[20]).length,
    );
    expect(cut).toBeCloseTo(norm(sizes.slice(21)) / norm(sizes), 6);
  });

  test('at least one is left', () => {
    expect(maskedBySize(tensors, slots, { keep: 1e-6 }).kept).toBe(1);
    expect(activeCount(1e-6, 84)).toBe(1);
    expect(activeCount(0.29, 100)).toBe(29);
    expect(keptCount(0.29, 100)).toBe(29);
  });
});

describe('in a training', () => {
  const optimizer = sparseMomentum({ keep: 0.2, momentum: 0.98, weightDecay: 5e-3 });

  test('what is to be cut shrinks, and the progress says so', async () => {
    const { program } = await toyProgram({}, { optimizer });
    const seen: number[] = [];
    const options = { data: toyData(), epochs: 60, rate: 0.05, schedule: constant };
    await train(program, { ...options, onProgress: ({ cut }) => seen.push(cut as number) });
    const { cut, kept, weights } = maskedBySize(program.tensors(), program.slots, { keep: 0.2 });
    await program.release();
    expect(seen[0]).toBeGreaterThan(0.3);
    // Decay alone leaves e^-15 of them; what is cut is what still took gradients of late.
    expect(cut).toBeLessThan(0.05);
    expect(kept).toBe(keptCount(0.2, weights));
    expect(weights).toBe(elementCount([4, 2, 3, 3]) + 20 + 15);
  });

  test('a step that gives no finite number changes nothing', async () => {
    const { program } = await toyProgram({}, { optimizer });
    const before = program.state();
    const { feeds } = toyStep(4, 1);
    const broken = { ...feeds, x: float32Tensor(new Float32Array(4 * 72).fill(Number.NaN), [4, 2, 6, 6]) };
    const result = await program.step(broken, 0.1, 1);
    expect(result.loss).toBeNaN();
    expect(program.state()).toEqual(before);
    await program.release();
  });

  test('interrupted and resumed it ends where it would have', async () => {
    const options = { data: toyData(), epochs: 4, rate: 0.05, schedule: constant };
    const whole = await toyProgram({}, { optimizer });
    await train(whole.program, options);
    const half = await toyProgram({}, { optimizer });
    await train(half.program, { ...options, epochs: 2 });
    const rest = await toyProgram({}, { optimizer });
    const partial = { images: 0, loss: 0, hits: null };
    const position = { epoch: 2, batch: 0, taken: 0, updates: 20 };
    const resume = {
      fingerprint: '',
      position,
      record: { losses: [], epochs: [] },
      partial,
      state: half.program.state(),
    };
    await train(rest.program, { ...options, resume });
    expect(rest.program.state()).toEqual(whole.program.state());
    for (const { program } of [whole, half, rest]) await program.release();
  });
});
