/**
 * States of earlier versions. test/vectors/states has one real state directory of each format: killed while it ran, with
 * everything it read waiting for a broker that was never there.
 *   format-1  from the commit before 753d2f4: entries as one line of JSON
 *   format-2  from 70b7016 (0.1.0): packs
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/line/system-clock.ts';
import { stateDirectory } from '../../src/disk/state-directory.ts';
import { Counters } from '../../src/store/counters.ts';
import { decodeRecord, encodeRecord } from '../../src/store/record.ts';
import type { Checkpoint, SeriesState } from '../../src/store/records.ts';
import { Store } from '../../src/store/store.ts';
import { MemoryDatabase } from '../support/memory-database.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { virtualHouse } from '../support/virtual-house.ts';
import { storedSeriesKey } from '../../src/reading/series-key.ts';

const folder = mkdtempSync(join(tmpdir(), 'format-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const hourMs = 3_600_000;
const profile = storedSeriesKey('1.0.99.1.0.255');
const meters = ['m60120001', 'm60120002', 'm60120003'];
const readTo = Date.UTC(2026, 10, 28, 5);

const states = [
  {
    format: 1,
    epoch: 1_795_843_270,
    since: Date.UTC(2026, 8, 15),
    waiting: { profile: 225, reading: 3 },
    sha256: '99c4455513c80a3231fcba515f217b1cda9a2da3d72ade824e9e8e3877263487',
  },
  {
    format: 2,
    epoch: 1_795_843_125,
    since: Date.UTC(2026, 6, 1),
    waiting: { profile: 453, reading: 3 },
    sha256: '09f19d13427dffe9801d6ff37c0f75e3b66d9de9eafde727c1be756f8ab7a47b',
  },
] as const;

describe.each(states)('a state of format $format', ({ format, epoch, since, waiting, sha256 }) => {
  const directory = join(folder, `state-${format}`);
  const open = async () => {
    const { store, counters } = await stateDirectory(directory, Date.now());
    return { store: await Store.open({ ...store, clock: systemClock }), counters: await Counters.open(counters) };
  };
  const numbered = waiting.profile + waiting.reading;
  const newest = readTo - hourMs;
  const check = async (store: Store, added: number, newestRev: number) => {
    const entries = [...(await store.outbox(0, 0, 10_000)), ...(await store.outbox(1, 0, 10_000))];
    const digest = createHash('sha256');
    for (const { sequence, entryClass, kind, meter, text } of entries.toSorted((a, b) => a.sequence - b.sequence))
      if (sequence <= numbered) digest.update(`${sequence} ${entryClass} ${kind} ${meter} ${text}\n`);
    expect(digest.digest('hex')).toBe(sha256);
    const status = await store.status();
    expect(status).toMatchObject({ epoch, acknowledged: 0, damage: { quarantined: 0, missing: 0, log: [] } });
    expect(status.pending).toBe(numbered + added);
    for (const meter of meters) {
      expect(store.seriesState(meter, profile)).toMatchObject({ coverage: [[since, readTo]], exceptions: [] });
      const marks = [...(await store.marks(meter, profile, since, readTo)).values()];
      expect(marks.length).toBe((readTo - since) / hourMs);
      for (const { start, rev, hash, gap } of marks) {
        expect(rev).toBe(meter === 'm60120001' && start === newest ? newestRev : 0);
        expect([hash === 0, gap]).toEqual([false, false]);
      }
    }
  };

  test('all that waits is there as it was, nothing is void, nothing will be read twice; and so after it was written to', async () => {
    mkdirSync(directory);
    execFileSync('tar', [
      '-C',
      directory,
      '-xzf',
      join(import.meta.dirname, `../vectors/states/format-${format}.tar.gz`),
    ]);
    const first = await open();
    await check(first.store, 0, 0);
    // Counters of format 1 do not tell how many there are: each meter is asked for its own first.
    expect(first.counters.foundDoubtful).toBe(format === 1);
    // From now on there are pages of both kinds; this revision does not fit into one of before.
    const state = first.store.seriesState('m60120001', profile) as SeriesState;
    const mark = { start: newest, rev: 300, hash: 5, gap: false };
    const facts = [{ kind: 'void', cause: 'STORE_DAMAGED' } as const];
    await first.store.commit({
      meter: 'm60120001',
      series: profile,
      state,
      entryClass: 0,
      facts,
      marks: [mark],
    });
    await first.store.close();
    await first.counters.close();
    const second = await open();
    await check(second.store, 1, 300);
    expect(await second.store.acknowledge(numbered, new Set())).toBe(numbered);
    await second.store.close();
    await second.counters.close();
  });
});

describe('formats', () => {
  const clock = new VirtualClock(Date.UTC(2026, 10, 28));
  const open = (database: MemoryDatabase, checkpoint?: Checkpoint) =>
    Store.open({
      open: () => Promise.resolve(database),
      clock,
      newEpoch: (after) => after + 1,
      checkpoint: { read: () => checkpoint, write: () => {}, close: () => {} },
    });
  const newer = (database: MemoryDatabase, format: number) => {
    const { sequence, body } = decodeRecord('m/state', database.data.get('m/state') as Uint8Array) ?? { sequence: 0 };
    database.data.set('m/state', encodeRecord('m/state', { sequence, body: { ...(body as object), format } }));
  };

  test('a state of a later version is refused by name, and not one octet of it changes', async () => {
    const database = new MemoryDatabase();
    await open(database);
    newer(database, 7);
    // What that version keeps is not to be understood.
    database.data.set('o/0/000000000001', Uint8Array.of(1, 2, 3));
    const before = new Map(database.data);
    await expect(open(database)).rejects.toMatchObject({
      code: 'store-too-new',
      message: expect.stringContaining('format 7'),
    });
    expect(database.data).toEqual(before);
  });

  test('a state of format 3: what the head-end refused and since when a meter is installed are read under their old names', async () => {
    const database = new MemoryDatabase();
    const before = await open(database);
    const fact = { kind: 'void', cause: 'STORE_DAMAGED' } as const;
    const logs = { cursors: {}, dark: [], serial: '60120001', installedAt: readTo };
    await before.commit({ meter: 'm60120001', entryClass: 0, facts: [fact, fact, fact], logs });
    await before.acknowledge(3, new Set([2]));
    const rename = (key: string, now: string, old: string) => {
      const { sequence, body } = decodeRecord(key, database.data.get(key) as Uint8Array) ?? { sequence: 0, body: {} };
      const { [now]: value, ...rest } = body as Record<string, unknown>;
      expect(value).toBeDefined();
      database.data.set(key, encodeRecord(key, { sequence, body: { ...rest, [old]: value } }));
    };
    newer(database, 3);
    rename('m/state', 'nacked', 'kept');
    rename('e/m60120001', 'installedAt', 'hungSince');
    const store = await open(database);
    expect(await store.status()).toMatchObject({
      epoch: 1,
      acknowledged: 3,
      pending: 1,
      damage: { missing: 0, log: [] },
    });
    expect((await store.outbox(0, 0, 10)).map(({ sequence }) => sequence)).toEqual([2]);
    expect(store.meterLogs('m60120001').installedAt).toBe(readTo);
    // incident: the number of the format stayed the old one, so an earlier program would have opened what it cannot read.
    expect(decodeRecord('m/state', database.data.get('m/state') as Uint8Array)?.body).toMatchObject({
      format: 6,
      nacked: [2],
    });
  });

  test('also where only the checkpoint tells it', async () => {
    const database = new MemoryDatabase();
    await expect(open(database, { epoch: 1, nextSequence: 5, format: 9 })).rejects.toMatchObject({
      code: 'store-too-new',
    });
    expect(database.data.size).toBe(0);
  });

  test('the layout of a series is recognised: an upgrade is no change of the configuration', async () => {
    const it = await virtualHouse({ meters: { count: 1 } });
    await it.run(10 * 60_000);
    expect(it.store.seriesState('m60120001', profile)?.layout).toBe('762eab28');
    await it.house.stop();
  });
});
