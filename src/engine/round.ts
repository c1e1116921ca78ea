/** What rounds of every method have in common: what they are given, what they leave, and how their training begins. */
import { serializeGraph } from '../formats/onnx/serialize';
import type { Graph, GraphNode } from '../graph/graph';
import type { Check, Projection, SparsityReport, TrainingReport } from '../protocol/plan';
import type { PruneSettings, TrainingSettings } from '../protocol/recipe';
import type { RequestContext } from '../protocol/rpc';
import { createSession } from '../runtime/session';
import { initialize } from '../train/initialize';
import type { Decomposed } from './decompose';
import { type Inputs, scoreOf } from './inputs';
import type { OpenedModel } from './models';
import { resumesTraining, type Scene } from './scene';
import type { Trained, TrainingRequest } from './train';

export interface Round {
  /** The model to prune. */
  readonly from: OpenedModel;
  /** With a target that is counted. */
  readonly settings: PruneSettings;
  readonly training: TrainingSettings | null;
  /** Tells the checkpoints of one round from another's. */
  readonly name: string;
}

export interface Pruned {
  /** The model that the cuts apply to. */
  readonly from: OpenedModel;
  readonly projection: Projection;
  /** With the values it has after training. */
  readonly decomposed: Decomposed;
  /** What the candidate must compute. */
  readonly reference: Trained['reference'];
  /** What was proved on the way. */
  readonly checks: readonly Check[];
  readonly training: TrainingReport | null;
  /** Of a method that sets single weights to zero. */
  readonly sparsity?: SparsityReport;
  /** What the file is to hold, where it holds the graph in another form. */
  readonly stored?: Graph;
  /** For people. */
  readonly warnings?: readonly string[];
}

/** What training starts with: weights drawn at random, in the first round, or those that are there. */
export function startOf({ base }: Scene, { from, settings, training }: Round, cut: Decomposed): Decomposed {
  const startsAnew = training?.initial === 'random' && from === base;
  return startsAnew ? withGraph(cut, initialize(cut.graph, { seed: settings.seed })) : cut;
}

/** A round with training, and the images for it. */
export interface TrainingRound extends Round {
  readonly training: TrainingSettings;
  readonly inputs: Inputs;
}

/** The training of a round. */
export function trainingRequest(
  scene: Scene,
  { settings, training, inputs, name }: TrainingRound,
  decomposed: Decomposed,
): TrainingRequest {
  return {
    opened: scene.base,
    decomposed,
    settings: { ...settings, training },
    inputs,
    session: scene.session,
    checkpoint: scene.checkpoint,
    run: scene.identity,
    part: name,
    resume: resumesTraining(scene),
    pause: scene.tools.pause,
  };
}

/** The same cuts with another graph of the same nodes. */
export function withGraph({ graph: before, owners, masked }: Decomposed, graph: Graph): Decomposed {
  const moved = new Map<GraphNode, string>();
  before.nodes.forEach((node, i) => {
    const owner = owners.get(node);
    if (owner !== undefined) moved.set(graph.nodes[i], owner);
  });
  return { graph, owners: moved, masked };
}

/** Accuracy of a graph that has no file yet; null without labels. @param most images at most */
export async function accuracyOf(
  graph: Graph,
  { base, settings, session: options }: Scene,
  evaluation: Inputs,
  { signal, progress }: RequestContext,
  most?: number,
): Promise<number | null> {
  if (!evaluation.dataset.labelled) return null;
  progress({ phase: 'evaluate', message: 'Evaluating the model in memory', fraction: null });
  const session = await createSession(serializeGraph(graph, base.model.metadata), {
    ...options,
    label: 'the pruned model',
  });
  const count = Math.min(settings.data?.limit ?? Number.POSITIVE_INFINITY, most ?? Number.POSITIVE_INFINITY);
  try {
    const options = { count: Number.isFinite(count) ? count : undefined, signal };
    return (await scoreOf(session, evaluation, options))?.accuracy ?? null;
  } finally {
    await session.release();
  }
}
