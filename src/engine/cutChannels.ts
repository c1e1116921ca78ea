/**
 * Carries a plan of channels out: the cut graph, proof that it computes what a mask would, and the layers that lost
 * inputs fitted again to what the original gives, or at least given what the removed channels carried on average.
 */
import { findLayers, type Layer } from '../analysis/layers';
import type { Graph } from '../graph/graph';
import type { Check } from '../protocol/plan';
import type { PruneSettings } from '../protocol/recipe';
import type { RequestContext } from '../protocol/rpc';
import type { ChannelGroups } from '../prune/groups';
import type { RemoveChannelsCut } from '../prune/plan';
import { collectCrossMoments, observedOutput } from '../runtime/moments';
import { removeChannels } from '../surgery/channels';
import { type CompensatedInput, compensatedInputs, shiftsOf } from '../surgery/channelsCompensate';
import { maskChannels } from '../surgery/channelsMask';
import { canBeFitted, reconstructed, withOffset, withPatches } from '../surgery/reconstruct';
import { calibrationImages, outputRank } from './calibration';
import { channelMeans } from './channelStatistics';
import type { Decomposed } from './decompose';
import { type ChannelsLeft, leftAfter, momentsLeft } from './fitTarget';
import type { Inputs } from './inputs';
import type { OpenedModel } from './models';
import { layersIn } from './narrowed';
import { type Scene, within } from './scene';
import { requirePassed, sameOnNoise } from './verify';

export interface CutRequest {
  /** The model to cut. */
  readonly from: OpenedModel;
  readonly groups: ChannelGroups;
  readonly cuts: readonly RemoveChannelsCut[];
  /** What layers are fitted to. */
  readonly target: Graph;
  readonly settings: PruneSettings;
  readonly inputs: Inputs | null;
  readonly session: Scene['session'];
}

/** Widest patches that are fitted: the time for a solution grows with its third power. */
const WIDEST = 1600;

/**
 * Reports progress from 0 to 1 within its own part of the run.
 * @throws UserError `verification-failed` when the cut graph computes something else than the masked one
 */
export async function cutChannels(
  request: CutRequest,
  context: RequestContext,
): Promise<{ decomposed: Decomposed; checks: Check[] }> {
  const { from, groups, cuts, settings, inputs } = request;
  const { graph, metadata } = from.model;
  const cut = removeChannels(groups, cuts, metadata.irVersion);
  const check = await sameAsMasked(request, cut);
  const fitted =
    inputs && cuts.length && settings.data && (settings.channel.reconstruct || settings.channel.compensate)
      ? await fitAll({ ...request, inputs }, cut, context)
      : cut;
  const masked = fitted === cut && isExact(groups, cuts) ? maskChannels(groups, cuts) : fitted;
  const decomposed = { graph: fitted, masked: cuts.length ? masked : graph, owners: layersIn(fitted, from) };
  return { decomposed, checks: check ? [check] : [] };
}

function isExact({ groups }: ChannelGroups, cuts: readonly RemoveChannelsCut[]): boolean {
  const names = new Set(cuts.map(({ group }) => group));
  return groups.every(({ name, inexact }) => !names.has(name) || inexact === null);
}

/** null when nothing is cut, or when a mask is no measure. */
async function sameAsMasked({ from, groups, cuts, settings }: CutRequest, cut: Graph): Promise<Check | null> {
  const { metadata } = from.model;
  if (!cuts.length || !isExact(groups, cuts) || !from.shapes.inputs) return null;
  const check = await sameOnNoise(
    'Removed channels equal channels of zeros',
    [
      { graph: maskChannels(groups, cuts), metadata },
      { graph: cut, metadata },
    ],
    { shapes: from.shapes.inputs, seed: settings.seed },
  );
  requirePassed(check);
  return check;
}

/** Means and fits, and their share of the time. */
const SHARES = { means: [0, 0.2], fits: [0.2, 1] } as const;

/** In graph order, so that each layer is fitted to inputs that the layers before it have already changed. */
async function fitAll(
  request: CutRequest & { readonly inputs: Inputs },
  cut: Graph,
  context: RequestContext,
): Promise<Graph> {
  const { from, groups, cuts, settings } = request;
  const { reconstruct, compensate } = settings.channel;
  const left = leftAfter(groups, cuts);
  const lost = compensatedInputs(groups, cuts);
  const touched = new Set(lost.map(({ layer }) => layer));
  const shifts = compensate
    ? shiftsOf(groups, cuts, await meansOf(request, lost, within(context, SHARES.means)))
    : new Map<string, Float64Array>();
  const before = new Map(from.layers.map((layer) => [layer.name, layer]));
  const owners = layersIn(cut, from);
  const affected = findLayers(cut).flatMap(({ node }) => {
    const name = owners.get(node);
    return name !== undefined && touched.has(name) ? [{ node, name }] : [];
  });
  const { progress, signal } = within(context, SHARES.fits);
  let graph = cut;
  for (const [i, { node, name }] of affected.entries()) {
    signal.throwIfAborted();
    const message = `Refitting ${name} (${i + 1} of ${affected.length})`;
    progress({ phase: 'refit', message, fraction: i / affected.length });
    const original = before.get(name) as Layer;
    // Weights have changed on the way here; the node has not.
    const layer = findLayers(graph).find((found) => found.node === node) as Layer;
    const fitted = reconstruct ? await fittedLayer(request, graph, { layer, original, left }, signal) : null;
    const shift = shifts.get(name);
    graph = fitted ?? (shift ? withOffset(graph, layer, shift) : graph);
  }
  return graph;
}

interface Fit {
  /** Of the pruned graph. */
  readonly layer: Layer;
  /** Before the cut. */
  readonly original: Layer;
  /** Of the outputs, after the cut. */
  readonly left: ChannelsLeft;
}

/** null where the layer can't be fitted. */
async function fittedLayer(
  { from, target, settings, inputs, session }: CutRequest & { readonly inputs: Inputs },
  graph: Graph,
  { layer, original, left }: Fit,
  signal: AbortSignal,
): Promise<Graph | null> {
  const rank = outputRank(from, original);
  const patches = canBeFitted(graph, layer) ? withPatches(graph, layer, WIDEST) : null;
  if (rank === null || !patches) return null;
  const output = observedOutput(original, rank);
  const count = Math.min(inputs.dataset.length, calibrationImages(settings, inputs.shape));
  const moments = await collectCrossMoments(
    from.model.metadata,
    { ...output, graph: target },
    { ...output, value: patches.value, graph: patches.graph },
    inputs.feeds({ count, seed: settings.seed, signal }),
    { ...session, signal },
  );
  return reconstructed(graph, layer, momentsLeft(moments, output.value, left), settings.channel.ridge);
}

/** Means along the axes of the inputs that lose channels, in the model before the cut. */
function meansOf(
  { from, groups, settings, inputs, session }: CutRequest & { readonly inputs: Inputs },
  lost: readonly CompensatedInput[],
  context: RequestContext,
): Promise<Map<string, Float64Array>> {
  const values = new Map(lost.map(({ axis }) => [axis.value, axis.axis]));
  return channelMeans({ opened: from, groups, settings, inputs, session }, values, context);
}
