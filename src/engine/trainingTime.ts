/** What the training of a run would take, from a few steps of each of its parts. */
import path from 'node:path';
import { dataNeeded } from '../errors';
import type { TrainingTime } from '../protocol/plan';
import { type PruneSettings, type TrainingSettings, trainingSchema } from '../protocol/recipe';
import type { RequestContext } from '../protocol/rpc';
import type { SessionOptions } from '../runtime/session';
import { learnsAnew } from '../settings/images';
import { trainsSparsely } from '../settings/methods';
import { epochsAfterCut, trainingsOf } from '../settings/rounds';
import type { SparseMomentum } from '../train/sparseMomentum';
import type { Decomposed } from './decompose';
import { openInputs } from './inputs';
import type { OpenedModel } from './models';
import type { AnyPlan } from './planning';
import { compactionWork, runOf, siteOf } from './resrep';
import { shapedLike } from './shaped';
import { decayOf, sparseRule } from './sparsity';
import { timeTraining } from './train';
import { stepsPerEpoch } from './trainingData';
import { trainingOf } from './trainingOptions';
import { headTraining, newClassifier } from './transfer';

export interface TrainingTimeRequest {
  readonly opened: OpenedModel;
  /** The shapes of the pruned model count here, not what its weights are. */
  readonly planned: AnyPlan;
  readonly settings: PruneSettings;
  /** Relative data paths start here. */
  readonly folder: string;
  readonly session: SessionOptions;
}

/** @throws UserError as training itself */
export async function trainingTime(
  { opened, planned, settings, folder, session }: TrainingTimeRequest,
  context: RequestContext,
): Promise<TrainingTime> {
  const { data, transfer } = settings;
  if (!data) throw dataNeeded({ what: 'training' });
  const training = trainingOf(settings) ?? settings.training ?? trainingSchema.parse({});
  const inputs = await openInputs(opened, path.resolve(folder, data.path), {
    preprocessing: data.preprocessing,
    isForeign: learnsAnew(settings),
    signal: context.signal,
  });
  try {
    const measured = (decomposed: Decomposed, part: TrainingSettings, sparse?: SparseMomentum): Promise<TrainingTime> =>
      timeTraining({ opened, decomposed, settings: { ...settings, training: part }, inputs, session, sparse }, context);
    const sparse = trainsSparsely(settings) ? sparseRule(opened.layers, settings) : undefined;
    const parts: { time: TrainingTime; times: number }[] = [];
    let warning = sparse ? decayOf(training, settings.gsm, stepsPerEpoch(inputs, training)).warning : null;
    if (transfer) {
      const time = await measured(
        newClassifier({ base: opened, settings, inputs }, transfer),
        headTraining(training, transfer),
      );
      parts.push({ time, times: 1 });
    }
    if (settings.method === 'resrep') {
      const all = { ...settings, training };
      const work = compactionWork(await siteOf(opened, all), all, runOf(inputs, training));
      const request = { opened, decomposed: work.decomposed, settings: all, inputs, session, compactors: work };
      if (work.tooShort) warning = `${work.tooShort.message} ${work.tooShort.hint}`;
      const time = await timeTraining(request, context);
      const left = settings.target.kind === 'macs' ? settings.target.value : 1;
      const afterCut = { ...time, seconds: left * time.seconds };
      parts.push({ time: afterCut, times: settings.resrep.epochsAfter / training.epochs }, { time, times: 1 });
    } else if (training.epochs > 0) {
      const decomposed = shapedLike(planned);
      // A classifier's size makes no difference that could be measured: the old one stands in for a new one.
      const loss = transfer ? 'distill' : training.loss;
      parts.push({
        time: await measured(decomposed, { ...training, loss }, sparse),
        times: trainingsOf(settings) + epochsAfterCut(settings) / training.epochs,
      });
    }
    const main = parts.at(-1)?.time;
    if (!main) throw dataNeeded({ what: 'training' });
    return {
      ...main,
      seconds: parts.reduce((sum, { time, times }) => sum + times * time.seconds, 0),
      steps: Math.round(parts.reduce((sum, { time, times }) => sum + times * time.steps, 0)),
      ...(warning ? { warning } : {}),
    };
  } finally {
    await inputs.close();
  }
}
