/** What is said of measured times: when they mean little, and what stands between fewer multiplications and less time. */
import { expect, test } from 'vitest';
import { betweenBlocks, unsteady } from '../../src/engine/timing';
import type { LayerProjection } from '../../src/protocol/plan';

test('times that vary by more than half of their median are no ground for a factor', () => {
  const steady = { median: 10, iqr: 5 };
  expect(unsteady([steady, steady])).toBeNull();
  expect(unsteady([{ median: 62, iqr: 116 }, steady])).toContain('measure again');
  expect(unsteady([steady, { median: 10, iqr: 5.1 }])).toContain('measure again');
});

test('ranks and channels between two blocks are counted, those of whole layers are not', () => {
  const layer = (own: Partial<LayerProjection>): LayerProjection => ({
    layer: 'a',
    action: 'factorize',
    reason: null,
    rank: 16,
    params: 0,
    macs: 0,
    bytes: 0,
    error: 0,
    ...own,
  });
  expect(betweenBlocks([layer({}), layer({ action: 'keep', rank: 9, channels: 9 })], 16)).toBeNull();
  expect(betweenBlocks([layer({ rank: 9 })], 16)).toBe('the ranks of 1 layer');
  const narrow = layer({ action: 'narrow', channels: 9 });
  expect(betweenBlocks([layer({ rank: 9 }), narrow, narrow], 16)).toBe(
    'the ranks of 1 layer and the channels of 2 layers',
  );
});
