/**
 * The graph every part of Espalier works on, in ONNX's vocabulary.
 *
 * A graph is never edited in place: a change makes a new graph that shares everything it did not touch.
 * That sharing carries meaning: a writer recognises an untouched node, value or initializer by its identity
 * and writes back the bytes it was read from. So change an element by making a new object, and keep the object
 * when nothing changes.
 */
import type { DataType } from '../tensor/dtype';
import type { Tensor, TensorRef } from '../tensor/tensor';

/**
 * Key under which an element that was read from a file remembers where. Spreading an element keeps it, so that a
 * changed copy keeps what the file says beyond this vocabulary (doc strings, metadata, unknown fields).
 */
export const origin: unique symbol = Symbol('origin');

/** Opaque outside of the format that made it. */
export interface Origin {
  /** The element as it was read: an element that is this object is untouched. */
  readonly element: object;
}

export interface Graph {
  readonly name: string;
  /** In a topological order, as ONNX demands. */
  readonly nodes: readonly GraphNode[];
  /** Includes initializers that are listed as inputs too (IR versions before 4). */
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /** Declared shapes of values inside the graph; often incomplete. */
  readonly valueInfo: readonly ValueInfo[];
  /** In file order. */
  readonly initializers: ReadonlyMap<string, TensorRef>;
  /** Names of sparse initializers: values that Espalier carries along unread. */
  readonly sparseInitializers?: readonly string[];
  readonly [origin]?: Origin;
}

export interface GraphNode {
  /** May be empty: only values have unique names in ONNX. */
  readonly name: string;
  readonly opType: string;
  /** '' is the standard domain `ai.onnx`. */
  readonly domain: string;
  /** Names of values; '' stands for an omitted optional input. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, Attribute>;
  readonly [origin]?: Origin;
}

export type Attribute = { readonly [origin]?: Origin } & AttributeValue;

type AttributeValue =
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  | { readonly kind: 'tensor'; readonly value: TensorRef }
  | { readonly kind: 'graph'; readonly value: Graph }
  | { readonly kind: 'graphs'; readonly value: readonly Graph[] }
  /** Kinds that Espalier carries along unread: sparse tensors, type protos, references of functions. */
  | { readonly kind: 'other' };

export interface ValueInfo {
  readonly name: string;
  /** null when the value is not a tensor or its type is not declared. */
  readonly dtype: DataType | null;
  /** One entry per axis: a size, or the name of a free dimension ('' when it has none). null: rank unknown. */
  readonly shape: readonly (number | string)[] | null;
  readonly [origin]?: Origin;
}

/** What a model file says beside its graph. */
export interface ModelMetadata {
  readonly irVersion: number;
  readonly producerName: string;
  readonly producerVersion: string;
  /** Version of each operator set by domain; '' is the standard domain. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly properties: ReadonlyMap<string, string>;
  /** Names ("domain.name") of model-local functions. */
  readonly functions: readonly string[];
  readonly [origin]?: Origin;
}

/** Version of the standard operator set that a model imports; null when it imports none. */
export function standardOpset({ opsets }: Pick<ModelMetadata, 'opsets'>): number | null {
  return opsets.get('') ?? opsets.get('ai.onnx') ?? null;
}

type ValueOf<K extends Attribute['kind']> =
  Extract<Attribute, { kind: K }> extends { readonly value: infer V } ? V : never;

/** Reads an attribute of the given kind; undefined when the node does not have it. */
export function attribute<K extends Exclude<Attribute['kind'], 'other'>>(
  node: GraphNode,
  name: string,
  kind: K,
): ValueOf<K> | undefined {
  const found = node.attributes.get(name);
  return found?.kind === kind ? ((found as { value?: unknown }).value as ValueOf<K>) : undefined;
}

export const int = (value: number): Attribute => ({ kind: 'int', value });
export const ints = (value: readonly number[]): Attribute => ({ kind: 'ints', value });
export const float = (value: number): Attribute => ({ kind: 'float', value });
export const string = (value: string): Attribute => ({ kind: 'string', value });

/** Makes a node. Attributes that are undefined are left out. */
export function makeNode(
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, Attribute | undefined>> = {},
  name = '',
  domain = '',
): GraphNode {
  const entries = Object.entries(attributes).filter((e): e is [string, Attribute] => e[1] !== undefined);
  return { name, opType, domain, inputs, outputs, attributes: new Map(entries) };
}

/** A node as users meet it: its name, else its first output. */
export function nodeLabel(node: GraphNode): string {
  return node.name || node.outputs.find((o) => o !== '') || node.opType;
}

/** The value of a `Constant` node in any of its attribute forms except strings and sparse tensors. */
export function constantValue(node: GraphNode): TensorRef | Tensor | undefined {
  if (node.opType !== 'Constant') return undefined;
  const tensor = attribute(node, 'value', 'tensor');
  if (tensor) return tensor;
  const f = attribute(node, 'value_float', 'float');
  if (f !== undefined) return { dtype: 'float32', dims: [], data: Float32Array.of(f) };
  const fs = attribute(node, 'value_floats', 'floats');
  if (fs) return { dtype: 'float32', dims: [fs.length], data: Float32Array.from(fs) };
  const i = attribute(node, 'value_int', 'int');
  if (i !== undefined) return { dtype: 'int64', dims: [], data: BigInt64Array.of(BigInt(i)) };
  const is = attribute(node, 'value_ints', 'ints');
  if (is) return { dtype: 'int64', dims: [is.length], data: BigInt64Array.from(is, BigInt) };
  return undefined;
}
