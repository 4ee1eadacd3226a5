import { expect, test } from 'vitest';
import { millis } from '../../src/base/time.ts';
import { measuredDay } from '../support/central-messages.ts';
import { newIngest, take } from '../support/memory-central.ts';
import { fitBirth, fitFact, fitHealth, misfit, octetsOf } from '../../src/forward/fit.ts';
import { type BirthPayload, contractVersion, type HealthPayload } from '../../src/contract/payloads.ts';
import { factLimit, payloadLimit } from '../../src/contract/parse.ts';
import { messageOfFact } from '../../src/forward/fact-message.ts';
import { topics } from '../../src/contract/topics.ts';
import {
  type EventFact,
  type Fact,
  eventOfGateway,
  type ManifestFact,
  type ProfileFact,
} from '../../src/reading/facts.ts';
import { marksOf } from '../../src/reading/interval-hash.ts';
import { Store } from '../../src/store/store.ts';
import { MemoryDatabase } from '../support/memory-database.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { storedSeriesKey } from '../../src/reading/series-key.ts';

const wall = millis(Date.UTC(2026, 10, 25, 12));
const origin = { meter: 'm1', point: 'p1', serial: '60120001' };
const fit = (fact: Fact, limit = factLimit) => fitFact(fact, wall, limit);
const day = Date.UTC(2026, 10, 24);
function block(rows: number, channels = 2, cell: number | string = 123_456_789): ProfileFact {
  const column = <T>(value: T) => Array.from({ length: rows }, () => value);
  return {
    kind: 'profile',
    ...origin,
    series: '1-0:99.1.0*255',
    start: new Date(day).toISOString(),
    periodS: 300,
    count: rows,
    channels: Array.from({ length: channels }, (_, i) => ({
      obis: `1-0:1.8.${i}*255`,
      unit: 'Wh',
      scaler: 0,
      register: column(cell),
      energy: column(1),
    })),
    status: column(0),
    quality: column('MEASURED' as const),
    rev: Array.from({ length: rows }, (_, i) => i + 1),
    readAt: new Date(wall).toISOString(),
    clockDeviationS: 0,
    clockTrust: 'kernel',
  };
}
const event = (changed: Partial<Record<keyof EventFact, unknown>>): EventFact =>
  ({ ...eventOfGateway(wall, 'SOMETHING', null, origin), ...changed }) as EventFact;

/** All of it is taken by the reference receiver, numbered in turn. */
function received(facts: readonly Fact[]) {
  const ingest = newIngest();
  for (const [i, fact] of facts.entries()) {
    const head = { kind: fact.kind, meter: 'meter' in fact ? fact.meter : '_', text: JSON.stringify(fact) };
    const { topic, payload } = messageOfFact(head, { epoch: 1, seq: i + 1, gateway: 'g' }, topics('t', 'g'));
    take(ingest, topic, Buffer.from(payload));
  }
  expect([...ingest.unfit]).toEqual([]);
  expect(ingest.received.get('g')?.upTo).toBe(facts.length);
  return ingest;
}

test('incident: an event stamped in year 10000 broke our own schema and ended acknowledgement; its raw stamp is kept', () => {
  const stamp = new Date(Date.UTC(10_000, 0, 1)).toISOString();
  expect(stamp).toBe('+010000-01-01T00:00:00.000Z');
  const [fitted, ...more] = fit(event({ at: stamp }));
  expect(more).toEqual([]);
  expect(fitted).toMatchObject({ kind: 'event', name: 'SOMETHING', at: null, detail: { rawAt: stamp } });
  received([fitted as Fact]);
});

test('incident: a day block above 256 KiB; it is split by rows, and says the same of each interval', () => {
  const whole = block(288, 100);
  expect(octetsOf(whole)).toBeGreaterThan(payloadLimit);
  const parts = fit(whole);
  expect(parts.length).toBeGreaterThan(1);
  for (const part of parts) expect(octetsOf(part)).toBeLessThanOrEqual(factLimit);
  expect(parts.flatMap((part) => marksOf(part as ProfileFact, 300_000))).toEqual(marksOf(whole, 300_000));
  received(parts);
});

test('siblings: what no payload can say is mended without loss, or told; never nothing, never a misfit', () => {
  const wild: unknown[] = [
    event({ at: 'yesterday' }),
    event({ at: '2026-02-30T00:00:00Z' }),
    event({ at: '-000001-01-01T00:00:00Z' }),
    event({ readAt: '+012026-01-01T00:00:00Z' }),
    event({ serial: 'x'.repeat(100_000) }),
    event({ name: 'x'.repeat(100_000) }),
    event({ log: 'x'.repeat(1000) }),
    event({ code: Number.NaN }),
    event({ code: 2 ** 60 }),
    event({ occurrence: -1 }),
    event({ meter: 'a/b' }),
    event({ meter: 'x'.repeat(65) }),
    event({ detail: { long: 'x'.repeat(300_000) } }),
    event({ detail: { odd: '\u0000\ud800'.repeat(50_000) } }),
    event({ detail: { deep: { deeper: [[[1n]]] }, big: 2n ** 70n, nan: Number.NaN, inf: Number.POSITIVE_INFINITY } }),
    event({ detail: Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`n${i}`, i])) }),
    event({ detail: { undefined: undefined } }),
    { ...block(3), start: '+010000-01-01T00:00:00.000Z' },
    { ...block(3), rev: [1] },
    { ...block(3), periodS: Number.NaN },
    { ...block(3), periodS: 0 },
    { ...block(3), clockDeviationS: Number.POSITIVE_INFINITY },
    { ...block(3), serial: 'x'.repeat(300) },
    { ...block(3), status: [Number.NaN, 1, 2] },
    block(3, 1, 2 ** 60),
    block(3, 1, '9'.repeat(300_000)),
    block(1, 5000),
    block(3, 1, 1n as unknown as number),
    { ...block(3), channels: [...block(3).channels, ...block(3).channels] },
    {
      kind: 'gap',
      ...origin,
      series: 's',
      start: '2026-01-01T00:00:00Z',
      end: '+012026-01-01T00:00:00Z',
      cause: 'LOST',
      before: null,
      after: null,
      rev: 1,
      readAt: '2026-01-01T00:00:00Z',
    },
    {
      kind: 'gap',
      ...origin,
      series: 's',
      start: '2026-01-01T00:00:00Z',
      end: '2026-01-02T00:00:00Z',
      cause: 'LOST',
      before: Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`1-0:${i}`, i])),
      after: null,
      rev: 1,
      readAt: '2026-01-01T00:00:00Z',
    },
    {
      kind: 'gap',
      ...origin,
      series: 's',
      start: '2026-01-01T00:00:00Z',
      end: '2026-01-02T00:00:00Z',
      cause: 'LOST',
      before: { '1-0:1.8.0*255': 2 ** 60 },
      after: null,
      rev: 1,
      readAt: '2026-01-01T00:00:00Z',
    },
    {
      kind: 'reading',
      ...origin,
      readAt: '2026-01-01T00:00:00Z',
      registers: Object.fromEntries(
        Array.from({ length: 9000 }, (_, i) => [`1-0:${i}`, { raw: i, scaler: 0, unit: 'Wh' }]),
      ),
      clockDeviationS: null,
    },
    {
      kind: 'reading',
      ...origin,
      readAt: '2026-01-01T00:00:00Z',
      registers: { a: { raw: 2 ** 70, scaler: Number.NaN, unit: 'x'.repeat(900) } },
      clockDeviationS: Number.NaN,
    },
    { kind: 'other' },
  ];
  for (const fact of wild) {
    const fitted = fit(fact as Fact);
    expect(fitted.length).toBeGreaterThan(0);
    for (const one of fitted) {
      expect(misfit(one)).toBeUndefined();
      expect(octetsOf(one)).toBeLessThanOrEqual(factLimit);
    }
    received(fitted);
  }
});

test('integers beyond 2^53 leave as decimal strings, rows and all', () => {
  const [fitted] = fit(block(2, 1, 2 ** 60));
  expect((fitted as ProfileFact).channels[0]?.register).toEqual(['1152921504606846976', '1152921504606846976']);
});

test('a manifest of 500 meters with long points is split by series; every series is in one part', () => {
  const series = Array.from({ length: 500 }, (_, i) => ({
    meter: `m${i}`,
    point: `${i}-${'ä'.repeat(195)}`,
    series: '1-0:99.1.0*255' as const,
    ...measuredDay,
    digest: '0'.repeat(64),
  }));
  const parts = fit({ kind: 'manifest', day: '2026-11-24', part: 1, parts: 1, series, readAt: '2026-11-25T06:00:00Z' });
  expect(parts.length).toBeGreaterThan(1);
  expect(parts.flatMap((part) => (part as ManifestFact).series.map(({ meter }) => meter))).toEqual(
    series.map(({ meter }) => meter),
  );
  received(parts);
});

const birthOf = (meters: number, series: number): BirthPayload => ({
  v: contractVersion,
  gateway: 'g',
  version: '0',
  boot: 'b',
  epoch: 1,
  acknowledged: 0,
  clockTrust: 'kernel',
  configHash: '0',
  capabilities: [],
  meters: Array.from({ length: meters }, (_, i) => ({
    meter: `m${i}`,
    point: 'p'.repeat(100),
    serial: 's'.repeat(100),
    series: Array.from({ length: series }, (_, n) => ({ profile: `1-0:99.${n}.0*255`, periodS: 900 })),
  })),
  at: '2026-11-25T00:00:00Z',
});
test('a birth of 500 meters with 30 series each, and one for a broker that takes 20 kB: shorter, and says so', () => {
  expect(fitBirth(birthOf(3, 3), payloadLimit)).toEqual(birthOf(3, 3));
  const without = fitBirth(birthOf(500, 30), payloadLimit);
  expect(without).toMatchObject({ seriesLeftOut: true });
  expect(without.meters).toHaveLength(500);
  const few = fitBirth(birthOf(500, 30), 20_000);
  expect(octetsOf(few)).toBeLessThanOrEqual(20_000);
  expect(few.meters.length + (few.metersLeftOut ?? 0)).toBe(500);
});

test('a health of 500 meters with long alarms: those that are not well stay', () => {
  const health = {
    v: contractVersion,
    at: '2026-11-25T00:00:00Z',
    boot: 'b',
    epoch: 1,
    pending: 0,
    oldestUnacknowledgedS: null,
    clockTrust: 'kernel',
    disk: null,
    ports: [],
    meters: Array.from({ length: 500 }, (_, i) => ({
      meter: `m${i}`,
      verdict: i % 100 === 0 ? 'NO_ANSWER' : 'REACHABLE',
      lastSuccess: null,
      missing: 0,
      alarms: ['x'.repeat(5000)],
    })),
    store: { failure: null, quarantined: 0, missing: 0 },
  } satisfies HealthPayload;
  const fitted = fitHealth(health, 20_000);
  expect(octetsOf(fitted)).toBeLessThanOrEqual(20_000);
  expect(fitted.meters.slice(0, 5).map(({ verdict }) => verdict)).toEqual(Array(5).fill('NO_ANSWER'));
  expect(fitted.metersLeftOut).toBe(500 - fitted.meters.length);
});

test('no road into the outbox misses it: committed and released facts are checked before they get a number', async () => {
  const clock = new VirtualClock(wall);
  const database = new MemoryDatabase();
  const store = await Store.open({
    open: () => Promise.resolve(database),
    clock,
    newEpoch: (after) => after + 1,
    fit: (fact) => fitFact(fact, clock.wall()),
  });
  const poison = event({ at: new Date(Date.UTC(12_000, 0, 1)).toISOString() });
  await store.commit({ meter: '_', entryClass: 0, facts: [poison, block(288, 100)] });
  await store.commit({
    meter: 'm1',
    series: storedSeriesKey('p'),
    state: { since: 0, coverage: [] },
    entryClass: 1,
    facts: [block(288, 100)],
    quarantine: { meter: 'm1', serial: '7' },
  });
  const released = await store.release(await store.quarantined(), (fact) => ({
    meter: 'm1',
    series: storedSeriesKey('p'),
    fact,
    marks: marksOf(fact as ProfileFact, 300_000),
  }));
  expect(released).toBeGreaterThan(1);
  const entries = [...(await store.outbox(0, 0, 1000)), ...(await store.outbox(1, 0, 1000))];
  expect(entries.map(({ sequence }) => sequence)).toEqual(entries.map((_, i) => i + 1));
  for (const { text } of entries) {
    expect(misfit(JSON.parse(text) as Fact)).toBeUndefined();
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(factLimit);
  }
});
