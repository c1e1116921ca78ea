/**
 * A real network on real images: ResNet-20, cut without training. Bounds are those of `bench/accuracy.ts` less what
 * fewer images cost in certainty; that benchmark has the figures for the whole test set.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { createService } from '../../src/engine/service';
import type { RecipeInput } from '../../src/protocol/recipe';
import { temporaryFolder } from '../support/onnxBuilder';
import { settingsOf } from '../support/plans';
import { hasShared, sharedFile } from '../support/shared';

describe.skipIf(!hasShared)('ResNet-20 on CIFAR-10 without training', { timeout: 180_000 }, () => {
  const service = createService({ spectraWorker: null });
  afterAll(() => service.dispose());

  async function run(target: number, basis: RecipeInput['basis']) {
    const settings = settingsOf({
      target: { kind: 'macs', value: target },
      basis,
      data: {
        path: sharedFile('data/cifar10/train_10k.bin'),
        evaluation: sharedFile('data/cifar10/test_batch.bin'),
        calibrationImages: 200,
        limit: 1000,
      },
    });
    const folder = temporaryFolder();
    const path = sharedFile('data/models/resnet20_cifar10.onnx');
    const context = { signal: new AbortController().signal, progress: () => undefined };
    const result = await service.handlers.run({ path, settings, folder, storage: folder }, context);
    expect(result.before.accuracy?.accuracy).toBeGreaterThan(0.9);
    expect(result.after.macs).toBeLessThanOrEqual(target * (result.before.macs as number));
    return result.after.accuracy?.accuracy as number;
  }

  it('keeps its accuracy with 70 % of the multiply-accumulates, by its activations', async () => {
    expect(await run(0.7, { refit: false })).toBeGreaterThan(0.845);
  });

  it('keeps most of it with 50 %, fitted again layer by layer', async () => {
    expect(await run(0.5, { refit: true })).toBeGreaterThan(0.78);
  });
});
