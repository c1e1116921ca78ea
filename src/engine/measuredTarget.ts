/**
 * Targets of latency: how many multiply-accumulates may stay, and in what multiples channels are kept, is found by
 * measuring. What a model costs in time depends on its shapes and not on its weights, so the trials are neither fitted
 * nor trained.
 */
import path from 'node:path';
import { latencyNotReachable, shapesUnknown } from '../errors';
import { writeOnnx } from '../formats/onnx/write';
import type { Graph } from '../graph/graph';
import type { LatencyFacts } from '../protocol/facts';
import type { PruneSettings } from '../protocol/recipe';
import type { RequestContext } from '../protocol/rpc';
import { measureLatency } from '../runtime/latency';
import { usesActivations } from '../settings/images';
import { hasTarget } from '../settings/methods';
import { type KnownOfImages, planFor } from './planning';
import { learningRequest, type Scene, within } from './scene';
import { shapedLike } from './shaped';
import { timingFeeds } from './timing';

/** Tried where the settings leave it open: runtimes compute channels in blocks of 8 or 16, or one by one. */
const MULTIPLES = [1, 8, 16] as const;
/** Halvings of the range of shares per multiple: 5 leave it to within 3 %. */
const HALVINGS = 5;
const LEAST_SHARE = 0.05;
/** Seconds of measuring per trial. */
const SECONDS = 1;
/** Share of the time for looking at images. */
const LEARNING = 0.5;

/**
 * The settings with a target of latency replaced by the largest share of multiply-accumulates that meets it, and the
 * multiple that allows it. Other targets stay.
 * @throws UserError `shapes-unknown` when the model can't be run, `latency-not-reachable`
 */
export async function measuredSettings(scene: Scene, context: RequestContext): Promise<PruneSettings> {
  const { settings, base, session } = scene;
  const { kind, value } = settings.target;
  if ((kind !== 'latency' && kind !== 'milliseconds') || !hasTarget(settings)) return settings;
  const options = { ...session, seconds: SECONDS, signal: context.signal };
  const timing = await timingFeeds(base, options);
  if (!timing) throw shapesUnknown({ reason: base.shapes.reason ?? 'they are not known' });
  const multiples = settings.multiple > 1 ? [settings.multiple] : MULTIPLES;
  const known = await knownOf(scene, within(context, [0, LEARNING]));
  const file = path.join(scene.scratch, 'latency-trial.onnx');
  const measured = new Map<string, number>();

  /** Shares that lead to the same cuts are measured once. */
  const factor = async (asked: PruneSettings): Promise<number> => {
    const planned = await planFor(base, asked, scene.folder, known);
    const shape = JSON.stringify(
      planned.projection.layers.map(({ action, rank, channels }) => [action, rank, channels]),
    );
    const found = measured.get(shape) ?? (await time(shapedLike(planned).graph));
    measured.set(shape, found);
    return found;
  };

  const time = async (graph: Graph): Promise<number> => {
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
        fraction: LEARNING + ((1 - LEARNING) * (m + (i + 1) / HALVINGS)) / multiples.length,
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

/** What images and weights say of the model. */
async function knownOf(scene: Scene, context: RequestContext): Promise<KnownOfImages> {
  const { settings, base, tools } = scene;
  const request = learningRequest(scene, base, settings);
  const removesChannels = settings.method === 'channel' || settings.method === 'double';
  const calibration = usesActivations(settings) ? await tools.calibration(request, context) : null;
  const channels = removesChannels && settings.data ? await tools.channelKnowledge(request, context) : null;
  return { calibration: () => calibration, channels: () => channels, weightEnergies: tools.weightEnergies };
}
