/**
 * Singular values of layers, computed once and kept: for spectra on the screen, and as energies of weight bases. Weights
 * are read when a thread is free for them, so that a model with gigabytes of weights is gone through in little memory.
 */
import type { Layer } from '../analysis/layers';
import { readWeight } from '../analysis/weights';
import { UserError, weightNotReadable } from '../errors';
import { consumers } from '../graph/order';
import { outputMetric } from '../surgery/bases';
import { batchNormScale } from '../surgery/batchNorm';
import type { OpenedModel } from './models';
import type { SpectraPool } from './spectra/pool';

type Weights = Float32Array | Float64Array;

/** Energies of weight bases by layer, and why some layers have none. */
export interface WeightEnergies {
  readonly energies: ReadonlyMap<string, Float64Array>;
  readonly reasons: ReadonlyMap<string, string>;
}

interface Known {
  readonly values: Promise<Float64Array>;
  readonly interactive: boolean;
  done: boolean;
}

export class SingularValues {
  private readonly known = new Map<string, Known>();

  constructor(private readonly pool: SpectraPool) {}

  /**
   * Singular values of a layer's matrices, block after block.
   * @param scale weighs the outputs, e.g. by the BatchNormalization behind the layer
   * @param interactive somebody is looking: goes before everything that waits
   * @throws UserError `weight-not-readable`, `non-finite-matrix`, `matrix-too-large`
   */
  of(
    opened: OpenedModel,
    layer: Layer,
    { scale = null, interactive = false }: { scale?: Float64Array | null; interactive?: boolean } = {},
  ): Promise<Float64Array> {
    const key = [opened.model.path, opened.stamp, layer.name, scale ? 'scaled' : ''].join('\0');
    const known = this.known.get(key);
    // A layer that somebody looks at overtakes the queue it already waits in.
    if (known && (known.done || known.interactive || !interactive)) return known.values;
    const made: Known = { values: this.compute(layer, scale, interactive), interactive, done: false };
    this.known.set(key, made);
    made.values.then(
      () => {
        made.done = true;
      },
      () => this.known.delete(key),
    );
    return made.values;
  }

  private async compute(layer: Layer, scale: Float64Array | null, interactive: boolean): Promise<Float64Array> {
    const { matrices } = layer;
    if (!matrices) throw weightNotReadable({ layer: layer.name });
    const { blocks, rows, cols } = matrices;
    const data = (): Weights => {
      const weights = readWeight(layer.scope, layer.weight);
      if (weights?.length !== blocks * rows * cols) throw weightNotReadable({ layer: layer.name });
      return scale ? weigh(weights, scale, matrices) : weights;
    };
    return this.pool.submit({ data, blocks, rows, cols }, { interactive });
  }

  /** Energies of all layers that can be factorized: Σ over blocks of σ², largest first. */
  async energies(opened: OpenedModel, foldBatchNorm: boolean): Promise<WeightEnergies> {
    const readers = foldBatchNorm ? consumers(opened.model.graph) : null;
    const energies = new Map<string, Float64Array>();
    const reasons = new Map<string, string>();
    await Promise.all(
      opened.layers.map(async (layer) => {
        if (layer.reason !== null || !layer.matrices) return;
        try {
          const values = await this.of(opened, layer, { scale: readers && batchNormScale(layer, readers) });
          energies.set(layer.name, energyOf(values, layer.matrices.blocks));
        } catch (error) {
          if (!isAboutTheWeight(error)) throw error;
          reasons.set(layer.name, error.message);
        }
      }),
    );
    return { energies, reasons };
  }
}

/** Whether an error says something of the layer's weight, and not of the computation. */
export function isAboutTheWeight(error: unknown): error is UserError {
  const codes = ['weight-not-readable', 'non-finite-matrix', 'matrix-too-large'];
  return error instanceof UserError && codes.includes(error.code);
}

function energyOf(values: Float64Array, blocks: number): Float64Array {
  const size = values.length / blocks;
  const energy = new Float64Array(size);
  values.forEach((value, i) => {
    energy[i % size] = (energy[i % size] as number) + value * value;
  });
  return energy;
}

/** Multiplies what makes output o by the metric's o-th entry. */
function weigh(
  data: Weights,
  scale: Float64Array,
  { blocks, rows, cols, outputsAre }: NonNullable<Layer['matrices']>,
): Weights {
  const outputs = outputsAre === 'rows' ? rows : cols;
  const metric = outputMetric(scale, blocks * outputs);
  const weighed = data.slice();
  for (let i = 0; i < weighed.length; i++) {
    const block = Math.floor(i / (rows * cols));
    const output = outputsAre === 'rows' ? Math.floor(i / cols) - block * rows : i % cols;
    weighed[i] = (data[i] as number) * (metric[block * outputs + output] as number);
  }
  return weighed;
}
