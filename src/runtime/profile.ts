/**
 * Time per node from ONNX Runtime's profiler. The runtime fuses and renames nodes (a Conv with the Relu behind it, in a
 * blocked layout); its names keep the name of the node or of the last value it makes, by which layers are found again.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import type { Tensor } from '../tensor/tensor';
import { quantile } from './latency';
import { createSession, type SessionOptions } from './session';

const eventSchema = z.object({
  cat: z.string(),
  name: z.string(),
  dur: z.number(),
  args: z.object({ op_name: z.string().optional() }).loose(),
});

/** What the runtime calls the kernels of layers, fused or not. */
const LAYER_KERNEL = /Conv|Gemm|MatMul/;

/** Median milliseconds per run of each convolution and matrix product the runtime executed, by the runtime's name. */
export async function profileNodes(
  model: string | Uint8Array,
  feeds: Readonly<Record<string, Tensor>>,
  options: SessionOptions & { runs?: number } = {},
): Promise<Map<string, number>> {
  const folder = mkdtempSync(path.join(tmpdir(), 'espalier-profile-'));
  try {
    const session = await createSession(model, { ...options, profile: path.join(folder, 'run') });
    try {
      for (let i = 0; i < (options.runs ?? 12); i++) await session.run(feeds);
      session.endProfile();
    } finally {
      await session.release();
    }
    const file = readdirSync(folder)[0];
    return file ? medians(JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as unknown[]) : new Map();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function medians(events: readonly unknown[]): Map<string, number> {
  const times = new Map<string, number[]>();
  for (const event of events) {
    const parsed = eventSchema.safeParse(event);
    if (!parsed.success || parsed.data.cat !== 'Node' || !parsed.data.name.endsWith('_kernel_time')) continue;
    if (!LAYER_KERNEL.test(parsed.data.args.op_name ?? '')) continue;
    const name = parsed.data.name.slice(0, -'_kernel_time'.length);
    const list = times.get(name);
    if (list) list.push(parsed.data.dur / 1000);
    else times.set(name, [parsed.data.dur / 1000]);
  }
  return new Map([...times].map(([name, list]) => [name, quantile(list, 0.5)]));
}
