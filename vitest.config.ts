import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Two cores, shared: the end-to-end tests start processes of their own.
    maxWorkers: 2,
    reporters: ['default', ['json', { outputFile: 'state/vitest.json' }]],
  },
});
