/** Where a series begins and ends: what the store knows, what is configured, and what no meter can have. */
import { expect, test } from 'vitest';
import { dayMs, hourMs, millis } from '../../src/base/time.ts';
import { seriesKey } from '../../src/reading/series-key.ts';
import type { PolledSeries } from '../../src/schedule/meter-state.ts';
import { boundsOf } from '../../src/schedule/series-bounds.ts';
import type { SeriesState } from '../../src/store/records.ts';
import { noon, polled, profile, quarters, storeWorld } from '../support/port-world.ts';

const at = (hours: number) => millis(noon + hours * hourMs);
const earliest = Math.floor((noon - 1100 * dayMs) / dayMs) * dayMs;
const next: Partial<PolledSeries> = { series: seriesKey(profile, 300), after: quarters.series };

test.each<[string, Partial<PolledSeries>, Partial<SeriesState> | undefined, number, number | undefined]>([
  ['new and not configured', { since: undefined }, undefined, noon, undefined],
  ['as configured', { since: at(-9) }, undefined, at(-9), undefined],
  ['as configured, whatever the store remembers', { since: at(-9) }, { since: at(-4) }, at(-9), undefined],
  ['as the store remembers', { since: undefined }, { since: at(-4) }, at(-4), undefined],
  ['it ends as configured', { since: at(-9), until: at(3) }, undefined, at(-9), at(3)],
  ['a change that was put off ends it later', { since: at(-9), until: at(3) }, { until: at(27) }, at(-9), at(27)],
  ['nobody keeps rows for more than three years', { since: millis(0) }, undefined, earliest, undefined],
  [
    'but what the store has of then stays of it',
    { since: millis(0) },
    { since: earliest - dayMs },
    earliest - dayMs,
    undefined,
  ],
])('%s', async (_, settings, stored, since, until) => {
  const { store, clock } = await storeWorld();
  if (stored) {
    const state = { since: at(-9), coverage: [], ...stored };
    await store.commit({ meter: 'a', series: quarters.series, entryClass: 0, facts: [], state });
  }
  const bounds = boundsOf({ store, clock }, { polled: polled('a') }, { ...quarters, ...settings });
  expect([bounds.since, bounds.until]).toEqual([since, until]);
});

test.each<[string, Partial<SeriesState>, number]>([
  ['begins where the one before it ends', { until: at(27) }, at(27)],
  ['begins as configured where that has no end yet', {}, at(3)],
])('the series after a change of the period %s', async (_, before, since) => {
  const { store, clock } = await storeWorld();
  const state = { since: at(-9), coverage: [], ...before };
  await store.commit({ meter: 'a', series: quarters.series, entryClass: 0, facts: [], state });
  const settings = { ...quarters, ...next, since: at(3) };
  expect(boundsOf({ store, clock }, { polled: polled('a') }, settings).since).toBe(since);
});
