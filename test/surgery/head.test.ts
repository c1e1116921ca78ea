/** A new classifier in place of the old one, in the forms that exporters write it. */
import { describe, expect, it } from 'vitest';
import { int } from '../../src/graph/graph';
import { validateGraph } from '../../src/graph/validate';
import { withNewHead } from '../../src/surgery/head';
import { type TensorRef, toFloat64 } from '../../src/tensor/tensor';
import { Net } from '../support/architectures/net';
import { runGraph } from '../support/graphs';
import { randomInputs } from '../support/surgery';

const options = { classes: 3, seed: 1, path: 'm.onnx' };

/** Features [N, 6, 4, 4] and what a classifier of 5 makes of them. */
function graphWith(classify: (net: Net, x: string) => string) {
  const net = new Net();
  net.output('y', classify(net, net.relu(net.conv('body', net.input('x', ['N', 2, 4, 4]), 6, { kernel: 3 }))));
  return net.graph();
}
const pooled = (net: Net, x: string): string => net.op('Flatten', [net.op('GlobalAveragePool', [x])]);

const heads: Record<string, (net: Net, x: string) => string> = {
  'a Gemm of rows': (net, x) => net.gemm('head', pooled(net, x), 6, 5),
  'a Gemm of columns': (net, x) =>
    net.op('Gemm', [pooled(net, x), net.random('head.weight', [6, 5]), net.random('head.bias', [5])]),
  'a product and a sum': (net, x) => net.linear('head', pooled(net, x), 6, 5),
  'a product with a transposed weight': (net, x) =>
    net.op('MatMul', [pooled(net, x), net.transpose(net.random('head.weight', [5, 6]), [1, 0])]),
  'a convolution of single pixels': (net, x) =>
    net.op('Flatten', [net.conv('head', net.op('GlobalAveragePool', [x]), 5, { bias: true })]),
  'a softmax behind it': (net, x) => net.op('Softmax', [net.gemm('head', pooled(net, x), 6, 5)], { axis: int(1) }),
};

describe.each(Object.entries(heads))('%s', (name, classify) => {
  it('gets random weights for other classes; what comes before stays', async () => {
    const graph = graphWith(classify);
    const head = withNewHead(graph, options);
    expect(head).toMatchObject({ layer: expect.stringContaining('head'), classesBefore: 5 });
    validateGraph(head.graph);
    const { y } = await runGraph(head.graph, randomInputs(graph));
    expect(y.dims).toEqual([2, 3]);
    if (name.startsWith('a softmax')) expect(toFloat64(y).reduce((a, b) => a + b)).toBeCloseTo(2, 5);
    expect(head.graph.initializers.get('body.weight')).toBe(graph.initializers.get('body.weight'));
    const weight = toFloat64(head.graph.initializers.get('head.weight')?.read() ?? y);
    expect(weight).toHaveLength(18);
    expect(Math.max(...weight.map(Math.abs))).toBeLessThanOrEqual(1 / Math.sqrt(6));
    expect(new Set(weight).size).toBe(18);
    const bias = head.graph.initializers.get('head.bias');
    if (bias) expect([...toFloat64(bias.read())]).toEqual([0, 0, 0]);
  });

  it('is the same for the same seed', () => {
    const weightOf = (seed: number) => {
      const made = withNewHead(graphWith(classify), { ...options, seed });
      return toFloat64((made.graph.initializers.get('head.weight') as TensorRef).read());
    };
    expect(weightOf(1)).toEqual(weightOf(1));
    expect(weightOf(2)).not.toEqual(weightOf(1));
  });
});

describe('is refused', () => {
  const refused: Record<string, [(net: Net, x: string) => string, string]> = {
    'for a weight that is used elsewhere': [
      (net, x) => {
        const weight = net.random('head.weight', [6, 6]);
        return net.op('MatMul', [net.relu(net.op('MatMul', [pooled(net, x), weight])), weight]);
      },
      'used elsewhere',
    ],
    'for a convolution over several pixels': [(net, x) => net.conv('head', x, 5, { kernel: 3 }), 'several pixels'],
    'where something else comes after it': [
      (net, x) => net.op('TopK', [net.gemm('head', pooled(net, x), 6, 5)]),
      'comes after it',
    ],
    'where another value is added': [
      (net, x) => net.add(net.gemm('head', pooled(net, x), 6, 6), pooled(net, x)),
      'joins it with another value',
    ],
  };
  it.each(Object.entries(refused))('%s', (_name, [classify, reason]) => {
    expect(() => withNewHead(graphWith(classify), options)).toThrow(
      expect.objectContaining({ code: 'head-not-replaceable', message: expect.stringContaining(reason) }),
    );
  });
});
