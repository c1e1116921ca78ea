/** Residual and densely connected networks (He et al., 2016; Huang et al., 2017; Xie et al., 2017), small. */
import type { Graph } from '../../../src/graph/graph';
import { int, ints } from '../../../src/graph/graph';
import { Net } from './net';

const image = (net: Net): string => net.input('x', ['N', 3, 8, 8]);

/** Two 3×3 convolutions per block; a 1×1 projection where the width changes. */
export function basicResNet(): Graph {
  const net = new Net();
  let x = net.block('stem', image(net), 8, { kernel: 3 });
  for (const [name, width, stride] of [
    ['a', 8, 1],
    ['b', 12, 2],
    ['c', 12, 1],
  ] as const) {
    const inner = net.block(`${name}.conv1`, x, width, { kernel: 3, stride });
    const y = net.block(`${name}.conv2`, inner, width, { kernel: 3, act: null });
    const shortcut = stride === 1 ? x : net.block(`${name}.proj`, x, width, { stride, act: null });
    x = net.relu(net.add(y, shortcut));
  }
  net.head(x);
  return net.graph();
}

/** ResNet-56 for 32×32 images (He et al., 2016, section 4.2), with 1×1 projections where the width changes. */
export function resNet56(): Graph {
  const net = new Net();
  let x = net.block('stem', net.input('x', ['N', 3, 32, 32]), 16, { kernel: 3 });
  for (const [stage, width] of [16, 32, 64].entries()) {
    for (let block = 0; block < 9; block++) {
      const name = `layer${stage + 1}.${block}`;
      const stride = stage > 0 && block === 0 ? 2 : 1;
      const inner = net.block(`${name}.conv1`, x, width, { kernel: 3, stride });
      const y = net.block(`${name}.conv2`, inner, width, { kernel: 3, act: null });
      const shortcut = stride === 1 ? x : net.block(`${name}.proj`, x, width, { stride, act: null });
      x = net.relu(net.add(y, shortcut));
    }
  }
  net.head(x, 10);
  return net.graph();
}

/** 1×1, 3×3 (in groups, as ResNeXt has it), 1×1. */
export function bottleneckResNet(groups = 1): Graph {
  const net = new Net();
  let x = net.block('stem', image(net), 8, { kernel: 3 });
  for (const name of ['a', 'b']) {
    const wide = net.block(`${name}.conv1`, x, 8);
    const middle = net.block(`${name}.conv2`, wide, 8, { kernel: 3, groups });
    const y = net.block(`${name}.conv3`, middle, 16, { act: null });
    x = net.relu(net.add(y, name === 'a' ? net.block('a.proj', x, 16, { act: null }) : x));
  }
  net.head(x);
  return net.graph();
}

/** Normalization and activation before each convolution. */
export function preActivationResNet(): Graph {
  const net = new Net();
  let x = net.conv('stem', image(net), 8, { kernel: 3 });
  for (const name of ['a', 'b']) {
    const first = net.conv(`${name}.conv1`, net.relu(net.batchNorm(`${name}.bn1`, x)), 6, { kernel: 3 });
    const second = net.conv(`${name}.conv2`, net.relu(net.batchNorm(`${name}.bn2`, first)), 8, { kernel: 3 });
    x = net.add(x, second);
  }
  net.head(net.relu(net.batchNorm('last', x)));
  return net.graph();
}

/** Shortcuts that are padded with zero channels on both sides; the pads come out of a chain of nodes, or are stored. */
export function paddedResNet(computed: boolean): Graph {
  const net = new Net();
  let x = net.block('stem', image(net), 6, { kernel: 3 });
  for (const [name, from, to] of [
    ['a', 6, 12],
    ['b', 12, 18],
  ] as const) {
    const inner = net.block(`${name}.conv1`, x, to, { kernel: 3, stride: 2 });
    const y = net.block(`${name}.conv2`, inner, to, { kernel: 3, act: null });
    const [starts, ends, axes, steps] = [
      [0, 0],
      [100, 100],
      [2, 3],
      [2, 2],
    ].map((v) => net.ints(v));
    const narrow = net.op('Slice', [x, starts, ends, axes, steps]);
    const side = (to - from) / 2;
    const amounts = [0, side, 0, 0, 0, side, 0, 0];
    const pads = computed
      ? net.op(
          'Cast',
          [net.op('Concat', [net.ints(amounts.slice(0, 4)), net.ints(amounts.slice(4))], { axis: int(0) })],
          {
            to: int(7),
          },
        )
      : net.ints(amounts);
    x = net.relu(net.add(y, net.op('Pad', [narrow, pads], {}, to)));
  }
  net.head(x);
  return net.graph();
}

/** Every layer reads all layers before it; transitions halve the width. */
export function denseNet(): Graph {
  const net = new Net();
  let x = net.conv('stem', image(net), 6, { kernel: 3 });
  for (const name of ['a', 'b']) {
    for (let i = 0; i < 3; i++) {
      const inner = net.conv(`${name}.${i}.conv1`, net.relu(net.batchNorm(`${name}.${i}.bn1`, x)), 8);
      const grown = net.conv(`${name}.${i}.conv2`, net.relu(net.batchNorm(`${name}.${i}.bn2`, inner)), 4, {
        kernel: 3,
      });
      x = net.concat([x, grown]);
    }
    if (name === 'a') x = net.pool(net.conv('transition', net.relu(net.batchNorm('transition.bn', x)), 8));
  }
  net.head(net.relu(net.batchNorm('last', x)));
  return net.graph();
}

/** Plain convolutions, and a classifier on all positions of the last ones. */
export function vgg({ channelsLast = false } = {}): Graph {
  const net = new Net();
  let x = image(net);
  for (const [i, width] of [6, 8, 10].entries()) {
    x = net.relu(net.conv(`conv${i}`, x, width, { kernel: 3, bias: true }));
    if (i < 2) x = net.pool(x);
  }
  if (channelsLast) x = net.transpose(x, [0, 2, 3, 1]);
  const flat = channelsLast ? net.reshape(x, [-1, 40]) : net.op('Flatten', [x], { axis: int(1) });
  const hidden = net.relu(net.gemm('fc1', flat, 40, 12));
  net.output('y', net.gemm('fc2', hidden, 12, 4));
  return net.graph();
}

/** Branches of different kernels side by side. */
export function inception(): Graph {
  const net = new Net();
  let x = net.block('stem', image(net), 8, { kernel: 3 });
  for (const name of ['a', 'b']) {
    const pooled = net.op('AveragePool', [x], { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) });
    x = net.concat([
      net.block(`${name}.1x1`, x, 4),
      net.block(`${name}.3x3`, net.block(`${name}.3x3r`, x, 6), 6, { kernel: 3 }),
      net.block(`${name}.5x5`, net.block(`${name}.5x5r`, x, 4), 5, { kernel: 5 }),
      net.block(`${name}.pool`, pooled, 3),
    ]);
  }
  net.head(x);
  return net.graph();
}
