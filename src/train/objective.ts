/** What a training run minimizes, from its settings: the losses of `losses.ts` put together for a prepared model. */
import { notAClassifier } from '../errors';
import type { GraphBuilder } from '../graph/builder';
import { classesOf } from './classifier';
import { crossEntropy, distillation, featureMatching, hits, weightedSum } from './losses';
import type { OutputPair, PreparedModel } from './prepare';
import type { Objective } from './trainingGraph';

export interface ObjectiveSettings {
  /** `labels`: cross-entropy; `distill`: the teacher's class probabilities; `match`: the teacher's outputs as numbers. */
  readonly loss: 'labels' | 'distill' | 'match';
  /** Weight of the labels beside the teacher, 0 to 1. */
  readonly labelShare: number;
  readonly temperature: number;
  /** Weight of matching the teacher's feature maps. */
  readonly features: number;
  readonly labelSmoothing: number;
}

/** Name of the input for labels, int64 [N]. */
export const LABELS = 'training/labels';

/**
 * @param model with its teacher, unless the loss is `labels`
 * @returns emits the nodes; its hits count the samples classified as the labels say or, without labels, as the teacher does
 * @throws UserError `not-a-classifier` when the loss needs classes and the first output has none
 */
export function objectiveOf(
  { outputs, features }: Pick<PreparedModel, 'outputs' | 'features'>,
  settings: ObjectiveSettings,
): (g: GraphBuilder) => Objective {
  const [first] = outputs;
  const classes = classesOf(first.shape);
  const usesLabels = settings.loss === 'labels' || settings.labelShare > 0;
  if ((usesLabels || settings.loss === 'distill') && classes === null) {
    throw notAClassifier({ output: first.name, shape: first.shape.map((size) => size ?? 'N').join('×') });
  }
  return (g) => {
    const labels = usesLabels ? LABELS : null;
    if (labels) g.accept(labels, 'int64');
    const logits = classes === null ? first.value : asRows(g, first.value, first, classes);
    const teacher = first.target && (classes === null ? first.target : asRows(g, first.target, first, classes));
    const byLabels = (): string =>
      crossEntropy(g, logits, labels as string, { classes: classes as number, smoothing: settings.labelSmoothing });
    const byTeacher = (): string =>
      settings.loss === 'match'
        ? featureMatching(
            g,
            outputs.map(({ value, target }) => ({ value, target: target as string })),
          )
        : distillation(g, logits, teacher as string, settings.temperature);
    const share = settings.loss === 'labels' ? 1 : settings.labelShare;
    const loss = weightedSum(g, [
      { weight: share, loss: byLabels },
      { weight: 1 - share, loss: byTeacher },
      { weight: features.length ? settings.features : 0, loss: () => featureMatching(g, features) },
    ]);
    const wanted = labels ?? (teacher && classes !== null ? g.reshape(g.argMax(teacher, 1), [-1]) : null);
    return {
      loss,
      ...(wanted === null ? {} : { hits: hits(g, logits, wanted) }),
      inputs: labels ? [{ name: labels, dtype: 'int64', shape: ['N'] }] : [],
    };
  };
}

function asRows(g: GraphBuilder, value: string, { shape }: OutputPair, classes: number): string {
  return shape.length === 2 ? value : g.reshape(value, [-1, classes]);
}
