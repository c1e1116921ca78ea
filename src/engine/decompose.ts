/**
 * Carries a plan out on a graph: factors of every layer from its basis, optionally fitted again layer by layer, and the
 * graph with the layers replaced.
 */
import { findLayers, type Layer } from '../analysis/layers';
import { layerUnknown } from '../errors';
import { type Graph, type GraphNode, standardOpset } from '../graph/graph';
import { freshNames } from '../graph/names';
import { consumers } from '../graph/order';
import type { PruneSettings } from '../protocol/recipe';
import type { RequestContext } from '../protocol/rpc';
import type { Plan } from '../prune/plan';
import { collectCrossMoments, observedOutput } from '../runtime/moments';
import type { SessionOptions } from '../runtime/session';
import { chosenFrom, factorsOf, outputMetric, weightBasis } from '../surgery/bases';
import { batchNormScale } from '../surgery/batchNorm';
import {
  effectiveBias,
  type Factors,
  type Replacement,
  recombined,
  replaceNodes,
  type Site,
  twoLayers,
} from '../surgery/factorize';
import { type LayerMatrix, layerMatrix } from '../surgery/layerMatrix';
import { refit } from '../surgery/refit';
import { type Calibration, outputRank } from './calibration';
import type { Inputs } from './inputs';
import type { OpenedModel } from './models';

interface Part {
  readonly layer: Layer;
  readonly matrix: LayerMatrix;
  readonly finish: 'two-layers' | 'recombined';
  factors: Factors;
}

export interface Decomposed {
  /** The pruned graph. */
  readonly graph: Graph;
  /** The same with every layer in its original shape: what masking would give. */
  readonly masked: Graph;
  /** Which layer each new or kept node of the pruned graph belongs to. */
  readonly owners: ReadonlyMap<GraphNode, string>;
}

/** A plan without cuts, carried out. */
export function untouched({ model: { graph }, layers }: OpenedModel): Decomposed {
  return wholeLayers(graph, layers);
}

/** A graph none of whose layers is in two parts. */
export function wholeLayers(graph: Graph, layers: readonly Layer[] = findLayers(graph)): Decomposed {
  return { graph, masked: graph, owners: new Map(layers.map(({ node, name }) => [node, name])) };
}

/**
 * Reports progress from 0 to 1 within its own part of the run.
 * @param target what the layers are fitted to again: the model itself, or the one it came from
 */
export async function decompose(
  opened: OpenedModel,
  target: Graph,
  plan: Plan,
  settings: PruneSettings,
  calibration: Calibration | null,
  inputs: Inputs | null,
  session: SessionOptions,
  context: RequestContext,
): Promise<Decomposed> {
  const { graph, metadata } = opened.model;
  const readers = consumers(graph);
  const byName = new Map(opened.layers.map((layer) => [layer.name, layer]));
  const parts: Part[] = [];
  const cuts = plan.cuts.filter((cut) => cut.kind === 'factorize');
  for (const [i, cut] of cuts.entries()) {
    context.signal.throwIfAborted();
    context.progress({ phase: 'decompose', message: `Splitting ${cut.layer}`, fraction: (0.3 * i) / cuts.length });
    await new Promise(setImmediate); // lets a cancel arrive
    const layer = byName.get(cut.layer);
    if (!layer) throw layerUnknown({ layer: cut.layer, path: opened.model.path });
    const matrix = layerMatrix(layer);
    const outputs = matrix.blocks * matrix.outputs;
    const known = calibration?.bases.get(cut.layer);
    const whole =
      known ??
      weightBasis(matrix, outputMetric(settings.basis.foldBatchNorm ? batchNormScale(layer, readers) : null, outputs));
    const basis = cut.kept ? chosenFrom(whole, cut.kept, matrix.blocks) : whole;
    const mean = known ? (calibration?.moments.get(cut.layer)?.mean ?? null) : null;
    parts.push({
      layer,
      matrix,
      finish: cut.finish,
      factors: factorsOf(matrix, basis, cut.rank, mean, mean && effectiveBias(layer, outputs)),
    });
  }
  if (inputs && calibration && settings.basis.refit) {
    await refitAll(opened, target, parts, settings, calibration.images, inputs, session, context);
  }
  const build = (form: (part: Part) => 'two-layers' | 'recombined') => {
    const site = siteOf(opened);
    const replacements = new Map<GraphNode, Replacement>();
    for (const part of parts) {
      const make = form(part) === 'two-layers' ? twoLayers : recombined;
      replacements.set(part.layer.node, make(part.layer, part.matrix, part.factors, site));
    }
    return { replacements, graph: replaceNodes(graph, replacements, metadata.irVersion) };
  };
  const pruned = build((part) => part.finish);
  // A recombined model is its own masked form: it is held against the two layers instead.
  const masked = build((part) => (part.finish === 'two-layers' ? 'recombined' : 'two-layers'));
  const owners = new Map<GraphNode, string>();
  for (const layer of opened.layers) {
    for (const node of pruned.replacements.get(layer.node)?.nodes ?? [layer.node]) owners.set(node, layer.name);
  }
  return { graph: pruned.graph, masked: masked.graph, owners };
}

function siteOf({ model: { graph, metadata } }: OpenedModel): Site {
  return { opset: standardOpset(metadata) ?? 1, fresh: freshNames(graph) };
}

/** In graph order, so that each layer is fitted to inputs that the layers before it have already changed. */
async function refitAll(
  opened: OpenedModel,
  target: Graph,
  parts: readonly Part[],
  settings: PruneSettings,
  images: number,
  inputs: Inputs,
  session: SessionOptions,
  { signal, progress }: RequestContext,
): Promise<void> {
  const { graph, metadata } = opened.model;
  for (const [i, part] of parts.entries()) {
    signal.throwIfAborted();
    const { layer, matrix } = part;
    progress({
      phase: 'refit',
      message: `Refitting ${layer.name} (${i + 1} of ${parts.length})`,
      fraction: 0.3 + (0.7 * i) / parts.length,
    });
    const rank = outputRank(opened, layer);
    // A bias that is computed at run time is not ours to replace.
    if (rank === null || !effectiveBias(layer, matrix.blocks * matrix.outputs)) continue;
    const site = siteOf(opened);
    const replacements = new Map(
      parts.slice(0, i + 1).map((p) => [p.layer.node, twoLayers(p.layer, p.matrix, p.factors, site)]),
    );
    const pruned = replaceNodes(graph, replacements, metadata.irVersion);
    const inner = replacements.get(layer.node)?.inner as string;
    const output = observedOutput(layer, rank);
    const moments = await collectCrossMoments(
      metadata,
      { ...output, graph: target },
      { ...output, value: inner, graph: pruned },
      inputs.feeds({ count: images, seed: settings.seed, signal }),
      { ...session, signal },
    );
    part.factors = refit(part.factors, moments, matrix.blocks, matrix.outputs, settings.basis.ridge);
  }
}
