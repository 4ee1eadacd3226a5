/** The small dose of scripts/simulate: everything that was delivered equals the truth of the meters. */
import { expect, test } from 'vitest';
import { simulate } from './simulation.ts';

test.each([1, 8, 9, 11, 101])('seed %i: 4 meters, 8 days', async (seed) => {
  const { differences, intervals, states } = await simulate({ seed, days: 8, meters: 4 });
  expect(differences).toEqual([]);
  expect(intervals).toBeGreaterThan(500);
  expect(states['MEASURED']).toBeGreaterThan(intervals / 2);
});
// Each of these found something once: pages of marks that vanished, an epoch begun while messages of the last were under
// way, accounts of days told in the wrong epoch, rows of a new meter from before it hung there.
test.each([1, 2, 4, 5])('harsh, seed %i: damaged and lost stores, a lying broker, a clock that steps', async (seed) => {
  const { differences, intervals, states } = await simulate({ seed, days: 14, meters: 4, harsh: true });
  expect(differences).toEqual([]);
  expect(states['MEASURED']).toBeGreaterThan(intervals / 2);
});
test('a wrong value is found', async () => {
  const { differences } = await simulate({
    seed: 1,
    days: 4,
    meters: 2,
    inspect: ({ ingest }) => {
      const [key, value] = [...ingest.values].find(([, { energy }]) => energy !== null) as [
        string,
        { register: number },
      ];
      ingest.values.set(key, { ...value, register: value.register + 1 } as never);
    },
  });
  expect(differences.length).toBeGreaterThan(0);
});
test('a value that was not delivered is found', async () => {
  const { differences } = await simulate({
    seed: 1,
    days: 4,
    meters: 2,
    inspect: ({ ingest }) => void ingest.values.delete([...ingest.values.keys()][40] as string),
  });
  expect(differences.length).toBeGreaterThan(0);
});
