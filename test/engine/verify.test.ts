/** What keeps a wrong candidate from being saved: each check, with a candidate that fails it. */
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { OpenModels } from '../../src/engine/models';
import { type Expected, relativeDifference, sameOnNoise, verifyCandidate } from '../../src/engine/verify';
import type { Graph, ModelMetadata } from '../../src/graph/graph';
import type { Totals } from '../../src/protocol/facts';
import { fromFloat, type Tensor } from '../../src/tensor/tensor';
import { Net } from '../support/architectures/net';
import { factsOf, metadataOf, randomTensor } from '../support/graphs';
import { modelBytes, temporaryFile } from '../support/onnxBuilder';
import { smallClassifier } from '../support/smallClassifier';
import { cutTo } from '../support/surgery';

const graph = smallClassifier();
const feeds = { image: randomTensor([2, 3, 32, 32]) };
/** Two layers cut, as they are written, and as the masked model that they are held against. */
const cuts = (finish: 'two-layers' | 'recombined', lastRank = 20): Graph =>
  cutTo(cutTo(graph, 10, { name: 'middle', finish }), lastRank, { name: 'last', finish });

const models = new OpenModels();
let expected: Expected;
let totals: Totals;
beforeAll(async () => {
  totals = (await factsOf(cuts('two-layers'))).totals;
  const original = models.get(temporaryFile(modelBytes(graph))).model;
  expected = {
    original,
    reference: { graph: cuts('recombined'), metadata: metadataOf(), name: 'the masked model' },
    totals,
    shapes: undefined,
    feeds,
  };
});
afterAll(() => models.closeAll());

const verify = (candidate: Graph, changes: Partial<Expected> = {}, opset = 17) =>
  verifyCandidate(temporaryFile(modelBytes(candidate, opset)), { ...expected, ...changes });

describe('a candidate', () => {
  it('that is what was planned passes every check', async () => {
    const checks = await verify(cuts('two-layers'));
    expect(checks).toHaveLength(6);
    for (const { passed, detail } of checks) expect([passed, detail]).toEqual([true, expect.stringMatching(/./)]);
  });

  it('of a model that cannot be run is checked without running it', async () => {
    expect(await verify(cuts('two-layers'), { feeds: null })).toHaveLength(5);
  });

  const renamed = (): Graph => ({ ...cuts('two-layers'), outputs: [{ name: 'c2', dtype: 'float32', shape: null }] });
  const wrong: [string, () => Promise<unknown>, string, RegExp][] = [
    ['with another output', () => verify(renamed()), 'Inputs and outputs are unchanged', /c2/],
    ['for another operator set', () => verify(cuts('two-layers'), {}, 18), 'Metadata is unchanged', /opset 18/],
    [
      'with another number of parameters',
      () => verify(cuts('two-layers'), { totals: { ...totals, params: totals.params + 1 } }),
      'Parameters as predicted',
      new RegExp(`${/\d+/.source} in the written file`),
    ],
    [
      'with another number of multiply-accumulates',
      () => verify(cuts('two-layers'), { totals: { ...totals, macs: (totals.macs as number) - 1 } }),
      'MACs as predicted',
      /predicted/,
    ],
    [
      'with another size',
      () => verify(cuts('two-layers'), { totals: { ...totals, bytes: 0 } }),
      'Weight bytes as predicted',
      /, 0 predicted/,
    ],
    [
      'that computes something else in one layer',
      () => verify(cuts('two-layers'), { reference: { ...expected.reference, graph: cuts('recombined', 19) } }),
      'Outputs equal those of the masked model',
      /the first layer to differ is last$/,
    ],
    [
      'that computes something else from an early layer on',
      () =>
        verify(cuts('two-layers'), {
          reference: { ...expected.reference, graph: cutTo(cuts('recombined', 19), 9, { name: 'middle.recombined' }) },
        }),
      'Outputs equal those of the masked model',
      /the first layer to differ is middle$/,
    ],
  ];
  it.each(wrong)('%s is refused, with the check and what it found', async (_name, verified, check, detail) => {
    await expect(verified()).rejects.toMatchObject({
      code: 'verification-failed',
      message: expect.stringMatching(new RegExp(`'${check}' failed: .*${detail.source}`.replace(/\$$/, '.$'))),
    });
  });
});

test('outputs are compared relative to the largest value, and what is no number never passes', () => {
  const tensor = (...values: number[]): Tensor => fromFloat(Float64Array.from(values), 'float64', [values.length]);
  const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;
  expect(relativeDifference(tensor(1, -4), tensor(1, -3))).toBe(0.25);
  expect(relativeDifference(tensor(0, 0), tensor(0, 0))).toBe(0);
  expect(relativeDifference(tensor(nan, infinity, 1), tensor(nan, infinity, 1))).toBe(0);
  expect(relativeDifference(tensor(1, 2), tensor(nan, 2))).toBeNaN();
  expect(relativeDifference(tensor(nan, 2), tensor(1, 2))).toBeNaN();
  expect(relativeDifference(tensor(infinity), tensor(1))).toBeNaN();
  expect(relativeDifference(tensor(1, 2), tensor(1, 2, 3))).toBeNaN();
});

describe('noise', () => {
  const network = (...opTypes: string[]): { graph: Graph; metadata: ModelMetadata } => {
    const net = new Net();
    net.output(
      'y',
      opTypes.reduce((x, opType) => net.op(opType, [x]), net.input('x', [1, 3, 4])),
    );
    return { graph: net.graph(), metadata: metadataOf() };
  };
  const same = async (a: string[], b: string[]): Promise<boolean> => {
    const options = { shapes: { x: [1, 3, 4] }, seed: 1 };
    return (await sameOnNoise('Same', [network(...a), network(...b)], options)).passed;
  };

  it('has both signs, as a difference may be in either', async () => {
    expect(await same(['Relu'], ['Identity'])).toBe(false);
    expect(await same(['Neg', 'Relu'], ['Neg', 'Identity'])).toBe(false);
    expect(await same(['Neg', 'Abs'], ['Abs'])).toBe(true);
  });

  it('is from 0 to 1 for networks that give no numbers below', async () => {
    expect(await same(['Sqrt', 'Exp'], ['Sqrt', 'Exp', 'Abs'])).toBe(true);
    expect(await same(['Sqrt'], ['Sqrt', 'Exp'])).toBe(false);
    expect(await same(['Sqrt'], ['Abs', 'Sqrt'])).toBe(true);
  });
});
