/** The small dose of scripts/fuzz-sessions: whatever a meter answers, what is published fits, and its neighbour is complete. */
import { expect, test } from 'vitest';
import { fuzzHouse } from './fuzz-sessions.ts';

test.each([1, 2, 3, 4, 5, 6])('house %i: nothing found', async (seed) => {
  const { findings, sessions } = await fuzzHouse(seed);
  expect(findings).toEqual([]);
  expect(sessions).toBeGreaterThan(40);
});

test.each([
  ['incident: a session that made no progress was held again at once, 4 500 times in some minutes', 1_000_002],
  ['incident: rows off the grid said two values at one revision', 3_000_054],
  ['incident: a negative number of entries in use was asked for as it is, and the process ended', 7_000_036],
])('%s', async (_, seed) => {
  expect((await fuzzHouse(seed)).findings).toEqual([]);
});

test('what is wrong is found: a missing row of the neighbour, a message that does not fit', async () => {
  const absent = await fuzzHouse(1, 4, ({ ingest }) => {
    for (const key of [...ingest.values.keys()].filter((one) => one.startsWith('m60120002|')).slice(0, 2))
      ingest.values.delete(key);
  });
  expect(absent.findings[0]).toMatch(/^the honest meter: \d+ of \d+ rows/);
  const misfit = await fuzzHouse(1, 4, ({ ingest }) => void ingest.unfit.set('at: timestamp expected', 1));
  expect(misfit.findings[0]).toMatch(/^misfit to the contract: at:/);
});
