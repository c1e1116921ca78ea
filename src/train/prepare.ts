/**
 * A model made ready for a training program: at the training operator set, in float32, with scaling factors where
 * asked for, normalization folded or in training form, and the teacher beside it. Afterwards it says which stored
 * tensors of the model have which new values.
 */
import { notTrainable } from '../errors';
import type { Graph, ModelMetadata } from '../graph/graph';
import { withStoredTensors } from '../graph/stored';
import type { Shape } from '../ops/gradient';
import type { InputShapes } from '../runtime/shapes';
import { dataTypes } from '../tensor/dtype';
import { fromFloat, memoryTensor, type Tensor, type TensorRef, toFloat32 } from '../tensor/tensor';
import { beforeSoftmax } from './classifier';
import { asFloat32 } from './float32';
import { foldNormalization } from './foldNormalization';
import { beside } from './merge';
import { mergeCompactors } from './mergeCompactors';
import { withStored, withTrainedNormalization } from './normalization';
import { foldScaling, type ScaledPair, withScaling } from './scaling';
import { specialize } from './specialize';
import { type Trainable, type TrainChoice, trainableTensors } from './trainable';
import type { TrackedTensor } from './trainingGraph';

export interface ModelToTrain {
  readonly graph: Graph;
  readonly metadata: ModelMetadata;
  /** Sizes of inputs with free axes other than the batch. */
  readonly shapes?: InputShapes;
  readonly choice: TrainChoice;
  /** Values between the two halves of factorized layers, for scaling factors. */
  readonly inners?: Iterable<string>;
  /** Names of compactors' initializers: trained whatever the choice, after all else. */
  readonly compactors?: readonly string[];
  /** Whether every step updates BatchNormalization's statistics; otherwise they stay as they are. */
  readonly trainsStatistics?: boolean;
  /** Statistics to start with, by the name of their initializer. */
  readonly statistics?: ReadonlyMap<string, Tensor>;
  /** The model to learn from, if any; it reads the same inputs. */
  readonly teacher?: { readonly graph: Graph; readonly metadata: ModelMetadata };
  /**
   * Values to match with the teacher's of the same name: for each, names it may have, as normalization that is folded
   * into a layer takes that layer's own output away. The last feature map when absent.
   */
  readonly features?: readonly (readonly string[])[];
}

export interface OutputPair {
  readonly name: string;
  readonly shape: Shape;
  /** What the objective compares: the value before a final softmax, where there is one. */
  readonly value: string;
  /** The same of the teacher; null without one. */
  readonly target: string | null;
}

export interface PreparedModel {
  /** With the teacher's nodes; its outputs are the model's. */
  readonly graph: Graph;
  readonly metadata: ModelMetadata;
  readonly trainables: readonly Trainable[];
  readonly tracked: readonly TrackedTensor[];
  readonly outputs: readonly OutputPair[];
  /** Values to match: those asked for, else the last one with spatial axes; only what model and teacher share. */
  readonly features: readonly { readonly value: string; readonly target: string }[];
  /** New values of the model's own stored tensors, in float32, new statistics included. @param tensors what a program has trained and tracked */
  stored(tensors: ReadonlyMap<string, Tensor>): Map<string, Tensor>;
  /** The model alone as the program sees it, for inference, with these values. */
  inference(tensors: ReadonlyMap<string, Tensor>): Graph;
}

const TEACHER = 'teacher/';

/** @throws UserError `not-trainable` when the choice leaves nothing to train, and what {@link specialize} throws */
export async function prepareModel(model: ModelToTrain): Promise<PreparedModel> {
  const { choice, shapes: given } = model;
  const forward = await specialize(model.graph, model.metadata, given);
  const stored = withStored(asFloat32(forward.graph), model.statistics ?? new Map());
  const compactors = new Set(model.compactors);
  const own = trainableTensors(stored, choice).filter(({ name }) => !compactors.has(name));
  const owned = new Set(own.map(({ name }) => name));
  const scales = choice === 'scaling' || choice === 'bn';
  const scaled = scales ? withScaling(stored, model.inners ?? []) : { graph: stored, pairs: [], trainables: [] };
  // A second layer that is trained itself needs no factors.
  const pairs = scaled.pairs.filter(({ weight }) => !owned.has(weight));
  const factors = new Set(pairs.map((pair) => pair.factors));
  const trainables = [
    ...own,
    ...scaled.trainables.filter(({ name }) => factors.has(name)),
    ...[...compactors].map((name): Trainable => {
      return { name, dims: (stored.initializers.get(name) as TensorRef).dims, decays: false };
    }),
  ];
  if (trainables.length === 0) throw notTrainable({ choice });
  const plain = mergeCompactors(foldNormalization(scaled.graph), compactors);
  const { graph: student, tracked } = model.trainsStatistics
    ? withTrainedNormalization(scaled.graph)
    : { graph: plain, tracked: [] };

  const teacher = model.teacher && (await specialize(model.teacher.graph, model.teacher.metadata, given));
  const teacherGraph = teacher && foldNormalization(asFloat32(teacher.graph));
  const joined = teacherGraph ? beside(student, teacherGraph, TEACHER) : null;
  const nameOf = (value: string | null): string | null => (joined && value ? joined.nameOf(value) : null);
  return {
    graph: joined?.graph ?? student,
    metadata: forward.metadata,
    trainables,
    tracked,
    outputs: student.outputs.map(({ name }, i) => ({
      name,
      shape: forward.shapes.get(name) ?? [],
      value: beforeSoftmax(student, name, forward.shapes),
      target: nameOf(
        teacher && teacherGraph ? beforeSoftmax(teacherGraph, teacherGraph.outputs[i].name, teacher.shapes) : null,
      ),
    })),
    features:
      teacher && teacherGraph && joined
        ? sharedFeatures(
            { graph: student, shapes: forward.shapes },
            { graph: teacherGraph, shapes: teacher.shapes },
            model.features,
          ).map((value) => ({ value, target: joined.nameOf(value) }))
        : [],
    stored: (tensors) => new Map([...(model.statistics ?? []), ...storedTensors(stored, tensors, pairs)]),
    inference: (tensors) => withStored(plain, tensors),
  };
}

/** Trained tensors under the model's own names; scaling factors multiplied into the weights they belong to. */
function storedTensors(
  graph: Graph,
  tensors: ReadonlyMap<string, Tensor>,
  pairs: readonly ScaledPair[],
): Map<string, Tensor> {
  const found = new Map([...tensors].filter(([name]) => graph.initializers.has(name)));
  for (const pair of pairs) {
    const factors = tensors.get(pair.factors);
    const weight = (graph.initializers.get(pair.weight) as TensorRef).read();
    if (factors) found.set(pair.weight, foldScaling(weight, pair, factors));
  }
  return found;
}

interface Shaped {
  readonly graph: Graph;
  readonly shapes: ReadonlyMap<string, Shape>;
}

/** Values of equal name and shape in both: those wanted, else the last one with spatial axes. */
function sharedFeatures(
  student: Shaped,
  teacher: Shaped,
  wanted: readonly (readonly string[])[] | undefined,
): readonly string[] {
  const made = ({ graph }: Shaped): Set<string> => new Set(graph.nodes.flatMap((node) => node.outputs));
  const [own, others] = [made(student), made(teacher)];
  const isShared = (value: string): boolean => {
    const [a, b] = [student.shapes.get(value), teacher.shapes.get(value)];
    return own.has(value) && others.has(value) && !!a && !!b && String(a) === String(b);
  };
  if (wanted) return wanted.flatMap((names) => names.find(isShared) ?? []);
  const isMap = (value: string): boolean => {
    const shape = student.shapes.get(value) ?? [];
    return shape.length > 2 && shape.slice(2).some((size) => size !== 1);
  };
  return [...own].filter((value) => isMap(value) && isShared(value)).slice(-1);
}

type FloatType = 'float32' | 'float64' | 'float16' | 'bfloat16';

/**
 * A model with new values in some of its stored tensors, under the same names and in the same types, be they
 * initializers or `Constant` nodes.
 */
export function withTrained(graph: Graph, tensors: ReadonlyMap<string, Tensor>): Graph {
  return withStoredTensors(graph, (name, dtype) => {
    const tensor = tensors.get(name);
    if (!tensor) return undefined;
    if (dataTypes[dtype].kind !== 'float') throw new Error(`'${name}' is ${dtype}, which is not trained`);
    return memoryTensor(name, fromFloat(toFloat32(tensor), dtype as FloatType, tensor.dims));
  });
}
