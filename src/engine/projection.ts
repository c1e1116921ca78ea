/** Projections: what settings would do to a model, from what is known of its bases. */
import type { PruneSettings } from '../protocol/recipe';
import { type BasisPlan, planBasis } from '../prune/basis';
import type { LayerShape } from '../prune/cost';
import { matchAny } from '../prune/match';
import { hasTarget, usesProtect } from '../settings/methods';
import { hasPlainBias } from '../surgery/factorize';
import { dataTypes, elementCount } from '../tensor/dtype';
import type { Calibrated } from './calibration';
import type { OpenedModel } from './models';
import type { WeightEnergies } from './singularValues';

/**
 * @param calibrated energies and importance of activation bases, or null to go by the weights
 * @param weights energies of weight bases; not looked at when there are calibrated ones, or when the method has no target:
 *   the projection, without its details, is then the same whatever they are
 */
export function projectPlan(
  opened: OpenedModel,
  settings: PruneSettings,
  calibrated: Calibrated | null,
  weights: WeightEnergies | null,
): BasisPlan {
  const basis = calibrated ? 'activations' : 'weights';
  const shapes = new Map<string, LayerShape>();
  for (const [i, { name, matrices, weight, bias }] of opened.layers.entries()) {
    if (!matrices) continue;
    const outputs = matrices.blocks * (matrices.outputsAre === 'rows' ? matrices.rows : matrices.cols);
    const elementBytes = dataTypes[weight.dtype].bits / 8;
    const writesBias = calibrated?.energies.has(name) && hasPlainBias(opened.layers[i], outputs);
    shapes.set(name, {
      facts: opened.facts.layers[i],
      weightTensor: weight.ref.name,
      biasTensor: bias?.ref.name ?? null,
      bias: { params: bias ? elementCount(bias.dims) : 0, bytes: bias?.ref.bytes ?? 0 },
      newBias: writesBias ? { params: outputs, bytes: outputs * elementBytes } : null,
      elementBytes,
    });
  }
  const settled = hasTarget(settings) ? settings : uncut(settings);
  const plan = planBasis(
    {
      facts: opened.facts,
      shapes,
      energies: calibrated?.energies ?? weights?.energies ?? new Map(),
      importance: calibrated?.importance ?? undefined,
      reasons: weights?.reasons ?? new Map(),
      uses: opened.uses,
      basis,
    },
    settled,
  );
  return settled === settings ? plan : withoutReasons(plan, settled);
}

/** Why a layer has no smaller form is no matter where none is looked for; that it is protected is. */
function withoutReasons({ projection, ...rest }: BasisPlan, { protect }: PruneSettings): BasisPlan {
  const isProtected = matchAny(protect);
  const layers = projection.layers.map((layer) => (isProtected(layer.layer) ? layer : { ...layer, reason: null }));
  return { ...rest, projection: { ...projection, layers } };
}

/** Settings that ask for nothing to be pruned. */
function uncut(settings: PruneSettings): PruneSettings {
  const protect = usesProtect(settings) ? settings.protect : [];
  return { ...settings, target: { kind: 'macs', value: 1 }, layers: [], protect };
}
