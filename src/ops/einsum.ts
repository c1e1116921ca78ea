/** Einsum: a letter for each axis; letters that the output does not have are summed over. Source: its ONNX operator page. */
import { attribute } from '../graph/graph';
import { type CoupledNode, input, output, type Place, type Tie, ties } from './coupling';
import type { OpDef } from './op';

function letterTies(op: CoupledNode): Tie[] | string {
  const equation = (attribute(op.node, 'equation', 'string') ?? '').replaceAll(' ', '');
  const [left, right] = equation.split('->');
  if (right === undefined || equation.includes('.')) return `its equation '${equation}' leaves axes open`;
  const places = new Map<string, Place[]>();
  const add = (letters: string, place: (axis: number) => Place): void => {
    for (const [axis, letter] of [...letters].entries())
      places.set(letter, [...(places.get(letter) ?? []), place(axis)]);
  };
  for (const [i, letters] of left.split(',').entries()) add(letters, (axis) => input(i, axis));
  add(right, (axis) => output(0, axis));
  const all = [...places].map(([letter, found]): Tie => {
    const sizes = found.map(({ side, index, axis }) => (side === 'input' ? op.inputs : op.outputs)[index][axis]);
    const units = Math.max(...sizes);
    // An axis of size 1 is repeated.
    const own = found.filter((_, i) => sizes[i] === units);
    return { units, places: own, ...(right.includes(letter) ? {} : { across: 'sum' }) };
  });
  return ties(op, all);
}

export const Einsum: OpDef = { couplings: letterTies };
