/**
 * Latency of models against each other: the same input, one run of each in turn, so that a machine that slows down
 * slows all of them. Median and interquartile range over the repetitions, after a warm-up.
 */
import type { LatencyFacts } from '../protocol/facts';
import type { Tensor } from '../tensor/tensor';
import { createSession, type DeviceId, type Session, threadCount } from './session';

export interface LatencyOptions {
  readonly device?: DeviceId;
  readonly threads?: number;
  readonly batch?: number;
  /** Repetitions of each model: at least 11, more until this many seconds have passed. */
  readonly seconds?: number;
  readonly signal?: AbortSignal;
}

const WARM_UP = 3;
const LEAST = 11;
const MOST = 500;

/** @param models paths of model files, or bytes */
export async function measureLatency(
  models: readonly (string | Uint8Array)[],
  feeds: Readonly<Record<string, Tensor>>,
  options: LatencyOptions = {},
): Promise<LatencyFacts[]> {
  const { device = 'cpu', threads = 0, batch = 1, seconds = 2, signal } = options;
  const sessions: Session[] = [];
  try {
    for (const model of models) sessions.push(await createSession(model, { device, threads }));
    const times: number[][] = models.map(() => []);
    const started = performance.now();
    for (let round = -WARM_UP; round < MOST; round++) {
      signal?.throwIfAborted();
      for (const [i, session] of sessions.entries()) {
        const begin = performance.now();
        await session.run(feeds);
        if (round >= 0) (times[i] as number[]).push(performance.now() - begin);
      }
      if (round + 1 >= LEAST && performance.now() - started > seconds * 1000) break;
    }
    return times.map((list) => ({
      median: quantile(list, 0.5),
      iqr: quantile(list, 0.75) - quantile(list, 0.25),
      batch,
      repetitions: list.length,
      device,
      threads: threadCount(threads),
    }));
  } finally {
    for (const session of sessions) await session.release();
  }
}

/** Linear interpolation between order statistics. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = Math.floor(at);
  const a = sorted[low] ?? 0;
  const b = sorted[Math.ceil(at)] ?? a;
  return a + (b - a) * (at - low);
}
