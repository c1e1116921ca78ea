/** Plans of graphs made in code, as the engine makes them. */
import { OpenModels } from '../../src/engine/models';
import { projectPlan } from '../../src/engine/projection';
import { SingularValues } from '../../src/engine/singularValues';
import { createSpectraPool } from '../../src/engine/spectra/pool';
import type { Graph } from '../../src/graph/graph';
import { type PruneSettings, type RecipeInput, settingsSchema } from '../../src/protocol/recipe';
import type { BasisPlan, Energies } from '../../src/prune/basis';
import { modelBytes, temporaryFile } from './onnxBuilder';

/** Settings as a recipe with these entries has them; half of the MACs by default. */
export function settingsOf(
  entries: Partial<Omit<RecipeInput, '$schema' | 'version' | 'model' | 'results'>> = {},
): PruneSettings {
  return settingsSchema.parse({ method: 'basis', target: { kind: 'macs', value: 0.5 }, ...entries });
}

/** The plan for a model file; by the weights, or by the energies of a calibration. */
export async function planFile(
  file: string,
  entries: Parameters<typeof settingsOf>[0] = {},
  energies: Energies | null = null,
): Promise<BasisPlan> {
  const models = new OpenModels();
  const pool = createSpectraPool(0, '');
  try {
    const settings = settingsOf(entries);
    const opened = await models.withShapes(file, settings.shapes);
    const weights = await new SingularValues(pool).energies(opened, settings.basis.foldBatchNorm);
    return projectPlan(opened, settings, energies && { energies, importance: null }, weights);
  } finally {
    models.closeAll();
    await pool.dispose();
  }
}

export function planGraph(graph: Graph, ...rest: [Parameters<typeof settingsOf>[0]?, (Energies | null)?]) {
  return planFile(temporaryFile(modelBytes(graph)), ...rest);
}
