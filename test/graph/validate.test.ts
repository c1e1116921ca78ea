/** What a graph may and may not look like; files with such graphs are in the tests of the formats. */
import { describe, expect, it } from 'vitest';
import { type Attribute, type Graph, makeNode } from '../../src/graph/graph';
import { validateGraph } from '../../src/graph/validate';
import { int64Tensor } from '../../src/tensor/tensor';
import { makeGraph, value } from '../support/onnxBuilder';

const body = (parts: Parameters<typeof makeGraph>[0]): Attribute => ({ kind: 'graph', value: makeGraph(parts) });
const x = [value('x')];
const y = [value('y')];

describe('a graph is valid', () => {
  const rows: Record<string, Graph> = {
    'when it is empty': makeGraph({ nodes: [], inputs: [], outputs: [] }),
    'when inputs are omitted': makeGraph({
      nodes: [makeNode('Clip', ['x', '', ''], ['y', ''])],
      inputs: x,
      outputs: y,
    }),
    'when an initializer bears the name of an input': makeGraph({
      nodes: [makeNode('Add', ['x', 'w'], ['y'])],
      inputs: [...x, value('w')],
      outputs: y,
      initializers: { w: int64Tensor([1]) },
    }),
    'when an output is an input or an initializer': makeGraph({
      nodes: [],
      inputs: x,
      outputs: [...x, value('w')],
      initializers: { w: int64Tensor([1]) },
    }),
    'when a sparse initializer is read': {
      ...makeGraph({ nodes: [makeNode('Relu', ['s'], ['y'])], inputs: [], outputs: y }),
      sparseInitializers: ['s'],
    },
    'when a body reads values from outside, two levels up': makeGraph({
      nodes: [
        makeNode('Relu', ['x'], ['h']),
        makeNode('If', ['x'], ['y'], {
          then_branch: body({
            nodes: [
              makeNode('If', ['x'], ['a'], {
                then_branch: body({ nodes: [makeNode('Relu', ['h'], ['b'])], inputs: [], outputs: [value('b')] }),
              }),
            ],
            inputs: [],
            outputs: [value('a')],
          }),
        }),
      ],
      inputs: x,
      outputs: y,
    }),
    'when two bodies use the same inner names, also names of the outer graph': makeGraph({
      nodes: [
        makeNode('If', ['x'], ['y'], {
          then_branch: body({ nodes: [makeNode('Relu', ['x'], ['i'])], inputs: [], outputs: [value('i')] }),
          else_branch: body({ nodes: [makeNode('Neg', ['x'], ['i'])], inputs: [value('x')], outputs: [value('i')] }),
        }),
      ],
      inputs: x,
      outputs: y,
    }),
  };
  it.each(Object.keys(rows))('%s', (what) => expect(() => validateGraph(rows[what])).not.toThrow());
});

describe('a graph is refused', () => {
  const rows: [what: string, code: string, graph: Graph][] = [
    [
      'when a value of a body is read outside',
      'undefined-value',
      makeGraph({
        nodes: [
          makeNode('If', ['x'], ['h'], {
            then_branch: body({ nodes: [makeNode('Relu', ['x'], ['i'])], inputs: [], outputs: [value('i')] }),
          }),
          makeNode('Relu', ['i'], ['y']),
        ],
        inputs: x,
        outputs: y,
      }),
    ],
    [
      'when a body reads what its own node defines',
      'cyclic-graph',
      makeGraph({
        nodes: [
          makeNode('If', ['x'], ['y'], {
            then_branch: body({ nodes: [makeNode('Relu', ['y'], ['i'])], inputs: [], outputs: [value('i')] }),
          }),
        ],
        inputs: x,
        outputs: y,
      }),
    ],
    [
      'when a cycle goes through many nodes',
      'cyclic-graph',
      makeGraph({
        nodes: Array.from({ length: 5000 }, (_, i) => makeNode('Relu', [`v${(i + 4999) % 5000}`], [`v${i}`])),
        inputs: [],
        outputs: [],
      }),
    ],
    [
      'when its nodes are in reverse order',
      'value-before-definition',
      makeGraph({
        nodes: Array.from({ length: 5000 }, (_, i) => makeNode('Relu', [`v${i + 1}`], [`v${i}`])),
        inputs: [value('v5000')],
        outputs: [],
      }),
    ],
    [
      'when one node defines a value twice',
      'duplicate-value',
      makeGraph({ nodes: [makeNode('Split', ['x'], ['y', 'y'])], inputs: x, outputs: y }),
    ],
    ['when an output of a body is undefined', 'undefined-output', ifWith(value('nothing'))],
  ];
  it.each(rows)('%s', (_, code, graph) => {
    expect(() => validateGraph(graph)).toThrow(expect.objectContaining({ code }));
  });

  function ifWith(output: ReturnType<typeof value>): Graph {
    const branch = body({ nodes: [], inputs: [], outputs: [output] });
    return makeGraph({ nodes: [makeNode('If', ['x'], ['y'], { then_branch: branch })], inputs: x, outputs: y });
  }
});
