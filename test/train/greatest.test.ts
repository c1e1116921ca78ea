/** The greatest numbers of a vector, against sorting. */
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/linalg/random';
import { GreatestFinder, greatestMask } from '../../src/train/greatest';

/** Indices of the greatest by size, the first among equals, by sorting. */
function bySorting(values: Float32Array, count: number): number[] {
  return [...values.keys()]
    .sort((a, b) => Math.abs(values[b]) - Math.abs(values[a]) || a - b)
    .slice(0, count)
    .filter((i) => values[i] !== 0)
    .sort((a, b) => a - b);
}

const chosen = (mask: Uint8Array): number[] => [...mask.keys()].filter((i) => mask[i] === 1);

const random = seededRandom(3);
const vectors: Record<string, Float32Array> = {
  'of one size': Float32Array.from({ length: 500 }, () => random.normal()),
  'of many sizes': Float32Array.from({ length: 500 }, () => random.normal() * 10 ** (60 * random.uniform() - 45)),
  'with many equal ones': Float32Array.from({ length: 500 }, () => random.index(5) - 2),
  'that are all zero but few': Float32Array.from({ length: 500 }, (_, i) => (i % 100 === 7 ? -1 : 0)),
  'with infinity': Float32Array.from([1, Number.POSITIVE_INFINITY, -2, Number.NEGATIVE_INFINITY, 0]),
};

describe.each(Object.entries(vectors))('%s', (_, values) => {
  test.each([1, 2, 4, Math.ceil(values.length / 10), values.length])('the greatest %i', (count) => {
    expect(chosen(greatestMask(values, Math.min(count, values.length)))).toEqual(bySorting(values, count));
  });
});

test('says how many of the equal ones are among the greatest', () => {
  const values = Float32Array.of(3, 1, 3, 3, 2);
  const { bits, ties } = new GreatestFinder().threshold(new Uint32Array(values.buffer), 2);
  expect(new Float32Array(Uint32Array.of(bits).buffer)[0]).toBe(3);
  expect(ties).toBe(2);
});
