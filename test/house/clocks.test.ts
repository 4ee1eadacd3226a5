/** The whole house, and clocks that are wrong: those of meters, and its own. */
import { describe, expect, test } from 'vitest';
import { dayMs, millis } from '../../src/base/time.ts';
import { valueKey } from '../support/memory-central.ts';
import type { VirtualMeter } from '../../src/simulator/virtual-meter.ts';
import { complete, factsOf, minute } from '../support/house-facts.ts';
import { virtualHouse, type VirtualHouse } from '../support/virtual-house.ts';

test('incident: power failed between the log that told of a clock set back and the rows read again for it', async () => {
  const it = await virtualHouse(
    { meters: { count: 1, first_serial: 60_120_001 } },
    { start: Date.UTC(2026, 10, 24, 12, 20) },
  );
  it.broker.connect();
  const one = Date.UTC(2026, 10, 24, 13);
  await it.clock.run(one + 2 * minute);
  // Five minutes back: the row of 13:00 is written once more at 13:05.
  const meter = it.simulated.meters[0] as VirtualMeter;
  meter.moveClock(it.clock.now(), -5 * minute);
  const value = () => it.ingest.values.get(valueKey('m60120001', '1-0:99.1.0*255', '1-0:1.8.0*255', one - 60 * minute));
  const first = value()?.register;
  const logs = () => Buffer.from(it.database.data.get('e/m60120001') ?? []).toString('latin1');
  await it.clock.run(one + 120 * minute, () => /"adjusted":\[\d/.test(logs()));
  expect(it.clock.now()).toBeLessThan(one + 120 * minute);
  const disk = new Map(it.database.data);
  await it.clock.complete(it.house.stop());
  it.broker.disconnect();
  it.database.replace(disk);
  it.checkpoint = undefined;
  await it.restart();
  it.broker.connect();
  await it.run(150 * minute);
  expect(value()).toMatchObject({ register: meter.registers(millis(one + 5 * minute))[0] });
  expect(value()?.rev).toBeGreaterThan(0);
  expect(value()?.register).not.toBe(first);
  expect(logs()).toContain('"adjusted":[]');
});

test('incident: the log told of a clock set back before the meter had written its rows again (seed 30)', async () => {
  const it = await virtualHouse({ meters: { count: 1, period_s: 900 } });
  it.broker.connect();
  const at = (min: number) => millis(Date.UTC(2026, 10, 24, 12, min));
  await it.clock.run(at(44) + 50_000);
  const meter = it.simulated.meters[0] as VirtualMeter;
  // 20 minutes back: the row of 12:30 is written once more at 12:50, and that of 12:45 at 13:05.
  meter.moveClock(it.clock.now(), -20 * minute);
  await it.clock.run(at(120));
  for (const [start, written] of [
    [at(15), at(50)],
    [at(30), at(65)],
  ] as const)
    expect(it.ingest.values.get(valueKey('m60120001', '1-0:99.1.0*255', '1-0:1.8.0*255', start))?.register).toBe(
      meter.registers(written)[0],
    );
});

describe('R29 to R31: clocks', () => {
  const gatewayEvents = (it: VirtualHouse) =>
    factsOf(it, 'event')
      .filter(({ source }) => source === 'gateway')
      .map(({ name }) => name);
  const offsets = async (offset: number, hours: number) => {
    const it = await virtualHouse({ meters: { clock_offset_s: offset } }, { days: 1 });
    it.broker.connect();
    await it.run(hours * 60 * minute);
    const deviation = ((it.simulated.meters[0]?.clock(it.clock.now()) ?? 0) - it.clock.now()) / 1000;
    return { it, deviation };
  };
  test('5 s: corrected after the profile was read; the day is complete', async () => {
    const { it, deviation } = await offsets(5, 3);
    expect(gatewayEvents(it)).toEqual(['CLOCK_SET']);
    expect(Math.abs(deviation)).toBeLessThan(1);
    const set = factsOf(it, 'event').find(({ name }) => name === 'CLOCK_SET');
    expect(set?.detail?.['beforeS']).toBeCloseTo(5, 0);
    expect(it.ingest.counters.conflicts).toBe(0);
    expect([...it.ingest.values.values()].every(({ quality }) => quality === 'MEASURED')).toBe(true);
  });
  test('40 s: told, set once, the interval is uncertain', async () => {
    const { it, deviation } = await offsets(40, 3);
    expect(gatewayEvents(it)).toEqual(['CLOCK_DEVIATION', 'CLOCK_SET']);
    expect(Math.abs(deviation)).toBeLessThan(1);
    const uncertain = [...it.ingest.values].filter(([, { quality }]) => quality === 'UNCERTAIN/clock');
    expect(new Set(uncertain.map(([key]) => key.split('|').at(-1)))).toEqual(
      new Set([String(Date.UTC(2026, 10, 24, 12))]),
    );
    expect(await it.house.gaps()).toMatchObject([
      { state: 'UNCERTAIN/clock', intervals: 1, from: '2026-11-24T12:00:00Z' },
    ]);
  });
  test('90 s: an alarm, and left to the operator; with his word it is set', async () => {
    const left = await offsets(90, 3);
    expect(gatewayEvents(left.it)).toEqual(['CLOCK_ALARM']);
    expect(left.deviation).toBeCloseTo(90, 0);
    const set = await virtualHouse(
      { meters: { clock_offset_s: 90 } },
      { days: 1, gateway: { set_large_deviations: true } },
    );
    set.broker.connect();
    await set.run(3 * 60 * minute);
    expect(gatewayEvents(set)).toEqual(['CLOCK_ALARM', 'CLOCK_SET']);
  });
  test('R29: the gateway does not know the time: it reads, tags and sets nothing; later the tag is gone', async () => {
    const it = await virtualHouse({ meters: { clock_offset_s: 5 } }, { days: 1 });
    it.timeIsKnown = false;
    it.broker.connect();
    await it.run(10 * minute);
    expect(gatewayEvents(it)).toEqual([]);
    const tagged = factsOf(it, 'profile');
    expect(tagged.length).toBeGreaterThan(0);
    for (const { flags, clockTrust } of tagged) {
      expect(clockTrust).toBe('untrusted');
      expect(flags?.every((own) => own.includes('TIME_UNTRUSTED'))).toBe(true);
    }
    it.timeIsKnown = true;
    await it.run(3 * 60 * minute);
    expect(gatewayEvents(it)).toEqual(['CLOCK_SET']);
    expect(factsOf(it, 'profile').at(-1)).toMatchObject({ clockTrust: 'kernel' });
    expect(factsOf(it, 'profile').at(-1)).not.toHaveProperty('flags');
  });
});

describe('incident: a first start in 1970 planned half a million intervals and told 658 gaps a minute', () => {
  const nothingIsDelivered = async (it: VirtualHouse, step: number, trusted: boolean, code = 'time-unknown') => {
    it.clock.wallOffsetMs = step;
    it.timeIsKnown = trusted;
    it.broker.connect();
    await it.run(3 * 60 * minute);
    expect(it.broker.published.filter(({ topic }) => topic.includes('/up/'))).toEqual([]);
    expect((await it.house.snapshot()).store.nextSequence).toBe(1);
    expect(await it.house.stuck()).toBeUndefined();
    const asked = it.house.readNow('m60120001').catch((error: unknown) => error);
    await it.run(minute);
    expect(await asked).toMatchObject({ code });
  };
  const everythingIsRead = async (it: VirtualHouse) => {
    it.clock.wallOffsetMs = 0;
    it.timeIsKnown = true;
    await it.run(8 * minute);
    complete(it, [0, 1]);
    expect(factsOf(it, 'gap')).toEqual([]);
    expect(Math.min(...factsOf(it, 'profile').map(({ start }) => Date.parse(start)))).toBe(it.since);
  };
  test('nothing is planned, numbered or told before the clock is set; then all is read, and no gap was told', async () => {
    const it = await virtualHouse({ meters: { count: 2 } });
    await nothingIsDelivered(it, -56 * 365 * dayMs, false);
    await everythingIsRead(it);
  });
  test('sibling: a kernel that believes itself in 2099, and a disk that fills up meanwhile', async () => {
    const it = await virtualHouse({ meters: { count: 2 } });
    it.disk = { freeBytes: 1, totalBytes: 1e9 };
    await nothingIsDelivered(it, 73 * 365 * dayMs, true, 'store-failed');
    it.disk = { freeBytes: 1e9, totalBytes: 1e9 };
    await everythingIsRead(it);
  });
  test('sibling: a day ahead, and the meter’s clock names no instant: what has not happened there yet is not missing', async () => {
    const it = await virtualHouse({ meters: { count: 2, quirks: ['clock-without-deviation'] } });
    it.broker.connect();
    it.clock.wallOffsetMs = dayMs;
    it.timeIsKnown = false;
    await it.run(3 * 60 * minute);
    expect(factsOf(it, 'gap')).toEqual([]);
    it.clock.wallOffsetMs = 0;
    it.timeIsKnown = true;
    await it.run(2 * 60 * minute);
    complete(it, [0, 1]);
    expect(factsOf(it, 'gap')).toEqual([]);
  });
  test('a series that begins before any meter’s buffer begins where a buffer may reach back to', async () => {
    const it = await virtualHouse({ meters: { count: 1 } });
    it.configText = it.configText.replace(/since = "[^"]*"/, 'since = "2000-01-01T00:00:00Z"');
    await it.clock.complete(it.house.stop());
    await it.restart();
    const [open] = await it.house.gaps();
    expect(it.clock.wall() - Date.parse(open?.from ?? '')).toBeLessThan(1102 * dayMs);
  });
});

test.each([
  ['2026-10-25', Date.UTC(2026, 9, 24, 21), 25, 3600],
  ['2027-03-28', Date.UTC(2027, 2, 27, 22), 23, 3600],
  ['2026-10-25', Date.UTC(2026, 9, 24, 21), 100, 900],
  ['2027-03-28', Date.UTC(2027, 2, 27, 22), 92, 900],
] as const)(
  'R09: %s in Helsinki, from %i: %i intervals of %i s, each with its own UTC start',
  async (_, from, intervals, period) => {
    const it = await virtualHouse(
      { meters: { dst: true, period_s: period } },
      { start: from - 3 * 3_600_000, days: 0 },
    );
    it.broker.connect();
    await it.run(30 * 60 * minute);
    const to = from + intervals * period * 1000;
    const starts = [...it.ingest.values.keys()]
      .filter((key) => key.includes('1-0:1.8.0*255'))
      .map((key) => Number(key.split('|').at(-1)))
      .filter((start) => start >= from && start < to);
    expect(new Set(starts).size).toBe(intervals);
    expect(it.ingest.gaps).toEqual([]);
    const local = new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/Helsinki', hour: '2-digit', minute: '2-digit' });
    expect([from, to].map((at) => local.format(at))).toEqual(['00:00', '00:00']);
    const [one] = it.compare(2 * minute).values();
    expect(one?.wrong).toEqual([]);
  },
);

test('incident: a meter whose clock is two hours behind was asked for its newest row every 20 seconds', async () => {
  const it = await virtualHouse({ meters: { count: 1 }, meter: [{ index: 0, clock_offset_s: -7200 }] });
  it.broker.connect();
  await it.run(5 * minute);
  const octets = it.simulated.bus.octetsIn;
  await it.run(60 * minute);
  // A session is some 430 octets to the meter; every ten minutes is enough.
  expect(it.simulated.bus.octetsIn - octets).toBeLessThan(8 * 500);
  const { ports } = await it.house.snapshot();
  expect(ports[0]?.meters[0]).toMatchObject({
    verdict: 'REACHABLE',
    clockDeviationS: expect.closeTo(-7200, 0) as number,
  });
});
