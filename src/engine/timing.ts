/**
 * The measured side of a run: original and candidate in turn on the same input, time per layer, and why the candidate is
 * not faster when its multiply-accumulates say it should be.
 */
import type { GraphNode } from '../graph/graph';
import type { LatencyFacts } from '../protocol/facts';
import type { LayerLatency, LayerProjection } from '../protocol/plan';
import { channelBlock } from '../runtime/channelBlock';
import { type LatencyOptions, measureLatency } from '../runtime/latency';
import { profileNodes } from '../runtime/profile';
import { dummyInputs, realInputs } from '../runtime/shapes';
import type { Tensor } from '../tensor/tensor';
import type { Decomposed } from './decompose';
import { latencyByLayer } from './layerLatency';
import type { OpenedModel } from './models';

export interface Timing {
  readonly before: LatencyFacts;
  readonly after: LatencyFacts;
  readonly layers: readonly LayerLatency[];
  /** Factor by which the candidate is faster. */
  readonly speedup: number;
  /** Why the factor means little, or the candidate is not as fast as its multiply-accumulates promise; null when it is. */
  readonly note: string | null;
}

/** Below this a run is mostly the runtime's own work per node, whatever the layers hold: a batch says more. Milliseconds. */
const SHORT_RUN = 2;
const SHORT_RUN_BATCH = 16;
/** Interquartile range, as a share of the median, up to which times tell something. */
const STEADY_SHARE = 0.5;
/** Share of the promised factor that needs no explanation. */
const GOOD_SHARE = 0.8;

/** @returns null when the model's shapes are unknown, so that it can't be fed */
export async function timeBoth(
  opened: OpenedModel,
  candidate: string,
  { graph, owners }: Pick<Decomposed, 'graph' | 'owners'>,
  layers: readonly LayerProjection[],
  options: LatencyOptions,
): Promise<Timing | null> {
  const { feeds, batch } = (await timingFeeds(opened, options)) ?? {};
  if (!feeds || !batch) return null;
  const models = [opened.model.path, candidate];
  const [before, after] = (await measureLatency(models, feeds, { ...options, batch })) as [LatencyFacts, LatencyFacts];
  const own = new Map<GraphNode, string>();
  for (const { path, node, name } of opened.layers) if (path.length === 0) own.set(node, name);
  const timesBefore = latencyByLayer(opened.model.graph, own, await profileNodes(opened.model.path, feeds, options));
  const timesAfter = latencyByLayer(graph, owners, await profileNodes(candidate, feeds, options));
  const perLayer = opened.layers.map(
    ({ name }): LayerLatency => ({
      layer: name,
      before: timesBefore.get(name) ?? null,
      after: timesAfter.get(name) ?? null,
    }),
  );
  const speedup = before.median / after.median;
  const promised = promisedFactor(opened, layers);
  const isSlow = promised !== null && speedup < GOOD_SHARE * promised;
  const note = unsteady([before, after]) ?? (isSlow ? await explain(perLayer, layers, options) : null);
  return { before, after, layers: perLayer, speedup, note };
}

/** Why nothing follows from times that vary so much; null when they don't. */
export function unsteady(times: readonly Pick<LatencyFacts, 'median' | 'iqr'>[]): string | null {
  return times.some(({ median, iqr }) => iqr > STEADY_SHARE * median)
    ? 'The times vary by more than half of their median (interquartile range), as they do when a machine has other work: measure again before you rely on this factor.'
    : null;
}

/** One made-up input, or a batch of them where a single run is too short to tell layers from overhead. */
export async function timingFeeds(
  opened: OpenedModel,
  options: LatencyOptions,
): Promise<{ feeds: Record<string, Tensor>; batch: number } | null> {
  const shapes = opened.shapes.inputs;
  if (!shapes) return null;
  const { graph, path } = { graph: opened.model.graph, path: opened.model.path };
  const single = dummyInputs(graph, shapes);
  const inputs = realInputs(graph);
  const batch = Object.values(shapes)[0]?.[0] ?? 1;
  if (!inputs.length || !inputs.every(({ shape }) => typeof shape?.[0] === 'string')) return { feeds: single, batch };
  const [alone] = await measureLatency([path], single, { ...options, seconds: 0 });
  if (!alone || alone.median >= SHORT_RUN) return { feeds: single, batch };
  const larger = Object.fromEntries(
    Object.entries(shapes).map(([name, [, ...rest]]) => [name, [SHORT_RUN_BATCH, ...rest]]),
  );
  const feeds = dummyInputs(graph, larger);
  try {
    await measureLatency([path], feeds, { ...options, seconds: 0 });
    return { feeds, batch: SHORT_RUN_BATCH };
  } catch {
    return { feeds: single, batch }; // the axis was not a batch after all
  }
}

function promisedFactor({ facts }: OpenedModel, layers: readonly LayerProjection[]): number | null {
  if (facts.totals.macs === null) return null;
  const left = layers.reduce((sum, layer) => sum + (layer.macs ?? 0), 0);
  return left > 0 ? facts.totals.macs / left : null;
}

async function explain(
  timings: readonly LayerLatency[],
  layers: readonly LayerProjection[],
  options: LatencyOptions,
): Promise<string> {
  const reasons: string[] = [];
  const block = await channelBlock(options);
  const between = block > 1 ? betweenBlocks(layers, block) : null;
  if (between) {
    reasons.push(
      `On this device the runtime computes channels in blocks of ${block}: ${between} lie between two multiples and cost as much as the next one. Try multiples of ${block}.`,
    );
  }
  const slower = timings.filter(
    (t): t is { layer: string; before: number; after: number } =>
      t.before !== null && t.after !== null && t.after > t.before,
  );
  slower.sort((a, b) => b.after - b.before - (a.after - a.before));
  if (slower.length) {
    const named = slower.slice(0, 3).map((t) => `${t.layer} (${t.before.toFixed(2)} → ${t.after.toFixed(2)} ms)`);
    const split = new Set(layers.filter(({ action }) => action === 'factorize').map(({ layer }) => layer));
    const why = slower.some(({ layer }) => split.has(layer)) ? ': two small layers move more data than one' : '';
    reasons.push(
      `${layersText(slower.length)} became slower with less to multiply, most of all ${named.join(', ')}${why}. Protecting them helps.`,
    );
  }
  if (!reasons.length)
    reasons.push(
      'What remains is time outside the layers (additions, normalisation, memory), which pruning does not change.',
    );
  return reasons.join(' ');
}

/** Ranks and channels that are no multiple of a block, in words; null when there are none. */
export function betweenBlocks(layers: readonly LayerProjection[], block: number): string | null {
  const ranks = layers.filter(({ action, rank }) => action === 'factorize' && rank % block !== 0).length;
  const channels = layers.filter(({ action, channels }) => action !== 'keep' && (channels ?? 0) % block !== 0).length;
  const parts = [
    ranks ? `the ranks of ${layersText(ranks)}` : '',
    channels ? `the channels of ${layersText(channels)}` : '',
  ];
  return parts.filter(Boolean).join(' and ') || null;
}

const layersText = (count: number): string => `${count} ${count === 1 ? 'layer' : 'layers'}`;
