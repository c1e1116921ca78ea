/**
 * First-order importance: by how much the loss would change if a component of a value were dropped. With the value's
 * gradient at hand, removing component j changes the loss of image n by −Σ_positions p_j·q_j, where p_j is the
 * component's share of the value and q_j the gradient along it. One program gives these products for every image of a
 * batch; what differs between criteria is when they are squared.
 *
 * Molchanov et al., *Pruning Convolutional Neural Networks for Resource Efficient Inference*, 2017, and *Importance
 * Estimation for Neural Network Pruning*, 2019, for channels; here also for the vectors of a basis.
 */
import { serializeGraph } from '../formats/onnx/serialize';
import { GraphBuilder } from '../graph/builder';
import type { Graph, ModelMetadata, ValueInfo } from '../graph/graph';
import { valueTypes } from '../ops/types';
import { createSession, type SessionOptions } from '../runtime/session';
import type { InputShapes } from '../runtime/shapes';
import type { Tensor } from '../tensor/tensor';
import { buildGradient } from './autodiff';
import { classifierOutput } from './classifier';
import { asFloat32 } from './float32';
import { crossEntropy } from './losses';
import { specialize } from './specialize';

/** A value whose components are scored. */
export interface ScoredValue {
  /** Name of the value in the model. */
  readonly value: string;
  /** Which axis counts channels. */
  readonly channelAxis: number;
  /** The components; every channel by itself when absent. */
  readonly components?: Components;
}

/** Directions in channel space: component j of y is `into[j]·(y − mean)` and carries `out[j]` back. */
export interface Components {
  readonly count: number;
  readonly channels: number;
  /** count × channels each. */
  readonly into: Float64Array;
  readonly out: Float64Array;
  /** [channels] */
  readonly mean: Float64Array;
}

/** Squared changes of the loss, one number per component. */
export interface FirstOrder {
  /** Mean over images of the squared change of that image's loss (empirical Fisher information). */
  readonly fisher: Float64Array;
  /** Mean over batches of the squared change of the batch's mean loss (Taylor). */
  readonly taylor: Float64Array;
}

/** A batch with its labels; without labels the model's own first choice stands in for them. */
export interface LabelledFeeds {
  readonly feeds: Readonly<Record<string, Tensor>>;
  /** int64 [N]; null without labels. */
  readonly labels: Tensor | null;
}

export interface FirstOrderOptions extends SessionOptions {
  readonly shapes?: InputShapes;
  readonly signal?: AbortSignal;
  /** Whether the batches have labels. */
  readonly labelled: boolean;
  onBatch?(): void;
}

const LABELS = 'score/labels';

/**
 * Scores by value name, from batches that are let through one at a time.
 * @throws UserError `not-a-classifier`, `no-gradient`, `shapes-unknown`
 */
export async function firstOrderScores(
  graph: Graph,
  metadata: ModelMetadata,
  values: readonly ScoredValue[],
  batches: AsyncIterable<LabelledFeeds>,
  options: FirstOrderOptions,
): Promise<Map<string, FirstOrder>> {
  const program = await scoreProgram(graph, metadata, values, options);
  const session = await createSession(serializeGraph(program.graph, program.metadata), {
    ...options,
    label: 'the scoring program',
  });
  const sums = new Map(values.map(({ value }) => [value, new Sums()]));
  try {
    for await (const { feeds, labels } of batches) {
      options.signal?.throwIfAborted();
      const results = await session.run(options.labelled && labels ? { ...feeds, [LABELS]: labels } : feeds);
      for (const [value, output] of program.outputs) sums.get(value)?.add(results[output]);
      options.onBatch?.();
    }
  } finally {
    await session.release();
  }
  return new Map([...sums].flatMap(([value, sum]) => (sum.isEmpty ? [] : [[value, sum.scores()] as const])));
}

/** Running sums over products [N, count] of the mean loss. */
class Sums {
  private fisher = new Float64Array(0);
  private taylor = new Float64Array(0);
  private images = 0;
  private batches = 0;

  get isEmpty(): boolean {
    return this.batches === 0;
  }

  add({ data, dims }: Tensor): void {
    const [images, count] = dims;
    const products = data as Float32Array;
    if (this.isEmpty) {
      this.fisher = new Float64Array(count);
      this.taylor = new Float64Array(count);
    }
    for (let j = 0; j < count; j++) {
      let sum = 0;
      let squares = 0;
      for (let n = 0; n < images; n++) {
        const change = products[n * count + j];
        sum += change;
        squares += change * change;
      }
      this.taylor[j] += sum * sum;
      // The loss is a mean: an image's own loss changes by N times its product.
      this.fisher[j] += squares * images * images;
    }
    this.images += images;
    this.batches += 1;
  }

  scores(): FirstOrder {
    return {
      fisher: this.fisher.map((sum) => sum / this.images),
      taylor: this.taylor.map((sum) => sum / this.batches),
    };
  }
}

async function scoreProgram(
  graph: Graph,
  metadata: ModelMetadata,
  values: readonly ScoredValue[],
  { shapes, labelled, device }: FirstOrderOptions,
): Promise<{ graph: Graph; metadata: ModelMetadata; outputs: Map<string, string> }> {
  const forward = await specialize(graph, metadata, shapes);
  const single = asFloat32(forward.graph);
  const { logits, classes } = classifierOutput(single, forward.shapes);
  const head = new GraphBuilder(single, valueTypes(single));
  head.prefix = 'score/';
  const rows = head.reshape(logits, [-1, classes]);
  if (labelled) head.accept(LABELS, 'int64');
  const wanted = labelled ? LABELS : head.reshape(head.argMax(rows, 1), [-1]);
  const loss = crossEntropy(head, rows, wanted, { classes });
  const withLoss: Graph = {
    ...single,
    nodes: [...single.nodes, ...head.nodes],
    inputs: [...single.inputs, ...(labelled ? [{ name: LABELS, dtype: 'int64', shape: ['N'] } as ValueInfo] : [])],
    outputs: [{ name: loss, dtype: 'float32', shape: [] }],
    valueInfo: [],
    initializers: new Map([...single.initializers, ...head.initializers]),
  };
  // A second time, for the shapes of the loss's own values.
  const whole = await specialize(withLoss, forward.metadata, shapes);
  const { graph: differentiated, gradients } = buildGradient(whole.graph, {
    loss,
    wrt: values.map(({ value }) => value),
    shapes: whole.shapes,
    device,
  });
  const g = new GraphBuilder(differentiated, valueTypes(differentiated));
  g.prefix = 'score/';
  const outputs = new Map<string, string>();
  for (const scored of values) {
    const gradient = gradients.get(scored.value);
    const rank = forward.shapes.get(scored.value)?.length;
    if (gradient && rank) outputs.set(scored.value, products(g, scored, gradient, rank));
  }
  return {
    graph: {
      ...differentiated,
      nodes: [...differentiated.nodes, ...g.nodes],
      initializers: new Map([...differentiated.initializers, ...g.initializers]),
      outputs: [...outputs.values()].map((name) => ({ name, dtype: 'float32', shape: null })),
    },
    metadata: forward.metadata,
    outputs,
  };
}

/** Σ over positions of value times gradient, component by component: [N, count]. */
function products(
  g: GraphBuilder,
  { value, channelAxis, components }: ScoredValue,
  gradient: string,
  rank: number,
): string {
  const Y = channelsFirst(g, value, channelAxis, rank);
  const dY = channelsFirst(g, gradient, channelAxis, rank);
  if (!components) return g.reduceSum(g.mul(Y, dY), [2], false);
  const { count, channels, into, out, mean } = components;
  const type = g.typeOf(value);
  const centred = g.sub(Y, g.floats(mean, [channels, 1], type));
  const project = (matrix: Float64Array, x: string): string =>
    g.emit('MatMul', [g.floats(matrix, [count, channels], type), x]);
  return g.reduceSum(g.mul(project(into, centred), project(out, dY)), [2], false);
}

/** As [N, channels, positions]. */
function channelsFirst(g: GraphBuilder, x: string, axis: number, rank: number): string {
  if (rank === 2) return g.reshape(x, [0, -1, 1]);
  if (axis === 1) return g.reshape(x, [0, 0, -1]);
  const others = Array.from({ length: rank }, (_, i) => i).filter((i) => i !== 0 && i !== axis);
  return g.reshape(g.transpose(x, [0, axis, ...others]), [0, 0, -1]);
}
