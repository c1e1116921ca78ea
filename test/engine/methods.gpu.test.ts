/** Whole runs of the methods that prune by training, with every step on the GPU; short, as it may be an emulated one. */
import { expect, test } from 'vitest';
import { serializeGraph } from '../../src/formats/onnx/serialize';
import { createSession } from '../../src/runtime/session';
import { metadataOf } from '../support/graphs';
import { type SettingsInput, stripesData, stripesRuns } from '../support/stripesRuns';
import { toyModel } from '../support/training';

const methods: readonly SettingsInput[] = [
  {
    method: 'resrep',
    target: { kind: 'macs', value: 0.5 },
    training: { epochs: 3, loss: 'labels', lr: 0.05, batch: 24, images: 96 },
  },
  {
    method: 'gsm',
    target: { kind: 'macs', value: 0.5 },
    gsm: { keep: 0.2, momentum: 0.98, weightDecay: 0.04 },
    training: { epochs: 1, lr: 0.03, batch: 24, images: 96 },
  },
];

/** Why WebGPU can't be tested here; null when it can. */
async function reasonAgainst(): Promise<string | null> {
  try {
    const session = await createSession(serializeGraph(toyModel(), metadataOf()), { device: 'webgpu' });
    await session.release();
    return null;
  } catch (error) {
    return `no device was found (${(error as Error).message.slice(0, 80)})`;
  }
}

const runs = stripesRuns();

for (const settings of methods) {
  test(`${settings.method} on WebGPU`, { timeout: 300_000 }, async ({ skip }) => {
    const reason = await reasonAgainst();
    if (reason) skip(reason);
    const result = await runs.run({ ...settings, data: { ...stripesData, limit: 24 }, device: 'webgpu', threads: 1 });
    expect(result.device).toBe('webgpu');
    expect(result.warnings.filter((warning) => /device|CPU/.test(warning))).toEqual([]);
    expect(result.verification.every(({ passed }) => passed)).toBe(true);
    if (settings.method === 'gsm') expect(result.sparsity?.nonZero).toBeGreaterThan(0);
    else expect(result.training?.compaction?.largest).toBe(0);
  });
}
