import { describe, expect, it } from 'vitest';
import { latest } from '../../src/extension/latest';

describe('only the newest input', () => {
  it('drops the inputs that came while the task ran, except the last', async () => {
    const seen: number[] = [];
    const run = latest(async (input: number) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      seen.push(input);
    });
    const calls = [1, 2, 3, 4].map((input) => run(input));
    await Promise.all(calls);
    expect(seen).toEqual([1, 4]);
    await run(5);
    expect(seen).toEqual([1, 4, 5]);
  });

  it('goes on after a task that failed', async () => {
    const run = latest(async (input: number) => {
      if (input === 1) throw new Error('first');
    });
    const [first, second] = [run(1), run(2)];
    await expect(first).rejects.toThrow('first');
    await expect(second).resolves.toBeUndefined();
  });
});
