/**
 * Carries a plan of channels out: the cut graph, proof that it computes what a mask would, and the layers that lost
 * inputs fitted again to what the original gives, or at least given what the removed channels carried on average.
 */
import { findLayers, type Layer } from '../analysis/layers';
import { readWeight } from '../analysis/weights';
import { verificationFailed } from '../errors';
import { serializeGraph } from '../formats/onnx/serialize';
import type { Graph, GraphNode } from '../graph/graph';
import type { Check } from '../protocol/plan';
import type { PruneSettings } from '../protocol/recipe';
import type { RequestContext } from '../protocol/rpc';
import type { ChannelGroups } from '../prune/groups';
import type { RemoveChannelsCut } from '../prune/plan';
import { collectCrossMoments, observedOutput } from '../runtime/moments';
import { removalOfCuts, removeChannels } from '../surgery/channels';
import { maskChannels } from '../surgery/channelsMask';
import { reconstructed, takesOffset, withOffset, withPatches } from '../surgery/reconstruct';
import type { Tensor } from '../tensor/tensor';
import { calibrationImages, outputRank } from './calibration';
import { channelMeans } from './channelStatistics';
import type { Decomposed } from './decompose';
import type { Inputs } from './inputs';
import type { OpenedModel } from './models';
import type { Scene } from './scene';
import { noiseInputs, outputsOf, relativeDifference } from './verify';

export interface CutRequest {
  /** The model to cut. */
  readonly from: OpenedModel;
  readonly groups: ChannelGroups;
  readonly cuts: readonly RemoveChannelsCut[];
  /** What the layers are fitted to again. */
  readonly target: Graph;
  readonly settings: PruneSettings;
  readonly inputs: Inputs | null;
  readonly session: Scene['session'];
}

/** Sums in another order, with the weights' precision. */
const TOLERANCE = 1e-3;

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
  const named = new Map(
    from.layers.filter(({ path }) => !path.length).map(({ node, name }) => [node.outputs[0], name]),
  );
  const fitted =
    inputs && cuts.length && settings.data && (settings.channel.reconstruct || settings.channel.compensate)
      ? await fitAll({ ...request, inputs }, cut, named, context)
      : cut;
  const owners = new Map<GraphNode, string>();
  for (const node of fitted.nodes) {
    const owner = named.get(node.outputs[0]);
    if (owner !== undefined) owners.set(node, owner);
  }
  const masked = fitted === cut && isExact(groups, cuts) ? maskChannels(groups, cuts) : fitted;
  return { decomposed: { graph: fitted, masked: cuts.length ? masked : graph, owners }, checks: check ? [check] : [] };
}

function isExact({ groups }: ChannelGroups, cuts: readonly RemoveChannelsCut[]): boolean {
  const names = new Set(cuts.map(({ group }) => group));
  return groups.every(({ name, inexact }) => !names.has(name) || inexact === null);
}

/** null when nothing is cut, or when a mask is no measure. */
async function sameAsMasked({ from, groups, cuts, settings }: CutRequest, cut: Graph): Promise<Check | null> {
  const { metadata } = from.model;
  if (!cuts.length || !isExact(groups, cuts) || !from.shapes.inputs) return null;
  const feeds = noiseInputs(from.model.graph, from.shapes.inputs, settings.seed);
  const run = (graph: Graph): Promise<Record<string, Tensor>> => outputsOf(serializeGraph(graph, metadata), feeds);
  const [expected, found] = [await run(maskChannels(groups, cuts)), await run(cut)];
  const worst = Math.max(...Object.entries(expected).map(([name, tensor]) => relativeDifference(tensor, found[name])));
  const check: Check = {
    name: 'Removed channels equal channels of zeros',
    passed: worst <= TOLERANCE,
    detail: `largest difference ${worst.toExponential(1)} of the largest output, tolerance ${TOLERANCE}`,
  };
  if (!check.passed) throw verificationFailed({ check: check.name, detail: check.detail });
  return check;
}

/** In graph order, so that each layer is fitted to inputs that the layers before it have already changed. */
async function fitAll(
  request: CutRequest & { readonly inputs: Inputs },
  cut: Graph,
  named: ReadonlyMap<string, string>,
  context: RequestContext,
): Promise<Graph> {
  const { from, groups, cuts, settings } = request;
  const removal = removalOfCuts(groups, cuts);
  const gone = new Set(cuts.map(({ group }) => group));
  const touched = new Set(
    groups.groups
      .filter(({ name }) => gone.has(name))
      .flatMap(({ members }) => members.filter(({ role }) => role === 'consumer').map(({ layer }) => layer)),
  );
  const before = new Map(from.layers.map((layer) => [layer.name, layer]));
  const affected = findLayers(cut).filter(
    ({ path, node }) => !path.length && touched.has(named.get(node.outputs[0]) ?? ''),
  );
  const means = settings.channel.compensate ? await meansAt(request, affected, context) : new Map();
  let graph = cut;
  for (const [i, { node }] of affected.entries()) {
    context.signal.throwIfAborted();
    const name = named.get(node.outputs[0]) as string;
    const fraction = i / affected.length;
    context.progress({ phase: 'refit', message: `Refitting ${name} (${i + 1} of ${affected.length})`, fraction });
    const original = before.get(name) as Layer;
    // Weights have changed on the way here; the node has not.
    const layer = findLayers(graph).find((found) => found.node === node) as Layer;
    const kept = keptOf(removal, original);
    const next = settings.channel.reconstruct
      ? await fittedLayer(request, graph, layer, original, kept, context)
      : null;
    if (next) graph = next;
    else {
      const mean = means.get(original.node.inputs[0]);
      const added = mean && averageOf(original, mean, removedInputs(removal, original), kept);
      if (added) graph = withOffset(graph, layer, added);
    }
  }
  return graph;
}

type Removal = ReturnType<typeof removalOfCuts>;

/** Which outputs of a layer stay; null when all do. */
function keptOf(removal: Removal, { node }: Layer): number[] | null {
  const axis = node.opType === 'Conv' || node.opType === 'Gemm' ? 1 : -1;
  const cuts = [...removal.values()].filter(({ value }) => value === node.outputs[0]);
  const cut = axis === 1 ? cuts.find((found) => found.axis === 1) : cuts.at(-1);
  return cut ? Array.from({ length: cut.size }, (_, o) => o).filter((o) => !cut.isRemoved[o]) : null;
}

/** 1 for each input channel of a layer that goes. */
function removedInputs(removal: Removal, { node, weight }: Layer): Uint8Array {
  const axis = node.opType === 'Conv' ? 1 : undefined;
  const cuts = [...removal.values()].filter(({ value }) => value === node.inputs[0]);
  const cut = axis === undefined ? cuts.at(-1) : cuts.find((found) => found.axis === axis);
  return cut?.isRemoved ?? new Uint8Array(weight.dims[1] ?? 0);
}

async function fittedLayer(
  { from, target, settings, inputs, session }: CutRequest & { readonly inputs: Inputs },
  graph: Graph,
  layer: Layer,
  original: Layer,
  kept: readonly number[] | null,
  { signal }: RequestContext,
): Promise<Graph | null> {
  const rank = outputRank(from, original);
  const patches = takesOffset(graph, layer) ? withPatches(graph, layer) : null;
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
  const width = patches.width;
  const chosen = kept
    ? {
        ...moments,
        meanY: Float64Array.from(kept, (o) => moments.meanY[o]),
        crossYZ: Float64Array.from({ length: kept.length * width }, (_, i) => {
          return moments.crossYZ[kept[Math.floor(i / width)] * width + (i % width)];
        }),
      }
    : moments;
  return reconstructed(graph, layer, chosen, settings.channel.ridge);
}

/** Mean of every channel of the values that the affected layers read, in the model before the cut. */
function meansAt(
  request: CutRequest & { readonly inputs: Inputs },
  affected: readonly Layer[],
  context: RequestContext,
): Promise<Map<string, Float64Array>> {
  const { from, groups, settings, inputs, session } = request;
  const read = new Set(affected.map(({ node }) => node.outputs[0]));
  const values = new Map<string, number>();
  for (const { node, path } of from.layers) {
    if (path.length || !read.has(node.outputs[0])) continue;
    const rank = groups.wiring.shapeOf(node.inputs[0])?.length ?? 0;
    values.set(node.inputs[0], node.opType === 'Conv' ? 1 : rank - 1);
  }
  return channelMeans({ opened: from, groups, settings, inputs, session }, values, context);
}

/** What the removed inputs add to each output that stays, on average: Σ_c Σ_k W[o, c, k]·E[x_c]; exact away from padding. */
function averageOf(
  { weight, scope, matrices, node }: Layer,
  mean: Float64Array,
  removed: Uint8Array,
  kept: readonly number[] | null,
): Float64Array | null {
  const values = readWeight(scope, weight);
  if (!values || matrices?.blocks !== 1 || node.opType === 'ConvTranspose') return null;
  const { rows, cols, outputsAre } = matrices;
  const [outputs, inputs] = outputsAre === 'rows' ? [rows, cols] : [cols, rows];
  const kernel = inputs / removed.length;
  if (!Number.isInteger(kernel) || mean.length !== removed.length) return null;
  const all = Float64Array.from({ length: outputs }, (_, o) => {
    let sum = 0;
    for (let c = 0; c < removed.length; c++) {
      for (let k = 0; removed[c] && k < kernel; k++) {
        const column = c * kernel + k;
        sum += values[outputsAre === 'rows' ? o * inputs + column : column * outputs + o] * mean[c];
      }
    }
    return sum;
  });
  return kept ? Float64Array.from(kept, (o) => all[o]) : all;
}
