import { beforeAll, describe, expect, it, test } from 'vitest';
import { type Graph, int, ints, makeNode } from '../../src/graph/graph';
import type { Projection } from '../../src/protocol/plan';
import type { BasisPlan } from '../../src/prune/basis';
import { matchAny, matchOverrides } from '../../src/prune/match';
import { randomTensor } from '../support/graphs';
import { makeGraph, value } from '../support/onnxBuilder';
import { planGraph, type settingsOf } from '../support/plans';

/** Four convolutions and a classifier; the weights of `b.0` and `b.1` are given, so that they can be the same. */
function network(second = 'b.1.weight'): Graph {
  const pads = { pads: ints([1, 1, 1, 1]) };
  return makeGraph({
    nodes: [
      makeNode('Conv', ['x', 'stem.weight'], ['h0'], pads),
      makeNode('Conv', ['h0', 'b.0.weight'], ['h1'], pads),
      makeNode('Conv', ['h1', second], ['h2'], pads),
      makeNode('Conv', ['h2', 'c.weight', 'c.bias'], ['h3']),
      makeNode('GlobalAveragePool', ['h3'], ['h4']),
      makeNode('Flatten', ['h4'], ['h5']),
      makeNode('Gemm', ['h5', 'head.weight', 'head.bias'], ['y'], { transB: int(1) }),
    ],
    inputs: [value('x', [1, 3, 8, 8])],
    outputs: [value('y')],
    initializers: {
      'stem.weight': randomTensor([32, 3, 3, 3], 1),
      'b.0.weight': randomTensor([32, 32, 3, 3], 2),
      ...(second === 'b.1.weight' ? { 'b.1.weight': randomTensor([32, 32, 3, 3], 3) } : {}),
      'c.weight': randomTensor([64, 32, 1, 1], 4),
      'c.bias': randomTensor([64], 5),
      'head.weight': randomTensor([10, 64], 6),
      'head.bias': randomTensor([10], 7),
    },
  });
}

const names = ['stem', 'b.0', 'b.1', 'c', 'head'];
const before = {
  macs: 64 * (32 * 27 + 2 * 32 * 288 + 64 * 32) + 640,
  params: 32 * 27 + 2 * 32 * 288 + 64 * 32 + 64 + 650,
};

const plan = (entries: Parameters<typeof settingsOf>[0] = {}): Promise<BasisPlan> => planGraph(network(), entries);

function ranks({ layers }: Projection): Record<string, number | string | null> {
  return Object.fromEntries(
    layers.map(({ layer, action, rank, reason }) => [layer, action === 'keep' ? reason : rank]),
  );
}

describe('targets', () => {
  it.each([
    ['macs', 0.6],
    ['macs', 0.3],
    ['params', 0.5],
    ['bytes', 0.5],
    ['bytes', 40_000],
  ] as const)('%s %d is met', async (kind, wanted) => {
    const { projection } = await plan({ target: { kind, value: wanted } });
    expect(projection.before).toEqual({ ...before, bytes: 4 * before.params });
    const budget = wanted > 1 ? wanted : wanted * (projection.before[kind] as number);
    expect(projection.after[kind]).toBeLessThanOrEqual(budget);
    expect(projection.after[kind]).toBeGreaterThan(0.8 * budget);
    expect(projection.shortfall).toBeNull();
  });

  it('that is out of reach says what is reached', async () => {
    const { projection } = await plan({ target: { kind: 'macs', value: 0.01 } });
    const least = 64 * (32 * 27 + 2 * (32 + 288) + 32 + 64) + 640;
    expect(projection.after.macs).toBe(least);
    expect(projection.shortfall).toBe(
      `The target of 1.0 % can't be met: what is locked, protected or unsuitable leaves at least ${((100 * least) / before.macs).toFixed(1)} %.`,
    );
  });

  it('counts each layer as its two layers', async () => {
    const { projection } = await plan({ layers: [{ match: 'b.0', rank: 8 }], protect: ['b.1', 'c'] });
    expect(ranks(projection)['b.0']).toBe(8);
    expect(projection.layers[1]).toMatchObject({ params: 8 * 320, macs: 64 * 8 * 320, bytes: 4 * 8 * 320 });
    expect(projection.after.params).toBe(before.params - 32 * 288 + 8 * 320);
    expect(projection.after.macs).toBe(before.macs - 64 * (32 * 288 - 8 * 320));
  });

  it('counts a bias that an activation basis adds, and not one it replaces', async () => {
    const energies = new Map(names.map((name) => [name, new Float64Array(32).fill(1)]));
    const layers = ['b.0', 'c'].map((match) => ({ match, rank: 8 }));
    const { projection } = await planGraph(network(), { layers, protect: ['b.1'] }, energies);
    expect(projection.basis).toBe('activations');
    expect(projection.layers[1].params).toBe(8 * 320 + 32);
    expect(projection.layers[3].params).toBe(8 * 96 + 64);
    expect(projection.after.params).toBe(before.params - 32 * 288 + 8 * 320 + 32 - 64 * 32 + 8 * 96);
  });
});

describe('a weight that two layers share', () => {
  const shared = network('b.0.weight');
  const params = before.params - 32 * 288;

  it('stays in the model while one of them reads it', async () => {
    const { projection } = await planGraph(shared, { layers: [{ match: 'b.0', rank: 4 }], protect: ['b.0#2', 'c'] });
    expect(projection.before.params).toBe(params);
    expect(projection.after.params).toBe(params + 4 * 320);
  });

  it('goes with the last of them', async () => {
    const { projection } = await planGraph(shared, {
      layers: [
        { match: 'b.0', rank: 4 },
        { match: 'b.0#2', rank: 5 },
      ],
      protect: ['c'],
    });
    expect(projection.after.params).toBe(params - 32 * 288 + 9 * 320);
  });

  it('counts once towards a target', async () => {
    const { projection } = await planGraph(shared, { target: { kind: 'params', value: 0.6 } });
    expect(projection.after.params).toBeLessThanOrEqual(0.6 * params);
    expect(projection.shortfall).toBeNull();
  });
});

describe('layers that stay whole', () => {
  let usual: BasisPlan;
  beforeAll(async () => {
    usual = await plan();
  });

  it('say why', () => {
    expect(ranks(usual.projection)).toMatchObject({
      stem: 'its input has only 3 channels',
      head: 'too small to gain: its full rank is 10',
    });
  });

  it('are not in the plan', () => {
    expect(usual.plan.cuts.map((cut) => cut.kind === 'factorize' && cut.layer)).toEqual(
      usual.projection.layers.filter((layer) => layer.action === 'factorize').map((layer) => layer.layer),
    );
  });

  it('have no details', () => {
    expect([...usual.details.keys()]).toEqual(['b.0', 'b.1', 'c']);
  });

  it('include those whose rank would not pay', async () => {
    const { projection } = await plan({ target: { kind: 'macs', value: 0.995 } });
    expect(ranks(projection)).toMatchObject({ c: 'whole: a cheaper rank would lose more than it saves' });
    expect(projection.after.macs).toBeLessThan(before.macs);
  });

  it('include those whose rank is set too high to save anything', async () => {
    const at = async (rank: number, finish: 'two-layers' | 'recombined' = 'two-layers') =>
      ranks((await plan({ layers: [{ match: 'b.0', rank }], basis: { finish } })).projection)['b.0'];
    // 32 · 288 / 320 = 28.8
    expect(await at(28)).toBe(28);
    expect(await at(29)).toBe('set to rank 29, but from 29 on two layers cost more than this one');
    expect(await at(31)).toBe('set to rank 31, but from 29 on two layers cost more than this one');
    expect(await at(32)).toBe('set to its full rank');
    expect(await at(31, 'recombined')).toBe(31);
  });

  it('are all of them for a target of everything', async () => {
    const { projection, plan: made } = await plan({ target: { kind: 'macs', value: 1 } });
    expect(made.cuts).toEqual([]);
    expect(projection.after).toEqual(projection.before);
  });
});

test('the break-even share bounds the ranks, and a rank that saves nothing is never kept', async () => {
  for (const breakEven of [0.5, 0.9, 1]) {
    for (const target of [0.97, 0.9, 0.7]) {
      const { projection } = await plan({ basis: { breakEven }, target: { kind: 'macs', value: target } });
      for (const { action, rank, layer, macs } of projection.layers) {
        if (action === 'keep') continue;
        const [k, c] = layer === 'c' ? [32, 64] : [288, 32];
        expect(rank).toBeLessThanOrEqual((breakEven * k * c) / (k + c));
        expect(macs).toBeLessThan(64 * k * c);
      }
    }
  }
});

test.each([4, 8, 16])('ranks are multiples of %i', async (multiple) => {
  const { projection } = await plan({ multiple: multiple as 4, layers: [{ match: 'c', rank: 5 }] });
  const found = projection.layers.filter((layer) => layer.action === 'factorize').map((layer) => layer.rank);
  expect(found.length).toBeGreaterThan(0);
  for (const rank of found) expect(rank % multiple).toBe(0);
});

const ratioOf = (match: string, ratio: number) => ({ match, ratio });

describe('overrides', () => {
  const cases: [string, Parameters<typeof settingsOf>[0], Record<string, number | string>][] = [
    ['by glob', { layers: [ratioOf('b.*', 0.25)] }, { 'b.0': 8, 'b.1': 8 }],
    ['the last one wins', { layers: [ratioOf('b.0', 0.5), ratioOf('b.*', 0.25)] }, { 'b.0': 8, 'b.1': 8 }],
    ['also when it is a name', { layers: [ratioOf('b.*', 0.25), ratioOf('b.0', 0.5)] }, { 'b.0': 16, 'b.1': 8 }],
    ['lock', { layers: [{ match: 'b.?', keep: true }] }, { 'b.0': 'locked', 'b.1': 'locked' }],
    ['unlock again', { layers: [{ match: 'b.*', keep: true }, ratioOf('b.1', 0.5)] }, { 'b.0': 'locked', 'b.1': 16 }],
    ['at least one basis', { layers: [ratioOf('c', 0)] }, { c: 1 }],
    ['a layer that is usually left alone', { layers: [{ match: 'stem', rank: 5 }] }, { stem: 5 }],
    ['protect', { protect: ['b.*', 'c'] }, { 'b.0': 'protected', 'b.1': 'protected', c: 'protected' }],
    ['protect against a glob', { protect: ['b.0'], layers: [ratioOf('*', 0.25)] }, { 'b.0': 'protected', 'b.1': 8 }],
    ['not against a name', { protect: ['b.*'], layers: [ratioOf('b.0', 0.25)] }, { 'b.0': 8, 'b.1': 'protected' }],
  ];
  it.each(cases)('%s', async (_name, entries, expected) => {
    expect(ranks((await plan(entries)).projection)).toMatchObject(expected);
  });
});

describe('settings that change nothing', () => {
  it('because no layer has the name are listed', async () => {
    const layers = [ratioOf('b.*', 0.5), ratioOf('d.*', 0.5), ratioOf('stem', 0.5)];
    const { projection } = await plan({ protect: ['c', 'head?', 'head?'], layers });
    expect(projection.unmatched).toEqual(['head?', 'd.*']);
    expect((await plan()).projection.unmatched).toBeUndefined();
  });

  it('because all layers lie in control flow say so', async () => {
    const branch = makeGraph({
      nodes: [makeNode('MatMul', ['x', 'w'], ['q'])],
      inputs: [],
      outputs: [value('q')],
      initializers: { w: randomTensor([32, 32]) },
    });
    const graph = makeGraph({
      nodes: [
        makeNode('If', ['c'], ['y'], {
          then_branch: { kind: 'graph', value: branch },
          else_branch: { kind: 'graph', value: branch },
        }),
      ],
      inputs: [value('c', [], 'bool'), value('x', [2, 32])],
      outputs: [value('y')],
    });
    const { projection } = await planGraph(graph);
    expect(projection.layers[0].reason).toBe('inside the control flow of y (then_branch)');
    expect(projection.shortfall).toBe('Nothing can be pruned: no layer of this model has a known cost.');
  });
});

describe('details', () => {
  it('hold the scores that the threshold decides by, and the energy kept at each rank', async () => {
    const { details, projection } = await plan({ target: { kind: 'macs', value: 0.3 } });
    expect(details.size).toBe(3);
    for (const [name, { importance, threshold, energy }] of details) {
      const { rank, error, action } = projection.layers[names.indexOf(name)];
      const kept = importance.filter((score) => score >= (threshold as number)).length;
      // Two layers instead of c save something up to rank 20.
      if (name === 'c') expect(action).toBe(kept > 20 ? 'keep' : 'factorize');
      if (action === 'factorize') expect(kept).toBe(rank);
      expect(energy).toHaveLength(33);
      expect([energy[0], energy[32]]).toEqual([0, 1]);
      expect(error).toBeCloseTo(action === 'keep' ? 0 : 1 - energy[rank], 12);
    }
  });

  it('have no threshold for a rank set by hand', async () => {
    const { details } = await plan({ layers: [{ match: 'c', rank: 5 }] });
    expect(details.get('c')?.threshold).toBeNull();
  });

  it('score energy alone, or per multiply-accumulate that a basis saves', async () => {
    const importance = async (score: 'energy' | 'energy-per-mac') => {
      const { details } = await plan({ basis: { score } });
      return ['b.0', 'c'].map((name) => details.get(name)!.importance);
    };
    const [b, c] = await importance('energy');
    const [bPerMac, cPerMac] = await importance('energy-per-mac');
    expect(b.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 12);
    for (const [j, share] of b.entries()) expect(bPerMac[j] * 64 * 320).toBeCloseTo(share, 12);
    for (const [j, share] of c.entries()) expect(cPerMac[j] * 64 * 96).toBeCloseTo(share, 12);
  });
});

describe('layer names', () => {
  it('are matched by globs whose star crosses dots and slashes', () => {
    const matches = matchAny(['layer1.*', 'head', 'encoder/**/query', 'a[b]', '!x']);
    const yes = ['layer1.0.conv1', 'layer1.0/conv', 'head', 'encoder/1/2/query', 'ab', 'a[b]', '!x'];
    const no = ['layer10.conv', 'heads', 'head.1', 'encoder/query2', 'x', ''];
    expect(yes.filter((name) => !matches(name))).toEqual([]);
    expect(no.filter(matches)).toEqual([]);
  });

  it('with special characters are matched as they are', () => {
    const overrideOf = matchOverrides([{ match: 'conv(1)', rank: 3 }]);
    expect(overrideOf('conv(1)')?.rank).toBe(3);
    expect(overrideOf('conv2')).toBeUndefined();
  });
});
