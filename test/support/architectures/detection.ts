/** Networks that join resolutions (Ronneberger et al., 2015) and that give boxes and classes (Liu et al., 2016; Redmon and Farhadi, 2018), small. */
import { type Graph, int, string } from '../../../src/graph/graph';
import { Net } from './net';

const image = (net: Net): string => net.input('x', ['N', 3, 8, 8]);

/** Down, up by transposed convolutions or by Resize (to sizes or by scales), each level joined with its counterpart. */
export function uNet(up: 'transposed' | 'scales' | 'sizes'): Graph {
  const net = new Net();
  const first = net.block('down0', image(net), 6, { kernel: 3 });
  const second = net.block('down1', net.pool(first), 8, { kernel: 3 });
  let x = net.block('bottom', net.pool(second), 10, { kernel: 3 });
  for (const [i, [side, width]] of [
    [second, 8],
    [first, 6],
  ].entries() as IterableIterator<[number, [string, number]]>) {
    if (up === 'transposed') x = net.upConv(`up${i}`, x, width);
    else {
      const size = 4 * 2 ** i;
      // Batch and channels as they are, positions as the exporter saw them.
      const leading = net.op('Slice', [net.op('Shape', [x]), net.ints([0]), net.ints([2])]);
      const sizes = net.op('Concat', [leading, net.ints([size, size])], { axis: int(0) });
      const target = up === 'scales' ? [net.floats([1, 1, 2, 2])] : ['', sizes];
      x = net.op('Resize', [x, '', ...target], { mode: string('nearest') });
    }
    x = net.block(`join${i}`, net.concat([side, x]), width, { kernel: 3 });
  }
  net.output('y', net.op('Sigmoid', [net.conv('mask', x, 1, { bias: true })]));
  return net.graph();
}

/** Boxes and class scores of two resolutions, each put last, flattened and joined. */
export function ssd(): Graph {
  const net = new Net();
  const first = net.block('base0', image(net), 8, { kernel: 3, stride: 2 });
  const second = net.block('base1', first, 10, { kernel: 3, stride: 2 });
  const flat = (name: string, x: string, each: number): string =>
    net.reshape(net.transpose(net.conv(name, x, 2 * each, { kernel: 3, bias: true }), [0, 2, 3, 1]), [0, -1, each]);
  const boxes = net.concat([flat('boxes0', first, 4), flat('boxes1', second, 4)]);
  const scores = net.concat([flat('scores0', first, 3), flat('scores1', second, 3)]);
  net.output('boxes', boxes);
  net.output('scores', net.op('Softmax', [scores], { axis: int(2) }));
  return net.graph();
}

/** Three anchors of five numbers at each position, with a coarse level that is led back into the fine one. */
export function yolo(): Graph {
  const net = new Net();
  const fine = net.block('base0', image(net), 8, { kernel: 3, act: 'LeakyRelu' });
  const coarse = net.block('base1', fine, 10, { kernel: 3, stride: 2, act: 'LeakyRelu' });
  const lead = net.block('lead', coarse, 4, { act: 'LeakyRelu' });
  const raised = net.op('Resize', [lead, '', net.floats([1, 1, 2, 2])], { mode: string('nearest') });
  const detect = (name: string, x: string, size: number): string => {
    const apart = net.reshape(net.conv(name, x, 15, { bias: true }), [-1, 3, 5, size, size]);
    return net.reshape(net.op('Sigmoid', [net.transpose(apart, [0, 1, 3, 4, 2])]), [0, -1, 5]);
  };
  net.output('y', net.concat([detect('detect0', net.concat([fine, raised]), 8), detect('detect1', coarse, 4)]));
  return net.graph();
}
