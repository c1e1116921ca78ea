/**
 * I_o = Σ_p ‖W_o − W_p‖ over the filters of a layer: what lies closest to their geometric median can be replaced by the
 * others. He et al., 2019 (arXiv 1811.00250).
 */
import { gramOfRows } from '../../linalg/gram';
import { elementCount } from '../../tensor/dtype';
import { givers, type ImportanceRule, perChannel, unreadable, weightOf } from './source';

export const fpgm: ImportanceRule = (group, source) => {
  const scores: Float64Array[] = [];
  for (const member of givers(group)) {
    const weight = weightOf(source, member);
    if (!weight) return unreadable(member);
    scores.push(perChannel(distances(weight.data, weight.dims, member.axis.axis), member.axis, group.channels));
  }
  return scores;
};

/** Sum of the Euclidean distances of each slice along an axis to all others: ‖a − b‖² = ‖a‖² + ‖b‖² − 2a·b. */
function distances(data: ArrayLike<number>, dims: readonly number[], axis: number): Float64Array {
  const count = dims[axis];
  const inner = elementCount(dims.slice(axis + 1));
  const outer = elementCount(dims.slice(0, axis));
  const length = outer * inner;
  const rows = new Float64Array(count * length);
  for (let o = 0; o < outer; o++) {
    for (let position = 0; position < count; position++) {
      const from = (o * count + position) * inner;
      for (let i = 0; i < inner; i++) rows[position * length + o * inner + i] = data[from + i];
    }
  }
  const gram = gramOfRows(rows, count, length);
  return Float64Array.from({ length: count }, (_, a) => {
    let sum = 0;
    for (let b = 0; b < count; b++) {
      sum += Math.sqrt(Math.max(0, gram[a * count + a] + gram[b * count + b] - 2 * gram[a * count + b]));
    }
    return sum;
  });
}
