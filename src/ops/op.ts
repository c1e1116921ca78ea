/**
 * What Espalier knows about an operator: one object per ONNX operator holds all its rules.
 * A rule is a pure function of the node and of shapes.
 */
import type { GraphNode } from '../graph/graph';
import type { CouplingRule, ResizeRule } from './coupling';
import type { GradientBuilder, NodeGradient } from './gradient';

/** Shapes of the values a node reads and writes; null where unknown. */
export interface NodeShapes {
  readonly inputs: readonly (readonly number[] | null)[];
  readonly outputs: readonly (readonly number[] | null)[];
}

/**
 * How a weight tensor is read as `blocks` contiguous row-major matrices of `rows` × `cols`.
 * Singular values are those of each block: a grouped convolution has one block per group.
 */
export interface WeightMatrices {
  readonly blocks: number;
  readonly rows: number;
  readonly cols: number;
  /** Whether an output channel (or unit) is a row or a column of its block. */
  readonly outputsAre: 'rows' | 'cols';
}

/** Where an operator that multiplies quantized numbers finds what its weight's numbers mean: (w − zero) · scale. */
export interface Quantization {
  /** Indexes of the inputs with one number for the tensor, or one for each index along the axis. */
  readonly scale?: number;
  readonly zero?: number;
  /** Of the weight; negative from the end. */
  readonly axis: number;
}

export interface LayerRule {
  /** Index of the weight among the node's inputs; a list is tried in order (MatMul's weight may be on either side). */
  readonly weight: number | readonly number[];
  /** Index of the bias input, if the operator has one. */
  readonly bias?: number;
  /** On operators that take quantized weights, by the index of the weight. */
  quantization?(weightInput: number): Quantization;
  /** Reads a weight of these dims as matrices, or gives the reason why it cannot. */
  matrices(node: GraphNode, dims: readonly number[]): WeightMatrices | string;
}

/**
 * Emits the nodes that carry the gradient of a node's outputs back to its inputs.
 * @returns the gradient of each input, of that input's shape and type; null, or no entry, where none flows
 */
export type GradientRule = (op: NodeGradient, g: GradientBuilder) => readonly (string | null)[];

export interface OpDef {
  /** Indexes of inputs that are settings or statistics rather than trained parameters. */
  readonly settings?: readonly number[];
  /** Present on operators that can hold a trained weight matrix. */
  readonly layer?: LayerRule;
  /** Multiply-accumulates of one run; null when the shapes it needs are unknown. */
  macs?(node: GraphNode, shapes: NodeShapes): number | null;
  /** `none`: the operator has no gradient, or a gradient of zero everywhere. Absent: it is not supported. */
  readonly gradient?: GradientRule | 'none';
  /** Which channels of its tensors go together. Absent: what this operator reads and writes keeps its channels. */
  readonly couplings?: CouplingRule;
  /** On operators that state sizes, positions or group counts themselves. */
  readonly resized?: ResizeRule;
  /** On normalizations: index of the input that holds one factor for each channel. */
  readonly scale?: number;
}
