/** Which value of a model holds the logits of its classes. */
import { notAClassifier } from '../errors';
import { attribute, type Graph, type GraphNode } from '../graph/graph';
import { producers } from '../graph/order';
import type { Shape } from '../ops/gradient';

/** Operators that give what they read in the same order, maybe in another shape. */
const REORDERS_NOTHING: ReadonlySet<string> = new Set(['Flatten', 'Reshape', 'Squeeze', 'Unsqueeze', 'Identity']);

/**
 * A class probability's logit: what a final softmax reads, also when its probabilities are only reshaped afterwards.
 *
 * @param shapes of the graph's values
 * @returns the output itself when no softmax ends the model
 */
export function beforeSoftmax(graph: Graph, output: string, shapes: ReadonlyMap<string, Shape>): string {
  const from = producers(graph);
  let value = output;
  for (let node = from.get(value); node; node = from.get(value)) {
    if (node.opType === 'Softmax' || node.opType === 'LogSoftmax') {
      return value === output || isOverAll(node, shapes.get(value)) ? node.inputs[0] : output;
    }
    if (!REORDERS_NOTHING.has(node.opType)) break;
    value = node.inputs[0];
  }
  return output;
}

/** Whether a softmax runs over all that a sample has: over one of several axes, its sums would not be those of classes. */
function isOverAll(node: GraphNode, shape: Shape | undefined): boolean {
  const axis = attribute(node, 'axis', 'int') ?? -1;
  const own = shape && (axis < 0 ? shape.length + axis : axis);
  return shape?.every((size, i) => i === 0 || i === own || size === 1) === true && own !== 0;
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
  return { logits: beforeSoftmax(graph, name, shapes), classes };
}
