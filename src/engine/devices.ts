/**
 * Devices a model can run on: those the runtime was built for, those it could have, and which works here. A device is
 * tried by running a small product on it; `auto` is the fastest one that works.
 */
import { UserError } from '../errors';
import { serializeGraph } from '../formats/onnx/serialize';
import { type Graph, makeNode } from '../graph/graph';
import type { DeviceFacts } from '../protocol/facts';
import type { PruneSettings } from '../protocol/recipe';
import { quantile } from '../runtime/latency';
import { builtInDevices, createSession, type DeviceId } from '../runtime/session';
import { float32Tensor, memoryTensor } from '../tensor/tensor';

const NAMES: Readonly<Record<DeviceId, string>> = {
  cpu: 'CPU',
  webgpu: 'GPU (WebGPU)',
  cuda: 'NVIDIA GPU (CUDA)',
  directml: 'GPU (DirectML)',
  coreml: 'Apple (Core ML)',
};

let known: Promise<DeviceFacts[]> | undefined;

/** All devices with whether they work here; tried once per process. */
export function devices(): Promise<DeviceFacts[]> {
  known ??= tryAll();
  return known;
}

async function tryAll(): Promise<DeviceFacts[]> {
  const found: DeviceFacts[] = [];
  for (const id of builtInDevices()) {
    try {
      const milliseconds = await timeOf(id);
      found.push({
        id,
        name: NAMES[id],
        available: true,
        note: `${milliseconds.toFixed(2)} ms for a small convolution`,
      });
    } catch (error) {
      found.push({
        id,
        name: NAMES[id],
        available: false,
        note: error instanceof Error ? error.message : String(error),
      });
    }
  }
  return found;
}

const times = new Map<DeviceId, number>();
/** Milliseconds after which a trial has shown enough: emulated devices are a thousand times slower than others. */
const LONGEST_TRIAL = 500;

/** Milliseconds of a convolution of 64 channels on 56×56; throws when the device does not work. */
async function timeOf(device: DeviceId): Promise<number> {
  const channels = 64;
  const side = 56;
  const weight = float32Tensor(new Float32Array(channels * channels * 9).fill(0.01), [channels, channels, 3, 3]);
  const graph: Graph = {
    name: 'device-trial',
    nodes: [makeNode('Conv', ['x', 'w'], ['y'])],
    inputs: [{ name: 'x', dtype: 'float32', shape: [1, channels, side, side] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: null }],
    valueInfo: [],
    initializers: new Map([['w', memoryTensor('w', weight)]]),
  };
  const session = await createSession(serializeGraph(graph, { irVersion: 8, opsets: new Map([['', 17]]) }), {
    device,
    label: 'a trial',
  });
  try {
    const x = float32Tensor(new Float32Array(channels * side * side).fill(1), [1, channels, side, side]);
    const measured: number[] = [];
    const started = performance.now();
    while (measured.length < 8 && performance.now() - started < LONGEST_TRIAL) {
      const begin = performance.now();
      await session.run({ x });
      measured.push(performance.now() - begin);
    }
    // The first runs prepare what the later ones use.
    const median = quantile(measured.slice(Math.min(3, measured.length - 1)), 0.5);
    times.set(device, median);
    return median;
  } finally {
    await session.release();
  }
}

const FAILURES = ['device-failed', 'model-does-not-load', 'model-does-not-run'];

/**
 * Does work on the device that a setting stands for; where that device fails, again on the CPU.
 * @returns what the work gave, with a warning when it was done on the CPU instead
 */
export async function onDevice<T>(
  setting: PruneSettings['device'] | undefined,
  work: (device: DeviceId) => Promise<T>,
): Promise<{ result: T; warnings: string[] }> {
  const device = await deviceOf(setting);
  try {
    return { result: await work(device), warnings: [] };
  } catch (error) {
    if (device === 'cpu' || !(error instanceof UserError) || !FAILURES.includes(error.code)) throw error;
    return { result: await work('cpu'), warnings: [`${error.message.replace(/\.?$/, '.')} The CPU was used instead.`] };
  }
}

/** The device that a setting stands for: itself, or for `auto` the fastest that works. */
export async function deviceOf(setting: PruneSettings['device'] = 'cpu'): Promise<DeviceId> {
  if (setting !== 'auto') return setting;
  const works = (await devices()).filter((device) => device.available).map((device) => device.id);
  return works.reduce<DeviceId>(
    (best, id) => ((times.get(id) ?? Infinity) < (times.get(best) ?? Infinity) ? id : best),
    'cpu',
  );
}
