import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { later } from '../../src/base/time.ts';
import { systemClock } from '../../src/line/system-clock.ts';
import { stateFolder } from '../../src/main/level-database.ts';
import type { Fact } from '../../src/reading/facts.ts';
import { Counters } from '../../src/store/counters.ts';
import { decodeRecord, encodeRecord } from '../../src/store/record.ts';
import { type Commit, Store } from '../../src/store/store.ts';
import { MemoryDatabase } from '../memory-database.ts';
import { VirtualClock } from '../virtual-clock.ts';

const clock = new VirtualClock(Date.UTC(2026, 10, 24));
const fact = (n: number): Fact => ({
  kind: 'reading',
  meter: 'm1',
  point: 'p1',
  serial: 's1',
  readAt: '2026-11-24T00:00:00Z',
  registers: { '1-0:1.8.0*255': { raw: n, scaler: 0, unit: 'Wh' } },
  clockDeviationS: 0,
});
const commit = (n: number, count = 1, entryClass: 0 | 1 = 0): Commit => ({
  meter: 'm1',
  profile: 'p',
  state: { since: 0, coverage: [[0, n]] },
  entryClass,
  facts: Array.from({ length: count }, (_, i) => fact(n * 100 + i)),
});
const openTwin = (database: MemoryDatabase, logDamage?: () => string[]) =>
  Store.open({ open: () => Promise.resolve(database), clock, newEpoch: 7, ...(logDamage && { logDamage }) });
const sequences = async (store: Store) => [
  ...(await store.outbox(0, 0, 1000)).map(({ sequence }) => sequence),
  ...(await store.outbox(1, 0, 1000)).map(({ sequence }) => sequence),
];

describe('records', () => {
  test('round trip; every flipped bit and every truncation is noticed', () => {
    const octets = encodeRecord({ sequence: 123456789012, body: { a: [1, 'two', null] } });
    expect(decodeRecord(octets)).toEqual({ sequence: 123456789012, body: { a: [1, 'two', null] } });
    for (let bit = 0; bit < octets.length * 8; bit++) {
      const damaged = Uint8Array.from(octets);
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(decodeRecord(damaged), `bit ${bit}`).toBeUndefined();
    }
    for (let end = 0; end < octets.length; end++) expect(decodeRecord(octets.subarray(0, end))).toBeUndefined();
  });
});

describe('the store on a twin', () => {
  test('a commit is there after a power cut, whole; an acknowledgement may be lost and is only sent again', async () => {
    const database = new MemoryDatabase();
    const store = await openTwin(database);
    await store.commit(commit(1, 3));
    await store.commit(commit(2, 2, 1));
    expect(await store.acknowledge(2, new Set())).toBe(2);
    database.powerCut();
    const again = await openTwin(database);
    expect(await sequences(again)).toEqual([1, 2, 3, 4, 5]);
    expect(again.seriesState('m1', 'p')).toEqual({ since: 0, coverage: [[0, 2]] });
    expect((await again.status()).damage).toEqual({ quarantined: 0, missing: 0, log: [] });
  });

  test('a power cut between the batches of an acknowledgement leaves no hole', async () => {
    for (let kept = 0; kept <= 4; kept++) {
      const database = new MemoryDatabase();
      const store = await openTwin(database);
      await store.commit(commit(1, 3));
      await store.commit(commit(2, 3, 1));
      await store.acknowledge(5, new Set([2]));
      database.powerCut(kept);
      const again = await openTwin(database);
      expect((await again.status()).damage, `kept ${kept}`).toEqual({ quarantined: 0, missing: 0, log: [] });
      const left = await sequences(again);
      expect(left).toContain(2);
      expect(left).toContain(6);
      await again.acknowledge(6, new Set());
      expect((await again.status()).pending).toBe(0);
    }
  });

  test('nothing is deleted that was not acknowledged: nack stays, the future and nonsense change nothing', async () => {
    const store = await openTwin(new MemoryDatabase());
    await store.commit(commit(1, 5));
    expect(await store.acknowledge(99, new Set())).toBe(0);
    expect(await store.acknowledge(-1, new Set())).toBe(0);
    expect(await store.acknowledge(Number.NaN, new Set())).toBe(0);
    expect(await store.acknowledge(4, new Set([3]))).toBe(3);
    expect(await sequences(store)).toEqual([3, 5]);
    expect(await store.acknowledge(2, new Set())).toBe(0);
    expect(store.acknowledged).toBe(4);
    expect(await store.acknowledge(5, new Set())).toBe(2);
  });

  test('a damaged entry is quarantined, keeps its number as void, and the series is read again', async () => {
    const database = new MemoryDatabase();
    const store = await openTwin(database);
    await store.commit(commit(1, 3));
    const key = 'o/0/000000000002';
    const damaged = Uint8Array.from(database.data.get(key) as Uint8Array);
    damaged[20] = (damaged[20] as number) ^ 1;
    database.data.set(key, damaged);
    const again = await openTwin(database);
    const entries = await again.outbox(0, 0, 10);
    expect(entries.map(({ fact: { kind } }) => kind)).toEqual(['reading', 'void', 'reading']);
    expect(again.seriesState('m1', 'p')?.coverage).toEqual([]);
    expect((await again.status()).damage.quarantined).toBe(1);
    expect(database.data.get(`q/${key}`)).toEqual(damaged);
  });

  test('damage that comes while the store is open is never delivered as a value', async () => {
    const database = new MemoryDatabase();
    const store = await openTwin(database);
    await store.commit(commit(1, 2));
    const key = 'o/0/000000000001';
    const damaged = Uint8Array.from(database.data.get(key) as Uint8Array);
    damaged[30] = (damaged[30] as number) ^ 0x40;
    database.data.set(key, damaged);
    expect((await store.outbox(0, 0, 10))[0]?.fact).toEqual({ kind: 'void', cause: 'STORE_DAMAGED' });
  });

  test('a vanished entry (a block that LevelDB dropped) is found by its missing number', async () => {
    const database = new MemoryDatabase();
    const store = await openTwin(database);
    await store.commit(commit(1, 3));
    database.data.delete('o/0/000000000002');
    const again = await openTwin(database);
    expect((await again.status()).damage.missing).toBe(1);
    expect((await sequences(again)).toSorted((a, b) => a - b)).toEqual([1, 2, 3]);
    expect(again.seriesState('m1', 'p')?.coverage).toEqual([]);
  });

  test('a damaged state record: numbers go on above all that exist', async () => {
    const database = new MemoryDatabase();
    const store = await openTwin(database);
    await store.commit(commit(1, 3));
    database.data.set('m/state', Uint8Array.of(1, 2, 3));
    const again = await openTwin(database);
    await again.commit(commit(2));
    expect(await sequences(again)).toEqual([1, 2, 3, 4]);
  });

  test('lines of damage in LevelDB’s LOG make the meters be read again', async () => {
    const database = new MemoryDatabase();
    await (await openTwin(database)).commit(commit(1, 1));
    const again = await openTwin(database, () => ['dropping 512 bytes; Corruption']);
    expect(again.seriesState('m1', 'p')?.coverage).toEqual([]);
  });

  test('after an I/O error the database is closed, opened again, and nothing acknowledged as stored is lost', async () => {
    const database = new MemoryDatabase();
    let opened = 0;
    const store = await Store.open({
      open: () => {
        opened++;
        database.failing = undefined;
        return Promise.resolve(database);
      },
      clock,
      newEpoch: 7,
    });
    await store.commit(commit(1));
    database.failing = Object.assign(new Error('IO error: No space left on device'), { code: 'LEVEL_IO_ERROR' });
    await expect(store.commit(commit(2))).rejects.toMatchObject({ code: 'store-failed' });
    expect((await store.status()).failure).toContain('No space left');
    await expect(store.commit(commit(2))).rejects.toMatchObject({ code: 'store-failed' });
    await clock.run(later(clock.now(), 3000));
    await store.commit(commit(2));
    expect(opened).toBe(2);
    expect(await sequences(store)).toEqual([1, 2]);
    expect((await store.status()).failure).toBeUndefined();
  });
});

describe('invocation counters', () => {
  test('never the same value twice, with a power cut after any number of uses', async () => {
    const database = new MemoryDatabase();
    const used = new Set<number>();
    let last = -1;
    for (let cut = 0; cut < 30; cut++) {
      const counters = new Counters(database);
      for (let i = 0; i < cut * 97; i++) {
        const value = (await counters.lease('key-1', 1 + (i % 7)))();
        expect(used.has(value)).toBe(false);
        expect(value).toBeGreaterThan(last);
        used.add(value);
        last = value;
      }
      database.powerCut();
    }
  });
  test('raised when the meter is ahead, never lowered, apart for each key', async () => {
    const counters = new Counters(new MemoryDatabase());
    const next = async (key: string, atLeast = 0) => (await counters.lease(key, 1, atLeast))();
    expect(await next('a')).toBe(0);
    expect(await next('a', 5000)).toBe(5000);
    expect(await next('a', 10)).toBe(5001);
    expect(await next('b')).toBe(0);
    // A lease gives what it promised, and no more.
    const some = await counters.lease('c', 1000);
    expect(Array.from({ length: 1000 }, some).at(-1)).toBe(999);
    expect(some).toThrow(/used up/);
  });
  test('a damaged counter is not used', async () => {
    const database = new MemoryDatabase();
    await new Counters(database).lease('a', 1);
    database.data.set('c/a', Uint8Array.of(0));
    await expect(new Counters(database).lease('a', 1)).rejects.toMatchObject({ code: 'store-damaged' });
  });
});

describe('the real LevelDB', () => {
  const folders: string[] = [];
  const folder = () => {
    const path = mkdtempSync(join(tmpdir(), 'store-test-'));
    folders.push(path);
    return path;
  };
  afterAll(() => {
    for (const path of folders) rmSync(path, { recursive: true, force: true });
  });
  const openReal = async (path: string) => {
    const state = await stateFolder(path, Date.now());
    return Store.open({
      open: () => state.open(),
      clock: systemClock,
      newEpoch: state.epoch,
      logDamage: () => state.logDamage(),
    });
  };

  test('written, closed, opened: the same; the epoch stays', async () => {
    const path = folder();
    const store = await openReal(path);
    const { epoch } = store;
    await store.commit(commit(1, 250));
    await store.acknowledge(100, new Set());
    await store.close();
    const again = await openReal(path);
    expect(again.epoch).toBe(epoch);
    expect(await sequences(again)).toEqual(Array.from({ length: 150 }, (_, i) => 101 + i));
    await again.close();
  });

  test('incident: one read gave 16 KiB of entries and the rest seemed not to exist', async () => {
    const path = folder();
    const store = await openReal(path);
    for (let i = 0; i < 400; i++)
      await store.commit({ ...commit(i, 0), meter: `meter-number-${String(i).padStart(60, '0')}` });
    await store.commit(commit(1, 900));
    await store.close();
    const again = await openReal(path);
    expect(await sequences(again)).toHaveLength(900);
    for (let i = 0; i < 400; i++)
      expect(again.seriesState(`meter-number-${String(i).padStart(60, '0')}`, 'p')).toBeDefined();
    await again.close();
  });

  test('a store that has vanished is an error and is not replaced by an empty one', async () => {
    const path = folder();
    const store = await openReal(path);
    await store.commit(commit(1));
    await store.close();
    rmSync(join(path, 'store', 'CURRENT'));
    const before = readdirSync(join(path, 'store')).toSorted();
    await expect(openReal(path)).rejects.toMatchObject({ code: 'store-missing' });
    expect(readdirSync(join(path, 'store')).toSorted()).toEqual(before);
  });

  test('a truncated MANIFEST: the error says so, the files stay as they are', async () => {
    const path = folder();
    const store = await openReal(path);
    await store.commit(commit(1, 50));
    await store.close();
    const manifest = readdirSync(join(path, 'store')).find((name) => name.startsWith('MANIFEST')) as string;
    writeFileSync(join(path, 'store', manifest), readFileSync(join(path, 'store', manifest)).subarray(0, 3));
    const sizes = () =>
      readdirSync(join(path, 'store'))
        .filter((name) => !/LOG|LOCK/.test(name))
        .map((name) => [name, statSync(join(path, 'store', name)).size]);
    const before = sizes();
    await expect(openReal(path)).rejects.toMatchObject({ code: 'store-damaged' });
    expect(sizes()).toEqual(before);
  });

  test('a second process is told so', async () => {
    const path = folder();
    const store = await openReal(path);
    await expect(openReal(path)).rejects.toMatchObject({ code: 'store-locked' });
    await store.close();
  });

  test('a flipped octet in a table file: found, never delivered as a value', async () => {
    const path = folder();
    let store = await openReal(path);
    for (let i = 0; i < 20; i++) await store.commit(commit(i, 20, 1));
    await store.close();
    // Opened once more, so that the log has become a table.
    store = await openReal(path);
    await store.close();
    const table = readdirSync(join(path, 'store'))
      .filter((name) => name.endsWith('.ldb'))
      .map((name) => join(path, 'store', name))
      .toSorted((a, b) => statSync(b).size - statSync(a).size)[0] as string;
    const octets = readFileSync(table);
    const good = new Map<number, string>();
    for (let flip = 0; flip < 12; flip++) {
      const damaged = Uint8Array.from(octets);
      const at = Math.floor((octets.length * (flip + 0.5)) / 12);
      damaged[at] = (damaged[at] as number) ^ 0x04;
      writeFileSync(table, damaged);
      try {
        const opened = await openReal(path);
        for (const { sequence, fact: delivered } of await opened.outbox(1, 0, 1000)) {
          if (delivered.kind === 'void') continue;
          const value = JSON.stringify(delivered);
          expect(good.get(sequence) ?? value).toBe(value);
          good.set(sequence, value);
          expect(delivered).toEqual(fact(Math.floor((sequence - 1) / 20) * 100 + ((sequence - 1) % 20)));
        }
        await opened.close();
      } catch (error) {
        expect((error as { code?: string }).code).toMatch(/^store-/);
      }
      // Each flip on a fresh copy of the state.
      rmSync(path, { recursive: true });
      const rebuilt = await openReal(path);
      for (let i = 0; i < 20; i++) await rebuilt.commit(commit(i, 20, 1));
      await rebuilt.close();
      await (await openReal(path)).close();
      const now = readdirSync(join(path, 'store'))
        .filter((name) => name.endsWith('.ldb'))
        .map((name) => join(path, 'store', name));
      if (!now.includes(table)) break;
    }
  });
});
