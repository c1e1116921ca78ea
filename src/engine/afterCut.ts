/**
 * Methods that train, cut and train on: the first part is kept as a stage, so that a run that was stopped after the cut
 * goes on from there.
 */
import type { Graph } from '../graph/graph';
import type { Round } from './round';
import type { Scene } from './scene';
import type { TrainingRequest } from './train';

/** A graph that something was cut from, and what was found in doing so (plain data, as it is stored). */
export interface AfterCut<Found> {
  readonly graph: Graph;
  readonly found: Found;
}

/** What an earlier part of the run has cut; otherwise makes the cut and keeps it. */
export async function cutOnce<Found>(
  { base, settings, stages, tools }: Scene,
  { name }: Round,
  make: () => Promise<AfterCut<Found>>,
): Promise<AfterCut<Found>> {
  const done = stages.finished<Found>(name);
  if (done) {
    const { model } = await tools.models.withShapes(done.path, settings.shapes);
    return { graph: model.graph, found: done.report };
  }
  const { graph, found } = await make();
  stages.finish(name, base.model, graph, found);
  return { graph, found };
}

/** Training that goes on after the cut, reported as the later part of the whole. */
export function trainingOn(request: TrainingRequest, epochs: number): TrainingRequest {
  const { training } = request.settings;
  return {
    ...request,
    settings: { ...request.settings, training: { ...training, epochs } },
    part: `${request.part}/after`,
    neighbours: { before: training.epochs, after: 0 },
  };
}
