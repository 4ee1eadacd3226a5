/** What goes out to others: deadlines of the Datahub, and MeterReadings of CIM. */
import { expect, test } from 'vitest';
import { meterReadingsXml } from '../../src/billing/cim.ts';
import { feedStatusOf } from '../../src/billing/datahub.ts';
import { daysDue } from '../../src/billing/deadlines.ts';
import { type SeriesInterval, type Standing, standings } from '../../src/billing/point-series.ts';
import { at, hourMs, month, point, seriesFor } from '../support/billing-cases.ts';
import { zone } from '../support/billing-truth.ts';

/** An hour of the 20th is missing. */
const gone = at('2026-09-20', 10);
const facts = month(new Map([[gone, undefined]])).filter(
  ({ message }) => Date.parse(message.start) <= at('2026-09-20', 23),
);
const dayAt = (now: number, overdueMs?: number) =>
  daysDue(seriesFor({ facts, at: now, ...(overdueMs !== undefined && { rules: { overdueMs } }) }), zone).find(
    ({ day }) => day === '2026-09-20',
  );

test('missing values of a day are late from D+1 24:00 on, temporary ones overdue from D+11 24:00 on', () => {
  expect(dayAt(at('2026-09-21', 23))).toMatchObject({ first: at('2026-09-22'), last: at('2026-10-02') });
  // Not estimated yet, it is missing.
  const never = 9e12;
  expect(dayAt(at('2026-09-22') - 1, never)).toMatchObject({ state: 'open', missing: 1, temporary: 0 });
  expect(dayAt(at('2026-09-22'), never)).toMatchObject({ state: 'late', missing: 1 });
  expect(dayAt(at('2026-09-22'))).toMatchObject({ state: 'open', missing: 0, temporary: 1 });
  expect(dayAt(at('2026-10-02') - 1)).toMatchObject({ state: 'open', temporary: 1 });
  expect(dayAt(at('2026-10-02'))).toMatchObject({ state: 'overdue', temporary: 1 });
  const whole = seriesFor({ facts: month(), at: at('2026-10-20') });
  expect(daysDue(whole, zone).find(({ day }) => day === '2026-09-20')).toMatchObject({ state: 'complete' });
});
test('a deadline of the day of 25 hours is a local midnight all the same', () => {
  const series = seriesFor({ facts: [], at: at('2026-10-26', 12) });
  expect(daysDue(series, zone).find(({ day }) => day === '2026-10-25')?.first).toBe(Date.parse('2026-10-26T22:00:00Z'));
});
test('each standing has one status at the Datahub', () => {
  expect(standings.map((one) => feedStatusOf[one])).toEqual([
    'measured',
    'measured',
    'estimated-approved',
    'temporary',
    'temporary',
    'estimated-approved',
    'missing',
  ]);
});

const interval = (i: number, standing: Standing, energy: number | null, lengthMs = hourMs): SeriesInterval => ({
  start: gone + i * lengthMs,
  end: gone + (i + 1) * lengthMs,
  energy,
  standing,
  source: '',
  reasons: [],
});
test('MeterReadings: stamps at the end, values in Wh, qualities of each standing, a block for each length', () => {
  const own = point({ point: '<6430>&"', scaler: 1 });
  const xml = meterReadingsXml(own, {
    import: [
      ...standings.map((one, i) => interval(i, one, one === 'missing' ? null : 12)),
      interval(9, 'measured', 5, 900_000),
    ],
    export: [interval(0, 'measured', 0), interval(8, 'measured', 5, 1_800_000)],
  });
  expect(xml).toContain('<name>&#60;6430&#62;&#38;&#34;</name>');
  const readings = [...xml.matchAll(/<IntervalReadings>([\s\S]*?)<\/IntervalReadings>/g)].map(([, one = '']) => ({
    stamp: /<timeStamp>(.*)<\/timeStamp>/.exec(one)?.[1],
    value: /<value>(.*)<\/value>/.exec(one)?.[1],
    qualities: [...one.matchAll(/ref="([\d.]+)"/g)].map(([, ref]) => ref),
  }));
  expect(readings).toHaveLength(standings.length + 3);
  expect(readings[0]).toEqual({ stamp: '2026-09-20T08:00:00Z', value: '120', qualities: ['2.0.0'] });
  expect(readings[1]?.qualities).toEqual(['2.11.0', '1.2.32']);
  expect(readings[standings.indexOf('missing')]).toMatchObject({ value: undefined, qualities: ['2.5.259'] });
  const types = [...xml.matchAll(/<ReadingType ref="([\d.]+)"\/>/g)].map(([, ref]) => ref);
  expect(types).toEqual([
    '0.0.7.4.1.1.12.0.0.0.0.0.0.0.0.0.72.0',
    '0.0.2.4.1.1.12.0.0.0.0.0.0.0.0.0.72.0',
    '0.0.7.4.19.1.12.0.0.0.0.0.0.0.0.0.72.0',
    // Incident: half hours were called hours.
    '0.0.5.4.19.1.12.0.0.0.0.0.0.0.0.0.72.0',
  ]);
  // Well formed: each that opens closes, in order.
  const open: string[] = [];
  for (const [, slash, name = '', empty] of xml.matchAll(/<(\/?)([A-Za-z]+)[^>]*?(\/?)>/g))
    if (slash === '/') expect(open.pop()).toBe(name);
    else if (empty !== '/') open.push(name);
  expect(open).toEqual([]);
});
