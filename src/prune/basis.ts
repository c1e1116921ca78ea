/**
 * The basis method (Wong, Kashyap, Moradi: basis scaling; here its decomposition without training): every layer is
 * rotated into an orthonormal basis of its outputs, bases are compared across layers by a score, and one threshold
 * decides the ranks. The basis and its energies come in as arguments: from the weights alone, or from activations.
 */
import picomatch from 'picomatch';
import type { LayerFacts, ModelFacts, Totals } from '../protocol/facts';
import type { LayerDetail, LayerProjection, Projection } from '../protocol/plan';
import type { LayerOverride, PruneSettings } from '../protocol/recipe';
import { allocateRanks, type Candidate, roundRank } from './allocate';
import { type Cost, factorizedCost, type LayerShape, originalCost, recombinedCost } from './cost';
import type { Plan } from './plan';

/** Energies of a layer's bases: what dropping each costs in squared output (or weight) error, never increasing. */
export type Energies = ReadonlyMap<string, Float64Array>;

export interface BasisInput {
  readonly facts: ModelFacts;
  readonly shapes: ReadonlyMap<string, LayerShape>;
  readonly energies: Energies;
  /** Why layers without energies have none. */
  readonly reasons: ReadonlyMap<string, string>;
  /** How many nodes read each stored tensor: one that others still read stays in the model. */
  readonly uses: ReadonlyMap<string, number>;
  readonly basis: 'weights' | 'activations';
}

export interface BasisPlan {
  readonly plan: Plan;
  readonly projection: Projection;
  readonly details: ReadonlyMap<string, LayerDetail>;
}

/** Classifiers of fewer classes, and inputs of fewer channels, are not worth splitting. */
const SMALL_RANK = 16;
const FEW_CHANNELS = 4;

/** The plan that the settings ask for, what it projects to, and the scores behind it. */
export function planBasis(input: BasisInput, settings: PruneSettings): BasisPlan {
  const { facts, shapes, energies } = input;
  const options = settings.basis;
  const overrideOf = matchOverrides(settings.layers);
  const isProtected = matchAny(settings.protect);
  const kindOf = settings.target.kind;
  const measure = (cost: Cost): number =>
    kindOf === 'macs' ? (cost.macs ?? 0) : kindOf === 'params' ? cost.params : cost.bytes;

  const fixed = new Map<string, { rank: number | null; reason: string | null }>();
  const open: { layer: LayerFacts; shape: LayerShape; scores: Float64Array; candidate: Candidate }[] = [];
  const details = new Map<string, LayerDetail>();
  for (const layer of facts.layers) {
    const shape = shapes.get(layer.name);
    const energy = energies.get(layer.name);
    const override = overrideOf(layer.name);
    const reason = reasonToKeep(facts, layer, input, isProtected, override);
    if (reason !== null || !shape || !energy) {
      fixed.set(layer.name, { rank: null, reason: reason ?? 'its spectrum is not known' });
      continue;
    }
    const scores = scoreBases(layer, energy, options.score);
    details.set(layer.name, {
      layer: layer.name,
      basis: input.basis,
      importance: scores,
      threshold: null,
      energy: cumulative(energy),
    });
    const wished =
      override?.rank ?? (override?.ratio === undefined ? undefined : Math.round(override.ratio * layer.fullRank));
    if (wished !== undefined) {
      const rank = roundRank(Math.min(wished, scores.length), settings.multiple, scores.length);
      const whole = rank >= layer.fullRank;
      fixed.set(layer.name, { rank: whole ? null : rank, reason: whole ? 'set to its full rank' : null });
      continue;
    }
    const maxUsefulRank = Math.floor((layer.breakEvenRank as number) * options.breakEven);
    const cost = (rank: number | null): number =>
      measure(rank === null ? originalCost(shape) : factorizedCost(shape, rank));
    open.push({ layer, shape, scores, candidate: { scores, cost, maxUsefulRank } });
  }

  const before = facts.totals;
  const budget = budgetOf(settings, before, facts);
  const spent = facts.layers.reduce(
    (sum, layer) => {
      const choice = fixed.get(layer.name);
      if (!choice) return sum;
      const shape = shapes.get(layer.name);
      return (
        sum +
        (shape
          ? measure(choice.rank === null ? originalCost(shape) : factorizedCost(shape, choice.rank))
          : measure(layer))
      );
    },
    otherThanLayers(before, facts, measure),
  );
  const allocation = allocateRanks(
    open.map((o) => o.candidate),
    budget - spent,
    settings.multiple,
  );
  const ranks = new Map(open.map(({ layer }, i) => [layer.name, allocation.ranks[i] as number | null]));
  for (const { layer } of open) {
    details.set(layer.name, { ...(details.get(layer.name) as LayerDetail), threshold: allocation.threshold });
  }

  const layers = facts.layers.map((layer): LayerProjection => {
    const choice = fixed.get(layer.name);
    const rank = choice ? choice.rank : (ranks.get(layer.name) ?? null);
    const shape = shapes.get(layer.name);
    if (rank === null || !shape) {
      const reason = choice ? choice.reason : 'whole: a cheaper rank would lose more than it saves';
      return {
        layer: layer.name,
        action: 'keep',
        reason,
        rank: layer.fullRank,
        params: layer.params,
        macs: layer.macs,
        bytes: layer.bytes,
        error: 0,
      };
    }
    const cost = options.finish === 'recombined' ? recombinedCost(shape) : factorizedCost(shape, rank);
    const energy = (details.get(layer.name) as LayerDetail).energy;
    return {
      layer: layer.name,
      action: 'factorize',
      reason: null,
      rank,
      ...cost,
      error: Math.max(0, 1 - (energy[rank] as number)),
    };
  });
  const after = totalsAfter(input, layers, options.finish);
  return {
    plan: {
      cuts: layers
        .filter((layer) => layer.action === 'factorize')
        .map(({ layer, rank }) => ({ kind: 'factorize', layer, rank, finish: options.finish })),
    },
    projection: {
      before,
      after,
      layers,
      basis: input.basis,
      shortfall: shortfallOf(allocation.met, settings, before, after, budget),
    },
    details,
  };
}

/** Scores of a layer's bases: their share of the layer's energy, or that share per multiply-accumulate it saves. */
export function scoreBases(layer: LayerFacts, energy: Float64Array, score: 'energy' | 'energy-per-mac'): Float64Array {
  let total = 0;
  for (const e of energy) total += e;
  const matrices = layer.matrices as NonNullable<LayerFacts['matrices']>;
  const weights = matrices.blocks * (matrices.rows + matrices.cols);
  // Without shapes, the weights saved stand in for the MACs saved.
  const saved =
    layer.macs === null ? weights : (layer.macs * weights) / (matrices.blocks * matrices.rows * matrices.cols);
  const unit = (total || 1) * (score === 'energy' ? 1 : saved);
  return energy.map((e) => e / unit);
}

/** energy[r] = share of the sum of the first r entries; entry 0 is 0. All ones when there is no energy. */
function cumulative(energy: Float64Array): Float64Array {
  const out = new Float64Array(energy.length + 1);
  for (let i = 0; i < energy.length; i++) out[i + 1] = (out[i] as number) + (energy[i] as number);
  const total = out[energy.length] as number;
  return total > 0 ? out.map((e) => e / total) : out.fill(1);
}

function reasonToKeep(
  facts: ModelFacts,
  layer: LayerFacts,
  { energies, reasons, basis }: BasisInput,
  isProtected: (name: string) => boolean,
  override: LayerOverride | undefined,
): string | null {
  if (layer.reason) return layer.reason;
  if (override?.keep) return 'locked';
  if (override?.rank !== undefined || override?.ratio !== undefined) return null;
  if (isProtected(layer.name)) return 'protected';
  const { blocks, cols } = layer.matrices as NonNullable<LayerFacts['matrices']>;
  const spatial = layer.weight.shape.slice(2).reduce((product, d) => product * d, 1);
  if (layer.opType === 'Conv' && (cols / spatial) * blocks <= FEW_CHANNELS) {
    return `its input has only ${(cols / spatial) * blocks} channels`;
  }
  if (layer.fullRank < SMALL_RANK) return `too small to gain: its full rank is ${layer.fullRank}`;
  if (!energies.has(layer.name)) {
    return (
      reasons.get(layer.name) ??
      (basis === 'activations' ? 'the calibration images did not reach it' : 'its spectrum is not known')
    );
  }
  if (layer.macs === null && facts.shapes) return layer.macsReason;
  return null;
}

function budgetOf({ target }: PruneSettings, before: Totals, facts: ModelFacts): number {
  if (target.kind === 'bytes') return target.value > 1 ? target.value : target.value * before.bytes;
  if (target.kind === 'params') return target.value * before.params;
  return target.value * (before.macs ?? facts.layers.reduce((sum, layer) => sum + (layer.macs ?? 0), 0));
}

/** What the model costs beside its layers: normalisation parameters, embeddings. */
function otherThanLayers(before: Totals, facts: ModelFacts, measure: (cost: Cost) => number): number {
  const layers = facts.layers.reduce((sum, layer) => sum + measure(layer), 0);
  return (
    measure({
      macs: facts.layers.reduce((sum, l) => sum + (l.macs ?? 0), 0),
      params: before.params,
      bytes: before.bytes,
    }) - layers
  );
}

/** Totals after the cuts: what they add, less the stored tensors that nothing reads any more. */
function totalsAfter(
  { facts, shapes, uses }: BasisInput,
  layers: readonly LayerProjection[],
  finish: 'two-layers' | 'recombined',
): Totals {
  const left = new Map(uses);
  let { params, bytes } = facts.totals;
  let saved = 0;
  const release = (tensor: string, elements: number, elementBytes: number): void => {
    const users = (left.get(tensor) ?? 1) - 1;
    left.set(tensor, users);
    if (users > 0) return;
    params -= elements;
    bytes -= elements * elementBytes;
  };
  for (const [i, layer] of layers.entries()) {
    const shape = shapes.get(layer.layer);
    if (layer.action !== 'factorize' || !shape) continue;
    const { facts: was, bias, biasAfter, newBias, elementBytes } = shape;
    const cost = finish === 'recombined' ? recombinedCost(shape) : factorizedCost(shape, layer.rank);
    const added = newBias ? cost.params : cost.params - biasAfter;
    params += added;
    bytes += added * elementBytes;
    release(shape.weightTensor, was.params - bias, elementBytes);
    if (shape.biasTensor && newBias) release(shape.biasTensor, bias, elementBytes);
    saved += ((facts.layers[i] as LayerFacts).macs ?? 0) - (layer.macs ?? 0);
  }
  return { params, bytes, macs: facts.totals.macs === null ? null : facts.totals.macs - saved };
}

function shortfallOf(
  met: boolean,
  { target }: PruneSettings,
  before: Totals,
  after: Totals,
  budget: number,
): string | null {
  const reached = target.kind === 'macs' ? after.macs : target.kind === 'params' ? after.params : after.bytes;
  const start = target.kind === 'macs' ? before.macs : target.kind === 'params' ? before.params : before.bytes;
  if (met || reached === null || start === null || reached <= budget) return null;
  const share = (value: number): string => `${((100 * value) / start).toFixed(1)} %`;
  return `The target of ${share(budget)} can't be met: locked, protected and unsuitable layers leave at least ${share(reached)}.`;
}

function matchAny(globs: readonly string[]): (name: string) => boolean {
  const matchers = globs.map(matcher);
  return (name) => matchers.some((matches) => matches(name));
}

/** The last override that matches a layer. */
function matchOverrides(overrides: readonly LayerOverride[]): (name: string) => LayerOverride | undefined {
  const exact = new Map<string, number>();
  const globs: { index: number; matches: (name: string) => boolean }[] = [];
  overrides.forEach(({ match }, index) => {
    exact.set(match, index);
    if (/[*?[\]{}!()]/.test(match)) globs.push({ index, matches: matcher(match) });
  });
  return (name) => {
    let last = exact.get(name) ?? -1;
    for (const { index, matches } of globs) if (index > last && matches(name)) last = index;
    return overrides[last];
  };
}

/** A glob over layer names, in which '*' also crosses dots and slashes. */
function matcher(glob: string): (name: string) => boolean {
  // bash: '*' spans separators, as layer names are no paths.
  const matches = picomatch(glob, { bash: true, dot: true, nonegate: true });
  return (name) => name === glob || matches(name);
}
