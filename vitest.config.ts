import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // A hang ends some time; on a machine that others use as well a test may take many times as long as alone.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    // One more than the two cores: end-to-end tests wait for lines at 9600 Bd and for time-outs more than they work.
    maxWorkers: 3,
    reporters: ['default', ['json', { outputFile: 'state/vitest.json' }]],
  },
});
