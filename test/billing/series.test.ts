/** The series of a point where its intervals, its meters or its time are not the plain ones. */
import { describe, expect, test } from 'vitest';
import { likeDayOf } from '../../src/billing/like-days.ts';
import { addDays, gridOf } from '../../src/billing/local-time.ts';
import { nextBill } from '../../src/billing/next-bill.ts';
import type { SeriesInterval } from '../../src/billing/point-series.ts';
import { statementOf } from '../../src/billing/statement.ts';
import { differenceSentence } from '../../src/billing/texts.ts';
import type { Delivered, DeliveredInterval } from '../../src/central/facts.ts';
import { delivered, gap } from '../support/central-messages.ts';
import { at, contract, hourMs, month, point, rows, seriesFor } from '../support/billing-cases.ts';
import { obis, series as loadProfile, zone } from '../support/billing-truth.ts';

const quarterMs = 900_000;
const hourly = [{ from: '2020-01-01', periodS: 3600 }];
const gone = at('2026-09-20', 10);
const at20 = (facts: DeliveredInterval[], more: object = {}) =>
  seriesFor({ facts, at: at('2026-09-21', 12), ...more }).channels.import?.filter(
    ({ start }) => start >= gone && start < gone + 2 * hourMs,
  ) ?? [];
const withoutTwo = month(new Map([0, 1].map((i) => [gone + i * hourMs, undefined])));
const lostGap = (from: number, to: number, cause: 'LOST' | 'OUTAGE' = 'LOST'): DeliveredInterval =>
  delivered(
    gap(900_000, {
      point: 'p-1',
      serial: 's-1',
      series: loadProfile,
      start: new Date(from).toISOString(),
      end: new Date(to).toISOString(),
      cause,
    }),
  );

describe('local time', () => {
  test.each([
    ['2026-10-25', 25, 100],
    ['2027-03-28', 23, 92],
    ['2026-09-20', 24, 96],
  ])('%s has %i hours and %i quarter-hours, each once, without a hole (R09)', (day, hours, quarters) => {
    for (const [periodS, count] of [
      [3600, hours],
      [900, quarters],
    ] as const) {
      const { intervals, length } = gridOf([{ from: '2020-01-01', periodS }], zone, day, addDays(day, 1));
      expect(intervals).toHaveLength(count);
      expect(length).toBe(periodS * 1000);
      for (const [i, { start }] of intervals.entries())
        expect(start).toBe((intervals[0]?.start ?? 0) + i * periodS * 1000);
    }
  });
  test('a period changes at local midnight: 24 hours of the day before, 96 quarter-hours of the day itself (R35)', () => {
    const periods = [...hourly, { from: '2026-09-15', periodS: 900 }];
    const { intervals, length } = gridOf(periods, zone, '2026-09-14', '2026-09-16');
    expect(intervals).toHaveLength(24 + 96);
    expect(length).toBeNull();
    expect(intervals[24]).toMatchObject({ start: at('2026-09-15'), end: at('2026-09-15') + quarterMs });
  });
  test('a bill over the change of the period is the sum of both kinds of interval', () => {
    const own = point({ periods: [...hourly, { from: '2026-09-15', periodS: 900 }] });
    let register = 50_000;
    const facts = month().flatMap(({ message }) => {
      if (message.kind !== 'profile') return [];
      const start = Date.parse(message.start);
      const quarters = start < at('2026-09-15') ? [400] : [70, 80, 120, 130];
      const registers = quarters.map((one) => (register += one));
      return [rows(start, quarters, { periodS: 3600 / quarters.length, register: registers })];
    });
    const made = at('2026-10-01', 9);
    const outcome = nextBill({
      point: own,
      contract: contract(),
      bills: [],
      releases: [],
      series: seriesFor({ facts, point: own, at: made }),
    });
    expect(outcome).toMatchObject({
      kind: 'bill',
      bill: { lines: [{ quantity: 30 * 24 * 400, hours: { measured: 720 } }], findings: [] },
    });
  });
  test('four quarter-hours make the hour that is billed; an hour does not make quarter-hours', () => {
    const quarters = rows(gone, [10, 20, 30, 40], { periodS: 900, register: [1, 2, 3, 4] });
    expect(at20([...withoutTwo, quarters])[0]).toMatchObject({ energy: 100, standing: 'measured' });
    const own = point({ periods: [{ from: '2020-01-01', periodS: 900 }] });
    const split = seriesFor({ facts: [rows(gone, [100])], point: own, at: gone + 2 * hourMs }).channels.import ?? [];
    expect(split.filter(({ start }) => start >= gone && start < gone + hourMs).map(({ standing }) => standing)).toEqual(
      Array.from({ length: 4 }, () => 'missing'),
    );
  });
  test('holidays are like Sundays', () => {
    // Independence Day of 2027 is a Monday, Midsummer Day of 2026 a Saturday, 1 May of 2026 a Friday.
    expect(['2027-12-06', '2026-06-20', '2026-05-01'].map(likeDayOf)).toEqual(['sunday', 'sunday', 'sunday']);
    expect(['2026-11-23', '2026-11-25', '2026-11-27', '2026-11-28'].map(likeDayOf)).toEqual([
      'monday',
      'midweek',
      'friday',
      'saturday',
    ]);
  });
});

describe('netting', () => {
  const own = point({ obis, netting: true });
  let [taken, fed] = [50_000, 7000];
  const facts = month().map(({ message }) => {
    const one = rows(Date.parse(message.start), [100], { register: [(taken += 100)], export: [30] });
    if (one.message.kind !== 'profile') return one;
    const [first, second] = one.message.channels;
    return { ...one, message: { ...one.message, channels: [first, { ...second, register: [(fed += 30)] }] } };
  }) as DeliveredInterval[];
  const series = seriesFor({
    facts: [rows(at('2026-08-31', 23), [100], { register: [50_000] }), ...facts],
    point: own,
    at: at('2026-10-01', 9),
  });
  test('the sum is not the advance of the register, and the statement says why in both languages', () => {
    const outcome = nextBill({ point: own, contract: contract(), bills: [], releases: [], series });
    if (outcome.kind !== 'bill') throw new Error('there is a bill');
    const { parts, advance, consumption } = statementOf(outcome.bill, series, own);
    expect([advance, consumption, parts?.netted]).toEqual([72_000, 50_400, 21_600]);
    if (!parts) throw new Error('both registers are known');
    expect(differenceSentence(parts, 0, 'fi')).toMatch(
      /21,600 kWh pienempi kuin lukeman muutos, koska otto ja anto on netotettu/,
    );
    expect(differenceSentence(parts, 0, 'en')).toMatch(
      /21\.600 kWh less than the advance .* set against each other within each interval/,
    );
  });
});

describe('what can no longer come', () => {
  const later = (days: number, more: DeliveredInterval[] = []) =>
    seriesFor({
      facts: [
        ...withoutTwo.filter(({ message }) => Date.parse(message.start) < gone),
        lostGap(gone, gone + 2 * hourMs),
        ...more,
      ],
      at: gone + days * 86_400_000,
    })
      .channels.import?.filter(({ start }) => start >= gone && start < gone + 2 * hourMs)
      .map(({ standing }) => standing);
  test('LOST is estimated, after eleven days for good; a value that comes all the same stands above it', () => {
    expect(later(2)).toEqual(['estimated', 'estimated']);
    expect(later(12)).toEqual(['final', 'final']);
    expect(later(12, [rows(gone, [77])])).toEqual(['measured', 'final']);
  });
  test('so is what only a meter had that does not hang there any more', () => {
    const meters = [
      { serial: 's-1', from: 0, to: gone + 2 * hourMs },
      { serial: 's-2', from: gone + 2 * hourMs, to: null },
    ];
    const own = point({ installations: meters });
    const before = withoutTwo.filter(({ message }) => Date.parse(message.start) < gone);
    const standing = (days: number) =>
      seriesFor({ facts: before, point: own, at: gone + days * 86_400_000 }).channels.import?.find(
        ({ start }) => start === gone,
      )?.standing;
    expect([standing(2), standing(12)]).toEqual(['estimated', 'final']);
  });
});

describe('proven zero', () => {
  const event = (code: number, when: number): Delivered<'event'> =>
    ({
      gateway: 'gw-1',
      epoch: 1,
      seq: 1_000_000 + code,
      receivedAt: when,
      message: {
        v: 1,
        epoch: 1,
        seq: 1_000_000 + code,
        gateway: 'gw-1',
        kind: 'event',
        meter: 'm-1',
        point: 'p-1',
        serial: 's-1',
        source: 'meter',
        log: '0-0:99.98.0*255',
        code,
        name: 'x',
        at: new Date(when).toISOString(),
        occurrence: 0,
        detail: null,
        readAt: new Date(when).toISOString(),
      },
    }) as Delivered<'event'>;
  const words = (intervals: readonly SeriesInterval[]) => intervals.map(({ energy, standing }) => [energy, standing]);
  test('an outage between two registers is zero and stands as an outage', () => {
    expect(words(at20([...withoutTwo, lostGap(gone, gone + 2 * hourMs, 'OUTAGE')]))).toEqual([
      [0, 'outage'],
      [0, 'outage'],
    ]);
  });
  test('the switch of the meter was open: measured zero; nobody saw it close: an estimate of zero', () => {
    const before = withoutTwo.filter(({ message }) => Date.parse(message.start) < gone);
    const [open, closed] = [event(60, gone), event(61, gone + 2 * hourMs)];
    expect(words(at20(before, { events: [open, closed] }))).toEqual([
      [0, 'measured'],
      [0, 'measured'],
    ]);
    expect(words(at20(before, { events: [open] }))).toEqual([
      [0, 'estimated'],
      [0, 'estimated'],
    ]);
  });
});

describe('without a history of its own', () => {
  const importedAt = (periodMs: number, value: number, from: number, to: number) => ({
    channel: 'import' as const,
    values: new Map(
      Array.from({ length: (to - from) / periodMs }, (_, i) => [from + i * periodMs, { periodMs, value }] as const),
    ),
  });
  const estimated = (imported: readonly ReturnType<typeof importedAt>[], own = point()) =>
    seriesFor({ facts: [], imported, point: own, at: at('2026-09-21', 12) }).channels.import?.find(
      ({ start }) => start === gone,
    );
  test('an imported history serves: of the weeks before, or of the same weeks a year before', () => {
    const weeks = importedAt(hourMs, 321, at('2026-08-01'), at('2026-09-01'));
    expect(estimated([weeks])).toMatchObject({ energy: 321, source: 'estimate:IMPORTED' });
    const year = importedAt(hourMs, 222, at('2025-08-20'), at('2025-10-10'));
    expect(estimated([year])).toMatchObject({ energy: 222, source: 'estimate:IMPORTED' });
    expect(estimated([])).toMatchObject({ standing: 'missing' });
  });
  test('its quarter-hours make hours, and a quarter of its hour is a quarter-hour', () => {
    expect(estimated([importedAt(quarterMs, 25, at('2026-08-01'), at('2026-09-01'))])).toMatchObject({ energy: 100 });
    const own = point({ periods: [{ from: '2020-01-01', periodS: 900 }] });
    expect(estimated([importedAt(hourMs, 100, at('2026-08-01'), at('2026-09-01'))], own)).toMatchObject({ energy: 25 });
  });
});
