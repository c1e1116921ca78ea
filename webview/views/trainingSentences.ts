/** What training did, in words. */
import type { RunResult } from '../../src/protocol/plan';
import { count, duration, exact, percent, points } from '../format';
import { strings } from '../strings';

/** "Accuracy before training 71.2 %, after training 88.5 % (+17.3 points). 10 epochs, …" */
export function trainingSentences({ training, after }: Pick<RunResult, 'training' | 'after'>): string {
  if (training === undefined) return '';
  const { untrained, epochs, seconds, imagesPerSecond, trainedParams, losses } = training;
  const trained = after.accuracy?.accuracy ?? null;
  const text = strings.results;
  const accuracy =
    untrained === null || trained === null
      ? ''
      : text.trainedAccuracy(percent(untrained), percent(trained), points(untrained, trained));
  const work = text.trainedFor(epochs.length, exact(losses.length), duration(seconds), count(imagesPerSecond));
  return [accuracy, work, text.trainedParams(count(trainedParams))].filter(Boolean).join(' ');
}
