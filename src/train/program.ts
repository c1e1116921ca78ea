/**
 * A training program: forward pass, loss, gradients, clipping and optimizer as one graph in one session. All trained
 * tensors are slices of one vector that goes in and comes out of every step, and so are the optimizer's states; two
 * sets of buffers take turns, so that nothing grows from step to step.
 */
import { serializeGraph } from '../formats/onnx/serialize';
import { GraphBuilder } from '../graph/builder';
import { type Graph, type GraphNode, int, type ModelMetadata, makeNode, type ValueInfo } from '../graph/graph';
import { valueTypes } from '../ops/types';
import { createSession, type Session, type SessionOptions } from '../runtime/session';
import type { InputShapes } from '../runtime/shapes';
import { elementCount } from '../tensor/dtype';
import { float32Tensor, type Tensor, toFloat32 } from '../tensor/tensor';
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

export interface StepResult {
  /** Mean over the batch, before the update. */
  readonly loss: number;
  /** Samples of the batch that count as right; null when the objective does not count them. */
  readonly hits: number | null;
  /** Norm of the gradient before clipping. */
  readonly norm: number;
  /** Of weights that are to become zero: their norm relative to that of all weights, as of late. */
  readonly cut?: number;
}

/** All that changes in training: the vectors by name. */
export type ProgramState = Readonly<Record<string, Float32Array>>;

export interface TrainingProgram {
  /** Trained and tracked tensors, in the order of their vectors. */
  readonly slots: readonly Slot[];
  /**
   * One optimizer step. When the loss or the gradient is not finite, the state stays as it was.
   * @param feeds the model's inputs and the objective's
   * @param count which step this is, from 1 on
   */
  step(feeds: Readonly<Record<string, Tensor>>, rate: number, count: number): Promise<StepResult>;
  /** Copies of all vectors. */
  state(): ProgramState;
  /** @throws Error when a vector is missing or has another length */
  restore(state: ProgramState): void;
  /** Copies of trained and tracked tensors by name. @param wanted only those */
  tensors(wanted?: ReadonlySet<string>): Map<string, Tensor>;
  release(): Promise<void>;
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

const RATE = 'training/rate';
const STEP = 'training/step';
const NORM = 'training/norm';
const GRADIENT = 'training/gradient';

/**
 * @throws UserError `no-gradient`, `shapes-unknown`, `model-does-not-load`, `device-failed`
 */
export async function buildProgram(spec: ProgramSpec): Promise<TrainingProgram> {
  const built = await trainingGraph(spec);
  const session = await createSession(serializeGraph(built.graph, built.metadata), {
    ...spec.session,
    label: 'the training program',
  });
  return new Program(session, built, spec);
}

interface Vector {
  readonly name: string;
  /** null of a state that the graph does not see. */
  readonly input: string | null;
  /** null where the graph does not change it. */
  readonly output: string | null;
  readonly size: number;
}

interface TrainingGraph {
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

type Buffers = Record<string, Float32Array>;

class Program implements TrainingProgram {
  readonly slots: readonly Slot[];
  /** The vectors as they are, and the ones that the graph writes to in the next step. */
  private current: Buffers;
  private spare: Buffers;
  /** The rest of a step, of an optimizer outside the graph. */
  private readonly outside: { readonly gradient: Float32Array; apply: ReturnType<VectorOptimizer['start']> } | null;
  private readonly states: readonly string[];
  private readonly scalars: Readonly<Record<string, Tensor>>;
  private readonly accepted: ReadonlySet<string>;

  constructor(
    private readonly session: Session,
    private readonly built: TrainingGraph,
    spec: ProgramSpec,
  ) {
    this.slots = built.slots;
    const buffers = (vectors: readonly Vector[]): Buffers =>
      Object.fromEntries(vectors.map(({ name, size }) => [name, new Float32Array(size)]));
    this.current = buffers(built.vectors);
    this.spare = buffers(built.vectors.filter(({ output }) => output !== null));
    const { optimizer } = spec;
    const trained = built.slots.filter(({ vector }) => vector === 'parameters');
    this.outside =
      'start' in optimizer
        ? { gradient: new Float32Array(this.current.parameters.length), apply: optimizer.start(trained) }
        : null;
    this.states = optimizer.states;
    for (const { name, vector, offset } of built.slots) {
      const stored = spec.graph.initializers.get(name);
      if (!stored) throw new Error(`'${name}' is not stored in the graph`);
      this.current[vector].set(toFloat32(stored.read()), offset);
    }
    const names = [built.loss, built.norm, ...(built.hits ? [built.hits] : [])];
    this.scalars = Object.fromEntries(names.map((name) => [name, float32Tensor(new Float32Array(1), [])]));
    this.accepted = new Set(session.inputs.map(({ name }) => name));
  }

  async step(feeds: Readonly<Record<string, Tensor>>, rate: number, count: number): Promise<StepResult> {
    const { vectors, loss, hits, norm: length, gradient } = this.built;
    const given: Record<string, Tensor> = { ...feeds };
    const places: Record<string, Tensor> = { ...this.scalars };
    for (const { name, input, output, size } of vectors) {
      if (input) given[input] = float32Tensor(this.current[name], [size]);
      if (output) places[output] = float32Tensor(this.spare[name], [size]);
    }
    if (gradient && this.outside)
      places[gradient] = float32Tensor(this.outside.gradient, [this.outside.gradient.length]);
    given[RATE] = float32Tensor(Float32Array.of(rate), []);
    given[STEP] = float32Tensor(Float32Array.of(count), []);
    for (const name of Object.keys(given)) if (!this.accepted.has(name)) delete given[name];
    await this.session.runInto(given, places);
    const value = (name: string): number => Number(this.scalars[name].data[0]);
    const result = { loss: value(loss), hits: hits ? value(hits) : null, norm: value(length) };
    if (!Number.isFinite(result.loss) || !Number.isFinite(result.norm)) return result;
    for (const { name, output } of vectors) {
      if (output) [this.current[name], this.spare[name]] = [this.spare[name], this.current[name]];
    }
    if (!this.outside) return result;
    const states = this.states.map((name) => this.current[name]);
    return {
      ...result,
      ...this.outside.apply({ parameters: this.current.parameters, gradient: this.outside.gradient, states, rate }),
    };
  }

  state(): ProgramState {
    return Object.fromEntries(Object.entries(this.current).map(([name, values]) => [name, values.slice()]));
  }

  restore(state: ProgramState): void {
    for (const { name, size } of this.built.vectors) {
      const values = state[name];
      if (values?.length !== size) throw new Error(`'${name}' has ${values?.length} numbers, expected ${size}`);
      this.current[name].set(values);
    }
  }

  tensors(wanted?: ReadonlySet<string>): Map<string, Tensor> {
    const slots = wanted ? this.slots.filter(({ name }) => wanted.has(name)) : this.slots;
    return new Map(
      slots.map(({ name, dims, vector, offset }) => [
        name,
        float32Tensor(this.current[vector].slice(offset, offset + elementCount(dims)), dims),
      ]),
    );
  }

  async release(): Promise<void> {
    await this.session.release();
  }
}
