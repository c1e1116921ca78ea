/** Which value of a model holds the logits of its classes. */
import { notAClassifier } from '../errors';
import type { Graph } from '../graph/graph';
import { producers } from '../graph/order';
import type { Shape } from '../ops/gradient';

/** A class probability's logit: what a final softmax reads. */
export function beforeSoftmax(graph: Graph, output: string): string {
  const node = producers(graph).get(output);
  return node && (node.opType === 'Softmax' || node.opType === 'LogSoftmax') ? node.inputs[0] : output;
}

/** Classes of an output [N, K] or [N, K, 1, …] with K > 1; null for any other. */
export function classesOf([, classes, ...rest]: Shape): number | null {
  return classes && classes > 1 && rest.every((size) => size === 1) ? classes : null;
}

/**
 * Logits of the model's first output.
 * @throws UserError `not-a-classifier`
 */
export function classifierOutput(
  graph: Graph,
  shapes: ReadonlyMap<string, Shape>,
): { logits: string; classes: number } {
  const [{ name }] = graph.outputs;
  const shape = shapes.get(name) ?? [];
  const classes = classesOf(shape);
  if (classes === null) throw notAClassifier({ output: name, shape: shape.map((size) => size ?? 'N').join('×') });
  return { logits: beforeSoftmax(graph, name), classes };
}
