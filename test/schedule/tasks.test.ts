/** What a gateway does beside its lines: the daily account, and room on the disk. */
import { expect, test } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { dayMs, millis } from '../../src/base/time.ts';
import type { EventFact, Fact } from '../../src/reading/facts.ts';
import type { ClockTrust } from '../../src/schedule/meter-state.ts';
import type { Disk, StorageState } from '../../src/schedule/storage.ts';
import { giveManifests, type ManifestSettings, type StorageSettings, watchStorage } from '../../src/schedule/tasks.ts';
import { profile, quarterMs, quarters, storeWorld, type StoreWorld } from '../support/port-world.ts';

const hour = 3_600_000;
const minute = 60_000;
const midnight = Date.UTC(2026, 10, 24);
const account = { origin: { meter: 'm1', point: 'p1', serial: 's1' }, series: quarters.series, profile };
const accounted = [{ ...account, periodMs: quarterMs, since: millis(midnight - 100 * dayMs) }];
const days = async ({ facts }: StoreWorld) =>
  (await facts()).flatMap((fact: Fact) => (fact.kind === 'manifest' ? [fact.day] : []));

async function withManifests(
  startedAt: number,
  run: (world: StoreWorld, trust: (trust: ClockTrust) => void) => Promise<void>,
  more: Partial<ManifestSettings> = {},
) {
  const world = await storeWorld(millis(startedAt));
  const { clock, store } = world;
  let trusted: ClockTrust = 'kernel';
  const stop = new AbortController();
  const given = giveManifests(
    {
      store,
      clock,
      log: silentLog,
      startedAt: clock.now(),
      clockTrust: () => trusted,
      series: () => accounted,
      ...more,
    },
    stop.signal,
  );
  await run(world, (trust) => void (trusted = trust));
  stop.abort();
  await given;
}

test('R17: the account of a day comes at 06:00 UTC of the next one, and once', () =>
  withManifests(midnight + 4 * hour, async (world) => {
    // A gateway that is new gives that of the day before yesterday.
    await world.clock.run(midnight + 6 * hour - 1);
    expect(await days(world)).toEqual(['2026-11-22']);
    await world.clock.run(midnight + 6 * hour + 10 * minute);
    expect(await days(world)).toEqual(['2026-11-22', '2026-11-23']);
    await world.clock.run(midnight + dayMs + 6 * hour - 1);
    expect(await days(world)).toEqual(['2026-11-22', '2026-11-23']);
  }));

test('not within an hour after the start', () =>
  withManifests(midnight + 7 * hour, async (world) => {
    await world.clock.run(midnight + 8 * hour - 1);
    expect(await days(world)).toEqual([]);
    await world.clock.run(midnight + 8 * hour);
    expect(await days(world)).toEqual(['2026-11-23']);
  }));

test('not while nobody knows the time', () =>
  withManifests(midnight + 7 * hour, async (world, trust) => {
    trust('untrusted');
    await world.clock.run(midnight + 12 * hour);
    expect(await days(world)).toEqual([]);
    trust('system');
    await world.clock.run(midnight + 12 * hour + 10 * minute);
    expect(await days(world)).toEqual(['2026-11-23']);
  }));

test('days that were missed come first, then those of which something else was said since, then the day', () =>
  withManifests(midnight + 7 * hour, async (world) => {
    const logs = {
      ...world.store.meterLogs('_'),
      manifestDay: midnight - 4 * dayMs,
      staleDays: [midnight - 9 * dayMs],
    };
    await world.store.commit({ meter: '_', entryClass: 0, facts: [], logs });
    await world.clock.run(midnight + 8 * hour);
    expect(await days(world)).toEqual(['2026-11-21', '2026-11-22', '2026-11-15', '2026-11-23']);
    expect(world.store.meterLogs('_')).toMatchObject({ manifestDay: midnight - dayMs, staleDays: [] });
  }));

test('of more than two months no account is given any more', () =>
  withManifests(midnight + 7 * hour, async (world) => {
    const logs = { ...world.store.meterLogs('_'), manifestDay: midnight - 90 * dayMs };
    await world.store.commit({ meter: '_', entryClass: 0, facts: [], logs });
    await world.clock.run(midnight + 8 * hour);
    const given = await days(world);
    expect([given.length, given[0], given.at(-1)]).toEqual([62, '2026-09-23', '2026-11-23']);
  }));

test('intervals that were stored while it was made: it is made again at once, with them', async () => {
  let asked = 0;
  let world: StoreWorld | undefined;
  const store = (it: StoreWorld) =>
    it.store.commit({
      meter: 'm1',
      series: quarters.series,
      entryClass: 0,
      facts: [],
      state: { since: midnight - 2 * dayMs, coverage: [[midnight - 2 * dayMs, midnight]] },
      marks: [{ start: midnight - dayMs, rev: 0, hash: 1, gap: false }],
    });
  const between = () => {
    // While the account waits for the marks, a session stores.
    if (asked++ === 0 && world) void store(world);
    return accounted;
  };
  await withManifests(
    midnight + 7 * hour,
    async (it) => {
      world = it;
      await it.clock.run(midnight + 8 * hour);
      expect(asked).toBe(2);
      const series = (await it.facts()).flatMap((fact) => (fact.kind === 'manifest' ? fact.series : []));
      expect(series).toMatchObject([{ measured: 96, pending: 0 }]);
    },
    { series: between },
  );
});

test('a store that fails: tried again ten minutes later, and said once', () =>
  withManifests(midnight + 7 * hour, async (world) => {
    world.database.failing = new Error('EIO');
    await world.clock.run(midnight + 8 * hour + 9 * minute);
    world.database.failing = undefined;
    expect(await days(world)).toEqual([]);
    await world.clock.run(midnight + 8 * hour + 10 * minute);
    expect(await days(world)).toEqual(['2026-11-23']);
  }));

interface DiskWorld extends StoreWorld {
  readonly states: StorageState[];
  readonly events: () => Promise<readonly (readonly [name: string, detail: EventFact['detail']])[]>;
  readonly left: (freeBytes: number | null) => Promise<void>;
}
const totalBytes = 10 ** 9;
async function withDisk(relieve: StorageSettings['relieve'], run: (world: DiskWorld) => Promise<void>) {
  const world = await storeWorld();
  const { clock, store } = world;
  let disk: Disk | null = { freeBytes: totalBytes / 2, totalBytes };
  const states: StorageState[] = [];
  const stop = new AbortController();
  const watched = watchStorage(
    { store, clock, log: silentLog, disk: () => disk, relieve, onState: (state) => void states.push(state) },
    stop.signal,
  );
  const events = async () => ((await world.facts()) as EventFact[]).map(({ name, detail }) => [name, detail] as const);
  const left = async (freeBytes: number | null) => {
    disk = freeBytes === null ? null : { freeBytes, totalBytes };
    await clock.run(clock.now() + 5000);
  };
  await run({ ...world, states, events, left });
  stop.abort();
  await watched;
}
const nothing = () => Promise.resolve([]);

test('R22: each change of state is one event with what is left, and is handed on', () =>
  withDisk(nothing, async ({ left, events, states }) => {
    const name = ([one]: readonly [string, unknown]) => one;
    for (const share of [0.5, 0.09, 0.09, 0.01, 0.12, 0.5, 0.5]) await left(share * totalBytes);
    expect((await events()).map(name)).toEqual(['STORAGE_LOW', 'STORAGE_FULL', 'STORAGE_LOW', 'STORAGE_OK']);
    expect((await events())[0]?.[1]).toEqual({ freeBytes: 0.09 * totalBytes, totalBytes });
    expect(states).toEqual(['low', 'full', 'low', 'ok']);
  }));

test('a disk that cannot be asked changes nothing', () =>
  withDisk(nothing, async ({ left, events, states }) => {
    for (const free of [null, 0.09 * totalBytes, null]) await left(free);
    expect(states).toEqual(['low']);
    expect(await events()).toHaveLength(1);
  }));

test('what was deleted is told; nothing is deleted while there is room, and what cannot be deleted stops nothing', () => {
  let asked = 0;
  const relieve = () =>
    ++asked === 1 ? Promise.resolve([{ what: 'traces', bytes: 7 }]) : Promise.reject(new Error('EACCES'));
  return withDisk(relieve, async ({ left, events, states }) => {
    await left(0.5 * totalBytes);
    expect(asked).toBe(0);
    for (const share of [0.09, 0.09, 0.5]) await left(share * totalBytes);
    expect(asked).toBe(2);
    expect((await events()).slice(0, 2)).toMatchObject([
      ['STORAGE_LOW', {}],
      ['STORAGE_FREED', { what: 'traces', bytes: 7 }],
    ]);
    expect(states).toEqual(['low', 'ok']);
  });
});

test('events wait while the store does not take them, in their order, and each is stored once', () =>
  withDisk(nothing, async ({ left, events, states, database }) => {
    await left(0.5 * totalBytes);
    database.failing = new Error('ENOSPC');
    for (const share of [0.09, 0.01]) await left(share * totalBytes);
    // Whoever reads must stop although it could not be told.
    expect(states).toEqual(['low', 'full']);
    database.failing = undefined;
    for (const share of [0.01, 0.01]) await left(share * totalBytes);
    expect((await events()).map(([name]) => name)).toEqual(['STORAGE_LOW', 'STORAGE_FULL']);
  }));
