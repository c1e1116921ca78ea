/** Transformers (Vaswani et al., 2017; Dosovitskiy et al., 2021), small, in the forms that exporters write. */
import { type Graph, int } from '../../../src/graph/graph';
import { Net } from './net';

const WIDTH = 12;
const HEADS = 3;
const FEATURES = 4;

interface Sequence {
  readonly net: Net;
  readonly tokens: number;
}

/** softmax(Q·Kᵀ/√d)·V of [N, heads, tokens, features]; with √d stored, or worked out from the shape of Q. */
function attend({ net }: Sequence, q: string, kTransposed: string, v: string, scale: 'stored' | 'computed'): string {
  let divisor = net.floats([Math.sqrt(FEATURES)], []);
  if (scale === 'computed') {
    const size = net.op('Gather', [net.op('Shape', [q]), net.ints([-1], [])], { axis: int(0) });
    divisor = net.op('Sqrt', [net.op('Cast', [size], { to: int(1) })]);
  }
  const scores = net.op('Div', [net.op('MatMul', [q, kTransposed]), divisor]);
  return net.op('MatMul', [net.op('Softmax', [scores], { axis: int(-1) }), v]);
}

/** Queries, keys and values from layers of their own; the shapes of the heads are put together from the batch size. */
function attention(sequence: Sequence, name: string, x: string): string {
  const { net, tokens } = sequence;
  const batch = net.op('Unsqueeze', [
    net.op('Gather', [net.op('Shape', [x]), net.ints([0], [])], { axis: int(0) }),
    net.ints([0]),
  ]);
  const shape = net.op('Concat', [batch, net.ints([tokens, HEADS, FEATURES])], { axis: int(0) });
  const heads = (part: string, perm: readonly number[]): string =>
    net.transpose(net.op('Reshape', [net.linear(`${name}.${part}`, x, WIDTH, WIDTH), shape]), perm);
  const mixed = attend(
    sequence,
    heads('q', [0, 2, 1, 3]),
    heads('k', [0, 2, 3, 1]),
    heads('v', [0, 2, 1, 3]),
    'computed',
  );
  return net.linear(`${name}.out`, net.reshape(net.transpose(mixed, [0, 2, 1, 3]), [0, 0, WIDTH]), WIDTH, WIDTH);
}

/** Queries, keys and values from one layer. */
function fusedAttention(sequence: Sequence, name: string, x: string): string {
  const { net, tokens } = sequence;
  const all = net.reshape(net.linear(`${name}.qkv`, x, WIDTH, 3 * WIDTH), [-1, tokens, 3, HEADS, FEATURES]);
  const first = net.transpose(all, [2, 0, 3, 1, 4]);
  const [q, k, v] = [0, 1, 2].map((i) => net.op('Gather', [first, net.ints([i], [])], { axis: int(0) }));
  const mixed = attend(sequence, q, net.transpose(k, [0, 1, 3, 2]), v, 'stored');
  return net.linear(`${name}.out`, net.reshape(net.transpose(mixed, [0, 2, 1, 3]), [-1, tokens, WIDTH]), WIDTH, WIDTH);
}

function feedForward({ net }: Sequence, name: string, x: string): string {
  const hidden = net.linear(`${name}.fc1`, x, WIDTH, 16);
  return net.linear(`${name}.fc2`, net.op('Mul', [hidden, net.op('Sigmoid', [hidden])]), 16, WIDTH);
}

/** Words, positions, and layers that normalize behind each sum. */
export function encoder(): Graph {
  const net = new Net();
  const sequence = { net, tokens: 5 };
  const ids = net.input('ids', ['N', 5], 'int64');
  const words = net.op('Gather', [net.random('words', [7, WIDTH], 1), ids]);
  let x = net.layerNorm('norm', net.add(words, net.random('positions', [1, 5, WIDTH])), WIDTH);
  for (const name of ['a', 'b']) {
    x = net.layerNorm(`${name}.norm1`, net.add(x, attention(sequence, `${name}.attention`, x)), WIDTH);
    x = net.layerNorm(`${name}.norm2`, net.add(x, feedForward(sequence, name, x)), WIDTH);
  }
  net.output('y', net.linear('head', x, WIDTH, 4));
  return net.graph();
}

/** Patches, a class token that is repeated for each image, and layers that normalize before they read. */
export function vit(): Graph {
  const net = new Net();
  const sequence = { net, tokens: 5 };
  const image = net.input('x', ['N', 3, 8, 8]);
  const patches = net.op(
    'Conv',
    [image, net.random('patch.weight', [WIDTH, 3, 4, 4]), net.random('patch.bias', [WIDTH])],
    {
      strides: { kind: 'ints', value: [4, 4] },
    },
  );
  const words = net.transpose(net.reshape(patches, [0, WIDTH, -1]), [0, 2, 1]);
  const batch = net.op('Slice', [net.op('Shape', [image]), net.ints([0]), net.ints([1])]);
  const repeats = net.op('Concat', [batch, net.ints([1, WIDTH])], { axis: int(0) });
  const token = net.op('Expand', [net.random('token', [1, 1, WIDTH]), repeats]);
  let x = net.add(net.concat([token, words]), net.random('positions', [1, 5, WIDTH]));
  for (const name of ['a', 'b']) {
    x = net.add(x, fusedAttention(sequence, `${name}.attention`, net.layerNorm(`${name}.norm1`, x, WIDTH)));
    x = net.add(x, feedForward(sequence, name, net.layerNorm(`${name}.norm2`, x, WIDTH)));
  }
  const first = net.op('Gather', [net.layerNorm('norm', x, WIDTH), net.ints([0], [])], { axis: int(1) });
  net.output('y', net.gemm('head', first, WIDTH, 4));
  return net.graph();
}
