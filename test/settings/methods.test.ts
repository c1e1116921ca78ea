/** What methods read of the settings: what the form offers is what changes a plan, and nothing else does. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type OpenedModel, OpenModels } from '../../src/engine/models';
import { type KnownOfImages, planFor } from '../../src/engine/planning';
import { SingularValues } from '../../src/engine/singularValues';
import { sparseRule } from '../../src/engine/sparsity';
import { createSpectraPool } from '../../src/engine/spectra/pool';
import type { PruneSettings } from '../../src/protocol/recipe';
import {
  trainsSparsely,
  usedOverrides,
  usesGroups,
  usesLocks,
  usesProtect,
  usesRanks,
} from '../../src/settings/methods';
import { modelBytes, temporaryFile } from '../support/onnxBuilder';
import { settingsOf } from '../support/plans';
import { smallClassifier } from '../support/smallClassifier';

type Entries = NonNullable<Parameters<typeof settingsOf>[0]>;

const ways: readonly (readonly [string, Entries])[] = [
  ['bases', { method: 'basis' }],
  ['channels', { method: 'channel' }],
  ['both', { method: 'double' }],
  ['channels by training', { method: 'resrep' }],
  ['single weights', { method: 'gsm' }],
  ['a ticket', { method: 'gsm', gsm: { ticket: 'pruned.onnx' } }],
  ['training alone', { method: 'fine-tune' }],
];

const parts: readonly (readonly [string, Entries, (settings: PruneSettings) => boolean])[] = [
  ['protected layers', { protect: ['*'] }, usesProtect],
  ['ranks of layers', { layers: [{ match: '*', ratio: 0.25 }] }, usesRanks],
  ['layers left as they are', { layers: [{ match: '*', keep: true }] }, usesLocks],
  ['groups left as they are', { groups: [{ match: '*', keep: true }] }, usesGroups],
];

describe.each(ways)('%s', (_, way) => {
  const models = new OpenModels();
  const pool = createSpectraPool(0, '');
  const values = new SingularValues(pool);
  const known: KnownOfImages = {
    calibration: () => null,
    channels: () => null,
    weightEnergies: (opened, settings) => values.energies(opened, settings.basis.foldBatchNorm),
  };
  let opened: OpenedModel;

  beforeAll(async () => {
    opened = await models.withShapes(temporaryFile(modelBytes(smallClassifier())), undefined);
  });

  afterAll(async () => {
    models.closeAll();
    await pool.dispose();
  });

  /** All that the settings decide before a run. */
  async function decided(settings: PruneSettings) {
    const { plan, projection } = await planFor(opened, settings, '.', known);
    return { plan, projection, rule: trainsSparsely(settings) ? sparseRule(opened.layers, settings) : null };
  }

  test.each(parts)('%s', async (_name, part, isUsed) => {
    const plain = settingsOf(way);
    const changed = await decided(settingsOf({ ...way, ...part }));
    if (isUsed(plain)) expect(changed).not.toEqual(await decided(plain));
    else expect(changed).toEqual(await decided(plain));
  });

  test('overrides that count as set by hand', () => {
    const locked = { match: 'a', keep: true };
    const used = usedOverrides(settingsOf({ ...way, layers: [{ match: '*', rank: 1 }, locked] }));
    expect([used.length, used.at(-1)]).toEqual(
      usesRanks(settingsOf(way)) ? [2, locked] : usesLocks(settingsOf(way)) ? [1, locked] : [0, undefined],
    );
  });
});
