/** The small dose of scripts/central-restore; that it comes again is in test/central/restored-backup.test.ts. */
import { expect, test } from 'vitest';
import { centralRestore } from './central-restore.ts';

test('a backup of before is put back: at the birth of each gateway it is seen what came since then', async () => {
  const result = await centralRestore({ store: 'sqlite', gateways: 2, meters: 2, noticed: true, goesOnUntil: 'seen' });
  expect(result.problems).toEqual([]);
  expect(result.lost).toBeGreaterThanOrEqual(2 * 47);
});
