/**
 * A run of global sparse momentum: train, set what decayed to zero and, if asked for, train on with the zeros kept. Or a
 * lottery ticket (Frankle and Carbin, 2019): the zeros of a model that was pruned before, put into the weights that a
 * training starts with.
 */
import { trainingNeeded } from '../errors';
import { SPARSE_IR_VERSION, withSparseInitializers } from '../formats/onnx/sparse';
import type { Graph } from '../graph/graph';
import type { SparsityReport, TrainingReport } from '../protocol/plan';
import type { RequestContext } from '../protocol/rpc';
import { type AfterCut, cutOnce, trainingOn } from './afterCut';
import { compact } from './compact';
import { type Decomposed, untouched } from './decompose';
import type { Inputs } from './inputs';
import { projectPlan } from './projection';
import { accuracyOf, type Pruned, type Round, startOf, trainingRequest, withGraph } from './round';
import { type Scene, within } from './scene';
import { decayOf, nonZeroWeights, sparseRule, sparsityLayers, sparsityReport, sparsityWarnings } from './sparsity';
import { keptWeights, masked, ticketWeights } from './ticket';
import { joinedTraining, type Trained, type TrainingRequest, trainPruned } from './train';
import { stepsPerEpoch } from './trainingData';

/** What was found of a training whose zeros stay. */
interface Found {
  /** Names of the stored tensors whose weights could become zero. */
  readonly ranked: readonly string[];
  readonly sparsity: SparsityReport;
  readonly training: TrainingReport;
  readonly warnings: readonly string[];
}

interface Sparse extends AfterCut<Found> {
  readonly trained: Trained;
}

/** One training of the run. */
interface Part {
  readonly request: TrainingRequest;
  readonly inputs: Inputs;
  readonly layers: Parameters<typeof sparseRule>[0];
  accuracy(graph: Graph): Promise<number | null>;
}

/** @throws UserError `training-needed`, `ticket-differs`, and what training throws */
export async function gsm(scene: Scene, round: Round, context: RequestContext): Promise<Pruned> {
  const { from, settings, training } = round;
  const { inputs, evaluation } = scene;
  if (!training || !inputs) throw trainingNeeded({ method: 'gsm' });
  const { projection } = projectPlan(from, settings, null, null);
  const start = startOf(scene, round, untouched(from));
  const request = trainingRequest(scene, { ...round, training, inputs }, start);
  const accuracy = async (graph: Graph): Promise<number | null> =>
    evaluation && (await accuracyOf(graph, scene, evaluation, context));
  const part: Part = { request, inputs, layers: from.layers, accuracy };
  const saved = howToSave(settings, from.model.metadata.irVersion);
  const pruned = async (start: Decomposed, { reference, graph }: Trained, found: Found): Promise<Pruned> => {
    const { training, ranked } = found;
    const sparsity = { ...found.sparsity, saved };
    const warnings = [...found.warnings, ...(saved === settings.gsm.save ? [] : [TOO_OLD])];
    const whole = { from, projection, decomposed: withGraph(start, graph), reference, checks: [], training };
    if (saved === 'compact') {
      const { removed, ...smaller } = await compact(from, graph, settings.seed);
      const left = smaller.decomposed.graph;
      const layers = sparsityLayers(left, new Set(ranked));
      // Idle channels take weights with them that are not zero.
      const nonZero = nonZeroWeights(left, new Set(ranked));
      return { ...whole, ...smaller, sparsity: { ...sparsity, nonZero, layers, idleChannels: removed }, warnings };
    }
    const stored = saved === 'sparse' ? withSparseInitializers(graph, new Set(ranked)) : graph;
    return { ...whole, sparsity, stored, warnings };
  };
  const { ticket, epochsAfter } = settings.gsm;
  if (ticket !== undefined) {
    const kept = await ticketWeights(scene, ticket, start.graph);
    const { trained, found } = await ticketTraining(part, kept, context);
    return pruned(start, trained, found);
  }
  if (epochsAfter === 0) {
    const { trained, found } = await sparseTraining(part, context);
    return pruned(start, trained, found);
  }
  const beforeCut = training.epochs / (training.epochs + epochsAfter);
  const { graph, found } = await cutOnce(scene, round, () => sparseTraining(part, within(context, [0, beforeCut])));
  const decomposed = withGraph(start, graph);
  const kept = keptWeights(graph, new Set(found.ranked));
  const last = await trainPruned(
    { ...trainingOn({ ...request, decomposed }, epochsAfter), kept },
    within(context, [beforeCut, 1]),
  );
  const { untrained } = found.training;
  return pruned(decomposed, last, {
    ...found,
    training: joinedTraining(found.training, { ...last.report, untrained }),
  });
}

const TOO_OLD = `The file is not smaller: sparse tensors can be stored from IR version ${SPARSE_IR_VERSION} on, and the model has an older one.`;

function howToSave({ gsm }: Round['settings'], irVersion: number): SparsityReport['saved'] {
  return gsm.save === 'sparse' && irVersion < SPARSE_IR_VERSION ? 'dense' : gsm.save;
}

/** Training in which most weights decay, and their cut. */
async function sparseTraining({ request, inputs, layers, accuracy }: Part, context: RequestContext): Promise<Sparse> {
  const { settings, decomposed } = request;
  const { training } = settings;
  const sparse = sparseRule(layers, settings);
  const decay = decayOf(training, settings.gsm, stepsPerEpoch(inputs, training));
  if (decay.warning) context.progress({ phase: 'check', message: decay.warning, fraction: null });
  const untrained = await accuracy(decomposed.graph);
  const trained = await trainPruned(
    { ...request, sparse, neighbours: { before: 0, after: settings.gsm.epochsAfter } },
    context,
  );
  if (!trained.masked) throw new Error('a training of this method sets weights to zero');
  const before = await accuracy(trained.masked.before);
  const sparsity = sparsityReport(trained.graph, {
    ...trained.masked,
    saved: 'dense',
    decayExponent: decay.exponent,
    accuracy: { trained: before, masked: settings.gsm.epochsAfter > 0 ? await accuracy(trained.graph) : null },
  });
  return {
    graph: trained.graph,
    trained,
    found: {
      ranked: [...trained.masked.ranked],
      sparsity,
      training: { ...trained.report, untrained },
      warnings: [...(decay.warning ? [decay.warning] : []), ...sparsityWarnings(sparsity)],
    },
  };
}

/** Plain training of the weights that another model kept, from where they started. */
async function ticketTraining(
  { request, accuracy }: Part,
  kept: ReadonlyMap<string, Uint8Array>,
  context: RequestContext,
): Promise<Sparse> {
  const { graph, ...counts } = masked(request.decomposed.graph, kept);
  const untrained = await accuracy(graph);
  const decomposed = withGraph(request.decomposed, graph);
  const trained = await trainPruned({ ...request, decomposed, kept }, context);
  const sparsity = sparsityReport(trained.graph, {
    ...counts,
    saved: 'dense',
    decayExponent: null,
    accuracy: { trained: null, masked: null },
  });
  return {
    graph: trained.graph,
    trained,
    found: {
      ranked: [...counts.ranked],
      sparsity,
      training: { ...trained.report, untrained },
      warnings: sparsityWarnings(sparsity),
    },
  };
}
