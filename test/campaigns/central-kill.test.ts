/** The small dose of scripts/central-kill. */
import { expect, test } from 'vitest';
import { centralKill } from './central-kill.ts';

test('node:sqlite: the process is killed twice, the broker once: nothing is lost or doubled, every account is verified', async () => {
  const result = await centralKill({
    store: 'sqlite',
    gateways: 3,
    days: 6,
    workers: 1,
    harms: ['restarted-worker', 'broker', 'all-workers'],
  });
  expect(result.problems).toEqual([]);
  expect(result.verified).toBe(18);
});
test('PostgreSQL: one of two workers is killed and stays away, the database is killed in the middle of a batch', async () => {
  const result = await centralKill({
    store: 'postgres',
    gateways: 3,
    days: 6,
    workers: 2,
    harms: ['worker', 'database'],
  });
  expect(result.problems).toEqual([]);
  expect(result.verified).toBe(18);
});
test('PostgreSQL: the server is killed for good in the middle of a batch, and its synchronous standby promoted', async () => {
  const result = await centralKill({
    store: 'postgres',
    gateways: 3,
    days: 6,
    workers: 2,
    harms: ['promotion'],
  });
  expect(result.problems).toEqual([]);
  expect(result.verified).toBe(18);
});
