/**
 * Accuracy of a model on a dataset, with its certainty, its confusions, and a warning when it looks like chance; of a model
 * by itself, with its latency.
 */
import path from 'node:path';
import { isNearChance } from '../data/metrics';
import type { EngineParams, EngineResult } from '../protocol/engine';
import type { AccuracyFacts } from '../protocol/facts';
import type { RequestContext } from '../protocol/rpc';
import { measureLatency } from '../runtime/latency';
import { createSession, type DeviceId } from '../runtime/session';
import { onDevice } from './devices';
import { type Inputs, openInputs, scoreOf } from './inputs';
import type { OpenModels } from './models';
import { timingFeeds } from './timing';

/** @throws UserError of whatever reading the model or the images meets */
export async function evaluateFile(
  models: OpenModels,
  { path: file, data, limit, preprocessing, device, threads = 0, shapes }: EngineParams<'evaluate'>,
  context: RequestContext,
): Promise<EngineResult<'evaluate'>> {
  const opened = await models.withShapes(file, shapes);
  const inputs = await openInputs(opened, path.resolve(data), { preprocessing, signal: context.signal });
  try {
    const { result, warnings } = await onDevice(device, async (chosen) => {
      const accuracy = await evaluateModel(file, inputs, { limit, device: chosen, threads }, context);
      const options = { device: chosen, threads, signal: context.signal };
      const timing = await timingFeeds(opened, options);
      if (!timing) return { accuracy, latency: null };
      const [latency] = await measureLatency([file], timing.feeds, { ...options, batch: timing.batch });
      return { accuracy, latency };
    });
    return { ...result, warnings };
  } finally {
    await inputs.close();
  }
}

export async function evaluateModel(
  modelPath: string,
  inputs: Inputs,
  { limit, device, threads }: { limit?: number; device: DeviceId; threads: number },
  { signal, progress }: RequestContext,
  label = 'Evaluating',
): Promise<AccuracyFacts> {
  const session = await createSession(modelPath, { device, threads, label: modelPath });
  const names = inputs.facts.classes;
  const total = Math.min(limit ?? inputs.dataset.length, inputs.dataset.length);
  inputs.skips.count = 0;
  inputs.skips.names.length = 0;
  try {
    const score = await scoreOf(session, inputs, {
      count: limit,
      signal,
      onBatch: (done) =>
        progress({ phase: 'evaluate', message: `${label}: ${done} of ${total} images`, fraction: done / total }),
    });
    return {
      images: score?.images ?? 0,
      skipped: { count: inputs.skips.count, names: [...inputs.skips.names] },
      accuracy: score?.accuracy ?? null,
      top5: score?.top5 ?? null,
      confidence: score?.confidence ?? null,
      loss: score?.loss ?? null,
      classes: score ? Array.from({ length: score.classCount }, (_, i) => names[i] ?? String(i)) : names,
      confusion: score?.confusion ?? new Uint32Array(0),
      device,
      preprocessing: inputs.facts.summary,
      warning:
        score && isNearChance(score)
          ? `The accuracy is near chance (${(100 / score.classCount).toFixed(1)} %): the preprocessing is probably wrong, or the labels are in another order. It was: ${inputs.facts.summary}.`
          : null,
    };
  } finally {
    await session.release();
  }
}
