/** First-order scores of a model's values on a user's images: what criteria of bases and of channels go by. */
import type { PruneSettings } from '../protocol/recipe';
import { int64Tensor } from '../tensor/tensor';
import { type FirstOrder, firstOrderScores, type LabelledFeeds, type ScoredValue } from '../train/firstOrder';
import { givenShapes, type Inputs } from './inputs';
import type { OpenedModel } from './models';
import type { Scene } from './scene';

export interface ImageScoresRequest {
  readonly opened: OpenedModel;
  readonly inputs: Inputs;
  /** Images. */
  readonly count: number;
  readonly settings: PruneSettings;
  readonly session: Scene['session'];
  readonly values: readonly ScoredValue[];
  readonly signal: AbortSignal;
  /** @param done images so far */
  onImages(done: number): void;
}

/** Scores by value. @throws UserError as {@link firstOrderScores} */
export function scoresOnImages(request: ImageScoresRequest): Promise<Map<string, FirstOrder>> {
  const { opened, inputs, count, settings, session, values, signal } = request;
  const { graph, metadata } = opened.model;
  let done = 0;
  async function* feeds(): AsyncGenerator<LabelledFeeds> {
    for await (const batch of inputs.batches({ count, seed: settings.seed, signal })) {
      // A fixed batch that was filled up would score images that are not there.
      if (inputs.fixedBatch && batch.count < inputs.fixedBatch) continue;
      yield { feeds: batch.feeds, labels: batch.labels && int64Tensor(Array.from(batch.labels)) };
    }
  }
  return firstOrderScores(graph, metadata, values, feeds(), {
    ...session,
    shapes: givenShapes(opened, inputs, settings),
    labelled: inputs.dataset.labelled,
    signal,
    onBatch: () => {
      done = Math.min(count, done + inputs.batch);
      request.onImages(done);
    },
  });
}
