/**
 * Transfer learning, the setting of basis scaling: the model gets a new classifier for the classes of the data, which
 * alone is trained. The result is the model that everything after it prunes and is compared with.
 */
import { existsSync } from 'node:fs';
import { classesUnknown, headNotReplaceable, labelsNeeded } from '../errors';
import type { TrainingReport } from '../protocol/plan';
import { type TrainingSettings, type TransferSettings, trainingSchema } from '../protocol/recipe';
import type { RequestContext } from '../protocol/rpc';
import { withNewHead } from '../surgery/head';
import { type Decomposed, untouched } from './decompose';
import type { Inputs } from './inputs';
import type { OpenedModel } from './models';
import type { Scene } from './scene';
import { trainPruned } from './train';

const STAGE = 'new-classifier';

/** @throws UserError `head-not-replaceable`, `classes-unknown`, `labels-needed`, and what training throws */
export async function withNewClassifier(
  scene: Scene & { readonly inputs: Inputs },
  transfer: TransferSettings,
  context: RequestContext,
): Promise<OpenedModel> {
  const { base, settings, stages, tools, inputs, session } = scene;
  const reopened = (path: string): Promise<OpenedModel> => tools.models.withShapes(path, settings.shapes);
  const done = stages.finished<TrainingReport>(STAGE);
  if (done) return reopened(done.path);
  const decomposed = newClassifier(scene, transfer);
  const trained = await trainPruned(
    {
      opened: base,
      decomposed,
      settings: { ...settings, training: headTraining(settings.training, transfer) },
      inputs,
      session,
      checkpoint: scene.checkpoint,
      run: scene.identity,
      part: STAGE,
      resume: scene.resume && existsSync(scene.checkpoint),
      pause: tools.pause,
    },
    context,
  );
  const { path } = stages.finish(STAGE, base.model, trained.graph, trained.report);
  const opened = await reopened(path);
  if (opened.shapes.reason !== null) {
    throw headNotReplaceable({ path: base.model.path, layer: null, reason: opened.shapes.reason });
  }
  return opened;
}

/** The model with an untrained classifier. */
export function newClassifier(
  { base, settings, inputs }: Pick<Scene, 'base' | 'settings'> & { readonly inputs: Inputs },
  transfer: TransferSettings,
): Decomposed {
  if (!inputs.dataset.labelled) throw labelsNeeded({ path: inputs.dataset.path, use: 'classifier' });
  const classes = transfer.classes ?? inputs.facts.classes.length;
  if (classes < 2) throw classesUnknown({ path: inputs.dataset.path });
  const { graph } = withNewHead(base.model.graph, { classes, seed: settings.seed, path: base.model.path });
  return { ...untouched(base), graph, masked: graph };
}

/** How the new classifier is trained: from the labels, with everything else as the settings say. */
export function headTraining(training: TrainingSettings | undefined, transfer: TransferSettings): TrainingSettings {
  const base = training ?? trainingSchema.parse({});
  return {
    ...base,
    epochs: transfer.epochs,
    lr: transfer.lr,
    train: 'head',
    loss: 'labels',
    labelShare: 0,
    features: 0,
    augment: { ...base.augment, mix: false },
    batchNorm: 'frozen',
  };
}
