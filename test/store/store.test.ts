import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { iso, later, millis } from '../../src/base/time.ts';
import { systemClock } from '../../src/line/system-clock.ts';
import { stateDirectory } from '../../src/disk/state-directory.ts';
import type { Fact, GapFact } from '../../src/reading/facts.ts';
import { marksOf } from '../../src/reading/interval-hash.ts';
import { Counters, type CountersSettings } from '../../src/store/counters.ts';
import { decodeRecord, encodeRecord } from '../../src/store/record.ts';
import type { Checkpoint } from '../../src/store/records.ts';
import type { SliceCommit } from '../../src/store/commit.ts';
import { factOf } from '../../src/store/outbox-record.ts';
import type { OutboxEntry } from '../../src/store/outbox-record.ts';
import { Store } from '../../src/store/store.ts';
import { MemoryDatabase } from '../support/memory-database.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { storedSeriesKey } from '../../src/reading/series-key.ts';

const clock = new VirtualClock(Date.UTC(2026, 10, 24));
const epochAfter = (first: number) => (after: number) => Math.max(first, after + 1);
const fact = (n: number): Fact => ({
  kind: 'reading',
  meter: 'm1',
  point: 'p1',
  serial: 's1',
  readAt: '2026-11-24T00:00:00Z',
  registers: { '1-0:1.8.0*255': { raw: n, scaler: 0, unit: 'Wh' } },
  clockDeviationS: 0,
});
const commit = (n: number, count = 1, entryClass: 0 | 1 = 0): SliceCommit => ({
  meter: 'm1',
  series: storedSeriesKey('p'),
  state: { since: 0, coverage: [[0, n]] },
  entryClass,
  facts: Array.from({ length: count }, (_, i) => fact(n * 100 + i)),
});
const openTwin = (database: MemoryDatabase, damageFound?: () => string[]) =>
  Store.open({
    open: () => Promise.resolve(database),
    clock,
    newEpoch: epochAfter(7),
    ...(damageFound && { damageFound }),
  });
const sequences = async (store: Store) => [
  ...(await store.outbox(0, 0, 1000)).map(({ sequence }) => sequence),
  ...(await store.outbox(1, 0, 1000)).map(({ sequence }) => sequence),
];

describe('records', () => {
  test('round trip; every flipped bit and every truncation is noticed', () => {
    const octets = encodeRecord('k', { sequence: 123456789012, body: { a: [1, 'two', null] } });
    expect(decodeRecord('k', octets)).toEqual({ sequence: 123456789012, body: { a: [1, 'two', null] } });
    for (let bit = 0; bit < octets.length * 8; bit++) {
      const damaged = Uint8Array.from(octets);
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(decodeRecord('k', damaged), `bit ${bit}`).toBeUndefined();
    }
    for (let end = 0; end < octets.length; end++) expect(decodeRecord('k', octets.subarray(0, end))).toBeUndefined();
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
    expect(again.seriesState('m1', storedSeriesKey('p'))).toEqual({ since: 0, coverage: [[0, 2]] });
    expect((await again.status()).damage).toEqual({ quarantined: 0, missing: 0, log: [] });
  });

  test('a power cut between the batches of an acknowledgement leaves no hole', async () => {
    for (let batches = 0; batches <= 4; batches++) {
      const database = new MemoryDatabase();
      const store = await openTwin(database);
      await store.commit(commit(1, 3));
      await store.commit(commit(2, 3, 1));
      await store.acknowledge(5, new Set([2]));
      database.powerCut(batches);
      const again = await openTwin(database);
      expect((await again.status()).damage, `kept ${batches}`).toEqual({ quarantined: 0, missing: 0, log: [] });
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

  test('incident: a head-end that refuses what it had acknowledged made the next start look for a lost entry', async () => {
    const database = new MemoryDatabase();
    const store = await openTwin(database);
    await store.commit(commit(1, 5));
    expect(await store.acknowledge(3, new Set())).toBe(3);
    expect(await store.acknowledge(4, new Set([2, 99]))).toBe(1);
    const again = await openTwin(database);
    expect((await again.status()).damage).toEqual({ quarantined: 0, missing: 0, log: [] });
    expect(again.epoch).toBe(store.epoch);
    expect(await sequences(again)).toEqual([5]);
    expect((await again.status()).pending).toBe(1);
  });

  test('leftovers of an acknowledgement go at the next start, what was refused stays', async () => {
    const database = new MemoryDatabase();
    const store = await openTwin(database);
    await store.commit(commit(1, 5));
    const before = new Map(database.data);
    await store.acknowledge(4, new Set([2]));
    for (const key of [1, 3, 4].map((n) => `o/0/00000000000${n}`))
      database.data.set(key, before.get(key) as Uint8Array);
    const again = await openTwin(database);
    expect(await sequences(again)).toEqual([2, 5]);
    expect((await again.status()).pending).toBe(2);
    expect(await again.acknowledge(5, new Set())).toBe(2);
    expect(await sequences(again)).toEqual([]);
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
    const all = [...(await again.outbox(0, 0, 10)), ...(await again.outbox(1, 0, 10))];
    expect(all.map(({ sequence, kind }) => [sequence, kind])).toEqual([
      [1, 'reading'],
      [3, 'reading'],
      [4, 'event'],
      [2, 'void'],
    ]);
    expect(factOf(all[2] as OutboxEntry)).toMatchObject({
      name: 'STORE_DAMAGED',
      detail: { damagedRecords: 1, epochBefore: 7, epoch: 8 },
    });
    expect(again.seriesState('m1', storedSeriesKey('p'))?.coverage).toEqual([]);
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
    expect((await store.outbox(0, 0, 10)).map(({ sequence, kind }) => [sequence, kind])).toEqual([
      [2, 'reading'],
      [3, 'event'],
    ]);
    expect((await store.outbox(1, 0, 10))[0]).toMatchObject({ sequence: 1, kind: 'void' });
    expect(store.seriesState('m1', storedSeriesKey('p'))?.coverage).toEqual([]);
    expect((await store.status()).pending).toBe(3);
  });

  test('incident: two who read the same damaged entry at once, and the second one forgot what the first had found', async () => {
    const database = new MemoryDatabase();
    const store = await openTwin(database, () => []);
    await store.commit(commit(1, 3));
    const key = 'o/0/000000000002';
    const damaged = Uint8Array.from(database.data.get(key) as Uint8Array);
    damaged[20] = (damaged[20] as number) ^ 1;
    database.data.set(key, damaged);
    await Promise.all([store.outbox(0, 0, 10), store.outbox(0, 0, 10)]);
    expect(store.epoch).toBe(8);
    expect((await store.status()).damage).toEqual({ quarantined: 1, missing: 1, log: [] });
  });

  test('a vanished entry (a block that LevelDB dropped) is found by its missing number', async () => {
    const database = new MemoryDatabase();
    const store = await openTwin(database);
    await store.commit(commit(1, 3));
    database.data.delete('o/0/000000000002');
    const again = await openTwin(database);
    expect((await again.status()).damage.missing).toBe(1);
    expect((await sequences(again)).toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4]);
    expect(again.seriesState('m1', storedSeriesKey('p'))?.coverage).toEqual([]);
  });

  test('a damaged or vanished state record: nobody knows which numbers were given, so a new epoch begins', async () => {
    for (const damaged of [Uint8Array.of(1, 2, 3), undefined]) {
      const database = new MemoryDatabase();
      const store = await openTwin(database);
      await store.commit(commit(1, 3));
      await store.acknowledge(1, new Set());
      if (damaged) database.data.set('m/state', damaged);
      else database.data.delete('m/state');
      const again = await Store.open({ open: () => Promise.resolve(database), clock, newEpoch: epochAfter(9) });
      await again.commit(commit(2));
      expect(await sequences(again)).toEqual([2, 3, 4, 5]);
      expect([again.epoch, again.acknowledged]).toEqual([9, 1]);
    }
  });

  test('a store that fell behind its checkpoint begins a new epoch; one that is ahead of it does not', async () => {
    let written: Checkpoint | undefined;
    const checkpoint = { read: () => written, write: (one: Checkpoint) => void (written = one), close: () => {} };
    const openIt = (database: MemoryDatabase) =>
      Store.open({ open: () => Promise.resolve(database), clock, newEpoch: epochAfter(7), checkpoint });
    const database = new MemoryDatabase();
    const store = await openIt(database);
    await store.commit(commit(1, 3));
    const early = new Map(database.data);
    const earlier = written;
    await store.commit(commit(2, 3));
    expect(written).toEqual({ epoch: 7, nextSequence: 7, format: 6 });
    const late = new Map(database.data);
    // Power failed before the file was written back: the store knows more, and that is all right.
    written = earlier;
    expect((await openIt(database)).epoch).toBe(7);
    // The log was cut: three numbers are gone that the head-end may have seen.
    written = { epoch: 7, nextSequence: 7 };
    database.data = early;
    const again = await openIt(database);
    expect(again.epoch).toBe(8);
    expect(await sequences(again)).toEqual([1, 2, 3, 4]);
    expect(factOf((await again.outbox(0, 3, 1))[0] as OutboxEntry)).toMatchObject({
      name: 'STORE_DAMAGED',
      detail: { epochBefore: 7, epoch: 8, lostFrom: 4, lostTo: 6 },
    });
    expect(written).toEqual({ epoch: 8, nextSequence: 5, format: 6 });
    // An old copy of the store in a place that has seen a later epoch.
    database.data = late;
    expect((await openIt(database)).epoch).toBe(9);
  });

  test('the head-end holds more than was ever given: the state fell back, and everything is said in a later epoch', async () => {
    const database = new MemoryDatabase();
    const store = await openTwin(database);
    await store.commit(commit(1, 3));
    await store.fellBack({ epoch: 7, upTo: 90 });
    expect(store.epoch).toBe(8);
    expect(store.seriesState('m1', storedSeriesKey('p'))?.coverage).toEqual([]);
    // What waits is delivered in the new epoch, and the event with it.
    expect(await sequences(store)).toEqual([1, 2, 3, 4]);
    expect(factOf((await store.outbox(0, 3, 1))[0] as OutboxEntry)).toMatchObject({
      name: 'STATE_FELL_BACK',
      detail: { epochBefore: 7, epoch: 8, nextSequence: 4, headEndEpoch: 7, headEndUpTo: 90 },
    });
    // A state that is older by an epoch as well.
    await store.fellBack({ epoch: 41, upTo: 2 });
    expect(store.epoch).toBe(42);
    await expect(store.fellBack({ epoch: Number.MAX_SAFE_INTEGER, upTo: 2 })).rejects.toThrow('no epoch comes after');
    expect(store.epoch).toBe(42);
    const again = await openTwin(database);
    expect(again.epoch).toBe(42);
    expect((await again.status()).damage).toEqual({ quarantined: 0, missing: 0, log: [] });
  });

  test('a power cut at any batch of falling back leaves a state that begins an epoch, never one that goes on with the old', async () => {
    for (let batches = 0; batches < 6; batches++) {
      const database = new MemoryDatabase();
      const store = await openTwin(database);
      await store.commit(commit(1, 3));
      const batch = database.batch.bind(database);
      let left = batches;
      database.batch = (...all) => (left-- > 0 ? batch(...all) : Promise.reject(new Error('power')));
      await store.fellBack({ epoch: 7, upTo: 90 }).catch(() => {});
      database.batch = batch;
      database.powerCut();
      const again = await openTwin(database);
      // Before its first batch nothing happened: the head-end's answer comes again.
      expect(again.epoch > 7, `kept ${batches}`).toBe(batches > 0);
    }
  });

  test('a key with a flipped bit is no entry of another number, and a record under a foreign key is none', async () => {
    const database = new MemoryDatabase();
    const store = await openTwin(database);
    await store.commit(commit(1, 3));
    const value = database.data.get('o/0/000000000002') as Uint8Array;
    database.data.delete('o/0/000000000002');
    for (const key of ['o/0/900000000002', 'o/0/0000000000x2', 'o/1/000000000003']) database.data.set(key, value);
    database.data.set('s/m2/p', database.data.get('s/m1/p') as Uint8Array);
    const again = await openTwin(database);
    expect((await sequences(again)).toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4]);
    expect((await again.status()).damage).toMatchObject({ quarantined: 3, missing: 1 });
    expect(again.seriesState('m2', storedSeriesKey('p'))).toBeUndefined();
  });

  test.each([
    ['entries', 6, 128],
    ['packs', 40, 8],
  ])(
    'power fails while damage of %s is mended, after each batch: the next start finds it again',
    async (_, count, packSize) => {
      const opened = (database: MemoryDatabase) =>
        Store.open({ open: () => Promise.resolve(database), clock, newEpoch: epochAfter(7), packSize });
      const whole = new MemoryDatabase();
      const store = await opened(whole);
      for (let n = 1; n <= count; n++) await store.commit(commit(n, 1, n % 3 === 0 ? 1 : 0));
      const damaged = new Map(whole.data);
      const [first = '', second = ''] = [...damaged.keys()].filter((key) => key.startsWith('o/0/'));
      damaged.delete(first);
      damaged.set(second, Uint8Array.of(1, 2, 3));
      let crashes = 0;
      for (let after = 0; ; after++) {
        const database = new MemoryDatabase();
        database.replace(damaged);
        let batches = 0;
        const dying = Object.assign(Object.create(database) as MemoryDatabase, {
          batch: (...args: Parameters<MemoryDatabase['batch']>) =>
            batches++ < after ? database.batch(...args) : Promise.reject(new Error('power')),
        });
        const end = await opened(dying).then(
          () => 'opened',
          () => 'died',
        );
        database.powerCut();
        const again = await opened(database);
        expect(again.seriesState('m1', storedSeriesKey('p'))?.coverage, `after ${after} batches`).toEqual([]);
        const found = [...(await again.outbox(0, 0, 100)), ...(await again.outbox(1, 0, 100))];
        expect(found.some((entry) => entry.text.includes('STORE_DAMAGED') && entry.kind === 'event')).toBe(true);
        const numbers = Array.from({ length: count }, (__, i) => i + 1);
        expect(found.map(({ sequence }) => sequence)).toEqual(expect.arrayContaining(numbers));
        // By the numbers of their keys: none stands where those who read on from the last one pass it over.
        for (const one of [0, 1])
          expect(found.filter(({ entryClass }) => entryClass === one).map(({ sequence }) => sequence)).toEqual(
            found
              .filter(({ entryClass }) => entryClass === one)
              .map(({ sequence }) => sequence)
              .toSorted((a, b) => a - b),
          );
        // Once it is mended, it is.
        expect((await opened(database)).epoch).toBe(again.epoch);
        if (end === 'opened') break;
        crashes++;
      }
      expect(crashes).toBeGreaterThan(2);
    },
  );

  describe('packs of what waits for long', () => {
    const openPacking = (database: MemoryDatabase) =>
      Store.open({ open: () => Promise.resolve(database), clock, newEpoch: epochAfter(7), packSize: 8 });
    const classOf = (n: number): 0 | 1 => (n % 3 === 0 ? 1 : 0);
    /** Numbers 1 to 40, of which 1 to 24 are in packs. */
    const packing = async () => {
      const database = new MemoryDatabase();
      const store = await openPacking(database);
      for (let n = 1; n <= 40; n++) await store.commit(commit(n, 1, classOf(n)));
      return { database, store };
    };
    const keys = (database: MemoryDatabase) => [...database.data.keys()].filter((key) => key.startsWith('o/'));
    const texts = async (store: Store) =>
      new Map(
        [...(await store.outbox(0, 0, 1000)), ...(await store.outbox(1, 0, 1000))].map(({ sequence, text }) => [
          sequence,
          text,
        ]),
      );
    /** As the outbox reads: a few at a time, from where the last ones ended. */
    const walked = async (store: Store, limit: number) => {
      const all: number[] = [];
      for (const entryClass of [0, 1] as const)
        for (let after = 0; ; ) {
          const entries = await store.outbox(entryClass, after, limit);
          all.push(...entries.map(({ sequence }) => sequence));
          if (entries.length === 0) break;
          after = (entries.at(-1) as OutboxEntry).sequence;
        }
      return all;
    };
    const all = Array.from({ length: 40 }, (_, i) => i + 1);

    test('the same entries in the same order, in fewer records, before and after a power cut', async () => {
      const { database, store } = await packing();
      expect(keys(database).length).toBe(16 + 6);
      for (const one of [store, (database.powerCut(), await openPacking(database))]) {
        expect((await one.status()).pending).toBe(40);
        expect((await one.status()).damage).toEqual({ quarantined: 0, missing: 0, log: [] });
        for (const limit of [1, 3, 7, 100]) {
          const numbers = await walked(one, limit);
          for (const entryClass of [0, 1]) {
            const own = all.filter((n) => classOf(n) === entryClass);
            expect(numbers.filter((n) => own.includes(n))).toEqual(own);
          }
        }
        for (const [sequence, text] of await texts(one)) expect(text).toBe(JSON.stringify(fact(sequence * 100)));
      }
    });

    test('acknowledged up to any number, and refused at any: what was acknowledged is not sent again, what was refused is', async () => {
      for (let upTo = 0; upTo <= 40; upTo++) {
        const { database, store } = await packing();
        const nack = [upTo - 5, upTo - 1, upTo, upTo + 2].filter((n) => n >= 1 && n <= 40);
        await store.acknowledge(upTo, new Set(nack));
        const left = all.filter((n) => n > upTo || nack.includes(n));
        const sorted = async (one: Store) => (await walked(one, 3)).toSorted((a, b) => a - b);
        expect(await sorted(store), `up to ${upTo}`).toEqual(left);
        expect((await store.status()).pending).toBe(left.length);
        database.powerCut(9);
        const again = await openPacking(database);
        expect(await sorted(again), `up to ${upTo}, opened again`).toEqual(left);
        expect((await again.status()).damage).toEqual({ quarantined: 0, missing: 0, log: [] });
        // What was refused for itself and went on to wait is there when the rest of its pack goes.
        await again.acknowledge(40, new Set([upTo + 2]));
        expect(await sorted(again)).toEqual(upTo + 2 <= 40 ? [upTo + 2] : []);
        await again.acknowledge(40, new Set());
        await again.acknowledge(40, new Set());
        expect(keys(database).length).toBeLessThanOrEqual(1);
      }
    });

    test('a power cut after any of the batches of an acknowledgement leaves no hole', async () => {
      for (let batches = 0; batches < 8; batches++) {
        const { database, store } = await packing();
        await store.acknowledge(18, new Set([7, 16]));
        await store.acknowledge(30, new Set([7, 25]));
        database.powerCut(batches);
        const again = await openPacking(database);
        expect((await again.status()).damage, `kept ${batches}`).toEqual({ quarantined: 0, missing: 0, log: [] });
        expect(await walked(again, 3)).toEqual(expect.arrayContaining([7, 25, ...all.slice(30)]));
      }
    });

    test('one that is damaged: its numbers become void, every other one is delivered, and none is passed over', async () => {
      const { database } = await packing();
      const packed = keys(database).filter((key) => database.data.get(key)?.[10] === 0);
      expect(packed.length).toBe(6);
      for (const key of packed)
        for (const while_ of ['closed', 'open']) {
          const copy = new MemoryDatabase();
          copy.replace(database.data);
          const before = await openPacking(copy);
          const octets = Uint8Array.from(copy.data.get(key) as Uint8Array);
          octets[30] = (octets[30] as number) ^ 4;
          copy.data.set(key, octets);
          const store = while_ === 'open' ? before : await openPacking(copy);
          const entries = [...(await store.outbox(0, 0, 1000)), ...(await store.outbox(1, 0, 1000))];
          const void_ = entries.filter(({ kind }) => kind === 'void').map(({ sequence }) => sequence);
          expect(void_.length, key).toBeGreaterThan(0);
          expect(void_).toContain(Number(key.slice(4)));
          expect(copy.data.get(`q/${key}`)).toEqual(octets);
          for (const { sequence, kind, text } of entries)
            if (kind === 'reading') expect(text).toBe(JSON.stringify(fact(sequence * 100)));
          for (const limit of [1, 3, 100])
            expect(
              (await walked(store, limit)).toSorted((a, b) => a - b),
              `${key}, ${limit}`,
            ).toEqual([...all, 41]);
        }
    });

    test('an entry that was damaged before it would have been packed is kept for inspection, and told', async () => {
      const { database, store } = await packing();
      const key = 'o/0/000000000029';
      const octets = Uint8Array.from(database.data.get(key) as Uint8Array);
      octets[30] = (octets[30] as number) ^ 4;
      database.data.set(key, octets);
      for (let n = 41; n <= 60; n++) await store.commit(commit(n, 1, classOf(n)));
      const voided = (await store.outbox(1, 0, 1000)).filter(({ kind }) => kind === 'void');
      await store.outbox(0, 0, 1000);
      expect([...voided, ...(await store.outbox(1, 0, 1000)).filter(({ kind }) => kind === 'void')]).toMatchObject([
        { sequence: 29 },
      ]);
      expect(database.data.get(`q/${key}`)).toEqual(octets);
    });

    test('what the head-end has of a pack is not said again in the epoch that damage begins', async () => {
      const database = new MemoryDatabase();
      const store = await openPacking(database);
      const gap = (n: number): Fact => ({
        kind: 'gap',
        meter: 'm1',
        point: 'p1',
        serial: 's1',
        series: '1-0:99.1.0*255',
        start: iso(millis(n * 3_600_000)),
        end: iso(millis((n + 1) * 3_600_000)),
        cause: 'OUTAGE',
        before: null,
        after: null,
        rev: 0,
        readAt: '2026-11-24T00:00:00Z',
      });
      for (let n = 0; n < 20; n++)
        await store.commit({ ...commit(n), facts: [gap(n)], marks: marksOf(gap(n) as GapFact, 3_600_000) });
      await store.acknowledge(6, new Set([3]));
      database.data.delete('o/0/000000000019');
      const again = await openPacking(database);
      const hashes = [...(await again.marks('m1', storedSeriesKey('p'), 0, 20 * 3_600_000)).values()].map(
        ({ hash }) => hash !== 0,
      );
      expect(hashes).toEqual(Array.from({ length: 20 }, (_, n) => (n >= 6 && n !== 18) || n === 2));
    });
  });

  test('incident: marks read for a manifest while a poll was stored seemed to lack its intervals, and an epoch began', async () => {
    const hour = 3_600_000;
    const gap = (n: number): GapFact => ({
      kind: 'gap',
      meter: 'm1',
      point: 'p1',
      serial: 's1',
      series: '1-0:99.1.0*255',
      start: iso(millis(n * hour)),
      end: iso(millis((n + 1) * hour)),
      cause: 'OUTAGE',
      before: null,
      after: null,
      rev: 0,
      readAt: '2026-11-24T00:00:00Z',
    });
    const sliceOf = (n: number): SliceCommit => ({
      ...commit(n + 1),
      state: { since: 0, periodMs: hour, coverage: [[0, (n + 1) * hour]] },
      facts: [gap(n)],
      marks: marksOf(gap(n), hour),
    });
    const database = new MemoryDatabase();
    const store = await openTwin(database);
    await store.commit(sliceOf(0));
    const { epoch } = store;
    // The disk gives the page late: a poll is stored between.
    const read = database.get.bind(database);
    database.get = async (key) => {
      const value = await read(key);
      if (key.startsWith('d/')) {
        database.get = read;
        await store.commit(sliceOf(1));
      }
      return value;
    };
    expect([...(await store.marks('m1', storedSeriesKey('p'), 0, 24 * hour)).keys()]).toEqual([0]);
    expect([...(await store.marks('m1', storedSeriesKey('p'), 0, 24 * hour)).keys()]).toEqual([0, hour]);
    expect(store.epoch).toBe(epoch);
    expect((await store.status()).damage.quarantined).toBe(0);

    // A sibling: the page is found damaged by the poll that writes into it. Nothing of it is stored on top.
    const [key] = [...database.data.keys()].filter((one) => one.startsWith('d/'));
    database.data.set(key as string, Uint8Array.of(1, 2, 3));
    await expect(store.commit(sliceOf(2))).rejects.toThrow('mended');
    expect(store.epoch).toBeGreaterThan(epoch);
    expect(store.seriesState('m1', storedSeriesKey('p'))?.coverage).toEqual([]);
    expect(database.data.get(`q/${key}`)).toEqual(Uint8Array.of(1, 2, 3));
    await store.commit(sliceOf(2));
  });

  test('while the time of day cannot be right nothing gets a number, by whatever road; what is held back needs none', async () => {
    const database = new MemoryDatabase();
    let impossible: string | undefined;
    const store = await Store.open({
      open: () => Promise.resolve(database),
      clock,
      newEpoch: epochAfter(7),
      timeImpossible: () => impossible,
    });
    await store.commit(commit(1));
    impossible = 'it is 1970';
    await expect(store.commit(commit(2))).rejects.toMatchObject({ code: 'time-unknown' });
    await expect(store.commit({ meter: '_', entryClass: 0, facts: [fact(1)] })).rejects.toThrow('1970');
    await store.commit({ ...commit(3), quarantine: { meter: 'm1', serial: '7' } });
    const held = await store.quarantined();
    const released = (one: Fact) => ({ meter: 'm1', series: storedSeriesKey('p'), fact: one, marks: [] });
    await expect(store.release(held, released)).rejects.toThrow('1970');
    await expect(store.replace(1, [fact(1)], 'SPLIT')).rejects.toThrow('1970');
    expect([store.nextSequence, await sequences(store), (await store.quarantined()).length]).toEqual([2, [1], 1]);
    impossible = undefined;
    expect(await store.release(held, released)).toBe(1);
    expect(await store.replace(1, [fact(1)], 'SPLIT')).toBe(true);
    expect(store.nextSequence).toBe(4);
  });

  test('who was not heard is not heard after another start either; the first message ends that, on a full disk as well', async () => {
    const database = new MemoryDatabase();
    const first = await openTwin(database);
    await first.commit(commit(1, 3));
    await first.contact();
    await first.commit(commit(2));
    expect(first.unheardFrom).toBeUndefined();
    // Two starts that meet nobody: the first number that nobody can have heard of stays the same.
    const second = await openTwin(database);
    expect(second.unheardFrom).toBe(5);
    await second.commit(commit(3, 2));
    const third = await openTwin(database);
    await third.commit(commit(4));
    expect([third.unheardFrom, third.nextSequence]).toEqual([5, 8]);
    // The disk takes nothing when it is to be noted: what is stored goes out all the same, and nothing is proved by it.
    database.failing = new Error('No space left on device');
    await third.contact();
    database.failing = undefined;
    await clock.run(clock.now() + 5000);
    await third.commit(commit(5));
    expect([third.unheardFrom, third.nextSequence]).toEqual([undefined, 9]);
    expect((await openTwin(database)).unheardFrom).toBe(9);
  });

  test('a series that vanished is noticed', async () => {
    const database = new MemoryDatabase();
    const store = await openTwin(database);
    await store.commit(commit(1));
    await store.commit({ ...commit(2), meter: 'm2' });
    database.data.delete('s/m2/p');
    const again = await openTwin(database);
    expect(again.seriesState('m1', storedSeriesKey('p'))?.coverage).toEqual([]);
    expect(factOf((await again.outbox(0, 2, 1))[0] as OutboxEntry)).toMatchObject({ name: 'STORE_DAMAGED' });
  });

  test('lines of damage in LevelDB’s LOG make the meters be read again', async () => {
    const database = new MemoryDatabase();
    await (await openTwin(database)).commit(commit(1, 1));
    const again = await openTwin(database, () => ['dropping 512 bytes; Corruption']);
    expect(again.seriesState('m1', storedSeriesKey('p'))?.coverage).toEqual([]);
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
      newEpoch: epochAfter(7),
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
  const openCounters = (database: MemoryDatabase, more: Partial<CountersSettings> & { doubtful?: boolean } = {}) =>
    Counters.open({ open: () => Promise.resolve({ database, doubtful: more.doubtful ?? false }), ...more });
  test('never the same value twice, with a power cut after any number of uses', async () => {
    const database = new MemoryDatabase();
    const used = new Set<number>();
    let last = -1;
    for (let cut = 0; cut < 30; cut++) {
      const counters = await openCounters(database, { fresh: cut === 0 });
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
    const counters = await openCounters(new MemoryDatabase(), { fresh: true });
    const next = async (key: string, minimum = 0) => (await counters.lease(key, 1, minimum))();
    expect(await next('a')).toBe(0);
    expect(await next('a', 5000)).toBe(5000);
    expect(await next('a', 10)).toBe(5001);
    expect(await next('b')).toBe(0);
    // A lease gives what it promised, and no more.
    const some = await counters.lease('c', 1000);
    expect(Array.from({ length: 1000 }, some).at(-1)).toBe(999);
    expect(some).toThrow(/are spent/);
  });
  test('a database that fell behind what was told outside of it is not believed', async () => {
    let written: number | undefined;
    const checkpoint = { read: () => written, write: (blocks: number) => void (written = blocks), close: () => {} };
    const database = new MemoryDatabase();
    const first = await openCounters(database, { fresh: true, checkpoint });
    await first.lease('a', 1);
    const old = new Map(database.data);
    await first.lease('a', 1, 1500);
    database.replace(old);
    const again = await openCounters(database, { checkpoint });
    expect(again.foundDoubtful).toBe(true);
    await expect(again.lease('a', 1)).rejects.toMatchObject({ code: 'counter-unknown' });
    // The head start of what the meter says.
    expect((await again.lease('a', 1, 2000))()).toBe(2000);
    expect((await openCounters(database, { checkpoint })).foundDoubtful).toBe(false);
  });
  test('after an I/O error the database is opened again; what was leased before is not leased again', async () => {
    let database = new MemoryDatabase();
    const counters = await Counters.open({ open: () => Promise.resolve({ database }), fresh: true });
    const next = await counters.lease('a', 1);
    expect(next()).toBe(0);
    database.failing = new Error('Input/output error');
    await expect(counters.lease('a', 2000)).rejects.toMatchObject({ code: 'store-failed' });
    const mended = new MemoryDatabase();
    mended.replace(database.data);
    database = mended;
    expect((await counters.lease('a', 2000))()).toBeGreaterThan(0);
  });
  test('a damaged counter is not used', async () => {
    const database = new MemoryDatabase();
    await (await openCounters(database, { fresh: true })).lease('a', 1);
    database.data.set('c/a', Uint8Array.of(0));
    await expect((await openCounters(database)).lease('a', 1)).rejects.toMatchObject({ code: 'counter-unknown' });
  });
  test('incident: after a loss and another start, a meter that was not asked meanwhile began at 0 again', async () => {
    const database = new MemoryDatabase();
    const first = await openCounters(database, { fresh: true });
    for (const key of ['a', 'b']) await first.lease(key, 1);
    database.replace(new Map());
    // Lost: `a` is asked and goes on, `b` is silent.
    await (await openCounters(database, { doubtful: true })).lease('a', 1, 7000);
    const again = await openCounters(database);
    expect(await again.known('a')).toBe(true);
    expect(await again.known('b')).toBe(false);
    await expect(again.lease('b', 1)).rejects.toMatchObject({ code: 'counter-unknown' });
  });
  test('a counter that vanished without a word is not taken for one that was never used', async () => {
    for (const gone of ['c/a', 'c/b', 'w']) {
      const database = new MemoryDatabase();
      const first = await openCounters(database, { fresh: true });
      for (const key of ['a', 'b']) await first.lease(key, 1);
      const data = new Map(database.data);
      data.delete(gone);
      database.replace(data);
      const again = await openCounters(database);
      expect(again.foundDoubtful).toBe(true);
      expect(await again.known(gone === 'w' ? 'c' : gone.slice(2))).toBe(false);
      // And so it is at the next start: nothing of it counts that was not asked meanwhile.
      const once = await openCounters(database);
      expect(once.foundDoubtful).toBe(false);
      for (const key of ['a', 'b', 'c']) expect(await once.known(key)).toBe(false);
      await once.lease('a', 1, 5000);
      expect(await (await openCounters(database)).known('a')).toBe(true);
    }
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
    const state = await stateDirectory(path, Date.now());
    return Store.open({ ...state.store, clock: systemClock });
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
      expect(again.seriesState(`meter-number-${String(i).padStart(60, '0')}`, storedSeriesKey('p'))).toBeDefined();
    await again.close();
  });

  test('a store that has vanished is told as lost; numbers begin in a new epoch, never again in the old one', async () => {
    const path = folder();
    const store = await openReal(path);
    const { epoch } = store;
    await store.commit(commit(1, 20));
    await store.close();
    rmSync(join(path, 'store'), { recursive: true });
    const again = await openReal(path);
    expect(again.epoch).toBeGreaterThan(epoch);
    const [event] = await again.outbox(0, 0, 1);
    expect(factOf(event as OutboxEntry)).toMatchObject({
      name: 'STORE_DAMAGED',
      detail: { epochBefore: epoch, lostTo: 20 },
    });
    await again.close();
  });

  test('without CURRENT everything is repaired, on a copy; the damaged one is kept, the newest two of them', async () => {
    const path = folder();
    for (let time = 1; time <= 3; time++) {
      const store = await openReal(path);
      await store.commit(commit(time, 50));
      await store.close();
      rmSync(join(path, 'store', 'CURRENT'));
    }
    const store = await openReal(path);
    const kinds = (await store.outbox(0, 0, 1000)).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'reading')).toHaveLength(150);
    expect(kinds.filter((kind) => kind === 'event')).toHaveLength(3);
    await store.close();
    const aside = readdirSync(path).filter((name) => name.includes('damaged'));
    expect(aside.toSorted()).toEqual(['store.damaged-2', 'store.damaged-3']);
    expect(readdirSync(join(path, 'store.damaged-3'))).not.toContain('CURRENT');
  });

  test('power failed between the renames of a repair: it begins again from what was put aside', async () => {
    const path = folder();
    const store = await openReal(path);
    await store.commit(commit(1, 50));
    await store.close();
    renameSync(join(path, 'store'), join(path, 'store.damaged-1'));
    const again = await openReal(path);
    expect((await again.outbox(0, 0, 1000)).filter(({ kind }) => kind === 'reading')).toHaveLength(50);
    await again.close();
  });

  test('lost invocation counters are never begun anew: the meter tells its own first', async () => {
    const path = folder();
    const first = await Counters.open((await stateDirectory(path, Date.now())).counters);
    await first.lease('k', 10);
    await first.close();
    rmSync(join(path, 'counters'), { recursive: true });
    const counters = await Counters.open((await stateDirectory(path, Date.now())).counters);
    expect(counters.foundDoubtful).toBe(true);
    expect(await counters.known('k')).toBe(false);
    await expect(counters.lease('k', 10)).rejects.toMatchObject({ code: 'counter-unknown' });
    expect((await counters.lease('k', 10, 5001))()).toBe(5001);
    expect(await counters.known('k')).toBe(true);
    await counters.close();
  });

  test('incident: the power failed while the state was created, and a new store was told as a damaged one', async () => {
    const path = folder();
    await stateDirectory(path, Date.now());
    // The names are on the disk, what was in the files is not; nothing says that it was finished.
    rmSync(join(path, 'provisioned.json'));
    for (const name of ['store', 'counters']) {
      renameSync(join(path, name), join(path, `${name}.new`));
      for (const file of readdirSync(join(path, `${name}.new`)))
        if (file.startsWith('MANIFEST-')) writeFileSync(join(path, `${name}.new`, file), '');
    }
    const store = await openReal(path);
    const { damage } = await store.status();
    expect(damage).toEqual({ quarantined: 0, missing: 0, log: [] });
    expect(await sequences(store)).toEqual([]);
    await store.close();
    const counters = await Counters.open((await stateDirectory(path, Date.now())).counters);
    expect(counters.foundDoubtful).toBe(false);
    expect(await counters.known('k')).toBe(true);
    expect(readdirSync(path).filter((name) => /damaged|new/.test(name))).toEqual([]);
    await counters.close();
  });

  test('a store that was used is kept where the mark of its creation is gone', async () => {
    const path = folder();
    let store = await openReal(path);
    await store.commit(commit(1));
    await store.close();
    rmSync(join(path, 'provisioned.json'));
    store = await openReal(path);
    expect(await sequences(store)).toEqual([1]);
    await store.close();
  });

  test('incident: a table of the counters that does not read kept the gateway from starting', async () => {
    const path = folder();
    let counters = await Counters.open((await stateDirectory(path, Date.now())).counters);
    for (let start = 0; start < 3; start++) {
      await counters.lease('k', 1500);
      await counters.close();
      counters = await Counters.open((await stateDirectory(path, Date.now())).counters);
    }
    await counters.close();
    const table = readdirSync(join(path, 'counters')).find((name) => name.endsWith('.ldb')) as string;
    writeFileSync(join(path, 'counters', table), Buffer.alloc(100));
    const again = await Counters.open((await stateDirectory(path, Date.now())).counters);
    expect(again.foundDoubtful).toBe(true);
    expect(await again.known('k')).toBe(false);
    await again.close();
  });

  test('incident: the log of the counters was cut, LevelDB said nothing of it, and used counters were given again', async () => {
    const path = folder();
    const first = await Counters.open((await stateDirectory(path, Date.now())).counters);
    await first.lease('k', 10);
    const log = () => readdirSync(join(path, 'counters')).find((name) => name.endsWith('.log')) as string;
    const { size } = statSync(join(path, 'counters', log()));
    await first.lease('k', 5000);
    await first.close();
    const file = join(path, 'counters', log());
    writeFileSync(file, readFileSync(file).subarray(0, size));
    const again = await Counters.open((await stateDirectory(path, Date.now())).counters);
    expect(await again.known('k')).toBe(false);
    await again.close();
  });

  test('a second process is told so', async () => {
    const path = folder();
    const store = await openReal(path);
    // Also where so many ends in a row let the files seem doubtful: what another process has is not repaired.
    await store.commit(commit(1));
    writeFileSync(join(path, 'unclean'), '7');
    const before = readdirSync(path).toSorted();
    await expect(openReal(path)).rejects.toMatchObject({ code: 'store-locked' });
    expect(readdirSync(path).toSorted()).toEqual(before);
    await store.commit(commit(2));
    expect(await sequences(store)).toEqual([1, 2]);
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
        for (const entry of await opened.outbox(1, 0, 1000)) {
          const { sequence } = entry;
          const delivered = factOf(entry);
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
