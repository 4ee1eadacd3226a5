/** The small dose of scripts/simulate: everything that was delivered equals the truth of the meters. */
import { expect, test } from 'vitest';
import { dayMs } from '../../src/base/time.ts';
import { Counters } from '../../src/store/counters.ts';
import { MemoryDatabase } from '../support/memory-database.ts';
import { simulate } from './simulate.ts';
import type { VirtualHouse } from '../support/virtual-house.ts';

test.each([1, 9, 101])('seed %i: 4 meters, 6 days', async (seed) => {
  const { differences, intervals, states } = await simulate({ seed, days: 6, meters: 4 });
  expect(differences).toEqual([]);
  expect(intervals).toBeGreaterThan(500);
  expect(states['MEASURED']).toBeGreaterThan(intervals / 2);
});
// Each of these found something once: pages of marks that vanished, an epoch begun while messages of the last were under
// way, accounts of days told in the wrong epoch, rows of a new meter from before it hung there.
test.each([
  [1, 8],
  [2, 14],
  [4, 8],
  [5, 14],
])('harsh, seed %i: damaged and lost stores, a lying broker, a clock that steps', async (seed, days) => {
  const { differences, intervals, states } = await simulate({ seed, days, meters: 4, harsh: true });
  expect(differences).toEqual([]);
  expect(states['MEASURED']).toBeGreaterThan(intervals / 2);
});
const disturbances: readonly (readonly [found: RegExp, act: (it: VirtualHouse) => Promise<void> | void])[] = [
  [
    /acknowledged up to \d+, the head-end has/,
    async (it) => {
      it.broker.disconnect();
      await it.run(2 * 3_600_000);
      await it.store.acknowledge((await it.store.status()).nextSequence - 1, new Set());
    },
  ],
  [
    /counter \d+ of [0-9a-f]+$/,
    async (it) => {
      await it.clock.complete(it.house.stop());
      // New ones, as if no counter had ever been used, and the title of then.
      it.firstTitle = true;
      const database = new MemoryDatabase();
      await Counters.open({ open: () => Promise.resolve({ database }), fresh: true });
      it.counters.replace(database.data);
      it.countersCheckpoint = undefined;
      await it.restart();
    },
  ],
  [/neither said nor said to be missing/, ({ ingest }) => [...ingest.intervals.values()][0]?.clear()],
  [
    /messages without PUBACK/,
    (it) => {
      it.broker.maxInFlight = 17;
    },
  ],
];
test.each(disturbances)('what must hold at any moment is looked at then: %s', async (found, act) => {
  const { differences } = await simulate({ seed: 1, days: 4, meters: 4, disturb: { at: 1.5 * dayMs, act } });
  expect(differences[0]).toMatch(found);
  expect(differences[1]).toMatch(/^before it: /);
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
