/**
 * Made-up models for looking at the views and for their tests: residual networks of any number of layers whose spectra
 * decay like those of trained ones (a few strong directions over a bulk of noise). Seeded; all derived figures come
 * from the product's own functions.
 */
import { breakEvenRank, spectrumOf } from '../../../src/analysis/spectrum';
import { seededRandom } from '../../../src/linalg/random';
import type { LayerFacts, ModelFacts, Spectrum } from '../../../src/protocol/facts';

export interface PreviewModel {
  readonly facts: ModelFacts;
  spectrum(layer: string): Spectrum | null;
}

interface ConvShape {
  readonly name: string;
  readonly outputs: number;
  readonly inputs: number;
  readonly kernel: number;
  readonly side: number;
  readonly groups?: number;
}

const bytesPerWeight = 4;

function conv({ name, outputs, inputs, kernel, side, groups = 1 }: ConvShape): LayerFacts {
  const rows = outputs / groups;
  const cols = (inputs / groups) * kernel * kernel;
  const weights = outputs * cols;
  const depthwise = groups === inputs && groups > 1;
  return {
    name,
    node: `/${name.replaceAll('.', '/')}/Conv`,
    opType: 'Conv',
    path: [],
    weight: { name: `${name}.weight`, shape: [outputs, inputs / groups, kernel, kernel], dtype: 'float32', via: [] },
    params: weights,
    bytes: weights * bytesPerWeight,
    macs: weights * side * side,
    macsReason: null,
    outputShape: [1, outputs, side, side],
    matrices: depthwise ? null : { blocks: groups, rows, cols },
    fullRank: depthwise ? 0 : Math.min(rows, cols),
    breakEvenRank: depthwise ? null : breakEvenRank(cols, rows),
    reason: depthwise
      ? 'depthwise convolution: every filter is a single column of rank 1, so nothing can be gained'
      : null,
  };
}

function gemm(name: string, outputs: number, inputs: number): LayerFacts {
  const weights = outputs * inputs;
  return {
    ...conv({ name, outputs, inputs, kernel: 1, side: 1 }),
    node: `/${name}/Gemm`,
    opType: 'Gemm',
    weight: { name: `${name}.weight`, shape: [outputs, inputs], dtype: 'float32', via: [] },
    params: weights + outputs,
    bytes: (weights + outputs) * bytesPerWeight,
    outputShape: [1, outputs],
  };
}

/** A stem, residual blocks in four stages (every ninth layer depthwise) and a classifier. */
function layersOf(count: number): LayerFacts[] {
  if (count === 1) return [gemm('classifier', 96, 256)];
  const layers = [conv({ name: 'stem.conv', outputs: 32, inputs: 3, kernel: 3, side: 32 })];
  const inner = count - 2;
  for (let i = 0; i < inner; i++) {
    const stage = Math.min(3, Math.floor((i * 4) / Math.max(1, inner)));
    const channels = 32 * 2 ** Math.min(2, stage);
    const side = 32 / 2 ** stage;
    const name = `stage${stage + 1}.block${Math.floor(i / 3)}.conv${(i % 3) + 1}`;
    if (i % 9 === 7)
      layers.push(conv({ name, outputs: channels, inputs: channels, kernel: 3, side, groups: channels }));
    else layers.push(conv({ name, outputs: channels, inputs: channels, kernel: i % 3 === 2 ? 1 : 3, side }));
  }
  layers.push(gemm('classifier', 10, 128));
  return layers;
}

function singularValues(layer: LayerFacts, seed: number): Float64Array {
  const { blocks } = layer.matrices as NonNullable<LayerFacts['matrices']>;
  const random = seededRandom(seed);
  const decay = 1.5 + 6 * random.uniform();
  const values = new Float64Array(layer.fullRank * blocks);
  for (let block = 0; block < blocks; block++) {
    const own = Float64Array.from({ length: layer.fullRank }, (_, j) => {
      const position = j / layer.fullRank;
      return 3.2 * Math.exp(-decay * position) + 0.35 * (1 - position) + 0.05 * random.uniform();
    });
    // Trained layers often end in a few dead directions.
    if (seed % 3 === 0)
      for (let j = Math.floor(own.length * 0.92); j < own.length; j++) own[j] = 1e-9 * (2 - j / own.length);
    own.sort((a, b) => b - a);
    values.set(own, block * layer.fullRank);
  }
  return values;
}

export function previewModel(layerCount: number): PreviewModel {
  const layers = layersOf(layerCount);
  const sum = (pick: (layer: LayerFacts) => number) => layers.reduce((total, layer) => total + pick(layer), 0);
  const totals = {
    params: sum((layer) => layer.params) + 688,
    macs: sum((layer) => layer.macs ?? 0),
    bytes: sum((layer) => layer.bytes) + 688 * bytesPerWeight,
  };
  const places = new Map(layers.map((layer, i) => [layer.name, i]));
  return {
    facts: {
      path: `/home/ada/models/residual${layerCount}.onnx`,
      format: 'onnx',
      irVersion: 8,
      opset: 17,
      producer: 'pytorch 2.3.0',
      inputs: [{ name: 'input', dtype: 'float32', shape: ['N', 3, 32, 32] }],
      outputs: [{ name: 'logits', dtype: 'float32', shape: ['N', 10] }],
      nodeCount: layerCount * 2 + 9,
      fileBytes: totals.bytes + 9_421,
      totals,
      layers,
      shapes: { input: [1, 3, 32, 32] },
      shapesReason: null,
      notes: [],
    },
    spectrum(name) {
      const place = places.get(name);
      const layer = place === undefined ? undefined : layers[place];
      if (place === undefined || layer === undefined || layer.matrices === null) return null;
      const { blocks, rows, cols } = layer.matrices;
      return spectrumOf(name, singularValues(layer, place + 1), blocks, rows, cols);
    },
  };
}
