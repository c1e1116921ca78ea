/**
 * Global sparse momentum in a run: the rule that the settings ask for, whether its training is long enough, and the
 * report of what became zero.
 */
import { findLayers, type Layer } from '../analysis/layers';
import { layerSparsity } from '../analysis/sparsity';
import type { Graph } from '../graph/graph';
import type { Check, LayerSparsity, SparsityReport } from '../protocol/plan';
import type { GsmOptions, PruneSettings, TrainingSettings } from '../protocol/recipe';
import { matchAny, matchOverrides } from '../prune/match';
import { decayExponent, ENOUGH_DECAY, type Masked, type SparseMomentum } from '../train/sparseMomentum';
import { roundedBy } from './suggested';
import { scheduleOf } from './trainingOptions';

/** The rule that the settings ask for. @param layers of the model that is trained */
export function sparseRule(layers: readonly Layer[], settings: PruneSettings): SparseMomentum {
  const { keep, momentum, weightDecay, nesterov } = settings.gsm;
  const isProtected = matchAny(settings.protect);
  const override = matchOverrides(settings.layers);
  const exempt = layers.filter(({ name }) => override(name)?.keep ?? isProtected(name));
  return { keep, momentum, weightDecay, nesterov, exempt: new Set(exempt.map(({ weight }) => weight.ref.name)) };
}

/** By how much weights without a gradient shrink in a training, and what to change when that is too little. */
export interface Decay {
  readonly exponent: number;
  /** For people; null when it is enough. */
  readonly warning: string | null;
}

export function decayOf(training: TrainingSettings, gsm: GsmOptions, stepsPerEpoch: number): Decay {
  const after = (epochs: number): number =>
    decayExponent({ rate: training.lr, schedule: scheduleOf(training), steps: epochs * stepsPerEpoch, ...gsm });
  const exponent = after(training.epochs);
  return {
    exponent,
    warning: gsm.keep < 1 && exponent < ENOUGH_DECAY ? warningOf(exponent, training.epochs, gsm, after) : null,
  };
}

/** @param after the exponent after so many epochs */
function warningOf(
  exponent: number,
  epochs: number,
  { momentum, weightDecay }: GsmOptions,
  after: (epochs: number) => number,
): string {
  const factor = ENOUGH_DECAY / exponent;
  const isPossible = Number.isFinite(factor);
  let enough = isPossible ? Math.ceil(epochs * factor) : 0;
  // A schedule is not quite as long as its steps: it ends below its start.
  while (isPossible && after(enough) < ENOUGH_DECAY) enough += Math.ceil(enough / 10_000);
  const nearer = isPossible ? Number((1 - roundedBy(Math.floor, (1 - momentum) / factor)).toFixed(12)) : 0;
  const stronger = roundedBy(Math.ceil, weightDecay * factor);
  const ways = [
    ...(enough <= MOST.epochs ? [`${enough} epochs`] : []),
    ...(nearer <= MOST.momentum ? [`a momentum of ${nearer}`] : []),
    ...(stronger <= MOST.weightDecay ? [`a weight decay of ${stronger}`] : []),
  ];
  const change = !isPossible
    ? 'Weight decay must be above 0.'
    : ways.length
      ? `It would be enough with ${ways.join(', or ')}.`
      : 'No change of one setting is enough: take more epochs, more images, a momentum of 0.99 and a higher learning rate together.';
  const shrink = exponent < 0.05 ? 'hardly shrink' : `shrink to ${sizeAfter(exponent)} of their size`;
  return `Weights that are to become zero ${shrink} in this training (E = ${real(exponent)}); cutting them costs nothing from E = ${ENOUGH_DECAY} on. ${change}`;
}

/** What a person would still try; more of one thing alone breaks the training. */
const MOST = { epochs: 10_000, momentum: 0.999, weightDecay: 0.2 };

const sizeAfter = (exponent: number): string => `${Number((100 * Math.exp(-exponent)).toPrecision(2))} %`;

const real = (exponent: number): string => (exponent < 0.05 ? exponent.toPrecision(1) : exponent.toFixed(1));

/** What became zero, from the graph as it will be written: plain data, which goes to another process. */
export function sparsityReport(
  graph: Graph,
  {
    ranked,
    kept,
    weights,
    cut,
    saved,
    decayExponent,
    accuracy,
  }: Omit<Masked, 'tensors'> & Pick<SparsityReport, 'decayExponent' | 'accuracy' | 'saved'>,
): SparsityReport {
  return { weights, nonZero: kept, cut, layers: sparsityLayers(graph, ranked), saved, decayExponent, accuracy };
}

/** @param ranked names of the stored tensors whose weights could become zero */
export function sparsityLayers(graph: Graph, ranked: ReadonlySet<string>): LayerSparsity[] {
  return layerSparsity(
    findLayers(graph).filter(({ path }) => path.length === 0),
    (weight) => ranked.has(weight),
  );
}

/** How many of these weights are not zero; those that layers share count once. @param ranked names of stored tensors */
export function nonZeroWeights(graph: Graph, ranked: ReadonlySet<string>): number {
  const layers = findLayers(graph).filter(({ path, weight }) => path.length === 0 && ranked.has(weight.ref.name));
  const stored = new Map(layers.map((layer) => [layer.weight.ref.name, layer]));
  return layerSparsity([...stored.values()], () => true).reduce((sum, { nonZero }) => sum + nonZero, 0);
}

/** What is worth knowing of the result beside its figures. */
export function sparsityWarnings({ layers }: SparsityReport): string[] {
  const dead = layers.filter(({ nonZero, weights }) => weights > 0 && nonZero === 0).map(({ layer }) => layer);
  return dead.length
    ? [`No weight is left in ${dead.join(', ')}: what comes after depends on biases alone. Keep more weights.`]
    : [];
}

/** The zeros of a written file against the report. */
export function sameZeros(layers: readonly Layer[], report: SparsityReport): Check {
  const total = (found: readonly LayerSparsity[]): number => found.reduce((sum, { nonZero }) => sum + nonZero, 0);
  const found = layerSparsity(
    layers.filter(({ path }) => path.length === 0),
    () => true,
  );
  const counts = (list: readonly LayerSparsity[]): string =>
    JSON.stringify(list.map(({ layer, weights, nonZero }) => [layer, weights, nonZero]));
  return {
    name: 'Zeros as counted',
    passed: counts(found) === counts(report.layers),
    detail: `${total(found)} weights of layers are not zero in the written file, ${total(report.layers)} were counted`,
  };
}
