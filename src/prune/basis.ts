/**
 * The basis method (Wong, Kashyap, Moradi: basis scaling; here its decomposition without training): every layer is
 * rotated into an orthonormal basis of its outputs, bases are compared across layers by a score, and one threshold
 * decides the ranks. The basis and its energies come in as arguments: from the weights alone, or from activations.
 */
import type { LayerFacts, ModelFacts, Totals } from '../protocol/facts';
import type { LayerDetail, LayerProjection, Projection } from '../protocol/plan';
import type { LayerOverride, PruneSettings } from '../protocol/recipe';
import { isMeasuredScore } from '../settings/images';
import { allocateRanks, type Candidate, type Ranks, roundRank } from './allocate';
import { factorizedCost, type LayerShape, recombinedCost } from './cost';
import { matchAny, matchOverrides, withoutMatch } from './match';
import type { FactorizeCut, Plan } from './plan';
import { countedTarget, shortfallOf } from './target';

/** Energies of a layer's bases: what dropping each costs in squared output (or weight) error, never increasing. */
export type Energies = ReadonlyMap<string, Float64Array>;

export interface BasisInput {
  readonly facts: ModelFacts;
  readonly shapes: ReadonlyMap<string, LayerShape>;
  readonly energies: Energies;
  /** Measured importance of the bases, where the score is not their energy; in the order of the energies. */
  readonly importance?: Energies;
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

/** What happens to one layer. */
interface Choice {
  /** null leaves it whole. */
  readonly rank: number | null;
  /** Why it is left whole, if it is. */
  readonly reason: string;
  /** Present when the rank is the threshold's to decide. */
  readonly candidate?: Candidate;
}

/** The plan that the settings ask for, what it projects to, and the scores behind it. */
export function planBasis(input: BasisInput, settings: PruneSettings): BasisPlan {
  const { facts, energies, basis } = input;
  const { finish, score } = settings.basis;
  const choices = choose(input, settings);
  const open = choices.flatMap(({ candidate }, index) => (candidate ? { index, candidate } : []));
  const merged = (found: Ranks): Ranks => {
    const ranks = choices.map(({ rank }) => rank);
    for (const [i, { index }] of open.entries()) ranks[index] = found[i];
    return ranks;
  };
  const {
    target: { kind, value },
    assumed,
  } = countedTarget(settings.target);
  const before = spent(
    input,
    facts.layers.map(() => null),
  );
  const budget = kind === 'bytes' && value > 1 ? value : value * before[kind];
  // Recombined layers cost what they did: the target then says what two layers would cost.
  const cost = (found: Ranks): number => spent(input, merged(found))[kind];
  const candidates = open.map(({ candidate }) => candidate);
  const allocation = allocateRanks(candidates, cost, budget, settings.multiple);
  const ranks = merged(allocation.ranks);
  const unmatched = withoutMatch(
    [...settings.protect, ...settings.layers.map(({ match }) => match)],
    facts.layers.map(({ name }) => name),
  );

  const details = new Map<string, LayerDetail>();
  const layers = facts.layers.map((layer, i): LayerProjection => {
    const energy = energies.get(layer.name);
    const choice = choices[i];
    const isOpen = choice.candidate !== undefined;
    const ranked = energy && (isOpen || choice.rank !== null) ? ranking(input, layer, score) : null;
    const kept = energy && cumulative(ranked ? energy.map((_, j) => energy[ranked.order[j]]) : energy);
    if (kept && ranked) {
      const importance = ranked.scores;
      const threshold = isOpen ? allocation.threshold : null;
      details.set(layer.name, { layer: layer.name, basis, importance, threshold, energy: kept });
    }
    const rank = ranks[i];
    if (rank === null || !kept) {
      const { params, macs, bytes, fullRank } = layer;
      const { reason } = choice;
      return { layer: layer.name, action: 'keep', reason, rank: fullRank, params, macs, bytes, error: 0 };
    }
    const shape = input.shapes.get(layer.name) as LayerShape;
    const size = finish === 'recombined' ? recombinedCost(shape) : factorizedCost(shape, rank);
    const error = Math.max(0, 1 - kept[rank]);
    return { layer: layer.name, action: 'factorize', reason: null, rank, ...size, error };
  });
  const totals = ({ macs, params, bytes }: Spent): Totals => ({
    params,
    macs: facts.totals.macs === null ? null : macs,
    bytes,
  });
  return {
    plan: {
      cuts: layers.flatMap((layer, i) =>
        layer.action === 'factorize' ? [cutOf(input, facts.layers[i], layer.rank, settings)] : [],
      ),
    },
    projection: {
      before: facts.totals,
      after: totals(spent(input, ranks, finish)),
      layers,
      basis,
      shortfall: shortfall(value < 1 || kind === 'bytes', before[kind], allocation.met, budget, cost(allocation.ranks)),
      ...(unmatched.length ? { unmatched } : {}),
      ...(assumed ? { assumed } : {}),
    },
    details,
  };
}

function cutOf(
  input: BasisInput,
  layer: LayerFacts,
  rank: number,
  { basis: { finish, score } }: PruneSettings,
): FactorizeCut {
  const { order } = ranking(input, layer, score);
  const isPrefix = order.slice(0, rank).every((j) => j < rank);
  return {
    kind: 'factorize',
    layer: layer.name,
    rank,
    finish,
    ...(isPrefix ? {} : { kept: [...order.slice(0, rank)] }),
  };
}

/** Why the target is not reached; null when it is. */
function shortfall(asksForLess: boolean, start: number, met: boolean, budget: number, reached: number): string | null {
  if (start === 0) return asksForLess ? 'Nothing can be pruned: no layer of this model has a known cost.' : null;
  return met ? null : shortfallOf(budget / start, reached / start);
}

/** Which layers stay, which ranks are set by hand, and which are open. */
function choose(input: BasisInput, settings: PruneSettings): Choice[] {
  const { score, breakEven, finish } = settings.basis;
  const overrideOf = matchOverrides(settings.layers);
  const isProtected = matchAny(settings.protect);
  return input.facts.layers.map((layer): Choice => {
    const override = overrideOf(layer.name);
    const reason = reasonToKeep(input, layer, isProtected(layer.name), override);
    if (reason !== null) return { rank: null, reason };
    const breaksEven = layer.breakEvenRank as number;
    const byHand = override && rankByHand(override, layer.fullRank);
    if (byHand !== undefined) {
      const rank = roundRank(byHand, settings.multiple, layer.fullRank);
      if (rank >= layer.fullRank) return { rank: null, reason: 'set to its full rank' };
      if (rank >= breaksEven && finish === 'two-layers') {
        const reason = `set to rank ${rank}, but from ${Math.ceil(breaksEven)} on two layers cost more than this one`;
        return { rank: null, reason };
      }
      return { rank, reason: '' };
    }
    const maxUsefulRank = Math.min(Math.floor(breaksEven * breakEven), Math.ceil(breaksEven) - 1);
    const { scores, order } = ranking(input, layer, score);
    const sorted = scores.map((_, i) => scores[order[i]]);
    const reasonIfWhole = 'whole: a cheaper rank would lose more than it saves';
    return { rank: null, reason: reasonIfWhole, candidate: { scores: sorted, maxUsefulRank } };
  });
}

function rankByHand({ rank, ratio }: LayerOverride, fullRank: number): number | undefined {
  return rank ?? (ratio === undefined ? undefined : Math.round(ratio * fullRank));
}

/** Why a layer stays whole whatever the threshold; null when it need not. */
function reasonToKeep(
  { facts, energies, reasons, basis }: BasisInput,
  layer: LayerFacts,
  isProtected: boolean,
  override: LayerOverride | undefined,
): string | null {
  if (layer.reason) return layer.reason;
  if (override?.keep) return 'locked';
  // A rank set for this very layer is stronger than a protecting glob; one set for many is not.
  const isByHand = override?.rank !== undefined || override?.ratio !== undefined;
  if (isProtected && !(isByHand && override.match === layer.name)) return 'protected';
  if (!energies.has(layer.name)) {
    return (
      reasons.get(layer.name) ??
      (basis === 'activations' ? 'the calibration images did not reach it' : 'its spectrum is not known')
    );
  }
  if (isByHand) return null;
  const { blocks, cols } = layer.matrices as NonNullable<LayerFacts['matrices']>;
  const kernel = layer.weight.shape.slice(2).reduce((product, size) => product * size, 1);
  const channels = (cols / kernel) * blocks;
  if (layer.opType === 'Conv' && channels <= FEW_CHANNELS) return `its input has only ${channels} channels`;
  if (layer.fullRank < SMALL_RANK) return `too small to gain: its full rank is ${layer.fullRank}`;
  if (layer.macs === null && facts.shapes) return layer.macsReason;
  return null;
}

type Score = PruneSettings['basis']['score'];

/** Scores of a layer's bases, and the bases from the best to the worst; where scores are equal, the earlier goes first. */
function ranking(
  { energies, importance }: BasisInput,
  layer: LayerFacts,
  score: Score,
): { scores: Float64Array; order: Uint32Array } {
  const measured = isMeasuredScore(score) ? importance?.get(layer.name) : undefined;
  const scores = measured
    ? measured.map((change) => change / macsPerBasis(layer))
    : scoreBases(layer, energies.get(layer.name) as Float64Array, score);
  const order = Uint32Array.from(scores, (_, i) => i);
  // Energies come sorted, whatever rounding makes of their shares.
  return { scores, order: measured ? order.sort((a, b) => scores[b] - scores[a] || a - b) : order };
}

/** Scores of a layer's bases by energy: their share of the layer's energy, or that share per multiply-accumulate it saves. */
export function scoreBases(layer: LayerFacts, energy: Float64Array, score: Score): Float64Array {
  let total = 0;
  for (const e of energy) total += e;
  const unit = (total || 1) * (score === 'energy' ? 1 : macsPerBasis(layer));
  return energy.map((e) => e / unit);
}

/** Multiply-accumulates that one basis costs; without shapes, the weights it holds stand in for them. */
function macsPerBasis({ macs, matrices }: LayerFacts): number {
  const { blocks, rows, cols } = matrices as NonNullable<LayerFacts['matrices']>;
  const weights = blocks * (rows + cols);
  return macs === null ? weights : (macs * weights) / (blocks * rows * cols);
}

/** energy[r] = share of the sum of the first r entries; entry 0 is 0. All ones when there is no energy. */
function cumulative(energy: Float64Array): Float64Array {
  const out = new Float64Array(energy.length + 1);
  for (let i = 0; i < energy.length; i++) out[i + 1] = (out[i] as number) + (energy[i] as number);
  const total = out[energy.length] as number;
  return total > 0 ? out.map((e) => e / total) : out.fill(1);
}

interface Spent {
  /** Of the layers whose count is known. */
  readonly macs: number;
  readonly params: number;
  readonly bytes: number;
}

/** What the model costs at these ranks: with what the cuts add, less the stored tensors that nothing reads any more. */
function spent(
  { facts, shapes, uses }: BasisInput,
  ranks: Ranks,
  finish: 'two-layers' | 'recombined' = 'two-layers',
): Spent {
  const left = new Map<string, number>();
  let { params, bytes } = facts.totals;
  let macs = 0;
  const release = (tensor: string, size: { params: number; bytes: number }): void => {
    const users = (left.get(tensor) ?? uses.get(tensor) ?? 1) - 1;
    left.set(tensor, users);
    if (users > 0) return;
    params -= size.params;
    bytes -= size.bytes;
  };
  for (const [i, layer] of facts.layers.entries()) {
    const shape = shapes.get(layer.name);
    const rank = ranks[i];
    if (rank === null || !shape) {
      macs += layer.macs ?? 0;
      continue;
    }
    const { bias, newBias } = shape;
    const cost = finish === 'recombined' ? recombinedCost(shape) : factorizedCost(shape, rank);
    macs += cost.macs ?? 0;
    params += newBias ? cost.params : cost.params - bias.params;
    bytes += newBias ? cost.bytes : cost.bytes - bias.bytes;
    release(shape.weightTensor, { params: layer.params - bias.params, bytes: layer.bytes - bias.bytes });
    if (shape.biasTensor !== null && newBias) release(shape.biasTensor, bias);
  }
  return { macs, params, bytes };
}
