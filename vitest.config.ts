import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // A hang ends some time; on a machine that others use as well a test may take many times as long as alone.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    // Two for each of two cores: the files that take longest wait for lines at 9600 Bd and for time-outs half of their time.
    maxWorkers: 4,
    reporters: ['default', ['json', { outputFile: 'state/vitest.json' }]],
  },
});
