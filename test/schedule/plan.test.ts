import { describe, expect, test } from 'vitest';
import { millis } from '../../src/base/time.ts';
import { type Coverage, withRange } from '../../src/reading/coverage.ts';
import { backOffMs, type PlannedMeter, plan, silentPauseMs, slicesOf } from '../../src/schedule/plan.ts';
import { storedSeriesKey } from '../../src/reading/series-key.ts';

const hour = 3_600_000;
const wall = millis(Date.UTC(2026, 10, 24, 12, 30));
const day = (date: number) => Date.UTC(2026, 10, date);
const settings = { offsetMs: 60_000, slicesPerTurn: 2 };
const meter = (id: string, coverage: Coverage, more: Partial<PlannedMeter> = {}): PlannedMeter => ({
  id,
  series: [{ series: storedSeriesKey('p'), periodMs: hour, since: millis(day(20)), coverage }],
  failures: 0,
  notBefore: millis(0),
  lastTurn: millis(0),
  degradedLine: false,
  ...more,
});
const state = (...meters: PlannedMeter[]) => ({ meters, silentNotBefore: millis(0) });
const name = (from: number, to: number) =>
  `${new Date(from).toISOString().slice(8, 13)}-${new Date(to).toISOString().slice(8, 13)}`;

test('order of slices: today, the newest complete day, then the oldest', () => {
  expect(slicesOf(meter('a', []), wall, settings).map(({ from, to }) => name(from, to))).toEqual([
    '24T00-24T12',
    '23T00-24T00',
    '20T00-21T00',
    '21T00-22T00',
    '22T00-23T00',
  ]);
});

test('a hole inside a day is one slice of its size', () => {
  const coverage = withRange(withRange([], day(20), day(22) + 3 * hour), day(22) + 5 * hour, day(24) + 12 * hour);
  expect(slicesOf(meter('a', coverage), wall, settings).map(({ from, to }) => name(from, to))).toEqual(['22T03-22T05']);
});

test('an interval is asked for after its end plus the offset, not before', () => {
  const coverage: Coverage = [[day(20), day(24) + 12 * hour]];
  const just = millis(day(24) + 13 * hour + 59_000);
  const job = plan(state(meter('a', coverage)), millis(1000), just, settings);
  expect(job).toEqual({ kind: 'wait', until: 2000 });
  expect(plan(state(meter('a', coverage)), millis(2000), millis(just + 1000), settings)).toMatchObject({
    kind: 'poll',
    meter: 'a',
  });
});

test('newest rows of every meter before anybody’s back-fill; then back-fill in turns', () => {
  const live: Coverage = [[day(24), day(24) + 12 * hour]];
  const first = plan(state(meter('a', live), meter('b', [])), millis(0), wall, settings);
  expect(first).toMatchObject({ meter: 'b', slices: [{ live: true }, { live: false }, { live: false }] });
  const both = plan(state(meter('a', []), meter('b', [])), millis(0), wall, settings);
  expect(both).toMatchObject({ meter: 'a', slices: [{ live: true }] });
  const turns = plan(
    state(meter('a', live, { lastTurn: millis(50) }), meter('b', live, { lastTurn: millis(10) })),
    millis(100),
    wall,
    settings,
  );
  expect(turns).toMatchObject({ meter: 'b' });
});

test('slices are as large as the line brings in its time; the newest come first', () => {
  const slow = meter('a', []);
  const series = slow.series.map((one) => ({
    ...one,
    sliceRows: 5,
    recheck: [[day(21), day(21) + 12 * hour]] as const,
  }));
  const slices = slicesOf({ ...slow, series }, wall, settings);
  expect(slices.slice(0, 4).map(({ from, to }) => name(from, to))).toEqual([
    '24T10-24T12',
    '24T05-24T10',
    '24T00-24T05',
    '23T20-24T00',
  ]);
  expect(Math.max(...slices.map(({ from, to }) => to - from))).toBe(5 * hour);
  expect(slices.slice(-3).map(({ from, to }) => name(from, to))).toEqual(['21T00-21T05', '21T05-21T10', '21T10-21T12']);
});

test('incident: on a line that was never idle a meter that had failed once was never asked again', () => {
  const failed = meter('f', [], { failures: 1, notBefore: millis(1000), lastTurn: millis(0) });
  const busy = meter('a', [], { lastTurn: millis(500_000) });
  const next = (now: number) => plan(state(failed, busy), millis(now), wall, settings);
  expect(next(600_000)).toMatchObject({ meter: 'a' });
  expect(next(16 * 60_000 + 1000)).toMatchObject({ meter: 'f' });
});

describe('meters that do not answer', () => {
  const dead = (id: string, lastTurn = 0) => meter(id, [], { failures: 3, lastTurn: millis(lastTurn) });
  test('come after newest rows and before back-fill, no sooner than their share allows', () => {
    const live: Coverage = [[day(24), day(24) + 12 * hour]];
    expect(plan(state(dead('d'), meter('a', [])), millis(0), wall, settings)).toMatchObject({ meter: 'a' });
    expect(plan(state(dead('d'), meter('a', live)), millis(0), wall, settings)).toMatchObject({ meter: 'd' });
    const paid = { meters: [dead('d'), meter('a', live)], silentNotBefore: millis(500) };
    expect(plan(paid, millis(0), wall, settings)).toMatchObject({ meter: 'a' });
    expect(plan({ meters: [dead('d')], silentNotBefore: millis(500) }, millis(0), wall, settings)).toEqual({
      kind: 'wait',
      until: 500,
    });
  });
  test('ten dead of 31 take no more than a tenth of the line', () => {
    // 1.5 s for each probe of a dead meter; healthy ones always have back-fill to do, 2 s a turn.
    let now = 0;
    let silentNotBefore = 0;
    let spentDead = 0;
    const meters = Array.from({ length: 31 }, (_, i) => ({
      ...meter(`m${i}`, [[day(24), day(24) + 12 * hour]]),
      failures: i < 10 ? 1 : 0,
    }));
    while (now < hour) {
      const job = plan({ meters, silentNotBefore: millis(silentNotBefore) }, millis(now), wall, settings);
      if (job.kind === 'wait') {
        now = job.until;
        continue;
      }
      const i = meters.findIndex(({ id }) => id === job.meter);
      const one = meters[i] as (typeof meters)[0];
      const took = one.failures > 0 ? 1500 : 2000;
      now += took;
      if (one.failures > 0) {
        spentDead += took;
        silentNotBefore = now + silentPauseMs(took, false);
      }
      const failures = one.failures > 0 ? one.failures + 1 : 0;
      meters[i] = {
        ...one,
        lastTurn: millis(now),
        failures,
        notBefore: millis(failures > 0 ? now + backOffMs(failures, false) : 0),
      };
    }
    expect(spentDead / now).toBeLessThanOrEqual(0.101);
    expect(spentDead).toBeGreaterThan(10 * 1500);
  });
});

test('back-off: seconds after silence, a quarter of an hour and more after a refusal (R26)', () => {
  expect([1, 2, 3].map((n) => backOffMs(n, false))).toEqual([15_000, 30_000, 60_000]);
  expect(backOffMs(99, false)).toBe(15 * 60_000);
  expect(backOffMs(1, true)).toBe(15 * 60_000);
  expect(backOffMs(99, true)).toBe(24 * hour);
});

test('a fragile meter gets small slices', () => {
  const slices = slicesOf(meter('a', [], { degradedLine: true }), wall, settings);
  for (const { from, to } of slices) expect(to - from).toBeLessThanOrEqual(4 * hour);
});

test('hourly and quarter-hourly profiles side by side keep their own grid', () => {
  const both: PlannedMeter = {
    ...meter('a', []),
    series: [
      { series: storedSeriesKey('h'), periodMs: hour, since: millis(day(24)), coverage: [] },
      { series: storedSeriesKey('q'), periodMs: hour / 4, since: millis(day(24)), coverage: [] },
    ],
  };
  const ends = slicesOf(both, millis(day(24) + 12 * hour + 20 * 60_000), settings).map(({ series, to }) => [
    series,
    (to - day(24)) / hour,
  ]);
  expect(ends).toEqual([
    ['q', 12.25],
    ['h', 12],
  ]);
});
