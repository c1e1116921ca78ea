/**
 * Lifts a graph to the operator set of training programs. The saved model keeps its own: this is for programs that are
 * built, run and thrown away.
 *
 * Each entry of the table says what changed in one version of one operator; a node passes through all entries above
 * its own version, in order. Source: the change log of ONNX's operators
 * (https://github.com/onnx/onnx/blob/main/docs/Changelog.md).
 */
import { opsetTooOld } from '../errors';
import {
  type Attribute,
  attribute,
  type Graph,
  type GraphNode,
  int,
  type ModelMetadata,
  makeNode,
  string,
} from '../graph/graph';
import { freshNames } from '../graph/names';
import { subgraphs } from '../graph/order';
import { float32Tensor, int64Tensor, memoryTensor, type Tensor, type TensorRef, toFloat64 } from '../tensor/tensor';

/** From this one on, every reduction takes its axes as an input. */
export const TRAINING_OPSET = 18;
/** ONNX Runtime promises to run models from here on. */
const OLDEST_OPSET = 7;
/** The first IR version for {@link TRAINING_OPSET}. */
const TRAINING_IR = 8;

/** What a step may add to the graph around its node. */
interface Surroundings {
  /** A name that nothing else has. */
  fresh(wish: string): string;
  /** The stored tensor behind a name. */
  stored(name: string): Tensor | undefined;
  /** Stores a constant and gives its name. */
  store(wish: string, tensor: Tensor): string;
}
type Change = (node: GraphNode, around: Surroundings) => GraphNode;
type Step = (node: GraphNode, around: Surroundings) => GraphNode | readonly GraphNode[];

/** The metadata of the training program of a model. */
export function trainingMetadata(metadata: ModelMetadata): ModelMetadata {
  const opsets = new Map([...metadata.opsets].filter(([domain]) => domain !== 'ai.onnx'));
  opsets.set('', Math.max(opsetOf(metadata), TRAINING_OPSET));
  return { ...metadata, opsets, irVersion: Math.max(metadata.irVersion, TRAINING_IR) };
}

function opsetOf({ opsets }: ModelMetadata): number {
  return opsets.get('') ?? opsets.get('ai.onnx') ?? 1;
}

/**
 * The graph in the training operator set, or in its own when that is newer.
 * @throws UserError `opset-too-old`
 */
export function upgradeGraph(graph: Graph, metadata: ModelMetadata): Graph {
  const opset = opsetOf(metadata);
  if (opset >= TRAINING_OPSET) return graph;
  if (opset < OLDEST_OPSET) throw opsetTooOld({ opset, oldest: OLDEST_OPSET });
  return upgraded(graph, opset, freshNames(graph));
}

function upgraded(graph: Graph, opset: number, fresh: (wish: string) => string): Graph {
  const initializers = new Map<string, TensorRef>(graph.initializers);
  const around: Surroundings = {
    fresh,
    stored: (name) => initializers.get(name)?.read(),
    store(wish, tensor) {
      const name = fresh(wish);
      initializers.set(name, memoryTensor(name, tensor));
      return name;
    },
  };
  const nodes = graph.nodes.flatMap((node) => {
    let current: readonly GraphNode[] = [withSubgraphs(node, opset, fresh)];
    for (const [version, steps] of changes) {
      if (version <= opset) continue;
      current = current.flatMap((one) =>
        one.domain === '' && Object.hasOwn(steps, one.opType) ? steps[one.opType](one, around) : [one],
      );
    }
    return current;
  });
  return { ...graph, nodes, initializers };
}

function withSubgraphs(node: GraphNode, opset: number, fresh: (wish: string) => string): GraphNode {
  const standard = node.domain === 'ai.onnx' ? { ...node, domain: '' } : node;
  if (subgraphs(node).length === 0) return standard;
  const attributes = new Map<string, Attribute>();
  for (const [name, value] of node.attributes) {
    if (value.kind === 'graph') attributes.set(name, { ...value, value: upgraded(value.value, opset, fresh) });
    else if (value.kind === 'graphs') {
      attributes.set(name, { ...value, value: value.value.map((graph) => upgraded(graph, opset, fresh)) });
    } else attributes.set(name, value);
  }
  return { ...standard, attributes };
}

function without(node: GraphNode, ...names: readonly string[]): GraphNode {
  return { ...node, attributes: new Map([...node.attributes].filter(([name]) => !names.includes(name))) };
}

function withAttributes(node: GraphNode, added: Readonly<Record<string, Attribute>>): GraphNode {
  return { ...node, attributes: new Map([...node.attributes, ...Object.entries(added)]) };
}

/** Inputs up to and including an index; those in between are left out. */
function withInput(node: GraphNode, index: number, name: string): GraphNode {
  const inputs = Array.from({ length: Math.max(node.inputs.length, index + 1) }, (_, i) => node.inputs[i] ?? '');
  inputs[index] = name;
  return { ...node, inputs };
}

/** An attribute of integers that became an input. */
const intsAsInput =
  (name: string, index: number): Change =>
  (node, { store }) => {
    const values = attribute(node, name, 'ints');
    return values ? withInput(without(node, name), index, store(name, int64Tensor(values))) : node;
  };

/** An attribute of one float that became an input. */
const floatAsInput =
  (name: string, index: number): Change =>
  (node, { store }) => {
    const value = attribute(node, name, 'float');
    return value === undefined
      ? node
      : withInput(without(node, name), index, store(name, float32Tensor(Float32Array.of(value), [])));
  };

/** One change after the other. */
const both =
  (first: Change, second: Change): Change =>
  (node, around) =>
    second(first(node, around), around);

const axesAsInput = intsAsInput('axes', 1);

/** All axes from `axis` on were taken as one; now it is one axis only. */
const ofOneAxis: Step = (node, { fresh }) => {
  if (attribute(node, 'axis', 'int') === -1) return node;
  const [X] = node.inputs;
  const [Y] = node.outputs;
  const [shape, flat, result] = ['shape', 'flat', 'result'].map((part) => fresh(`${Y}/${part}`));
  return [
    makeNode('Shape', [X], [shape]),
    makeNode('Flatten', [X], [flat], { axis: node.attributes.get('axis') ?? int(1) }),
    withAttributes({ ...node, inputs: [flat], outputs: [result] }, { axis: int(-1) }),
    makeNode('Reshape', [result, shape], [Y]),
  ];
};

/**
 * Before opset 11, output element i lies at i/scale. Which neighbour is the nearest was not said: runtimes take the one
 * below when they enlarge and the one above when they shrink.
 */
const firstResize: Change = (node, { stored }) => {
  const [X, scales] = node.inputs;
  const tensor = stored(scales);
  const shrinks = tensor !== undefined && toFloat64(tensor).some((scale) => scale < 1);
  return withAttributes(
    { ...node, inputs: [X, '', scales] },
    { coordinate_transformation_mode: string('asymmetric'), nearest_mode: string(shrinks ? 'ceil' : 'floor') },
  );
};

/** What changed, by the version that brought it. Versions that only allow more are left out. */
const changes: readonly [number, Readonly<Record<string, Step>>][] = [
  // Whether statistics are per channel: the only way left.
  [9, { BatchNormalization: (node) => without(node, 'spatial') }],
  [
    10,
    {
      Slice(node, around) {
        const [starts, ends, axes] = ['starts', 'ends', 'axes'].map((name) => attribute(node, name, 'ints'));
        let lifted = without(node, 'starts', 'ends', 'axes');
        for (const [i, values] of [starts, ends, axes].entries()) {
          if (values) lifted = withInput(lifted, i + 1, around.store('slice', int64Tensor(values)));
        }
        return lifted;
      },
      TopK(node, { store }) {
        const k = attribute(node, 'k', 'int');
        return k === undefined ? node : withInput(without(node, 'k'), 1, store('k', int64Tensor([k])));
      },
      // Gone since then; Resize has taken its place.
      Upsample(node, { store }) {
        const given = attribute(node, 'scales', 'floats');
        const scales = given
          ? store('scales', float32Tensor(Float32Array.from(given), [given.length]))
          : node.inputs[1];
        return { ...without(node, 'scales'), opType: 'Resize', inputs: [node.inputs[0], scales] };
      },
    },
  ],
  [
    11,
    {
      Clip: both(floatAsInput('min', 1), floatAsInput('max', 2)),
      Pad: both(intsAsInput('pads', 1), floatAsInput('value', 2)),
      Resize: firstResize,
      Scatter: (node) => ({ ...node, opType: 'ScatterElements' }),
    },
  ],
  [12, { Dropout: floatAsInput('ratio', 1) }],
  [
    13,
    {
      Hardmax: ofOneAxis,
      LogSoftmax: ofOneAxis,
      Softmax: ofOneAxis,
      ReduceSum: axesAsInput,
      Split: intsAsInput('split', 1),
      Squeeze: axesAsInput,
      Unsqueeze: axesAsInput,
    },
  ],
  // Further outputs were of training only.
  [14, { BatchNormalization: (node) => ({ ...node, outputs: node.outputs.slice(0, 1) }) }],
  [
    16,
    {
      RoiAlign: (node) => withAttributes(node, { coordinate_transformation_mode: string('output_half_pixel') }),
    },
  ],
  [
    18,
    {
      ReduceL1: axesAsInput,
      ReduceL2: axesAsInput,
      ReduceLogSum: axesAsInput,
      ReduceLogSumExp: axesAsInput,
      ReduceMax: axesAsInput,
      ReduceMean: axesAsInput,
      ReduceMin: axesAsInput,
      ReduceProd: axesAsInput,
      ReduceSumSquare: axesAsInput,
      Split: (node) => (node.inputs[1] ? node : withAttributes(node, { num_outputs: int(node.outputs.length) })),
    },
  ],
];
