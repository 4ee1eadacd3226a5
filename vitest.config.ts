import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // A hang ends some time; on a machine that others use as well a test may take many times as long as alone.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    // Two cores, shared: the end-to-end tests start processes of their own.
    maxWorkers: 2,
    reporters: ['default', ['json', { outputFile: 'state/vitest.json' }]],
  },
});
