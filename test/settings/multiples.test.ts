import { expect, test } from 'vitest';
import { stepOf } from '../../src/settings/multiples';

test('channels of several outputs need fewer of them for a multiple', () => {
  expect([1, 2, 3, 8, 12].map((block) => stepOf(block, 8))).toEqual([8, 4, 8, 1, 2]);
});
