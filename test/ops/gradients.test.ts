import { describe, test } from 'vitest';
import { casesOf, checkGradient, families } from '../support/gradient';

describe.each(families)('gradients of %s', (family) => {
  test.each(casesOf(family).map((row) => [row.name, row] as const))('%s', async (_name, row) => {
    await checkGradient(row, family);
  });
});
