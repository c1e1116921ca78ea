/** Projections: what settings would do to a model, from what is known of its bases. */
import type { PruneSettings } from '../protocol/recipe';
import { type BasisPlan, type Energies, planBasis } from '../prune/basis';
import type { LayerShape } from '../prune/cost';
import { effectiveBias } from '../surgery/factorize';
import { dataTypes, elementCount } from '../tensor/dtype';
import type { OpenedModel } from './models';
import type { WeightEnergies } from './singularValues';

/**
 * @param calibrated energies of activation bases, or null to go by the weights
 * @param weights energies of weight bases; not looked at when there are calibrated ones
 */
export function projectPlan(
  opened: OpenedModel,
  settings: PruneSettings,
  calibrated: Energies | null,
  weights: WeightEnergies | null,
): BasisPlan {
  const basis = calibrated ? 'activations' : 'weights';
  const shapes = new Map<string, LayerShape>();
  for (const [i, layer] of opened.layers.entries()) {
    const facts = opened.facts.layers[i] as LayerShape['facts'];
    if (!layer.matrices || !facts.matrices) continue;
    const outputs =
      layer.matrices.blocks * (layer.matrices.outputsAre === 'rows' ? layer.matrices.rows : layer.matrices.cols);
    const bias = layer.bias ? elementCount(layer.bias.dims) : 0;
    const newBias = calibrated?.has(layer.name) === true && effectiveBias(layer, outputs) !== null;
    shapes.set(layer.name, {
      facts,
      weightTensor: layer.weight.ref.name,
      biasTensor: layer.bias?.ref.name ?? null,
      bias,
      biasAfter: newBias ? outputs : bias,
      newBias,
      elementBytes: dataTypes[layer.weight.ref.dtype].bits / 8,
    });
  }
  return planBasis(
    {
      facts: opened.facts,
      shapes,
      energies: calibrated ?? weights?.energies ?? new Map(),
      reasons: weights?.reasons ?? new Map(),
      uses: opened.uses,
      basis,
    },
    settings,
  );
}
