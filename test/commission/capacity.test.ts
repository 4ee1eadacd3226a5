/** How many meters a line bears, by what was measured on it. */
import { expect, test } from 'vitest';
import { capacityOf, type MeasuredMeter } from '../../src/commission/capacity.ts';
import { measuredOf } from '../../src/commission/measured.ts';

const meter = (more: Partial<MeasuredMeter> = {}): MeasuredMeter => ({
  meter: 'm',
  exchangeMs: 150,
  rowMs: 50,
  periodS: 3600,
  entries: 1440,
  ...more,
});
const many = (count: number, more: Partial<MeasuredMeter> = {}) => Array.from({ length: count }, () => meter(more));

test.each([
  ['31 hourly meters at 9600 Bd', many(31), 3600, { pollMs: 1850, busyShare: 0.016, fits: 1459, backFillRows: 22_320 }],
  ['the same by quarter-hours', many(31, { periodS: 900 }), 900, { pollMs: 1850, busyShare: 0.064, fits: 364 }],
  [
    'slow meters on a slow line',
    many(31, { exchangeMs: 4000, rowMs: 1500, periodS: 900 }),
    900,
    { busyShare: 1.705, fits: 13, backFillS: null },
  ],
  [
    'a silent one costs a tenth of the line',
    [...many(30), meter({ exchangeMs: null })],
    3600,
    { answering: 30, silent: 1, fits: 1264 },
  ],
  ['a shallow buffer is all there is', many(1, { entries: 240 }), 3600, { backFillRows: 240 }],
  [
    'no row was timed',
    many(1, { rowMs: null }),
    3600,
    { backFillS: 36, assumed: [expect.stringContaining('no row was timed')] },
  ],
  ['nothing was measured', [meter({ exchangeMs: null })], 3600, { fits: null, pollMs: null, silent: 1 }],
  ['no meters', [], 3600, { fits: null, answering: 0 }],
] as const)('%s', (_, meters, periodS, expected) => {
  expect(capacityOf({ meters, periodS, backFillDays: 30 })).toMatchObject(expected);
});
test('R15: 30 days of 31 meters within two hours is what it says of a bus that does it', () => {
  // Of a bus at 9600 Bd with 75 ms of turn-around.
  const { backFillS } = capacityOf({ meters: many(31, { rowMs: 90 }), periodS: 3600, backFillDays: 30 });
  expect(backFillS).toBeLessThan(7200);
});
test('what the gateway measured since its start counts before what commissioning did', () => {
  const use = {
    meter: 'm',
    asked: 100,
    answered: 100,
    unanswered: 0,
    echoes: 0,
    sentOctets: 2000,
    heardOctets: 7600,
    wastedS: 0,
    p50Ms: 75,
    p95Ms: 100,
    turnAroundMs: 60,
  };
  const about = { meter: 'm', periodS: 3600, baud: 9600 };
  expect(measuredOf(about, undefined, use).exchangeMs).toBe(175);
  expect(measuredOf(about, undefined, { ...use, answered: 3 }).exchangeMs).toBeNull();
  expect(measuredOf({ ...about, baud: 0 }, undefined, use).exchangeMs).toBe(75);
});
