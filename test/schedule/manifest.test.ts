/** The account of a day: every expected interval stands in exactly one state. */
import { assert, asyncProperty, constantFrom, integer, record, uniqueArray } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dayMs, millis } from '../../src/base/time.ts';
import { dayDigest } from '../../src/reading/interval-hash.ts';
import type { Exceptions, Mark } from '../../src/reading/ledger.ts';
import type { Coverage } from '../../src/reading/coverage.ts';
import { type AccountedSeries, manifestOf } from '../../src/schedule/manifest.ts';
import { profile, quarterMs, quarters, storeWorld } from '../support/port-world.ts';

const day = Date.UTC(2026, 10, 23);
const readAt = millis(day + dayMs + 6 * 3_600_000);
const hour = 3_600_000;
const accounted = (more: Partial<AccountedSeries> = {}): AccountedSeries => ({
  origin: { meter: 'm1', point: 'p1', serial: 's1' },
  series: quarters.series,
  profile,
  periodMs: quarterMs,
  since: millis(day - dayMs),
  ...more,
});
type Known = { readonly coverage: Coverage; readonly exceptions?: Exceptions; readonly marks?: readonly Mark[] };
async function rowOf(known: Known | undefined, more: Partial<AccountedSeries> = {}) {
  const { store } = await storeWorld();
  if (known) {
    const { coverage, exceptions = [], marks = [] } = known;
    // Without its period: the store asks for no mark of each interval then.
    const state = { since: day - dayMs, coverage, exceptions };
    await store.commit({ meter: 'm1', series: quarters.series, entryClass: 0, facts: [], state, marks });
  }
  const [fact] = await manifestOf(store, [accounted(more)], day, readAt);
  return fact?.series[0];
}
const nothing = { measured: 0, uncertain: 0, outage: 0, missing: 0, lost: 0, pending: 0 };
const whole: Coverage = [[day - dayMs, day + 2 * dayMs]];
const run = (from: number, to: number, state: Exceptions[number][2]) =>
  [day + from * hour, day + to * hour, state] as const;

describe('states of the expected intervals', () => {
  test.each<[string, Known | undefined, object]>([
    ['nothing is known of the series', undefined, { pending: 96 }],
    ['all of it was read', { coverage: whole }, { measured: 96 }],
    ['the last hour is not read yet', { coverage: [[day, day + 23 * hour]] }, { measured: 92, pending: 4 }],
    [
      'a hole in the middle',
      {
        coverage: [
          [day, day + hour],
          [day + 2 * hour, day + dayMs],
        ],
      },
      { measured: 92, pending: 4 },
    ],
    ['no power', { coverage: whole, exceptions: [run(1, 3, 'OUTAGE')] }, { measured: 88, outage: 8 }],
    ['never captured', { coverage: whole, exceptions: [run(1, 2, 'MISSING')] }, { measured: 92, missing: 4 }],
    [
      'said, and the store lost it',
      { coverage: whole, exceptions: [run(1, 2, 'STORE_DAMAGED')] },
      { measured: 92, missing: 4 },
    ],
    ['overwritten in the meter', { coverage: whole, exceptions: [run(0, 2, 'LOST')] }, { measured: 88, lost: 8 }],
    [
      'of a clock in doubt',
      { coverage: whole, exceptions: [run(0, 1, 'UNCERTAIN/clock')] },
      { measured: 92, uncertain: 4 },
    ],
    [
      'a register that went back',
      { coverage: whole, exceptions: [run(0, 1, 'REGISTER_BACKWARD')] },
      { measured: 92, uncertain: 4 },
    ],
    [
      'what reaches over both midnights counts within the day',
      { coverage: whole, exceptions: [run(-5, 1, 'LOST'), run(23, 30, 'OUTAGE')] },
      { measured: 88, lost: 4, outage: 4 },
    ],
    [
      'two runs of one kind are added',
      { coverage: whole, exceptions: [run(1, 2, 'LOST'), run(4, 5, 'LOST')] },
      { measured: 88, lost: 8 },
    ],
  ])('%s', async (_, known, expected) => {
    expect(await rowOf(known)).toMatchObject({ expected: 96, ...nothing, ...expected });
  });

  test('any coverage with any exceptions in it: the sum of the states is what is expected, and none is negative', async () => {
    const states = constantFrom('OUTAGE', 'MISSING', 'LOST', 'STORE_DAMAGED', 'UNCERTAIN/clock', 'REGISTER_BACKWARD');
    const pieces = uniqueArray(record({ at: integer({ min: -8, max: 104 }), state: states }), {
      selector: ({ at }) => at,
    });
    const edges = uniqueArray(integer({ min: -8, max: 104 }), { minLength: 2, maxLength: 8 });
    const covered = (found: readonly number[]): Coverage => {
      const sorted = found.toSorted((a, b) => a - b).map((at) => day + at * quarterMs);
      return sorted.flatMap((from, i) =>
        i % 2 === 0 && sorted[i + 1] !== undefined ? [[from, sorted[i + 1] as number]] : [],
      );
    };
    await assert(
      asyncProperty(edges, pieces, async (found, some) => {
        const coverage = covered(found);
        const within = some.flatMap(({ at, state }): Exceptions => {
          const from = day + at * quarterMs;
          const inside = coverage.some(([low, high]) => from >= low && from + quarterMs <= high);
          return inside ? [[from, from + quarterMs, state]] : [];
        });
        const row = await rowOf({ coverage, exceptions: within.toSorted(([a], [b]) => a - b) });
        const { measured, uncertain, outage, missing, lost, pending, expected } = row as NonNullable<typeof row>;
        const counts = [measured, uncertain, outage, missing, lost, pending];
        expect(Math.min(...counts)).toBeGreaterThanOrEqual(0);
        expect(counts.reduce((sum, one) => sum + one, 0)).toBe(expected);
      }),
      { numRuns: 60 },
    );
  });
});

describe('bounds of a series within the day', () => {
  test.each<[string, Partial<AccountedSeries>, object | undefined]>([
    [
      'it begins in the day',
      { since: millis(day + 6 * hour) },
      { expected: 72, from: '2026-11-23T06:00:00Z', to: undefined },
    ],
    [
      'its period changes in the day',
      { until: millis(day + 23 * hour) },
      { expected: 92, from: undefined, to: '2026-11-23T23:00:00Z' },
    ],
    [
      'the next one with its own period',
      { since: millis(day + 23 * hour), periodMs: hour },
      { expected: 1, periodS: 3600, from: '2026-11-23T23:00:00Z' },
    ],
    [
      'the bounds are the midnights',
      { since: millis(day), until: millis(day + dayMs) },
      { expected: 96, from: undefined, to: undefined },
    ],
    ['it begins the day after', { since: millis(day + dayMs) }, undefined],
    ['it ended the day before', { until: millis(day) }, undefined],
  ])('%s', async (_, bounds, expected) => {
    const row = await rowOf(undefined, bounds);
    if (expected) expect(row).toEqual({ ...row, series: '1-0:99.1.0*255', ...expected });
    else expect(row).toBeUndefined();
  });
});

describe('what was said', () => {
  const mark = (at: number, hash: number): Mark => ({ start: day + at * quarterMs, rev: 0, hash, gap: false });
  test('the digest is of the marks of the day alone, without those that a damaged store forgot', async () => {
    const ofDay = [mark(0, 11), mark(95, 12)];
    const marks = [mark(-1, 10), ...ofDay, mark(3, 0), mark(96, 13)];
    const row = await rowOf({ coverage: whole, marks });
    expect(row?.digest).toBe(dayDigest(ofDay));
    expect(row?.digest).not.toBe(dayDigest([]));
  });
  test('parts of 200 series, numbered, of one day', async () => {
    const { store } = await storeWorld();
    const many = Array.from({ length: 401 }, (_, i) =>
      accounted({ origin: { meter: `m${i}`, point: `p${i}`, serial: 's' } }),
    );
    const facts = await manifestOf(store, many, day, readAt);
    expect(facts.map(({ day: of, part, parts, series }) => [of, part, parts, series.length])).toEqual([
      ['2026-11-23', 1, 3, 200],
      ['2026-11-23', 2, 3, 200],
      ['2026-11-23', 3, 3, 1],
    ]);
    expect(facts[2]?.series[0]).toMatchObject({ meter: 'm400', point: 'p400' });
    expect(facts[0]?.readAt).toBe('2026-11-24T06:00:00Z');
  });
  test('no series at all: nothing is said', async () => {
    const { store } = await storeWorld();
    expect(await manifestOf(store, [], day, readAt)).toEqual([]);
  });
});
