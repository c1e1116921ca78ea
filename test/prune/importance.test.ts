import { describe, expect, it } from 'vitest';
import { findLayers } from '../../src/analysis/layers';
import { int, makeNode } from '../../src/graph/graph';
import type { ChannelGroups, Group } from '../../src/prune/groups';
import { type Criterion, importanceOf } from '../../src/prune/importance';
import type { ChannelStatistics, ImportanceSource } from '../../src/prune/importance/source';
import { float32Tensor } from '../../src/tensor/tensor';
import { groupsOf } from '../support/channels';
import { makeGraph, value } from '../support/onnxBuilder';

const tensor = (dims: readonly number[], values: readonly number[]) => float32Tensor(Float32Array.from(values), dims);

/** Three channels of two inputs, a normalization, and a layer that reads them. */
const graph = makeGraph({
  nodes: [
    makeNode('Conv', ['x', 'a.weight'], ['h'], {}, 'a'),
    makeNode('BatchNormalization', ['h', 'gamma', 'beta', 'mean', 'variance'], ['n'], {}, 'norm'),
    makeNode('Conv', ['n', 'b.weight'], ['y'], {}, 'b'),
  ],
  inputs: [value('x', [1, 2, 4, 4])],
  outputs: [value('y')],
  initializers: {
    'a.weight': tensor([3, 2, 1, 1], [3, -4, 0, 1, 3, -4]),
    gamma: tensor([3], [-2, 0.5, 1]),
    beta: tensor([3], [0, 0, 0]),
    mean: tensor([3], [0, 0, 0]),
    variance: tensor([3], [1, 1, 1]),
    'b.weight': tensor([1, 3, 1, 1], [1, 2, 3]),
  },
});

const plain = { aggregate: 'sum', normalize: 'none', perMac: false } as const;

function score(
  groups: ChannelGroups,
  criterion: Criterion,
  statistics: ChannelStatistics = {},
  options: Parameters<typeof importanceOf>[3] = plain,
  group: Group = groups.groups[0],
) {
  const layers = new Map(groups.wiring.layers.map((layer) => [layer.name, layer]));
  const source: ImportanceSource = { wiring: groups.wiring, layers, statistics, seed: 7 };
  const found = importanceOf(group, criterion, source, options);
  return typeof found === 'string' ? found : [...found];
}

describe('importance of channels', async () => {
  const groups = await groupsOf(graph);

  it('by their weights', () => {
    expect(score(groups, 'l1')).toEqual([7, 1, 7]);
    expect(score(groups, 'l2')).toEqual([5, 1, 5]);
  });

  it('by the scale of their normalization', () => {
    expect(score(groups, 'bn-scale')).toEqual([2, 0.5, 1]);
  });

  it('by their distance from the others', () => {
    // Two are the same; the third is √(3² + 5²) from both.
    const far = Math.sqrt(34);
    const found = score(groups, 'fpgm') as number[];
    [far, 2 * far, far].forEach((expected, c) => {
      expect(found[c]).toBeCloseTo(expected, 12);
    });
  });

  it('by what was measured behind the normalization', () => {
    const lossChanges = new Map([['n', { taylor: Float64Array.of(1, 2, 3), fisher: Float64Array.of(4, 5, 6) }]]);
    expect(score(groups, 'taylor', { lossChanges })).toEqual([1, 2, 3]);
    expect(score(groups, 'fisher', { lossChanges })).toEqual([4, 5, 6]);
    expect(score(groups, 'activation', { energies: new Map([['n', Float64Array.of(4, 9, 1)]]) })).toEqual([2, 3, 1]);
    for (const criterion of ['taylor', 'fisher', 'activation', 'lasso'] as const) {
      expect(score(groups, criterion)).toContain('not measured');
    }
  });

  it('by what the next layer needs', () => {
    // Independent contributions come in by their size: ½β²G − βG + αβ lets go at α = G.
    const independent = Float64Array.of(4, 0, 0, 0, 1, 0, 0, 0, 2);
    const [a, b, c] = score(groups, 'lasso', { contributions: new Map([['b', independent]]) }) as number[];
    expect(a).toBeGreaterThan(c);
    expect(c).toBeGreaterThan(b);
    expect(a / b).toBeGreaterThan(3);
    // The second is a shadow of the first, and smaller: it is not needed.
    const shadowed = Float64Array.of(4, 2, 0, 2, 1, 0, 0, 0, 2);
    const again = score(groups, 'lasso', { contributions: new Map([['b', shadowed]]) }) as number[];
    expect(again[1]).toBeLessThan(again[2] / 10);
  });

  it('by chance, the same each time', () => {
    const found = score(groups, 'random') as number[];
    expect(found).toEqual(score(groups, 'random'));
    expect(new Set(found).size).toBe(3);
  });

  it('in comparable units', () => {
    const each = groups.groups[0].savings[0].macs as number;
    expect(each).toBe(3 * 16);
    expect(score(groups, 'l1', {}, { ...plain, normalize: 'sum' })).toEqual([7 / 15, 1 / 15, 7 / 15]);
    expect(score(groups, 'l1', {}, { ...plain, normalize: 'largest' })).toEqual([1, 1 / 7, 1]);
    expect(score(groups, 'l1', {}, { ...plain, normalize: 'auto', perMac: true })).toEqual(
      [7 / 5, 1 / 5, 7 / 5].map((share) => share / each),
    );
  });
});

describe('importance of coupled layers', async () => {
  const coupled = makeGraph({
    nodes: [
      makeNode('Conv', ['x', 'a.weight'], ['h'], {}, 'a'),
      makeNode('Conv', ['x', 'b.weight'], ['g'], {}, 'b'),
      makeNode('Add', ['h', 'g'], ['s']),
      makeNode('Conv', ['s', 'd.weight'], ['t'], { group: int(2) }, 'd'),
      makeNode('Conv', ['t', 'c.weight'], ['y'], {}, 'c'),
    ],
    inputs: [value('x', [1, 1, 4, 4])],
    outputs: [value('y')],
    initializers: {
      'a.weight': tensor([2, 1, 1, 1], [1, 2]),
      'b.weight': tensor([2, 1, 1, 1], [-5, 3]),
      'd.weight': tensor([2, 1, 1, 1], [7, 1]),
      'c.weight': tensor([1, 2, 1, 1], [100, 100]),
    },
  });
  const groups = await groupsOf(coupled);

  it('is the sum or the mean over the layers that give the channels', () => {
    expect(findLayers(coupled)).toHaveLength(4);
    expect(score(groups, 'l1')).toEqual([13, 6]);
    expect(score(groups, 'l1', {}, { ...plain, aggregate: 'mean' })).toEqual([13 / 3, 2]);
    expect(score(groups, 'bn-scale')).toContain('no normalization');
  });
});
