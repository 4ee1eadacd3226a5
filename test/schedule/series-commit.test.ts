/** What one slice of rows becomes in the store, what stays to be said, and when the meter is visited again. */
import { describe, expect, test } from 'vitest';
import { Failure } from '../../src/base/errors.ts';
import { later, type Millis, millis } from '../../src/base/time.ts';
import type { Identity } from '../../src/meter/identity-reading.ts';
import type { ProfileLayout } from '../../src/meter/profile-layout.ts';
import type { Session } from '../../src/meter/session.ts';
import type { LoadProfileRow } from '../../src/reading/load-profile-row.ts';
import { freshState } from '../../src/schedule/meter-state.ts';
import { commitSlice } from '../../src/schedule/series-commit.ts';
import { gatewayEvent } from '../../src/schedule/gateway-event.ts';
import { noon, polled, portWorld, profile, quarterMs, quarters } from '../support/port-world.ts';

const hourAgo = millis(noon - 4 * quarterMs);
const channels = [{ key: '1-0:1.8.0*255', scalerUnit: { scaler: 0, unit: 30 }, kind: 'register' }] as const;
const rowAt = (end: number): LoadProfileRow => ({
  start: millis(end - quarterMs),
  end: millis(end),
  clock: null,
  status: 0,
  channels,
  cells: [(end - hourAgo) / quarterMs],
});
const rowsTo = (end: number) =>
  [0, 1, 2, 3, 4]
    .map((i) => hourAgo + i * quarterMs)
    .filter((at) => at <= end)
    .map(rowAt);
const layout: ProfileLayout = {
  profile,
  columns: [],
  capturePeriodMs: quarterMs,
  scalers: new Map(),
  entries: undefined,
  fingerprint: 'now',
  formerFingerprints: [],
  unscaled: new Map(),
};
// Nothing is asked of it: the association is over.
const session = { associated: false } as Session;

async function world(deviationMs: number | undefined = 0) {
  const made = await portWorld([polled('a')]);
  const { house: port, clock } = made;
  const state = freshState(polled('a'));
  state.identity = { clockDeviationMs: deviationMs } as Identity;
  await clock.run(later(noon, 5000));
  const slice = { series: quarters.series, from: hourAgo, to: noon, live: true };
  const commit = (rows: readonly LoadProfileRow[]) =>
    commitSlice({ port, state, session, settings: quarters, layout }, slice, rows, undefined);
  const names = async () => (await made.facts()).map((fact) => (fact.kind === 'event' ? fact.name : fact.kind));
  const event = () => gatewayEvent(port, state, 'BUS_FAULT', { port: 'bus', meters: 1 });
  const stored = () => made.store.seriesState('a', quarters.series);
  return { ...made, state, commit, names, event, stored };
}

test('events, rows, marks and coverage are stored at once, and nothing stays to be said', async () => {
  const { state, commit, names, event, stored, store, database } = await world();
  state.pendingEvents.push(event());
  state.logs = { ...store.meterLogs('a'), lastPower: 'down' };
  const { batches } = database;
  await commit(rowsTo(noon));
  expect(database.batches).toBe(batches + 1);
  expect(await names()).toEqual(['BUS_FAULT', 'profile']);
  expect(stored()).toMatchObject({ coverage: [[hourAgo, noon]], layout: 'now', serial: 's-a', newest: { end: noon } });
  expect((await store.marks('a', quarters.series, hourAgo, noon)).size).toBe(4);
  expect(store.meterLogs('a').lastPower).toBe('down');
  expect([state.pendingEvents, state.logs, state.intervalsRead]).toEqual([[], undefined, 4]);
});

test('where the store does not take it, all of it stays to be said, and is said once when it does', async () => {
  const { state, commit, names, event, stored, store, database, clock } = await world();
  state.pendingEvents.push(event());
  state.logs = { ...store.meterLogs('a'), lastPower: 'down' };
  database.failing = new Error('ENOSPC');
  await expect(commit(rowsTo(noon))).rejects.toThrow(Failure);
  expect(state.pendingEvents.map(({ name }) => name)).toEqual(['BUS_FAULT']);
  expect([state.logs?.lastPower, state.intervalsRead, stored()]).toEqual(['down', 0, undefined]);
  database.failing = undefined;
  await clock.run(later(clock.now(), 60_000));
  await commit(rowsTo(noon));
  expect(await names()).toEqual(['BUS_FAULT', 'profile']);
});

test('an event that comes while the commit is under way waits for the next one', async () => {
  const { state, commit, names, event, database } = await world();
  const batch = database.batch.bind(database);
  database.batch = (...all) => {
    state.pendingEvents.push(event());
    return batch(...all);
  };
  await commit(rowsTo(noon));
  expect([await names(), state.pendingEvents.length]).toEqual([['profile'], 1]);
});

describe('the newest row is not there yet', () => {
  test.each<[string, number | undefined, Millis]>([
    ['when it may come late no more', 0, later(noon, 60_000)],
    ['not sooner than in twenty seconds', 50_000, later(noon, 25_000)],
    ['a clock an hour behind is not asked every few seconds', -3_600_000, later(noon, 605_000)],
    ['of a clock that could not be asked its newest row tells the time', undefined, later(noon, 605_000)],
  ])('%s', async (_, deviationMs, notBefore) => {
    const { state, commit, stored } = await world(deviationMs);
    if (deviationMs === undefined) state.identity = undefined;
    await commit(rowsTo(noon - quarterMs));
    expect(stored()?.coverage).toEqual([[hourAgo, noon - quarterMs]]);
    expect(state.notBefore).toBe(notBefore);
  });

  test('its grace is over: it is a gap, and nobody comes back for it', async () => {
    const { state, commit, names, stored, clock } = await world();
    const { notBefore } = state;
    await clock.run(later(noon, 60_000));
    await commit(rowsTo(noon - quarterMs));
    expect(await names()).toEqual(['profile', 'gap']);
    expect(stored()).toMatchObject({ coverage: [[hourAgo, noon]], exceptions: [[noon - quarterMs, noon, 'MISSING']] });
    expect(state.notBefore).toBe(notBefore);
  });
});

describe('incident: a change was said again with each try where the store did not take it', () => {
  test.each(['SWAP', 'CONFIG_CHANGED'])('%s: once, before the first value after it', async (name) => {
    const { commit, names, store, database, clock, state } = await world();
    const before = { since: hourAgo, coverage: [], layout: 'now', serial: 's-a' };
    const other = name === 'SWAP' ? { serial: 'old' } : { layout: 'before' };
    const known = { ...before, ...other };
    await store.commit({ meter: 'a', series: quarters.series, entryClass: 0, facts: [], state: known });
    database.failing = new Error('ENOSPC');
    await expect(commit(rowsTo(noon))).rejects.toThrow(Failure);
    database.failing = undefined;
    await clock.run(later(clock.now(), 60_000));
    await commit(rowsTo(noon));
    expect((await names())[0]).toBe(name);
    expect((await names()).filter((one) => one === name)).toHaveLength(1);
    expect(state.pendingEvents).toEqual([]);
    await commit(rowsTo(noon));
    expect((await names()).filter((one) => one === name)).toHaveLength(1);
  });
});
