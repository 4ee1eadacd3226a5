/** The whole house, and meters whose clocks say something of themselves. */
import { describe, expect, test } from 'vitest';
import { valueKey } from '../support/memory-central.ts';
import { virtualHouse } from '../support/virtual-house.ts';
import { eventsOf, factsOf, statusOf, hourMs } from '../support/house-facts.ts';
import { lls } from '../support/configuration.ts';

const nordic = { ...lls, model: 'nordic' };
const winter = Date.UTC(2026, 9, 25, 1);
const summer = Date.UTC(2026, 2, 29, 1);

describe.each([3600, 900] as const)('periods of %i s: summer time stands only in the status octet', (period_s) => {
  test.each([
    ['to winter', winter, 'summer-in-status'],
    ['to summer', summer, 'summer-in-status'],
    ['to winter, in the status of the row', winter, 'summer-in-row-status'],
    ['to summer, in the status of the row', summer, 'summer-in-row-status'],
  ] as const)('incident: the doubled hour collapsed (%s)', async (_, change, quirk) => {
    const it = await virtualHouse(
      { meters: { count: 1, period_s, deviation_min: -120, dst: true, quirks: [quirk] } },
      { start: change + 8 * hourMs + 20 * 60_000, days: 1, meter: nordic },
    );
    it.broker.connect();
    await it.run(2 * hourMs);
    const [one] = [...it.compare(hourMs).values()];
    expect(one?.wrong).toEqual([]);
    expect(one?.right).toBe(one?.expected);
    expect(one?.expected).toBeGreaterThan(30);
    // Both hours that the meter calls three o'clock, each once, all of them measured.
    const quality = (start: number) =>
      it.ingest.values.get(valueKey('m60120001', '1-0:99.1.0*255', '1-0:1.8.0*255', start));
    for (let at = change - 2 * hourMs; at < change + 2 * hourMs; at += period_s * 1000)
      expect(quality(at)).toMatchObject({ quality: 'MEASURED', rev: 0 });
    expect(eventsOf(it, 'ROWS_WITHOUT_STAMP')).toEqual([]);
    const { clockDeviationS } = await statusOf(it);
    expect(Math.abs(clockDeviationS ?? 9999)).toBeLessThan(5);
    await it.house.stop();
  });
});

test('incident: stamps that called themselves invalid or doubtful were MEASURED without a flag', async () => {
  const it = await virtualHouse({ meters: { count: 1, quirks: ['doubtful-stamps'] } }, { days: 1 });
  it.broker.connect();
  await it.run(10 * 60_000);
  const qualities = new Map<number, unknown>();
  for (const { start, count, periodS, quality, clockSays } of factsOf(it, 'profile'))
    for (let i = 0; i < count; i++) {
      const end = new Date(Date.parse(start) + (i + 1) * periodS * 1000);
      qualities.set(end.getUTCHours() % 6, [quality[i], clockSays?.[i] ?? null]);
    }
  expect(Object.fromEntries(qualities)).toEqual({
    0: ['MEASURED', null],
    1: ['UNCERTAIN/clock', 'invalid'],
    2: ['UNCERTAIN/clock', 'doubtful'],
    3: ['UNCERTAIN/clock', 'status-invalid'],
    4: ['MEASURED', null],
    5: ['MEASURED', null],
  });
  await it.house.stop();
});

test('a clock that calls itself invalid is an alarm, once, until it does so no more', async () => {
  // 13:20: the hour before is stamped 12, status 0; at 13 o'clock the clock says invalid.
  const it = await virtualHouse(
    { meters: { count: 1, quirks: ['doubtful-stamps'] } },
    { start: Date.UTC(2026, 10, 24, 13, 5), days: 1 },
  );
  it.broker.connect();
  await it.run(10 * 60_000);
  expect(eventsOf(it, 'CLOCK_DOUBTFUL')).toMatchObject([{ detail: { clockSays: 'invalid' } }]);
  const alarms = async () => (await statusOf(it)).alarms.join();
  expect(await alarms()).toContain("CLOCK_DOUBTFUL: the meter's clock calls itself invalid");
  it.broker.connect();
  await it.run(4 * hourMs);
  expect(await alarms()).not.toContain('CLOCK_DOUBTFUL');
  await it.house.stop();
});

test('incident: a row of 31 February filled an interval of March; it is said why it is none, and nothing is missing', async () => {
  const it = await virtualHouse({ meters: { count: 1, quirks: ['stamps-of-no-date'] } }, { days: 1 });
  it.broker.connect();
  await it.run(10 * 60_000);
  const [one] = [...it.compare(hourMs).values()];
  expect(one).toMatchObject({ right: one?.expected, wrong: [] });
  expect(eventsOf(it, 'ROWS_WITHOUT_STAMP')[0]?.detail).toMatchObject({ why: 'no day of the calendar: 2026-2-31' });
  expect((await statusOf(it)).alarms.join()).toContain('(no day of the calendar: 2026-2-31)');
  await it.house.stop();
});

test('entries of a log that name no instant are told, and those by a doubtful clock say so', async () => {
  const it = await virtualHouse(
    {
      meters: { count: 1, quirks: ['entries-of-no-date', 'doubtful-stamps'] },
      // Off at 01:20, when the clock calls itself invalid, and on again at 04:20, when it does not.
      fault: [{ kind: 'power-cut', meter: 0, from_s: -11 * 3600, to_s: -8 * 3600 }],
    },
    { days: 1 },
  );
  it.broker.connect();
  await it.run(3 * hourMs);
  const details = eventsOf(it, 'LOG_ENTRIES_UNUSABLE').map(({ detail }) => detail);
  expect(details[0]).toEqual({ log: '0-0:99.98.0*255', entries: 2, why: 'the year 65534' });
  expect(new Set(details.map((detail) => detail?.['log'])).size).toBe(details.length);
  const power = factsOf(it, 'event').filter(({ source, code }) => source === 'meter' && (code === 1 || code === 2));
  expect(power.map(({ code, detail }) => [code, detail])).toEqual([
    [1, { clockSays: 'invalid' }],
    [2, null],
  ]);
  // What its clock said when the power went is not sure: nothing is proven dark by it alone.
  expect(it.store.meterLogs('m60120001').dark).toEqual([]);
  await it.house.stop();
});
