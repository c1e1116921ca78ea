/** Projections of methods without a target: what is known of the weights plays no part in them. */
import { describe, expect, test } from 'vitest';
import { OpenModels } from '../../src/engine/models';
import { projectPlan } from '../../src/engine/projection';
import { SingularValues } from '../../src/engine/singularValues';
import { createSpectraPool } from '../../src/engine/spectra/pool';
import { mobileNet1 } from '../support/architectures/mobile';
import { basicResNet } from '../support/architectures/residual';
import { encoder } from '../support/architectures/transformer';
import { modelBytes, temporaryFile } from '../support/onnxBuilder';
import { settingsOf } from '../support/plans';

describe.each([
  ['residual blocks', basicResNet],
  ['depthwise layers', mobileNet1],
  ['matrix products', encoder],
])('%s', (_, network) => {
  test.each([
    ['gsm', { method: 'gsm', protect: ['*conv1', 'a.fc1', 'head'] }],
    [
      'gsm at a target, by hand',
      { method: 'gsm', target: { kind: 'bytes', value: 100 }, layers: [{ match: '*', rank: 1 }] },
    ],
    ['fine-tune', { method: 'fine-tune', target: { kind: 'macs', value: 0.1 }, protect: ['head'] }],
  ] satisfies [string, Parameters<typeof settingsOf>[0]][])('%s', async (_, entries) => {
    const models = new OpenModels();
    const pool = createSpectraPool(0, '');
    try {
      const settings = settingsOf(entries);
      const opened = await models.withShapes(temporaryFile(modelBytes(network())), settings.shapes);
      const weights = await new SingularValues(pool).energies(opened, settings.basis.foldBatchNorm);
      expect(weights.energies.size).toBeGreaterThan(0);
      const { plan, projection } = projectPlan(opened, settings, null, null);
      const known = projectPlan(opened, settings, null, weights);
      expect({ plan, projection }).toEqual({ plan: known.plan, projection: known.projection });
      expect(plan.cuts).toEqual([]);
    } finally {
      models.closeAll();
      await pool.dispose();
    }
  });
});
