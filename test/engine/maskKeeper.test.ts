/** Which rows are masked in the course of a training: bit by bit, anew each time, and only while they can still vanish. */
import { expect, test } from 'vitest';
import { MaskKeeper } from '../../src/engine/maskKeeper';
import { seededRandom } from '../../src/linalg/random';
import { WidthCounter } from '../../src/prune/compaction/widths';
import { float32Tensor, type Tensor, toFloat32 } from '../../src/tensor/tensor';
import { MASK } from '../../src/train/compaction';
import { basicResNet } from '../support/architectures/residual';
import { groupsOf, recount } from '../support/channels';
import { placesOf } from '../support/compaction';
import { metadataOf } from '../support/graphs';

const STEPS = 200;

/** Norms of all rows of all matrices, one after the other, and what gives matrices with such rows. */
async function scene(own: Partial<ConstructorParameters<typeof MaskKeeper>[0]> = {}) {
  const graph = basicResNet();
  const groups = await groupsOf(graph);
  const compaction = placesOf(groups);
  const { macs } = await recount(graph, metadataOf());
  const counter = new WidthCounter(
    groups,
    compaction.groups.map(({ group }) => group),
    macs,
  );
  const matrices = new Map(compaction.places.map(({ name }) => [name, `${name}.matrix`]));
  const sizes = compaction.places.map(({ rows }) => rows.length);
  const random = seededRandom(5);
  const norms = Float32Array.from({ length: sizes.reduce((sum, n) => sum + n, 0) }, () => 0.5 + 0.5 * random.uniform());
  const tensors = (): Map<string, Tensor> => {
    let offset = 0;
    return new Map(
      [...matrices.values()].map((matrix, i) => {
        const size = sizes[i];
        const values = new Float32Array(size * size);
        for (let row = 0; row < size; row++) values[row * size + row] = norms[offset + row];
        offset += size;
        return [matrix, float32Tensor(values, [size, size])];
      }),
    );
  };
  const make = () =>
    new MaskKeeper({
      compaction,
      counter,
      schedule: {
        lambda: 0.1,
        maskedLambda: 0.1,
        momentum: 0.9,
        warmupSteps: 10,
        interval: 5,
        rowsPerRefresh: 3,
        expectedEnd: 50,
        reach: 2,
      },
      run: { steps: STEPS, rate: () => 0.02 },
      target: 0.7 * counter.whole,
      multiple: 1,
      matrices,
      unchecked: false,
      ...own,
    });
  const keeper = make();
  /** What the optimizer is told at a step: 0 for rows that are masked. */
  const maskAt = (step: number, of = keeper): Float32Array => toFloat32(of.before(step, { tensors })[MASK]);
  const masked = (mask: Float32Array): number => mask.filter((row) => row === 0).length;
  return { keeper, make, norms, maskAt, masked };
}

test('a few more at each refresh after the start, until the target is met', async () => {
  const { keeper, maskAt, masked } = await scene();
  const counts = Array.from({ length: 100 }, (_, step) => masked(maskAt(step)));
  expect(Math.max(...counts.slice(0, 10))).toBe(0);
  const steps = counts.slice(1).map((count, i) => count - counts[i]);
  expect(Math.max(...steps)).toBe(3);
  steps.forEach((more, i) => {
    if (more !== 0) expect((i + 1 - 10) % 5).toBe(0);
  });
  const { reached, macs, target } = keeper.report();
  expect(macs).toBeLessThanOrEqual(target);
  expect(counts[reached ?? 0]).toBe(counts[99]);
  expect(counts[(reached ?? 0) - 1]).toBeLessThan(counts[99]);
});

test('a row is let go when others have become smaller', async () => {
  const { norms, maskAt, masked } = await scene();
  let mask = maskAt(0);
  for (let step = 1; step <= 100; step++) mask = maskAt(step);
  const gone = mask.indexOf(0);
  norms[gone] = 1;
  expect(maskAt(101)[gone]).toBe(0);
  const after = maskAt(105);
  expect(after[gone]).toBe(1);
  expect(masked(after)).toBeGreaterThan(0);
});

test('no row is masked that has too few steps left to reach zero, unless that is asked for', async () => {
  const late = STEPS - 10;
  const { keeper, maskAt, masked } = await scene();
  expect(masked(maskAt(late))).toBe(0);
  expect(keeper.report()).toMatchObject({ masked: 0, reached: null });
  const careless = await scene({ unchecked: true });
  expect(careless.masked(careless.maskAt(late))).toBe(3);
});

test('in a training that goes on, what was masked still is', async () => {
  const { keeper, make, maskAt } = await scene();
  for (let step = 0; step <= 100; step++) maskAt(step);
  const restored = make();
  restored.restore(keeper.state());
  expect(maskAt(101, restored)).toEqual(maskAt(101));
  expect(restored.report()).toEqual(keeper.report());
});
