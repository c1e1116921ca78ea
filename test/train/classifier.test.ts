/** The logits of a classifier, whatever stands between its softmax and its output. */
import { expect, test } from 'vitest';
import { int, makeNode } from '../../src/graph/graph';
import { beforeSoftmax } from '../../src/train/classifier';
import { prepareModel } from '../../src/train/prepare';
import { metadataOf } from '../support/graphs';
import { toyModel } from '../support/training';

type End = readonly [op: string, axis: number | null];

/** The toy model with more nodes behind 'y': y → e0 → e1 → … */
function ending(...ends: readonly End[]) {
  const toy = toyModel();
  const nodes = ends.map(([op, axis], i) =>
    makeNode(op, [i === 0 ? 'y' : `e${i - 1}`], [`e${i}`], axis === null ? {} : { axis: int(axis) }),
  );
  return { ...toy, nodes: [...toy.nodes, ...nodes], outputs: [{ ...toy.outputs[0], name: `e${ends.length - 1}` }] };
}

test.each<[string, readonly End[], [number, ...number[]], string]>([
  ['a softmax at the end', [['Softmax', 1]], [4, 3], 'y'],
  [
    'probabilities that are flattened',
    [
      ['Softmax', 1],
      ['Flatten', 1],
    ],
    [4, 3, 1, 1],
    'y',
  ],
  [
    'several nodes that only reshape',
    [
      ['LogSoftmax', null],
      ['Identity', null],
      ['Flatten', 1],
    ],
    [4, 3],
    'y',
  ],
  [
    'a softmax over one of two axes',
    [
      ['Softmax', 1],
      ['Flatten', 1],
    ],
    [4, 3, 2],
    'e1',
  ],
  [
    'a softmax over the batch',
    [
      ['Softmax', 0],
      ['Flatten', 1],
    ],
    [4, 1],
    'e1',
  ],
  [
    'probabilities that something changes',
    [
      ['Softmax', 1],
      ['Log', null],
    ],
    [4, 3],
    'e1',
  ],
])('%s', (_, ends, shape, expected) => {
  const graph = ending(...ends);
  expect(beforeSoftmax(graph, graph.outputs[0].name, new Map([['e0', shape]]))).toBe(expected);
});

test('without the shape of the softmax nothing behind it is looked through', () => {
  expect(beforeSoftmax(ending(['Softmax', 1], ['Flatten', 1]), 'e1', new Map())).toBe('e1');
});

test('training reads the logits of probabilities that are flattened, its own and the original’s', async () => {
  const graph = ending(['Softmax', 1], ['Flatten', 1]);
  const own = { graph, metadata: metadataOf() };
  const { outputs } = await prepareModel({ ...own, choice: 'all', teacher: own });
  expect(outputs).toMatchObject([{ name: 'e1', value: 'y' }]);
  expect(outputs[0].target).toMatch(/y$/);
});
