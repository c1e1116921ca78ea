/** What criteria need to know of a model's channels on a user's images. */
import type { Moments } from '../analysis/moments';
import { valueTypes } from '../ops/types';
import type { PruneSettings } from '../protocol/recipe';
import type { RequestContext } from '../protocol/rpc';
import type { ChannelGroups } from '../prune/groups';
import type { Criterion } from '../prune/importance';
import type { ChannelStatistics } from '../prune/importance/source';
import { collectMoments, type Observed, observedOutput } from '../runtime/moments';
import { contributions } from '../surgery/contributions';
import { withPatches } from '../surgery/reconstruct';
import { calibrationImages, outputRank } from './calibration';
import { scoresOnImages } from './imageScores';
import type { Inputs } from './inputs';
import type { OpenedModel } from './models';
import type { Scene } from './scene';

export interface StatisticsRequest {
  readonly opened: OpenedModel;
  readonly groups: ChannelGroups;
  readonly criterion: Criterion;
  readonly settings: PruneSettings;
  readonly inputs: Inputs;
  readonly session: Scene['session'];
}

/** Only what the criterion needs. */
export async function channelStatistics(
  request: StatisticsRequest,
  context: RequestContext,
): Promise<ChannelStatistics> {
  const { criterion } = request;
  if (criterion === 'taylor' || criterion === 'fisher') return { lossChanges: await lossChanges(request, context) };
  if (criterion === 'activation') return { energies: await energies(request, context) };
  if (criterion === 'lasso') return { contributions: await consumerContributions(request, context) };
  return {};
}

function lossChanges(request: StatisticsRequest, { signal, progress }: RequestContext) {
  const { opened, groups, settings, inputs, session } = request;
  const count = imagesOf(request);
  return scoresOnImages({
    opened,
    inputs,
    count,
    settings,
    session,
    values: [...outputsOf(groups)].map(([value, channelAxis]) => ({ value, channelAxis })),
    signal,
    onImages: (done) =>
      progress({
        phase: 'calibrate',
        message: `Scoring channels on ${done} of ${count} images`,
        fraction: done / count,
      }),
  });
}

/** E[a²] of every channel. */
async function energies(request: StatisticsRequest, context: RequestContext): Promise<Map<string, Float64Array>> {
  const moments = await momentsOf(request, outputsOf(request.groups), context);
  return new Map(
    [...moments].map(([value, { mean, covariance }]) => {
      const size = mean.length;
      return [value, mean.map((m, c) => covariance[c * size + c] + m * m)];
    }),
  );
}

/** Mean of every channel at the places where channels are added up, by value. */
export async function channelMeans(
  request: Omit<StatisticsRequest, 'criterion'>,
  values: ReadonlyMap<string, number>,
  context: RequestContext,
): Promise<Map<string, Float64Array>> {
  const moments = await momentsOf(request, values, context);
  return new Map([...moments].map(([value, { mean }]) => [value, mean]));
}

function momentsOf(
  request: Omit<StatisticsRequest, 'criterion'>,
  places: ReadonlyMap<string, number>,
  { signal, progress }: RequestContext,
) {
  const { opened, groups, settings, inputs, session } = request;
  const { graph, metadata } = opened.model;
  const types = valueTypes(graph);
  const observed = [...places].flatMap(([value, channelAxis]): Observed[] => {
    const rank = groups.wiring.shapeOf(value)?.length;
    const dtype = types.get(value);
    return rank && dtype ? [{ value, dtype, rank, channelAxis }] : [];
  });
  const count = imagesOf(request);
  let done = 0;
  return collectMoments(graph, metadata, observed, inputs.feeds({ count, seed: settings.seed, signal }), {
    ...session,
    signal,
    onBatch: () => {
      done = Math.min(count, done + inputs.batch);
      progress({
        phase: 'calibrate',
        message: `Calibrating on ${done} of ${count} images`,
        fraction: done / count,
      });
    },
  });
}

async function consumerContributions(request: StatisticsRequest, { signal, progress }: RequestContext) {
  const { opened, groups, settings, inputs, session } = request;
  const { graph, metadata } = opened.model;
  const wanted = new Set(
    groups.groups.flatMap(({ reason, sums }) => (reason ? [] : sums.flatMap(({ layer }) => layer ?? []))),
  );
  const layers = opened.layers.filter((layer) => wanted.has(layer.name) && layer.path.length === 0);
  const found = new Map<string, Float64Array>();
  const count = Math.min(imagesOf(request), LASSO_IMAGES);
  for (const [i, layer] of layers.entries()) {
    signal.throwIfAborted();
    progress({ phase: 'calibrate', message: `Measuring what ${layer.name} needs`, fraction: i / layers.length });
    const rank = outputRank(opened, layer);
    const patches = withPatches(graph, layer, WIDEST);
    if (!patches || rank === null) continue;
    const { value } = patches;
    const feeds = inputs.feeds({ count, seed: settings.seed, signal });
    const observed = { ...observedOutput(layer, rank), value };
    const moments = await collectMoments(patches.graph, metadata, [observed], feeds, { ...session, signal });
    found.set(layer.name, contributions(layer, moments.get(value) as Moments));
  }
  return found;
}

/** Patches are as many values as the input, times the positions of the kernel: fewer images do. */
const LASSO_IMAGES = 64;
/** Widest patches that are looked at: 512 channels of a 3×3 convolution. */
const WIDEST = 4608;

function imagesOf({ settings, inputs }: Pick<StatisticsRequest, 'settings' | 'inputs'>): number {
  return Math.min(inputs.dataset.length, calibrationImages(settings, inputs.shape));
}

/** Values where members of groups give their channels, and the axis. */
function outputsOf({ groups }: ChannelGroups): Map<string, number> {
  const open = groups.filter(({ reason }) => !reason);
  return new Map(open.flatMap(({ outputs }) => outputs.map(({ axis }) => [axis.value, axis.axis] as const)));
}
