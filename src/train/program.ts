/**
 * A training program: a training graph in one session, and the vectors that it changes. Two sets of buffers take turns, so
 * that nothing grows from step to step.
 */
import { serializeGraph } from '../formats/onnx/serialize';
import { createSession, type Session } from '../runtime/session';
import { elementCount } from '../tensor/dtype';
import { float32Tensor, type Tensor, toFloat32 } from '../tensor/tensor';
import type { VectorOptimizer } from './optimizers';
import {
  type ProgramSpec,
  RATE,
  type Slot,
  STEP,
  type TrainingGraph,
  trainingGraph,
  type Vector,
} from './trainingGraph';

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
