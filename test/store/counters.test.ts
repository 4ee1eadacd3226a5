/** Counters on a meter's word, doubt, and what is remembered of meters. The rest of the counters: store.test.ts. */
import { assert, asyncProperty, array, integer, record, constantFrom } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { counterLimit, raisedBy } from '../../src/meter/invocation-counter.ts';
import { Counters } from '../../src/store/counters.ts';
import { decodeRecord, encodeRecord, type StoredRecord } from '../../src/store/record.ts';
import { MemoryDatabase } from '../support/memory-database.ts';

const open = (database: MemoryDatabase) =>
  Counters.open({ open: () => Promise.resolve({ database }), fresh: database.data.size === 0 });
const take = (next: () => number, count: number) => Array.from({ length: count }, next);
const raised = { by: 0, at: 0 };

describe('a claim', () => {
  test('raises nothing until the meter authenticated itself, and is never given again', async () => {
    const database = new MemoryDatabase();
    const counters = await open(database);
    await counters.lease('k', 10);
    const first = await counters.claim('k', 500, 50_000);
    expect(take(first.next, 3)).toEqual([50_000, 50_001, 50_002]);
    expect((await counters.standing('k')).reserved).toBe(1000);
    // The same word once more, after a power cut: other values.
    database.powerCut();
    const second = await (await open(database)).claim('k', 500, 50_000);
    expect(second.next()).toBe(50_500);
    await second.confirm({ by: 49_000, at: 7 });
    const again = await open(database);
    expect(await again.standing('k')).toMatchObject({
      reserved: 51_000,
      doubtful: false,
      raised: { by: 49_000, at: 7 },
    });
    expect((await again.lease('k', 1))()).toBe(51_000);
  });
  test('that an earlier version stored under another name is not given again either', async () => {
    const database = new MemoryDatabase();
    const first = await (await open(database)).claim('k', 500, 50_000);
    expect(first.next()).toBe(50_000);
    const { sequence, body } = decodeRecord('c/k', database.data.get('c/k') as Uint8Array) as StoredRecord;
    const { claims, ...rest } = body as { readonly claims: unknown };
    expect(claims).toEqual([[50_000, 50_500]]);
    database.data.set('c/k', encodeRecord('c/k', { sequence, body: { ...rest, ['apart']: claims } }));
    expect((await (await open(database)).claim('k', 500, 50_000)).next()).toBe(50_500);
  });
  test('what was claimed is stepped over when the counter comes there', async () => {
    const counters = await open(new MemoryDatabase());
    const used = new Set<number>();
    for (const value of take((await counters.claim('k', 500, 1200)).next, 500)) used.add(value);
    for (let i = 0; i < 40; i++)
      for (const value of take(await counters.lease('k', 90), 90)) {
        expect(used.has(value)).toBe(false);
        used.add(value);
      }
  });
  test('ever new words that are never proved end: counter-implausible; one that is proved frees them', async () => {
    const counters = await open(new MemoryDatabase());
    for (let i = 1; i <= 16; i++) await counters.claim('k', 500, i * 10_000);
    await expect(counters.claim('k', 500, 900_000)).rejects.toMatchObject({ code: 'counter-implausible' });
    const last = await counters.claim('k', 500, 160_000);
    await last.confirm(raised);
    expect((await counters.claim('k', 500, 900_000)).next()).toBe(900_000);
  });
  test('at the end of what a counter can be: counter-used-up, by its own name', async () => {
    const counters = await open(new MemoryDatabase());
    await expect(counters.claim('k', 500, 4_294_967_000)).rejects.toMatchObject({ code: 'counter-used-up' });
    await expect(counters.lease('k', 500, 4_294_967_000)).rejects.toMatchObject({ code: 'counter-used-up' });
    // The key goes on where it was.
    expect((await counters.lease('k', 1))()).toBe(0);
  });
});

test('doubt: nothing counts until the meter was asked, also what this process had leased, also keys that are not known', async () => {
  const database = new MemoryDatabase();
  const counters = await open(database);
  await counters.lease('k', 10);
  await counters.doubt();
  for (const one of [counters, await open(database)]) {
    expect(await one.known('k')).toBe(false);
    expect(await one.known('new')).toBe(false);
    await expect(one.lease('k', 1)).rejects.toMatchObject({ code: 'counter-unknown' });
  }
  const claim = await counters.claim('k', 500, 2_000_000);
  expect(await counters.known('k')).toBe(false);
  await claim.confirm(raised);
  expect(await (await open(database)).known('k')).toBe(true);
});

test('what is remembered of a meter is there after a power cut', async () => {
  const database = new MemoryDatabase();
  const memory = { serial: '1', title: '53494d0000000001', heard: 5, keyName: 'k' };
  await (await open(database)).remember('m1', memory);
  database.powerCut();
  expect(await (await open(database)).remembered()).toEqual(new Map([['m1', memory]]));
});

test('no value twice, whatever is leased, claimed, confirmed, doubted and cut, in any order', async () => {
  const step = record({
    what: constantFrom('lease', 'claim', 'confirm', 'doubt', 'cut'),
    from: integer({ min: 0, max: 6000 }),
    count: integer({ min: 1, max: 700 }),
  });
  await assert(
    asyncProperty(array(step, { maxLength: 40 }), async (steps) => {
      const database = new MemoryDatabase();
      let counters = await open(database);
      const used = new Set<number>();
      const use = (next: () => number, count: number) => {
        for (const value of take(next, count)) {
          expect(used.has(value)).toBe(false);
          used.add(value);
        }
      };
      for (const { what, from, count } of steps) {
        if (what === 'cut') {
          database.powerCut();
          counters = await open(database);
        } else if (what === 'doubt') await counters.doubt();
        else if (what === 'lease') {
          if (await counters.known('k')) use(await counters.lease('k', count), count);
        } else {
          const claim = await counters.claim('k', count, from).catch(() => undefined);
          if (!claim) continue;
          use(claim.next, Math.ceil(count / 2));
          if (what === 'confirm') await claim.confirm(raised);
        }
      }
    }),
    { numRuns: 300 },
  );
});

describe('how far a meter is believed', () => {
  const known = { reserved: 5000, doubtful: false, absent: false, raised: undefined };
  const year = 365 * 86_400_000;
  test.each([
    ['never met', known, false, undefined, 2_000_000_000],
    ['met', known, true, undefined, 1_005_000],
    ['met, and the operator said so', known, true, 3_000_000_000, 3_000_000_000],
    ['met, ours in doubt', { ...known, doubtful: true }, true, undefined, 20_005_000],
    ['met, ours lost', { ...known, reserved: 0, absent: true, doubtful: true }, true, undefined, 2_000_000_000],
    ['raised just now', { ...known, raised: { by: 900_000, at: year } }, true, undefined, 105_000],
    ['raised half a year ago', { ...known, raised: { by: 1_000_000, at: year / 2 } }, true, undefined, 1_005_000],
    // A clock that was set back makes no raise older.
    ['raised in the future', { ...known, raised: { by: 1_000_000, at: 9 * year } }, true, undefined, 5000],
  ])('%s', (_, standing, met, accepted, limit) => {
    expect(counterLimit(standing, met, accepted, year)).toBeGreaterThanOrEqual(limit - 10_000);
    expect(counterLimit(standing, met, accepted, year)).toBeLessThanOrEqual(limit);
  });
  test('a meter that is believed a step each day does not reach the end of the counter in ten years', () => {
    let standing: {
      reserved: number;
      doubtful: boolean;
      absent: boolean;
      raised: { by: number; at: number } | undefined;
    } = known;
    for (let day = 0; day < 3650; day++) {
      const value = counterLimit(standing, true, undefined, day * 86_400_000);
      standing = { ...standing, raised: raisedBy(standing, value, day * 86_400_000), reserved: value };
    }
    expect(standing.reserved).toBeLessThan(25_000_000);
  });
});
