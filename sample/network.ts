/** The sample's network, before it has learnt anything: five convolutions and a classifier. */
import type { Graph } from '../src/graph/graph';
import { NetworkBuilder } from './builder';
import { channels, figures, side } from './draw';

const layers = [
  { channels: 32, pool: false },
  { channels: 64, pool: true },
  { channels: 128, pool: true },
  { channels: 128, pool: false },
  { channels: 128, pool: false },
];

/** Input `images` [N, 3, 32, 32], output `scores` [N, 8]; all weights are zero. */
export function sampleNetwork(): Graph {
  const net = new NetworkBuilder('shapes-cnn', [channels, side, side]);
  for (const [i, layer] of layers.entries()) {
    net.conv(`conv${i}`, layer.channels, 3, { pad: 1 }).normalization(`norm${i}`).relu(`relu${i}`);
    if (layer.pool) net.maxPool(`pool${i}`);
  }
  return net.averagePool('average').flatten('features').dense('head', figures.length, 'scores').graph();
}
