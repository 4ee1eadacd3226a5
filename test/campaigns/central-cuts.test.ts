/** The small dose of scripts/central-power-cut. */
import { describe, expect, test } from 'vitest';
import { centralCuts } from './central-cuts.ts';
import { cannotCut, noSyncLibrary } from './cuts.ts';

const why = cannotCut();
const noSync = noSyncLibrary();

describe.skipIf(why !== undefined)(
  `power cuts under node:sqlite${why === undefined ? '' : ` (not here: ${why})`}`,
  () => {
    test.concurrent('4 cuts: what was acknowledged is there, once, and every account is verified', async () => {
      const result = await centralCuts({ seed: 1, cuts: 4, gateways: 5, days: 20 });
      expect(result.problems).toEqual([]);
      expect(result.verified).toBe(100);
      expect(result.busy).toBeGreaterThan(0);
    });
    test
      .skipIf(noSync === undefined)
      .concurrent(
        `the negative control: without syncs the loss is seen${noSync === undefined ? ' (not here: no package eatmydata)' : ''}`,
        async () => {
          const result = await centralCuts({ seed: 2, cuts: 3, gateways: 5, days: 20, preload: noSync ?? '' });
          expect(result.problems).not.toEqual([]);
        },
      );
  },
);
