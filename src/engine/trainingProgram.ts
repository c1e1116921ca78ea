/** The program that trains a pruned model: what is trained, what it learns from, and what it is held against. */
import { featureLayersUnknown, labelsNeeded, mixNeedsOriginal } from '../errors';
import type { Graph, ModelMetadata } from '../graph/graph';
import { consumers } from '../graph/order';
import type { PruneSettings, TrainingSettings } from '../protocol/recipe';
import { matchAny, withoutMatch } from '../prune/match';
import type { SessionOptions } from '../runtime/session';
import { learnsFromOriginal, lossOf, usesLabels } from '../settings/training';
import { elementCount } from '../tensor/dtype';
import type { Tensor } from '../tensor/tensor';
import type { Companion } from '../train/loop';
import { estimateStatistics } from '../train/normalization';
import { objectiveOf } from '../train/objective';
import type { Optimizer } from '../train/optimizers';
import { type PreparedModel, prepareModel } from '../train/prepare';
import { buildProgram, type TrainingProgram } from '../train/program';
import { type SparseMomentum, sparseMomentum } from '../train/sparseMomentum';
import { specialize } from '../train/specialize';
import type { Decomposed } from './decompose';
import { givenShapes, type Inputs } from './inputs';
import type { OpenedModel } from './models';
import type { KeptWeights } from './ticket';
import { batchNormOf, optimizerOf } from './trainingOptions';

export interface ProgramRequest {
  /** The model to learn from. */
  readonly opened: OpenedModel;
  readonly decomposed: Decomposed;
  readonly settings: PruneSettings & { readonly training: TrainingSettings };
  readonly inputs: Inputs;
  readonly session: SessionOptions;
  /** The rule of a method that trains in its own way. */
  readonly sparse?: SparseMomentum;
  /** Weights that may change, by the name of the stored tensor: the others of these tensors stay as they are. */
  readonly kept?: KeptWeights;
  /** Compactors of the graph: their initializers, and how they are trained. */
  readonly compactors?: {
    readonly names: readonly string[];
    readonly optimizer: Optimizer;
    readonly keeper: Companion;
  };
}

/** Images for statistics that are measured again. */
const STATISTICS_IMAGES = 2000;

export async function prepare(request: ProgramRequest, signal: AbortSignal): Promise<PreparedModel> {
  const { opened, decomposed, settings, inputs, session } = request;
  const { training } = settings;
  if (usesLabels(settings) && !inputs.dataset.labelled) throw labelsNeeded({ path: inputs.dataset.path, use: 'loss' });
  if (usesLabels(settings) && training.augment.mix) throw mixNeedsOriginal();
  const { metadata } = opened.model;
  const batchNorm = batchNormOf(training);
  const shapes = givenShapes(opened, inputs, settings);
  const statistics =
    batchNorm === 'reestimate'
      ? await newStatistics(decomposed.graph, metadata, shapes, inputs, settings.seed, session, signal)
      : undefined;
  return prepareModel({
    graph: decomposed.graph,
    metadata,
    shapes,
    choice: training.train,
    inners: innerValues(decomposed),
    compactors: request.compactors?.names,
    trainsStatistics: batchNorm === 'train',
    statistics,
    teacher: learnsFromOriginal(settings) ? { graph: opened.model.graph, metadata } : undefined,
    features: featuresOf(opened, training),
  });
}

/** Outputs of the layers whose names match, before and after a BatchNormalization; undefined where none is asked for. */
function featuresOf({ model: { graph }, layers }: OpenedModel, training: TrainingSettings): string[][] | undefined {
  const { featureLayers } = training;
  if (training.features === 0 || featureLayers.length === 0) return undefined;
  const unknown = withoutMatch(
    featureLayers,
    layers.map(({ name }) => name),
  );
  if (unknown.length) throw featureLayersUnknown({ globs: unknown });
  const readers = consumers(graph);
  const isWanted = matchAny(featureLayers);
  return layers
    .filter(({ name }) => isWanted(name))
    .map(({ node }) => {
      const normalized = (readers.get(node.outputs[0]) ?? []).filter(({ opType }) => opType === 'BatchNormalization');
      return [node.outputs[0], ...normalized.map(({ outputs }) => outputs[0])];
    });
}

async function newStatistics(
  graph: Graph,
  metadata: ModelMetadata,
  shapes: Readonly<Record<string, readonly number[]>> | undefined,
  inputs: Inputs,
  seed: number,
  session: SessionOptions,
  signal: AbortSignal,
): Promise<Map<string, Tensor>> {
  const forward = await specialize(graph, metadata, shapes);
  return estimateStatistics(
    forward.graph,
    forward.metadata,
    inputs.batches({ count: STATISTICS_IMAGES, seed, signal }),
    session,
  );
}

/** Values between the halves of factorized layers: what the first of a layer's nodes gives the second. */
function innerValues({ graph, owners }: Decomposed): string[] {
  const seen = new Map<string, string>();
  const inners: string[] = [];
  for (const node of graph.nodes) {
    const owner = owners.get(node);
    if (owner === undefined) continue;
    const before = seen.get(owner);
    if (before !== undefined && node.inputs[0] === before) inners.push(before);
    seen.set(owner, node.outputs[0]);
  }
  return inners;
}

export function programOf(
  prepared: PreparedModel,
  { settings, session, inputs, sparse, kept, compactors }: ProgramRequest,
): Promise<TrainingProgram> {
  const { training } = settings;
  return buildProgram({
    graph: prepared.graph,
    metadata: prepared.metadata,
    trainables: prepared.trainables,
    kept,
    tracked: prepared.tracked,
    objective: objectiveOf(prepared, { ...training, loss: lossOf(settings) }),
    optimizer: sparse ? sparseMomentum(sparse) : (compactors?.optimizer ?? optimizerOf(training)),
    weightDecay: training.weightDecay,
    clip: training.clip === 0 ? undefined : training.clip,
    shapes: settings.shapes ?? { [inputs.input]: inputs.shape },
    session,
  });
}

/** A graph that the trained candidate must equal, and what to call it. */
export interface Reference {
  readonly graph: Graph;
  readonly metadata: ModelMetadata;
  readonly name: string;
}

/** A model that does not compute in float32 can't be held against the program, which does. */
export function referenceOf(
  graph: Graph,
  prepared: PreparedModel,
  tensors: ReadonlyMap<string, Tensor>,
  { opened }: ProgramRequest,
): Reference {
  const isSingle = graph.outputs.every(({ dtype }) => dtype === 'float32');
  return isSingle
    ? { graph: prepared.inference(tensors), metadata: prepared.metadata, name: 'the training program' }
    : { graph, metadata: opened.model.metadata, name: 'the trained graph' };
}

/** What the program trains: without what the loss does not depend on. */
export function trainedParams({ slots }: Pick<TrainingProgram, 'slots'>): number {
  return slots.reduce((sum, { vector, dims }) => sum + (vector === 'parameters' ? elementCount(dims) : 0), 0);
}
