/** A machine that woke up before 1970: nothing waits for the year 1970 to come. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { dayMs, millis } from '../../src/base/time.ts';
import { newestEnd, plan } from '../../src/schedule/plan.ts';
import { decideClock } from '../../src/schedule/clock-policy.ts';
import { virtualHouse } from '../support/virtual-house.ts';
import { storedSeriesKey } from '../../src/reading/series-key.ts';

const minute = 60_000;
const starts = { 'a day before 1970': -dayMs, 'in 1901': Date.UTC(1901, 0, 1) };

describe('incident: a gateway whose clock was before 1970 at its start never polled, whatever the time became', () => {
  for (const [name, start] of Object.entries(starts))
    test(`started ${name}, the time is set a minute later`, async () => {
      const real = Date.UTC(2026, 10, 24, 12, 20);
      const off = { evenShiftMs: real - start, wallOffsetMs: start - real };
      const it = await virtualHouse({ meters: { count: 2 } }, { start: real, ...off, mqtt: { rate_limit: 100 } });
      it.broker.connect();
      await it.run(minute);
      // While the time cannot be right nothing is planned or told.
      expect(it.ingest.values.size).toBe(0);
      it.clock.wallOffsetMs = 0;
      await it.run(3 * minute);
      const { ports } = await it.clock.complete(it.house.snapshot());
      expect(ports[0]?.open).toBe(true);
      expect(ports[0]?.meters.map(({ verdict }) => verdict)).toEqual(['REACHABLE', 'REACHABLE']);
      for (const one of it.compare(2 * minute).values()) {
        expect(one.wrong).toEqual([]);
        expect(one.expected).toBeGreaterThan(20);
        expect(one.right).toBe(one.expected);
      }
      expect(await it.clock.complete(it.house.stuck())).toBeUndefined();
      // Everything that was read is delivered as well, at the rate that is allowed.
      await it.run(2 * minute);
      expect((await it.clock.complete(it.house.snapshot())).store.pending).toBe(0);
    });
});

describe('the machine’s clock', () => {
  afterEach(() => {
    vi.useRealTimers();
    vi.resetModules();
  });
  for (const [name, start] of Object.entries(starts))
    test(`runs evenly and above zero, started ${name}`, async () => {
      vi.useFakeTimers({ now: start, toFake: ['Date'] });
      vi.resetModules();
      const { systemClock } = await import('../../src/line/system-clock.ts');
      const before = systemClock.now();
      expect(before).toBeGreaterThan(0);
      vi.setSystemTime(Date.UTC(2026, 10, 24));
      expect(systemClock.wall()).toBe(Date.UTC(2026, 10, 24));
      expect(systemClock.now() - before).toBeLessThan(60_000);
      vi.useRealTimers();
      await systemClock.sleepUntil(millis(systemClock.now() + 5));
      expect(systemClock.now()).toBeGreaterThan(before);
    });
});

test('grids hold for negative times', () => {
  const hour = 3_600_000;
  expect(newestEnd(millis(-1), hour, 0)).toBe(-hour);
  expect(newestEnd(millis(-hour), hour, 0)).toBe(-hour);
  const meter = {
    id: 'a',
    series: [{ series: storedSeriesKey('p'), periodMs: hour, since: millis(-3 * dayMs), coverage: [] }],
    failures: 0,
    notBefore: millis(-8.64e15),
    lastTurn: millis(-8.64e15),
    degradedLine: false,
  };
  const job = plan({ meters: [meter], silentNotBefore: millis(-8.64e15) }, millis(-5), millis(-5), {
    offsetMs: 0,
    slicesPerTurn: 3,
  });
  expect(job).toMatchObject({
    kind: 'poll',
    slices: [{ from: -dayMs, to: -hour, live: true }, { live: false }, { live: false }],
  });
  const policy = { set: true, setLarge: false };
  const state = { deviationMs: 5000, wall: millis(-hour / 2), trusted: true, periodMs: hour, lastSet: undefined };
  expect(decideClock(state, policy).kind).toBe('set');
  expect(decideClock({ ...state, wall: millis(-hour + 1000) }, policy)).toMatchObject({ kind: 'leave' });
});
