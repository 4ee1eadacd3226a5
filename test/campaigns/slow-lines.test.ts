/** A small dose of `scripts/slow-lines`: slow lines deliver, in turn, and what a line cannot carry is said. */
import { describe, expect, test } from 'vitest';
import { dayMs, millis } from '../../src/base/time.ts';
import { expectedTrouble } from '../../src/schedule/line-load.ts';
import { learning, type SliceSizes } from '../../src/schedule/slice-size.ts';
import { Failure } from '../../src/base/errors.ts';
import type { VirtualMeter } from '../../src/simulator/virtual-meter.ts';
import { virtualHouse } from '../support/virtual-house.ts';
import { slowLine, type SlowLine } from './slow-lines.ts';
import { storedSeriesKey } from '../../src/reading/series-key.ts';

describe('incident: at 300 Bd with 15-minute rows, at 600 and 1200 Bd with 5-minute rows, nothing was ever delivered', () => {
  const lines: SlowLine[] = [
    { baud: 300, periodS: 900, meters: 3, behind: 2, hours: 6 },
    { baud: 300, periodS: 300, meters: 3, behind: 2, hours: 6 },
    { baud: 600, periodS: 300, meters: 3, behind: 1, hours: 4 },
    { baud: 1200, periodS: 300, meters: 4, behind: 1, hours: 4 },
    { baud: 300, periodS: 900, meters: 1, modeE: true, behind: 2, hours: 4 },
    { baud: 300, periodS: 3600, meters: 1, modeE: true, behind: 20, hours: 6 },
  ];
  for (const line of lines)
    test(JSON.stringify(line), async () => {
      const { right, expected, wrong, stuck, latestS, verdicts } = await slowLine(line);
      expect(wrong).toEqual([]);
      expect(right).toBe(expected);
      expect(expected).toBeGreaterThan(10);
      expect(stuck).toEqual([]);
      expect(latestS).toBeLessThan(300);
      expect(new Set(verdicts)).toEqual(new Set(['REACHABLE']));
    });
});

test('energies on a slow line: each day is read once more in pieces, over several turns, and its sum is told', async () => {
  const line = await slowLine({ baud: 300, periodS: 300, meters: 2, energies: true, behind: 2, hours: 8 });
  expect(line.wrong).toEqual([]);
  expect(line.right).toBe(line.expected);
  expect(line.sums).toBe(4);
  expect(line.latestS).toBeLessThan(600);
});

test('who asks for a meter of a slow line is answered, although everything is far behind', async () => {
  const it = await virtualHouse(
    { bus: { baud: 300 }, meters: { count: 3, period_s: 300 } },
    { start: Date.UTC(2026, 10, 24, 20, 10), days: 2, line: { baud: 300 } },
  );
  it.broker.connect();
  for (let time = 0; time < 3; time++) {
    await it.run(100_000);
    const fact = await it.clock.complete(it.house.readNow('m60120003'));
    expect(fact.meter).toBe('m60120003');
  }
  await it.clock.complete(it.house.stop());
});

test('incident: a log of 40 days held a line of 300 Bd a quarter of an hour in each session, and was never told', async () => {
  const it = await virtualHouse(
    { bus: { baud: 300 }, meters: { count: 3, period_s: 900, history_days: 60 } },
    { start: Date.UTC(2026, 10, 24, 6, 10), days: 0, line: { baud: 300 } },
  );
  const meter = it.simulated.meters[0] as VirtualMeter;
  for (let i = 0; i < 1000; i++) meter.moveClock(millis(it.clock.now() - 40 * dayMs + i * 3_000_000), 0);
  it.broker.connect();
  let inTurn = 0;
  let longestMs = 0;
  for (let at = 0; at < 4 * 3_600_000; at += 10_000) {
    await it.run(10_000);
    const { ports } = await it.clock.complete(it.house.snapshot());
    inTurn = ports[0]?.activity === 'm60120001' ? inTurn + 10_000 : 0;
    longestMs = Math.max(longestMs, inTurn);
  }
  expect(longestMs).toBeLessThan(500_000);
  for (const one of it.compare(20 * 60_000).values()) expect(one.right).toBe(one.expected);
  // Two entries for each time that the clock was set, each told once.
  const entries = it.broker.published
    .filter(({ payload }) => payload.includes('"source":"meter"'))
    .map(({ payload }) => JSON.parse(payload) as { log: string; code: number; at: string; occurrence: number });
  expect(entries).toHaveLength(2000);
  expect(new Set(entries.map(({ log, code, at, occurrence }) => [log, code, at, occurrence].join())).size).toBe(2000);
  await it.clock.complete(it.house.stop());
});

test('a line that cannot carry its rows is named; the newest come first, and every meter gets its turn', async () => {
  // Six octets a second: with the sessions that they need, the rows of fifty meters take more.
  const line = await slowLine({ baud: 300, periodS: 300, meters: 50, behind: 0, hours: 12, octetMs: 170 });
  expect(line.wrong).toEqual([]);
  expect(line.stuck).toEqual([]);
  expect(line.trouble).toContain('cannot carry');
  expect(line.right).toBeLessThan(line.expected);
  expect(line.right).toBeGreaterThan(line.expected / 3);
  // Nobody starves: the newest row of each is at most a round old.
  expect(line.latestS).toBeLessThan(4 * 3600);
});

test('the configuration alone shows a line whose rows come late, or never', () => {
  const speed = { baud: 300, timed: true };
  const meters = (count: number, periodMs: number) => Array.from({ length: count }, () => [periodMs]);
  expect(expectedTrouble(speed, meters(4, 900_000))).toBeUndefined();
  expect(expectedTrouble(speed, meters(31, 300_000))).toContain('a round of its 31 meters takes about 7 min');
  expect(expectedTrouble(speed, meters(200, 300_000))).toContain('cannot carry its rows');
  expect(expectedTrouble({ baud: 300, timed: false }, meters(200, 300_000))).toBeUndefined();
});

describe('the size of a slice is learned', () => {
  const series = storedSeriesKey('p');
  const polled = { series, periodMs: 300_000 };
  const speed = { baud: 300, timed: true };
  const once = async (sizes: SliceSizes, rows: number, spentMs: number, came = rows) => {
    let now = 0;
    const range = { from: millis(0), to: millis(rows * 300_000) };
    await learning({ sizes, polled, line: speed, now: () => millis(now) }, range, () => {
      now += spentMs;
      return Promise.resolve(Array.from({ length: came }, () => 0));
    });
    return sizes.get(series)?.rows;
  };
  test('a slow one shrinks, a quick one of full size grows, a small one says nothing', async () => {
    const sizes: SliceSizes = new Map();
    expect(await once(sizes, 36, 120_000)).toBe(18);
    expect(await once(sizes, 1, 30_000)).toBe(18);
    expect(await once(sizes, 18, 40_000)).toBe(27);
    expect(await once(sizes, 27, 1000)).toBe(54);
    expect(await once(sizes, 54, 600_000, 0)).toBe(1);
  });
  test('one that came too slowly is halved, and never below a row', async () => {
    const sizes: SliceSizes = new Map([[series, { rows: 3 }]]);
    const fails = () => Promise.reject(new Failure('answer-too-slow', 'slow'));
    for (let i = 0; i < 3; i++)
      await learning(
        { sizes, polled, line: speed, now: () => millis(0) },
        { from: millis(0), to: millis(900_000) },
        fails,
      ).catch(() => {});
    expect(sizes.get(series)?.rows).toBe(1);
  });
});
