/** Energies of weight bases, for projections without data: squared singular values, BatchNormalization included or not. */
import type { Layer } from '../analysis/layers';
import { readWeight } from '../analysis/weights';
import { consumers } from '../graph/order';
import { outputMetric } from '../surgery/bases';
import { batchNormScale } from '../surgery/batchNorm';
import type { OpenedModel } from './models';
import type { SpectraPool } from './spectra/pool';

/** Singular values of one layer, block after block; null when its weight can't be read as matrices. */
export async function blockValues(
  pool: SpectraPool,
  layer: Layer,
  scale: Float64Array | null = null,
): Promise<Float64Array | null> {
  if (!layer.matrices) return null;
  const data = readWeight(layer.scope, layer.weight);
  if (!data) return null;
  const { blocks, rows, cols, outputsAre } = layer.matrices;
  if (data.length !== blocks * rows * cols) return null;
  const weighed = scale ? weigh(data, scale, blocks, rows, cols, outputsAre) : data;
  return pool.submit({ data: weighed, blocks, rows, cols });
}

function weigh(
  data: Float32Array | Float64Array,
  scale: Float64Array,
  blocks: number,
  rows: number,
  cols: number,
  outputsAre: 'rows' | 'cols',
): Float32Array | Float64Array {
  const outputs = outputsAre === 'rows' ? rows : cols;
  const metric = outputMetric(scale, blocks * outputs);
  return data.map((w: number, i: number) => {
    const block = Math.floor(i / (rows * cols));
    const output = outputsAre === 'rows' ? Math.floor(i / cols) - block * rows : i % cols;
    return w * (metric[block * outputs + output] as number);
  }) as Float32Array | Float64Array;
}

/** Energies of all layers that can be factorized: Σ over blocks of σ², largest first. */
export async function weightEnergies(
  pool: SpectraPool,
  opened: OpenedModel,
  foldBatchNorm: boolean,
): Promise<Map<string, Float64Array>> {
  const readers = foldBatchNorm ? consumers(opened.model.graph) : null;
  const found = await Promise.all(
    opened.layers
      .filter((layer) => layer.reason === null)
      .map(async (layer): Promise<[string, Float64Array] | null> => {
        const values = await blockValues(pool, layer, readers && batchNormScale(layer, readers));
        if (!values || !layer.matrices) return null;
        const size = values.length / layer.matrices.blocks;
        const energy = new Float64Array(size);
        values.forEach((value, i) => {
          energy[i % size] = (energy[i % size] as number) + value * value;
        });
        return [layer.name, energy];
      }),
  );
  return new Map(found.filter((entry) => entry !== null));
}
