import { defineConfig } from 'vitest/config';

// One VS Code with its browser per file, one file at a time: a loading workbench takes all of a small machine.
export default defineConfig({
  test: {
    include: ['**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 1,
  },
});
