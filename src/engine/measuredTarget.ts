/**
 * Targets of latency: how many multiply-accumulates may stay, and in what multiples channels are kept, is found by
 * measuring. What a model costs in time depends on its shapes and not on its weights, so the trials are neither fitted
 * nor trained.
 */
import path from 'node:path';
import { latencyNotReachable, shapesUnknown } from '../errors';
import { writeOnnx } from '../formats/onnx/write';
import type { LatencyFacts } from '../protocol/facts';
import type { PruneSettings } from '../protocol/recipe';
import type { RequestContext } from '../protocol/rpc';
import { channelBlock } from '../runtime/channelBlock';
import { measureLatency } from '../runtime/latency';
import { decompose } from './decompose';
import { projectPlan } from './projection';
import { type Scene, wantsImages } from './scene';
import { timingFeeds } from './timing';

/** Halvings of the range of shares per multiple: 5 leave it to within 3 %. */
const HALVINGS = 5;
const LEAST_SHARE = 0.05;
/** Seconds of measuring per trial. */
const SECONDS = 1;

/**
 * The settings with a target of latency replaced by the largest share of multiply-accumulates that meets it, and the
 * multiple that allows it. Other targets stay.
 * @throws UserError `shapes-unknown` when the model can't be run, `latency-not-reachable`
 */
export async function measuredSettings(scene: Scene, context: RequestContext): Promise<PruneSettings> {
  const { settings, base, session, tools } = scene;
  const { kind, value } = settings.target;
  if ((kind !== 'latency' && kind !== 'milliseconds') || settings.method === 'fine-tune') return settings;
  const options = { ...session, seconds: SECONDS, signal: context.signal };
  const timing = await timingFeeds(base, options);
  if (!timing) throw shapesUnknown({ reason: base.shapes.reason ?? 'they are not known' });
  const block = await channelBlock(options);
  const multiples = settings.multiple > 1 ? [settings.multiple] : multiplesOf(block);
  const request = { path: base.model.path, settings, folder: scene.folder };
  const calibration = wantsImages(settings) ? await tools.calibration(request, context) : null;
  const energies = await tools.weightEnergies(base, settings);
  const file = path.join(scene.scratch, 'latency-trial.onnx');

  const factor = async (asked: PruneSettings): Promise<number> => {
    const { plan } = projectPlan(base, asked, calibration, energies);
    const { graph } = await decompose(base, base.model.graph, plan, asked, calibration, null, session, {
      signal: context.signal,
      progress: () => {},
    });
    writeOnnx(base.model, graph, file, { overwrite: true });
    const models = [base.model.path, file];
    const [before, after] = (await measureLatency(models, timing.feeds, { ...options, batch: timing.batch })) as [
      LatencyFacts,
      LatencyFacts,
    ];
    return kind === 'latency' ? after.median / before.median : after.median;
  };

  const text = (measured: number): string =>
    kind === 'latency' ? `${(100 * measured).toFixed(0)} % of the time` : `${measured.toFixed(2)} ms`;
  let best: PruneSettings | null = null;
  let fastest = Number.POSITIVE_INFINITY;
  for (const [m, multiple] of multiples.entries()) {
    let [low, high] = [LEAST_SHARE, 1];
    for (let i = 0; i < HALVINGS; i++) {
      context.signal.throwIfAborted();
      const share = i === 0 ? LEAST_SHARE : (low + high) / 2;
      const asked: PruneSettings = { ...settings, multiple, target: { kind: 'macs', value: share } };
      const found = await factor(asked);
      context.progress({
        phase: 'measure',
        message: `${(100 * share).toFixed(0)} % of the multiply-accumulates in multiples of ${multiple}: ${text(found)}`,
        fraction: (m + (i + 1) / HALVINGS) / multiples.length,
      });
      fastest = Math.min(fastest, found);
      if (found <= value) {
        if (!best || best.target.value < share) best = asked;
        low = share;
      } else if (i === 0) break;
      else high = share;
    }
  }
  if (!best) throw latencyNotReachable({ target: text(value), fastest: text(fastest) });
  return best;
}

/** Multiples worth trying where the runtime computes channels in blocks of so many. */
function multiplesOf(block: number): PruneSettings['multiple'][] {
  return block === 8 || block === 16 || block === 4 || block === 32 ? [1, block] : [1];
}
