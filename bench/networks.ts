/**
 * Writes networks for MNIST with random weights as ONNX files, to be trained with `espalier prune --method fine-tune
 * --initial random` (docs/results.md has the commands and what they gave):
 *
 *     npm run bench -- networks FOLDER
 *
 * - lenet-300-100: two hidden dense layers (LeCun et al., 1998), 267 thousand parameters;
 * - lenet-5: the variant with 20 and 50 filters and 500 hidden units that pruning papers use, 431 thousand parameters;
 * - mnist-conv: three convolutions with BatchNormalization and one hidden dense layer, 459 thousand parameters.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { metadata, NetworkBuilder } from '../sample/builder';
import { serializeGraph } from '../src/formats/onnx/serialize';
import type { Graph } from '../src/graph/graph';
import { initialize } from '../src/train/initialize';

const side = 28;
const classes = 10;

const network = (name: string): NetworkBuilder => new NetworkBuilder(name, [1, side, side]);

const networks: Readonly<Record<string, () => Graph>> = {
  'lenet-300-100': () =>
    network('lenet-300-100')
      .flatten('pixels', side * side)
      .dense('fc1', 300)
      .relu('relu1')
      .dense('fc2', 100)
      .relu('relu2')
      .dense('fc3', classes, 'scores')
      .graph(),
  // As it is usual for this variant, nothing but pooling stands between the convolutions.
  'lenet-5': () =>
    network('lenet-5')
      .conv('conv1', 20, 5, { bias: true })
      .maxPool('pool1')
      .conv('conv2', 50, 5, { bias: true })
      .maxPool('pool2')
      .flatten('features', 50 * 4 * 4)
      .dense('fc1', 500)
      .relu('relu1')
      .dense('fc2', classes, 'scores')
      .graph(),
  'mnist-conv': () =>
    network('mnist-conv')
      .conv('conv1', 32, 3, { pad: 1 })
      .normalization('norm1')
      .relu('relu1')
      .maxPool('pool1')
      .conv('conv2', 64, 3, { pad: 1 })
      .normalization('norm2')
      .relu('relu2')
      .maxPool('pool2')
      .conv('conv3', 64, 3, { pad: 1 })
      .normalization('norm3')
      .relu('relu3')
      .flatten('features', 64 * 7 * 7)
      .dense('fc1', 128)
      .relu('relu4')
      .dense('fc2', classes, 'scores')
      .graph(),
};

const [folder] = process.argv.slice(2);
if (!folder) {
  console.error('Where to? npm run bench -- networks FOLDER');
  process.exitCode = 2;
} else {
  mkdirSync(folder, { recursive: true });
  for (const [name, make] of Object.entries(networks)) {
    const file = path.join(folder, `${name}.onnx`);
    writeFileSync(file, serializeGraph(initialize(make(), { seed: 0 }), metadata));
    console.log(`Wrote ${file}`);
  }
}
