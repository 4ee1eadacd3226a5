/** R35, R36: a meter is told another capture period at local midnight; that empties its buffer, so first it is read. */
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/base/errors.ts';
import { hourMs, later, millis, minuteMs } from '../../src/base/time.ts';
import type { EventFact } from '../../src/reading/facts.ts';
import { seriesKey } from '../../src/reading/series-key.ts';
import { changePeriods } from '../../src/schedule/period-change.ts';
import { readSlice } from '../../src/schedule/series.ts';
import type { Odd } from '../support/odd-meters.ts';
import { noon, profile, quarterMs, quarters } from '../support/port-world.ts';
import { quartersSince, sessionWorld } from '../support/session-world.ts';

/** In Berlin, where the world's port is: 23:00 UTC. */
const midnight = later(noon, 11 * hourMs);
const before = { ...quartersSince(4 * hourMs), until: midnight };
const after = {
  ...quarters,
  series: seriesKey(profile, 300),
  periodMs: 300_000,
  since: midnight,
  after: quarters.series,
};
const set = 0xc1;

/** A meter of quarter-hours that is to capture every five minutes, so long after the midnight. */
async function changing(minutes: number, odd: Odd = {}) {
  const it = await sessionWorld([before, after]);
  await it.clock.run(later(midnight, minutes * minuteMs));
  let written = 0;
  it.misbehaves({
    ...odd,
    answer(octets, request, memory) {
      if (request[0] === set) written++;
      return odd.answer ? odd.answer(octets, request, memory) : octets;
    },
  });
  const change = () => it.visit((session) => changePeriods(it.house, it.state, session));
  return { ...it, change, written: () => written };
}
const periodsOf = (it: Awaited<ReturnType<typeof changing>>) =>
  it.state.pendingEvents.map(({ name, detail }) => [name, detail]);
const changed = ['PERIOD_CHANGED', { series: '1-0:99.1.0*255', beforeS: 900, nowS: 300, from: '2026-11-24T23:00:00Z' }];

test('all of the old rows are stored first, then the period is written, and that is said', async () => {
  const it = await changing(2);
  await it.change();
  expect(it.stored()).toMatchObject({ coverage: [[before.since, midnight]] });
  expect([it.written(), it.meter.capturePeriodS]).toEqual([1, 300]);
  expect(periodsOf(it)).toEqual([changed]);
  // The rows that come are read by what the meter says now.
  expect(it.state.layouts.get(profile)?.layout.capturePeriodMs).toBe(300_000);
});

test('a minute before midnight nothing is asked, and nothing written', async () => {
  const it = await changing(-1);
  await it.change();
  expect([it.written(), it.asked(), periodsOf(it), it.stored()]).toEqual([0, [], [], undefined]);
});

test('once is enough: where the meter captures so already, or has rows of the new series, nothing is written', async () => {
  const it = await changing(2);
  await it.change();
  await it.change();
  expect([it.written(), periodsOf(it)]).toEqual([1, [changed]]);
  await it.clock.run(later(midnight, 6 * minuteMs));
  const first = { series: after.series, from: midnight, to: later(midnight, 300_000), live: true };
  await it.visit((session) => readSlice(it.house, it.state, session, first));
  it.meter.capturePeriodS = 900;
  it.state.layouts.clear();
  await it.change();
  expect(it.written()).toBe(1);
});

describe('R36: what is not read is not wiped', () => {
  test('where the profile is refused nothing is written; what was read is stored', async () => {
    const it = await changing(2, { select: () => ({ refused: 3 }), buffer: () => ({ refused: 3 }) });
    await expect(it.change()).rejects.toMatchObject({ code: 'access-refused' });
    expect([it.written(), it.meter.capturePeriodS, periodsOf(it)]).toEqual([0, 900, []]);
  });
  test('where the last row is not written yet the next visit comes back for it, in time', async () => {
    let wanting = true;
    const it = await changing(0.3, {
      rows: (rows) => (wanting ? rows.filter(({ end }) => end < midnight) : rows),
    });
    await it.change();
    expect([it.written(), periodsOf(it)]).toEqual([0, []]);
    expect(it.stored()?.coverage).toEqual([[before.since, midnight - quarterMs]]);
    wanting = false;
    await it.clock.run(later(midnight, 2 * minuteMs));
    await it.change();
    expect([it.written(), periodsOf(it)]).toEqual([1, [changed]]);
  });
  test('a store that takes no row: nothing is written', async () => {
    const it = await changing(2);
    it.database.failing = new Error('ENOSPC');
    await expect(it.change()).rejects.toThrow(Failure);
    expect(it.written()).toBe(0);
  });
});

describe('too late for the first new interval it waits for the next local midnight', () => {
  test.each([
    ['a minute is left of it', 4],
    ['the old rows took until then', 3.86],
    ['hours later', 180],
  ])('%s', async (_, minutes) => {
    // A slow meter: each answer takes a second.
    const it = await changing(minutes, { transmit: (octets) => [{ octets, pauseMs: 1000 }] });
    await it.change();
    expect([it.written(), it.meter.capturePeriodS]).toEqual([0, 900]);
    const facts = (await it.facts()).filter((fact): fact is EventFact => fact.kind === 'event');
    expect(facts.map(({ name, detail }) => [name, detail])).toEqual([
      ['PERIOD_CHANGE_POSTPONED', { series: '1-0:99.1.0*255', nowS: 300, from: '2026-11-25T23:00:00Z' }],
    ]);
    expect(it.stored()).toMatchObject({ since: before.since, until: later(midnight, 24 * hourMs) });
  });
  test('then it is changed, and the days before stay in the old series', async () => {
    const it = await changing(180);
    await it.change();
    await it.change();
    const next = later(midnight, 24 * hourMs);
    await it.clock.run(later(next, 2 * minuteMs));
    await it.change();
    expect(it.stored()?.coverage).toEqual([[before.since, next]]);
    expect(periodsOf(it)).toEqual([[changed[0], { ...(changed[1] as object), from: '2026-11-25T23:00:00Z' }]]);
    const names = await it.names();
    expect(names.filter((name) => name === 'PERIOD_CHANGE_POSTPONED')).toHaveLength(1);
  });
});

describe('the meter does not do it', () => {
  test('it refuses the write: a failure, and nothing is said to have changed', async () => {
    const it = await changing(2, {
      // Read-write denied.
      answer: (octets, request) => (request[0] === set ? Uint8Array.of(0xc5, 1, request[2] as number, 3) : octets),
    });
    await expect(it.change()).rejects.toMatchObject({ code: 'access-refused' });
    expect(periodsOf(it)).toEqual([]);
  });
  test('it takes it and goes on as before: a failure that names both periods', async () => {
    const it = await changing(2);
    Object.assign(it.meter, { setPeriod: () => 0 });
    await expect(it.change()).rejects.toThrow('a still captures every 900 s after it was told 300 s');
    expect([it.written(), periodsOf(it)]).toEqual([1, []]);
    expect(it.state.layouts.get(profile)?.layout.capturePeriodMs).toBe(900_000);
  });
});

test('a meter of one series is asked nothing', async () => {
  const it = await sessionWorld([{ ...quarters, until: millis(noon - hourMs) }]);
  await it.visit((session) => changePeriods(it.house, it.state, session));
  expect([it.asked(), it.state.layouts.size]).toEqual([[], 0]);
});
