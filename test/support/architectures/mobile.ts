/** Networks of depthwise and grouped convolutions (Howard et al., 2017, 2019; Sandler et al., 2018; Tan and Le, 2019; Zhang et al., 2018), small. */
import { float, type Graph, int } from '../../../src/graph/graph';
import { Net } from './net';

const image = (net: Net): string => net.input('x', ['N', 3, 8, 8]);

const depthwise = (net: Net, name: string, x: string, act?: string, stride = 1): string =>
  net.block(name, x, net.width(x), { kernel: 3, groups: net.width(x), stride, act });

export function mobileNet1(): Graph {
  const net = new Net();
  let x = net.block('stem', image(net), 6, { kernel: 3 });
  for (const [i, width] of [8, 12].entries()) x = net.block(`pw${i}`, depthwise(net, `dw${i}`, x), width);
  net.head(x);
  return net.graph();
}

/** Expand, depthwise, project; no activation behind the projection, and a shortcut where widths agree. */
export function mobileNet2(): Graph {
  const net = new Net();
  let x = net.block('stem', image(net), 6, { kernel: 3 });
  for (const [name, width] of [
    ['a', 6],
    ['b', 8],
    ['c', 8],
  ] as const) {
    const wide = net.block(`${name}.expand`, x, 12);
    const y = net.block(`${name}.project`, depthwise(net, `${name}.dw`, wide), width, { act: null });
    x = width === net.width(x) ? net.add(x, y) : y;
  }
  net.head(x);
  return net.graph();
}

/** Weighs channels by what two small layers make of their means. */
function squeezeExcite(net: Net, name: string, x: string, gate: string): string {
  const squeezed = net.relu(net.conv(`${name}.fc1`, net.op('GlobalAveragePool', [x]), 4, { bias: true }));
  const weights = net.op(gate, [net.conv(`${name}.fc2`, squeezed, net.width(x), { bias: true })]);
  return net.op('Mul', [x, weights]);
}

/** MobileNet 3 (HardSwish, HardSigmoid) or EfficientNet's MBConv (x·sigmoid(x)). */
export function mobileNet3(kind: 'mobileNet3' | 'efficientNet'): Graph {
  const net = new Net();
  const activate = (x: string): string =>
    kind === 'mobileNet3' ? net.op('HardSwish', [x]) : net.op('Mul', [x, net.op('Sigmoid', [x])]);
  const gate = kind === 'mobileNet3' ? 'HardSigmoid' : 'Sigmoid';
  let x = activate(net.block('stem', image(net), 6, { kernel: 3, act: null }));
  for (const name of ['a', 'b']) {
    const wide = activate(net.block(`${name}.expand`, x, 12, { act: null }));
    const deep = activate(net.block(`${name}.dw`, wide, 12, { kernel: 3, groups: 12, act: null }));
    const y = net.block(`${name}.project`, squeezeExcite(net, `${name}.se`, deep, gate), 6, { act: null });
    x = net.add(x, y);
  }
  net.head(x);
  return net.graph();
}

/** Channels of g groups dealt out in turn: [g, m] to [m, g]. */
function shuffle(net: Net, x: string, groups: number): string {
  const C = net.width(x);
  const apart = net.reshape(x, [0, groups, C / groups, 8, 8]);
  return net.reshape(net.transpose(apart, [0, 2, 1, 3, 4]), [0, C, 8, 8], C);
}

/** Grouped 1×1 convolutions with a shuffle between them. */
export function shuffleNet1(groups = 2): Graph {
  const net = new Net();
  let x = net.block('stem', image(net), 16, { kernel: 3 });
  for (const name of ['a', 'b']) {
    const inner = shuffle(net, net.block(`${name}.gconv1`, x, 16, { groups }), groups);
    const deep = net.block(`${name}.dw`, inner, 16, { kernel: 3, groups: 16, act: null });
    x = net.relu(net.add(x, net.block(`${name}.gconv2`, deep, 16, { groups, act: null })));
  }
  net.head(x);
  return net.graph();
}

/** Half of the channels pass by, the other half is convolved, and both are shuffled. */
export function shuffleNet2(): Graph {
  const net = new Net();
  let x = net.block('stem', image(net), 16, { kernel: 3 });
  for (const name of ['a', 'b']) {
    const [left, right] = net.ops('Split', [x, net.ints([8, 8])], 2, { axis: int(1) }, 8);
    const inner = net.block(`${name}.conv1`, right, 8);
    const deep = net.block(`${name}.dw`, inner, 8, { kernel: 3, groups: 8, act: null });
    x = shuffle(net, net.concat([left, net.block(`${name}.conv2`, deep, 8)]), 2);
  }
  net.head(x);
  return net.graph();
}

/** A large depthwise kernel, normalization over channels in the last axis, two linear layers and a scale. */
export function convNeXt(): Graph {
  const net = new Net();
  let x = net.conv('stem', image(net), 8, { kernel: 3, bias: true });
  for (const name of ['a', 'b']) {
    const deep = net.conv(`${name}.dw`, x, 8, { kernel: 7, groups: 8, bias: true });
    const last = net.layerNorm(`${name}.norm`, net.transpose(deep, [0, 2, 3, 1]), 8);
    const hidden = net.linear(`${name}.fc1`, last, 8, 16);
    // x·(1 + erf(x/√2))/2
    const erf = net.op('Erf', [net.op('Div', [hidden, net.floats([Math.SQRT2], [])])]);
    const active = net.op('Mul', [
      net.op('Mul', [hidden, net.op('Add', [erf, net.floats([1], [])])]),
      net.floats([0.5], []),
    ]);
    const scaled = net.op('Mul', [net.linear(`${name}.fc2`, active, 16, 8), net.random(`${name}.gamma`, [8])]);
    x = net.op('Add', [x, net.transpose(scaled, [0, 3, 1, 2])], {}, 8);
  }
  net.head(net.op('LeakyRelu', [x], { alpha: float(0.1) }));
  return net.graph();
}
