/**
 * The graph of a training program: the model, its loss, gradients, clipping and optimizer. All trained tensors are slices
 * of one vector that goes in and comes out, and so are the optimizer's states.
 */
import { GraphBuilder } from '../graph/builder';
import { type Graph, type GraphNode, int, type ModelMetadata, makeNode, type ValueInfo } from '../graph/graph';
import { valueTypes } from '../ops/types';
import type { SessionOptions } from '../runtime/session';
import type { InputShapes } from '../runtime/shapes';
import { elementCount } from '../tensor/dtype';
import { buildGradient } from './autodiff';
import { clipped, norm, type Optimizer, type VectorOptimizer } from './optimizers';
import { specialize } from './specialize';
import type { Trainable } from './trainable';

/** What is minimized, as names of values that the objective has emitted. */
export interface Objective {
  /** A scalar. */
  readonly loss: string;
  /** How many samples of the batch count as right; a scalar. */
  readonly hits?: string;
  /** Inputs beside the model's own: labels. */
  readonly inputs?: readonly ValueInfo[];
}

/** A stored tensor that a step replaces by a value of the graph: running statistics. */
export interface TrackedTensor {
  readonly name: string;
  readonly dims: readonly number[];
  /** The value that holds what it becomes. */
  readonly next: string;
}

export interface ProgramSpec {
  /** A model at the training operator set, stored tensors as initializers, float32. */
  readonly graph: Graph;
  readonly metadata: ModelMetadata;
  readonly trainables: readonly Trainable[];
  /** 1 where an element of a trained tensor may change, by name; the gradient of the others counts as 0. */
  readonly kept?: ReadonlyMap<string, Uint8Array>;
  readonly tracked?: readonly TrackedTensor[];
  objective(g: GraphBuilder): Objective;
  readonly optimizer: Optimizer | VectorOptimizer;
  /** Weight decay of the trainables that decay; an optimizer outside the graph has its own. */
  readonly weightDecay?: number;
  /** Largest norm of the whole gradient. */
  readonly clip?: number;
  /** Sizes of inputs with free axes other than the batch. */
  readonly shapes?: InputShapes;
  readonly session?: SessionOptions;
}
/** Where a tensor lies in its vector. */
export interface Slot {
  readonly name: string;
  readonly dims: readonly number[];
  readonly vector: 'parameters' | 'tracked';
  readonly offset: number;
  /** Whether it is a weight, to which weight decay applies. */
  readonly decays: boolean;
}
export const RATE = 'training/rate';
export const STEP = 'training/step';
const NORM = 'training/norm';
const GRADIENT = 'training/gradient';

/** A vector that a step reads and writes. */
export interface Vector {
  readonly name: string;
  /** null of a state that the graph does not see. */
  readonly input: string | null;
  /** null where the graph does not change it. */
  readonly output: string | null;
  readonly size: number;
}

export interface TrainingGraph {
  readonly graph: Graph;
  readonly metadata: ModelMetadata;
  readonly vectors: readonly Vector[];
  readonly slots: readonly Slot[];
  readonly loss: string;
  readonly hits: string | undefined;
  readonly norm: string;
  /** The gradient of all parameters; null where the graph applies it itself. */
  readonly gradient: string | null;
}

/** The whole program as a graph. */
export async function trainingGraph(spec: ProgramSpec): Promise<TrainingGraph> {
  const { graph: composed, objective } = withObjective(spec);
  const forward = await specialize(composed, spec.metadata, spec.shapes);
  const { graph: differentiated, gradients } = buildGradient(forward.graph, {
    loss: objective.loss,
    wrt: spec.trainables.map(({ name }) => name),
    shapes: forward.shapes,
    device: spec.session?.device,
  });
  // What the loss does not depend on is not trained.
  const trained = spec.trainables.filter(({ name }) => gradients.has(name));
  const tracked = spec.tracked ?? [];
  const g = new GraphBuilder(differentiated, valueTypes(differentiated));
  g.prefix = 'training/';
  const parameters = unpacked(g, 'parameters', trained);
  const buffers = unpacked(g, 'tracked', tracked);
  const unpacking = g.nodes.length;

  const whole = packed(
    g,
    trained.map(({ name }) => gradients.get(name) as string),
  );
  const gradient = spec.kept ? g.mul(whole, changeable(g, trained, spec.kept)) : whole;
  const rate = declared(g, RATE);
  const step = declared(g, STEP);
  const length = norm(g, gradient);
  const limited = spec.clip ? clipped(g, gradient, length, spec.clip) : gradient;
  const output = (value: string, name: string): string => {
    g.nodes.push(makeNode('Identity', [value], [name]));
    return name;
  };
  const size = total(trained);
  const { optimizer } = spec;
  const given = 'update' in optimizer ? (optimizer.inputs ?? []) : [];
  const vectors: Vector[] = [];
  let gradientOutput: string | null = null;
  if ('update' in optimizer) {
    for (const { name } of given) g.accept(name, 'float32');
    const states = optimizer.states.map((name) => declared(g, `training/state/${name}`));
    const updated = optimizer.update(g, {
      parameters: parameters.vector,
      gradient: limited,
      states,
      rate,
      decay: decayOf(g, trained, spec.weightDecay ?? 0),
      step,
      size,
    });
    const next = output(updated.parameters, 'training/parameters/next');
    vectors.push({ name: 'parameters', input: parameters.vector, output: next, size });
    for (const [i, name] of optimizer.states.entries()) {
      const next = output(updated.states[i], `training/state/${name}/next`);
      vectors.push({ name, input: states[i], output: next, size });
    }
  } else {
    gradientOutput = output(limited, GRADIENT);
    vectors.push({ name: 'parameters', input: parameters.vector, output: null, size });
    for (const name of optimizer.states) vectors.push({ name, input: null, output: null, size });
  }
  if (tracked.length) {
    const next = packed(
      g,
      tracked.map((tensor) => tensor.next),
    );
    const name = output(next, 'training/tracked/next');
    vectors.push({ name: 'tracked', input: buffers.vector, output: name, size: total(tracked) });
  }
  const normOutput = output(length, NORM);
  const removed = new Set([...trained, ...tracked].map(({ name }) => name));
  const scalarOutputs = [objective.loss, ...(objective.hits ? [objective.hits] : []), normOutput];
  const graph: Graph = {
    ...differentiated,
    name: 'training',
    nodes: [...g.nodes.slice(0, unpacking), ...differentiated.nodes, ...g.nodes.slice(unpacking)],
    inputs: [
      ...differentiated.inputs.filter(({ name }) => !removed.has(name)),
      ...vectors.flatMap(({ input, size: n }) => (input ? [vectorInfo(input, n)] : [])),
      { name: RATE, dtype: 'float32', shape: [] },
      { name: STEP, dtype: 'float32', shape: [] },
      ...given,
    ],
    outputs: [
      ...scalarOutputs.map((name): ValueInfo => ({ name, dtype: 'float32', shape: [] })),
      ...vectors.flatMap(({ output: name, size: n }) => (name ? [vectorInfo(name, n)] : [])),
      ...(gradientOutput ? [vectorInfo(gradientOutput, size)] : []),
    ],
    valueInfo: [],
    initializers: new Map([...differentiated.initializers, ...g.initializers].filter(([name]) => !removed.has(name))),
  };
  return {
    graph: withoutUnusedInputs(graph, [STEP, RATE]),
    metadata: forward.metadata,
    vectors,
    slots: [
      ...slotsOf(trained, 'parameters'),
      ...slotsOf(
        tracked.map(({ name, dims }) => ({ name, dims, decays: false })),
        'tracked',
      ),
    ],
    loss: objective.loss,
    hits: objective.hits,
    norm: normOutput,
    gradient: gradientOutput,
  };
}

function vectorInfo(name: string, size: number): ValueInfo {
  return { name, dtype: 'float32', shape: [size] };
}

/** The model with the nodes of the objective; its outputs are loss and hits, and what is tracked. */
function withObjective({ graph, objective, tracked = [] }: ProgramSpec): { graph: Graph; objective: Objective } {
  const g = new GraphBuilder(graph, valueTypes(graph));
  const found = objective(g);
  const wanted = [found.loss, ...(found.hits ? [found.hits] : []), ...tracked.map(({ next }) => next)];
  return {
    graph: {
      ...graph,
      nodes: [...graph.nodes, ...g.nodes],
      inputs: [...graph.inputs, ...(found.inputs ?? [])],
      outputs: wanted.map((name): ValueInfo => ({ name, dtype: 'float32', shape: null })),
      valueInfo: [],
      initializers: new Map([...graph.initializers, ...g.initializers]),
    },
    objective: found,
  };
}

/** Cuts a vector into tensors under their own names. */
function unpacked(
  g: GraphBuilder,
  wish: string,
  tensors: readonly { name: string; dims: readonly number[] }[],
): { vector: string } {
  const vector = declared(g, `training/${wish}`);
  if (tensors.length === 0) return { vector };
  const sizes = tensors.map(({ dims }) => elementCount(dims));
  const pieces = tensors.map(({ name }) => g.declare(`${name}/flat`, 'float32'));
  const split: GraphNode =
    tensors.length === 1
      ? makeNode('Identity', [vector], pieces)
      : makeNode('Split', [vector, g.ints(sizes)], pieces, { axis: int(0) });
  g.nodes.push(split, ...tensors.map(({ name, dims }, i) => makeNode('Reshape', [pieces[i], g.ints(dims)], [name])));
  return { vector };
}

/** Joins tensors into a vector. */
function packed(g: GraphBuilder, values: readonly string[]): string {
  return g.concat(
    values.map((value) => g.reshape(value, [-1])),
    0,
  );
}

function declared(g: GraphBuilder, name: string): string {
  g.prefix = '';
  const found = g.declare(name, 'float32');
  g.prefix = 'training/';
  return found;
}

/** Weight decay as one number where all or none decay, else one number per parameter. */
function decayOf(g: GraphBuilder, trained: readonly Trainable[], decay: number): string | number {
  const decaying = trained.filter((tensor) => tensor.decays);
  if (decay === 0 || decaying.length === 0) return 0;
  if (decaying.length === trained.length) return decay;
  const values = new Float32Array(total(trained));
  for (const [i, { offset, dims }] of slotsOf(trained, 'parameters').entries()) {
    if (trained[i].decays) values.fill(decay, offset, offset + elementCount(dims));
  }
  return g.floats(values, [values.length], 'float32');
}

/** 1 for every parameter that may change, else 0. */
function changeable(g: GraphBuilder, trained: readonly Trainable[], kept: ReadonlyMap<string, Uint8Array>): string {
  const values = new Float32Array(total(trained)).fill(1);
  for (const { name, offset } of slotsOf(trained, 'parameters')) {
    const mask = kept.get(name);
    if (mask) values.set(mask, offset);
  }
  return g.floats(values, [values.length], 'float32');
}

function total(tensors: readonly { dims: readonly number[] }[]): number {
  return tensors.reduce((sum, { dims }) => sum + elementCount(dims), 0);
}

function slotsOf(tensors: readonly Trainable[], vector: Slot['vector']): Slot[] {
  let offset = 0;
  return tensors.map(({ name, dims, decays }) => {
    const slot = { name, dims, vector, offset, decays };
    offset += elementCount(dims);
    return slot;
  });
}

/** Drops inputs that nothing reads, which runtimes refuse to be given. */
function withoutUnusedInputs(graph: Graph, candidates: readonly string[]): Graph {
  const read = new Set(graph.nodes.flatMap((node) => node.inputs));
  return { ...graph, inputs: graph.inputs.filter(({ name }) => read.has(name) || !candidates.includes(name)) };
}
