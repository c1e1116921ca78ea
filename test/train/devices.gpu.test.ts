/**
 * The same program on another device. Needs a GPU, or an emulated one: SwiftShader comes with Chromium, and is found with
 * `VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json` (and its folder in `LD_LIBRARY_PATH`, where Vulkan's loader
 * is not installed).
 */
import { expect, test } from 'vitest';
import { rowNorms } from '../../src/engine/maskKeeper';
import { serializeGraph } from '../../src/formats/onnx/serialize';
import { compactionOf } from '../../src/prune/compaction/places';
import { builtInDevices, createSession, type DeviceId } from '../../src/runtime/session';
import { withCompactors } from '../../src/surgery/compactors';
import { float32Tensor } from '../../src/tensor/tensor';
import { compacting, MASK } from '../../src/train/compaction';
import type { VectorOptimizer } from '../../src/train/optimizers';
import { sparseMomentum } from '../../src/train/sparseMomentum';
import { groupsOf } from '../support/channels';
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

test('20 steps with compactors on WebGPU give the losses and norms of the CPU', { timeout: 120_000 }, async ({
  skip,
}) => {
  const reason = await reasonAgainst('webgpu');
  if (reason) skip(reason);
  const groups = await groupsOf(toyModel());
  const { places } = compactionOf(groups, { protect: [], groups: [] }, { followers: false, minRows: 1 });
  const { graph, matrices } = withCompactors(groups.wiring, places);
  const compactors = places.map(({ name, rows }) => ({ name: matrices.get(name) as string, size: rows.length }));
  const rows = compactors.reduce((sum, { size }) => sum + size, 0);
  expect(rows).toBeGreaterThan(4);
  const optimizer = compacting({
    compactors,
    lambda: 0.01,
    maskedLambda: 0.3,
    momentum: 0.9,
    canGo: new Float32Array(rows).fill(1),
    others: { momentum: 0.9, nesterov: true },
  });
  const mask = float32Tensor(
    Float32Array.from({ length: rows }, (_, row) => Number(row % 3 !== 1)),
    [rows],
  );
  const found: Record<string, number[]> = { cpu: [], webgpu: [] };
  for (const device of ['cpu', 'webgpu'] as const) {
    const names = compactors.map(({ name }) => name);
    const { program } = await toyProgram({ graph, compactors: names }, { session: { device, threads: 1 }, optimizer });
    for (let i = 0; i < 20; i++) {
      const { loss } = await program.step({ ...toyStep(16, i).feeds, [MASK]: mask }, 0.05, i + 1);
      found[device].push(loss);
    }
    const tensors = program.tensors(new Set(names));
    for (const { name, size } of compactors) {
      found[device].push(...rowNorms(tensors.get(name)?.data as Float32Array, size));
    }
    await program.release();
  }
  expect(found.cpu).toContain(0);
  found.webgpu.forEach((value, i) => {
    expect(Math.abs(value - found.cpu[i])).toBeLessThan(1e-3 * Math.max(1, found.cpu[i]));
  });
});
