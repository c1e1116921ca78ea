/** Facts about a model as plain data for the screen and for `--json`, from its graph and, when known, its shapes. */
import { type Graph, type ModelMetadata, standardOpset, type ValueInfo } from '../graph/graph';
import { opDef } from '../ops';
import type { LayerFacts, ModelFacts, PortFacts } from '../protocol/facts';
import { byteLength, elementCount } from '../tensor/dtype';
import { fullRank, type Layer, layerParams } from './layers';
import { breakEvenRank } from './spectrum';
import { storedTotals } from './totals';

/** What is known of shapes. */
export interface KnownShapes {
  /** By value name: found by running the model, else as far as the file declares them. */
  readonly values: ReadonlyMap<string, readonly number[]>;
  /** Sizes of the inputs that the model was run with; null when it was not. */
  readonly inputs: Readonly<Record<string, readonly number[]>> | null;
  /** Why the model was not run; null when it was. */
  readonly reason: string | null;
}

export function modelFacts(
  source: { path: string; graph: Graph; metadata: ModelMetadata; fileBytes: number; notes: readonly string[] },
  layers: readonly Layer[],
  shapes: KnownShapes,
): ModelFacts {
  const { graph, metadata } = source;
  const facts = layers.map((layer) => layerFacts(layer, shapes));
  const { params, bytes } = storedTotals(graph);
  const unknown = facts.some((layer) => layer.macs === null);
  return {
    path: source.path,
    format: 'onnx',
    irVersion: metadata.irVersion,
    opset: standardOpset(metadata),
    producer: [metadata.producerName, metadata.producerVersion].filter(Boolean).join(' '),
    inputs: graph.inputs.filter((input) => !graph.initializers.has(input.name)).map(port),
    outputs: graph.outputs.map(port),
    nodeCount: graph.nodes.length,
    fileBytes: source.fileBytes,
    totals: {
      params,
      bytes,
      macs: unknown ? null : facts.reduce((sum, layer) => sum + (layer.macs as number), 0),
    },
    layers: facts,
    shapes: shapes.inputs,
    shapesReason: shapes.reason,
    notes: [...source.notes, ...notes(graph, layers)],
  };
}

function port({ name, dtype, shape }: ValueInfo): PortFacts {
  return { name, dtype, shape };
}

export function layerFacts(layer: Layer, shapes: KnownShapes): LayerFacts {
  const { node, weight, matrices } = layer;
  const found = layer.path.length === 0 ? shapes.values : new Map<string, readonly number[]>();
  const nodeShapes = {
    inputs: node.inputs.map((name, i) => (i === layer.weightInput ? weight.dims : (found.get(name) ?? null))),
    outputs: node.outputs.map((name) => found.get(name) ?? null),
  };
  const macs = opDef(node.opType, node.domain)?.macs?.(node, nodeShapes) ?? null;
  const bias = layer.bias ? layer.bias.ref : null;
  return {
    name: layer.name,
    node: node.name || (node.outputs[0] ?? ''),
    opType: node.opType,
    path: layer.path,
    weight: {
      name: weight.ref.name,
      shape: weight.dims,
      dtype: weight.ref.dtype,
      via: weight.via.map((n) => n.opType),
    },
    params: layerParams(layer),
    bytes:
      byteLength(weight.ref.dtype, elementCount(weight.dims)) +
      (bias ? byteLength(bias.dtype, elementCount(bias.dims)) : 0),
    macs,
    macsReason: macs === null ? reasonForUnknownMacs(layer, shapes) : null,
    outputShape: nodeShapes.outputs[0] ?? null,
    matrices: matrices && { blocks: matrices.blocks, rows: matrices.rows, cols: matrices.cols },
    fullRank: fullRank(layer),
    breakEvenRank: matrices ? breakEvenRank(matrices.rows, matrices.cols) : null,
    reason: layer.reason,
  };
}

function reasonForUnknownMacs(layer: Layer, shapes: KnownShapes): string {
  if (layer.path.length) return `inside the control flow of ${layer.path[0]}: it may run never or many times`;
  return shapes.reason ?? 'the shape of its output was not found';
}

/** What a graph has that is left alone. */
function notes(graph: Graph, layers: readonly Layer[]): string[] {
  const found: string[] = [];
  const inside = layers.filter((layer) => layer.path.length).length;
  if (inside)
    found.push(`${inside} of ${layers.length} layers lie inside control flow (If, Loop, Scan) and are left alone.`);
  const quantized = layers.filter(
    (layer) =>
      layer.weight.via.some((n) => n.opType === 'DequantizeLinear') || !layer.weight.ref.dtype.includes('float'),
  ).length;
  if (quantized) found.push(`${quantized} layers have quantized weights: they can be inspected, not pruned.`);
  const domains = new Set(
    graph.nodes.map((node) => node.domain).filter((domain) => domain !== '' && domain !== 'ai.onnx'),
  );
  if (domains.size) found.push(`Operators of other operator sets (${[...domains].join(', ')}) are kept as they are.`);
  return found;
}
