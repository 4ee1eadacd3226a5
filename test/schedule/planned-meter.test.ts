/** A meter as the plan sees it: bounds of its series, what is accounted for, gaps that are due to be looked at again. */
import { expect, test } from 'vitest';
import { dayMs, longAgo, millis } from '../../src/base/time.ts';
import type { Exceptions } from '../../src/reading/ledger.ts';
import { seriesKey } from '../../src/reading/series-key.ts';
import { freshState, type PolledSeries } from '../../src/schedule/meter-state.ts';
import { plannedMeter, recheckDone } from '../../src/schedule/planned-meter.ts';
import { noon, polled, portWorld, profile, quarterMs, quarters } from '../support/port-world.ts';

const hour = 3_600_000;
const old = noon - 2 * dayMs;
async function world(exceptions: Exceptions = [], series: readonly PolledSeries[] = [quarters]) {
  const made = await portWorld([polled('a', { series })]);
  const { house, store } = made;
  const [meter] = house.meters;
  if (!meter) throw new Error('no meter');
  const state = { since: noon - 30 * dayMs, coverage: [[noon - 30 * dayMs, noon]] as const, exceptions };
  await store.commit({ meter: 'a', series: quarters.series, entryClass: 0, facts: [], state });
  return { ...made, state: freshState(meter) };
}

test('what the store knows of the series, and what is known of the meter', async () => {
  const { house, state } = await world();
  Object.assign(state, { failures: 3, notBefore: millis(7), lastTurn: millis(8), degradedLine: true });
  expect(plannedMeter(house, state)).toMatchObject({
    id: 'a',
    failures: 3,
    notBefore: 7,
    lastTurn: 8,
    degradedLine: true,
    requested: false,
    series: [{ periodMs: quarterMs, since: quarters.since, until: undefined, coverage: [[noon - 30 * dayMs, noon]] }],
  });
  state.readRequests.push({ resolve: () => {}, reject: () => {} });
  expect(plannedMeter(house, state).requested).toBe(true);
});

test('R17: missing rows are looked at an hour after the start and then once a day, with the interval after them', async () => {
  const gap = [old, old + 2 * quarterMs, 'MISSING'] as const;
  const { house, state, clock } = await world([gap]);
  const recheck = () => plannedMeter(house, state).series[0]?.recheck;
  expect(recheck()).toBeUndefined();
  await clock.run(noon + hour - 1);
  expect(recheck()).toBeUndefined();
  await clock.run(noon + hour);
  const due = [[old, old + 3 * quarterMs]];
  expect(recheck()).toEqual(due);
  // A visit that began before it was due looked at none of them.
  recheckDone(house, state, noon + hour - 1);
  expect(recheck()).toEqual(due);
  recheckDone(house, state, noon + hour);
  expect(recheck()).toBeUndefined();
  await clock.run(noon + hour + dayMs);
  expect(recheck()).toEqual(due);
});

test('gaps of another kind and those of more than ten days ago are left; one that began before is cut to them', async () => {
  const youngest = noon + hour - 10 * dayMs;
  const { house, state, clock } = await world([
    [youngest - 4 * quarterMs, youngest - quarterMs, 'MISSING'],
    [youngest - quarterMs, youngest + quarterMs, 'MISSING'],
    [old, old + quarterMs, 'OUTAGE'],
  ]);
  plannedMeter(house, state);
  await clock.run(noon + hour);
  expect(plannedMeter(house, state).series[0]?.recheck).toEqual([[youngest, youngest + 2 * quarterMs]]);
});

test('R35: the series after a change of the period begins where the store says that the one before ended', async () => {
  const midnight = millis(noon - 12 * hour);
  const next = {
    ...quarters,
    series: seriesKey(profile, 3600),
    periodMs: hour,
    since: midnight,
    after: quarters.series,
  };
  const gap = [old, old + quarterMs, 'MISSING'] as const;
  const { house, state, clock, store } = await world([gap], [{ ...quarters, until: midnight }, next]);
  const bounds = () => plannedMeter(house, state).series.map(({ since, until }) => [since, until]);
  expect(bounds()).toEqual([
    [quarters.since, midnight],
    [midnight, undefined],
  ]);
  // A series that ended is empty in the meter: nothing can be looked at again.
  await clock.run(noon + hour);
  expect(plannedMeter(house, state).series[0]?.recheck).toBeUndefined();
  // It was postponed: the store overrides what is configured.
  const later = midnight + dayMs;
  const postponed = { since: noon - 30 * dayMs, coverage: [], until: later };
  await store.commit({ meter: 'a', series: quarters.series, entryClass: 0, facts: [], state: postponed });
  expect(bounds()).toEqual([
    [quarters.since, later],
    [later, undefined],
  ]);
});

test('a series of a time before every memory of a meter begins three years ago, unless it began earlier already', async () => {
  const { house, state, store } = await world([], [{ ...quarters, since: longAgo }]);
  const since = () => plannedMeter(house, state).series[0]?.since;
  expect(since()).toBe(noon - 12 * hour - 1100 * dayMs);
  const began = noon - 1500 * dayMs;
  const known = { since: began, coverage: [] };
  await store.commit({ meter: 'a', series: quarters.series, entryClass: 0, facts: [], state: known });
  expect(since()).toBe(began);
});
