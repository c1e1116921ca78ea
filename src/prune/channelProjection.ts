/** What a removal of channels leaves of each layer; a recount of the new graph gives the same numbers. */
import { channelAxis, type Layer } from '../analysis/layers';
import { opDef } from '../ops';
import { dataTypes, elementCount } from '../tensor/dtype';
import { newInputShape, newShape, type Removal } from './channels';
import type { Wiring } from './groupsWiring';

export interface NarrowedLayer {
  readonly params: number;
  readonly macs: number | null;
  readonly bytes: number;
  /** Outputs that stay. */
  readonly channels: number;
}

/** Layers that change, by name. */
export function narrowedLayers(wiring: Wiring, removal: Removal): Map<string, NarrowedLayer> {
  const nodeOf = new Map(wiring.nodes.map((node, i) => [node, i]));
  const found = new Map<string, NarrowedLayer>();
  for (const layer of wiring.layers) {
    const node = layer.path.length ? undefined : nodeOf.get(layer.node);
    if (node !== undefined) addNarrowed(found, wiring, removal, layer, node);
  }
  return found;
}

function addNarrowed(
  found: Map<string, NarrowedLayer>,
  wiring: Wiring,
  removal: Removal,
  layer: Layer,
  index: number,
): void {
  const { node, weight, weightInput, bias, rule } = layer;
  const sizes = (input: number, dims: readonly number[]): readonly number[] =>
    newInputShape(wiring, removal, index, input) ?? dims;
  const dims = sizes(weightInput, weight.dims);
  const output = node.outputs[0];
  const [before, after] = [wiring.shapeOf(output), newShape(wiring, removal, output)];
  if (String(dims) === String(weight.dims) && String(before) === String(after)) return;
  const biasDims = bias && rule.bias !== undefined ? sizes(rule.bias, bias.dims) : [0];
  const count = (size: readonly number[]): number => (size.length === 1 && size[0] === 0 ? 0 : elementCount(size));
  const bytes =
    (count(dims) * dataTypes[weight.dtype].bits + count(biasDims) * dataTypes[bias?.dtype ?? 'float32'].bits) / 8;
  const macs = opDef(node.opType, node.domain)?.macs;
  found.set(layer.name, {
    params: count(dims) + count(biasDims),
    bytes,
    macs:
      macs?.(node, {
        inputs: node.inputs.map((_, i) => newInputShape(wiring, removal, index, i) ?? null),
        outputs: node.outputs.map((name) => newShape(wiring, removal, name) ?? null),
      }) ?? null,
    channels: after?.[channelAxis(layer, after.length)] ?? 0,
  });
}
