/** Two trainings of one run, one after the other, as one to whoever looks on. */
import type { TrainingProgress } from '../protocol/plan';
import type { RequestContext } from '../protocol/rpc';
import { within } from './scene';

/**
 * Contexts for both: one curve whose steps go on.
 * @param epochs of each; the second may have none
 * @param until which part of the time the first one takes, where there is a second
 */
export function inTurn(
  context: RequestContext,
  [first, second]: readonly [number, number],
  stepsPerEpoch: number,
  until: number,
): [RequestContext, RequestContext] {
  const end = second > 0 ? until : 1;
  return [
    amongAll(within(context, [0, end]), { before: 0, after: second, stepsPerEpoch }),
    amongAll(within(context, [end, 1]), { before: first, after: 0, stepsPerEpoch }),
  ];
}

/** Epochs before and after a training. */
interface Neighbours {
  readonly before: number;
  readonly after: number;
  readonly stepsPerEpoch: number;
}

function amongAll({ signal, progress }: RequestContext, { before, after, stepsPerEpoch }: Neighbours): RequestContext {
  const whole = (now: TrainingProgress): TrainingProgress => {
    const more = after * stepsPerEpoch;
    const left = now.secondsLeft !== null && now.step < now.steps ? now.secondsLeft / (now.steps - now.step) : 0;
    return {
      ...now,
      step: now.step + before * stepsPerEpoch,
      steps: now.steps + before * stepsPerEpoch + more,
      epoch: now.epoch + before,
      epochs: now.epochs + before + after,
      secondsLeft: now.secondsLeft === null ? null : now.secondsLeft + left * more,
    };
  };
  return {
    signal,
    progress: (now) => progress({ ...now, ...(now.training ? { training: whole(now.training) } : {}) }),
  };
}
