/**
 * The same program on another device. Needs a GPU, or an emulated one: SwiftShader comes with Chromium, and is found with
 * `VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json` (and its folder in `LD_LIBRARY_PATH`, where Vulkan's loader
 * is not installed).
 */
import { expect, test } from 'vitest';
import { serializeGraph } from '../../src/formats/onnx/serialize';
import { builtInDevices, createSession, type DeviceId } from '../../src/runtime/session';
import type { VectorOptimizer } from '../../src/train/optimizers';
import { sparseMomentum } from '../../src/train/sparseMomentum';
import { metadataOf } from '../support/graphs';
import { toyModel, toyProgram, toyStep } from '../support/training';

/** Why WebGPU can't be tested here; null when it can. */
async function reasonAgainst(device: DeviceId): Promise<string | null> {
  if (!builtInDevices().includes(device)) return 'the runtime was built without it';
  try {
    const session = await createSession(serializeGraph(toyModel(), metadataOf()), { device });
    await session.run({ x: toyStep(1, 0).feeds.x });
    await session.release();
    return null;
  } catch (error) {
    return `no device was found (${(error as Error).message.slice(0, 80)})`;
  }
}

const optimizers: readonly [string, VectorOptimizer | undefined][] = [
  ['SGD', undefined],
  ['global sparse momentum', sparseMomentum({ keep: 0.2, momentum: 0.9, weightDecay: 1e-3 })],
];

for (const [name, optimizer] of optimizers) {
  test(`20 steps on WebGPU give the losses of the CPU: ${name}`, { timeout: 120_000 }, async ({ skip }) => {
    const reason = await reasonAgainst('webgpu');
    if (reason) skip(reason);
    const losses: Record<string, number[]> = { cpu: [], webgpu: [] };
    for (const device of ['cpu', 'webgpu'] as const) {
      const { program } = await toyProgram(
        {},
        { session: { device, threads: 1 }, ...(optimizer ? { optimizer } : {}) },
      );
      for (let i = 0; i < 20; i++) {
        losses[device].push((await program.step(toyStep(16, i).feeds, 0.05, i + 1)).loss);
      }
      await program.release();
    }
    expect(losses.cpu[19]).toBeLessThan(losses.cpu[0]);
    losses.webgpu.forEach((loss, i) => {
      expect(Math.abs(loss - losses.cpu[i])).toBeLessThan(1e-3 * Math.max(1, losses.cpu[i]));
    });
  });
}
