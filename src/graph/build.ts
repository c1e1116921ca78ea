/** Small pieces of graphs that Espalier adds for its own programs, written for the operator set at hand. */
import { type GraphNode, int, ints, makeNode } from './graph';

/** Sum over axes. Since opset 13 the axes are an input. */
export function reduceSum(
  opset: number,
  input: string,
  axes: { readonly values: readonly number[]; readonly tensor: string },
  output: string,
): GraphNode {
  return opset >= 13
    ? makeNode('ReduceSum', [input, axes.tensor], [output], { keepdims: int(0) })
    : makeNode('ReduceSum', [input], [output], { keepdims: int(0), axes: ints(axes.values) });
}
