import { describe, expect, test } from 'vitest';
import { later, type Millis, millis } from '../../src/base/time.ts';
import { missing, withRange } from '../../src/reading/coverage.ts';
import type { Mark } from '../../src/reading/ledger.ts';
import { accountFor, type Slice } from '../../src/reading/interval-block.ts';
import type { LoadProfileRow } from '../../src/reading/load-profile-row.ts';

const hour = 3_600_000;
const day = millis(Date.UTC(2026, 10, 23));
const at = (hours: number): Millis => later(day, hours * hour);
const key = '1-0:1.8.0*255';
const row = (hours: number, register: number, status = 0): LoadProfileRow => ({
  start: at(hours - 1),
  end: at(hours),
  clock: null,
  status,
  channels: [{ key, scalerUnit: { scaler: 0, unit: 30 }, kind: 'register' }],
  cells: [register],
});
const account = (rows: LoadProfileRow[], more: { to?: number; open?: number } = {}) => accountFor(sliceOf(rows, more));
const sliceOf = (rows: LoadProfileRow[], more: { to?: number; open?: number } = {}): Slice => ({
  origin: { meter: 'm', point: 'p', serial: 's' },
  series: '1-0:99.1.0*255',
  rows,
  from: day,
  to: at(more.to ?? 4),
  periodMs: hour,
  openAfter: at(more.open ?? 100),
  readAt: at(50),
  clockDeviationMs: 1234,
  clockTrust: 'system',
});

test('R01: energy is the advance of the register, both are delivered, their sum is exact', () => {
  const { blocks, gaps, coveredTo } = account([row(0, 1000), row(1, 1100), row(2, 1100), row(3, 1350), row(4, 1351)]);
  expect(gaps).toEqual([]);
  expect(coveredTo).toBe(at(4));
  expect(blocks).toHaveLength(1);
  expect(blocks[0]).toMatchObject({
    start: '2026-11-23T00:00:00Z',
    periodS: 3600,
    count: 4,
    channels: [{ obis: key, unit: 'Wh', scaler: 0, register: [1100, 1100, 1350, 1351], energy: [100, 0, 250, 1] }],
    quality: ['MEASURED', 'MEASURED', 'MEASURED', 'MEASURED'],
    rev: [0, 0, 0, 0],
    clockDeviationS: 1.2,
  });
});

test('incident: after the store was lost, rows that a meter taken down had were told as missing, as if it had had none', () => {
  const swap = { at: at(2) + 900_000, from: 'old', final: {}, first: {}, before: undefined };
  const dark = [[at(0), at(1)]] as const;
  const { gaps, blocks } = accountFor({ ...sliceOf([row(4, 500)]), swap, dark });
  expect(gaps.map(({ start, end, cause }) => [start.slice(11, 16), end.slice(11, 16), cause])).toEqual([
    // Its log was read while it hung there.
    ['00:00', '01:00', 'OUTAGE'],
    ['01:00', '02:00', 'LOST'],
    // In this one the meters were changed, and the new one captured nothing.
    ['02:00', '03:00', 'MISSING'],
  ]);
  expect(blocks).toMatchObject([{ start: '2026-11-23T03:00:00Z', count: 1 }]);
});

test('without the boundary row the first interval has its register and no energy', () => {
  expect(account([row(1, 1100), row(2, 1200), row(3, 1300), row(4, 1400)]).blocks[0]?.channels[0]?.energy).toEqual([
    null,
    100,
    100,
    100,
  ]);
});

test('R03, R04, R05: the status says what a value is worth; it is delivered in every case', () => {
  const { blocks } = account([row(0, 1), row(1, 2, 0x80), row(2, 3, 0x08), row(3, 4, 0x02), row(4, 5, 0x20)]);
  expect(blocks[0]?.quality).toEqual(['MEASURED', 'MEASURED', 'UNCERTAIN/device', 'UNCERTAIN/clock']);
  expect(blocks[0]?.status).toEqual([0x80, 8, 2, 0x20]);
});

describe('R06: a missing row is a gap with registers at both edges, never a value', () => {
  test('in the middle', () => {
    const { blocks, gaps } = account([row(0, 1000), row(1, 1100), row(4, 1500)]);
    expect(gaps).toMatchObject([
      {
        start: '2026-11-23T01:00:00Z',
        end: '2026-11-23T03:00:00Z',
        cause: 'MISSING',
        before: { [key]: 1100 },
        after: { [key]: 1500 },
      },
    ]);
    expect(blocks.map(({ start, count, channels }) => [start, count, channels[0]?.energy])).toEqual([
      ['2026-11-23T00:00:00Z', 1, [100]],
      ['2026-11-23T03:00:00Z', 1, [null]],
    ]);
  });
  test('the whole slice', () => {
    const { blocks, gaps, coveredTo } = account([]);
    expect(blocks).toEqual([]);
    expect(gaps).toMatchObject([
      { start: '2026-11-23T00:00:00Z', end: '2026-11-23T04:00:00Z', cause: 'MISSING', before: null, after: null },
    ]);
    expect(coveredTo).toBe(at(4));
  });
  test('at the end, when the row may still come: open, no gap', () => {
    const { gaps, coveredTo } = account([row(0, 1000), row(1, 1100), row(2, 1200)], { open: 2.5 });
    expect(gaps).toEqual([]);
    expect(coveredTo).toBe(at(2));
  });
  test('at the end, long overdue: a gap', () => {
    const { gaps, coveredTo } = account([row(0, 1000), row(1, 1100)], { open: 3.5 });
    expect(gaps).toMatchObject([{ start: '2026-11-23T01:00:00Z', end: '2026-11-23T03:00:00Z' }]);
    expect(coveredTo).toBe(at(3));
  });
});

test('R07: power-down at the edge and equal registers: OUTAGE, zero proven', () => {
  const { gaps, blocks } = account([row(0, 1000), row(1, 1100, 0x80), row(4, 1100, 0x80)]);
  expect(gaps).toMatchObject([{ cause: 'OUTAGE', start: '2026-11-23T01:00:00Z', end: '2026-11-23T03:00:00Z' }]);
  expect(blocks.at(-1)?.channels[0]?.energy).toEqual([0]);
  expect(account([row(0, 1000), row(1, 1100, 0x80), row(4, 1101, 0x80)]).gaps[0]?.cause).toBe('MISSING');
  expect(account([row(0, 1000), row(1, 1100), row(4, 1100)]).gaps[0]?.cause).toBe('MISSING');
});

test('R08: a register that falls gives no energy and says so', () => {
  const { blocks } = account([row(0, 1000), row(1, 900), row(2, 950), row(3, 960), row(4, 970)]);
  expect(blocks[0]?.channels[0]?.energy).toEqual([null, 50, 10, 10]);
  expect(blocks[0]?.quality[0]).toBe('REGISTER_BACKWARD');
});

test('R11: two rows with one stamp are both kept, in order, both uncertain; the same row twice is one', () => {
  const { blocks } = account([
    row(0, 1000),
    row(1, 1100),
    row(1, 1150),
    row(2, 1200),
    row(2, 1200),
    row(3, 1300),
    row(4, 1400),
  ]);
  const flat = blocks.flatMap((block) =>
    block.rev.map((rev, i) => [block.channels[0]?.register?.[i], rev, block.quality[i]]),
  );
  expect(flat).toEqual([
    [1100, 0, 'UNCERTAIN/clock'],
    [1150, 1, 'UNCERTAIN/clock'],
    [1200, 0, 'MEASURED'],
    [1300, 0, 'MEASURED'],
    [1400, 0, 'MEASURED'],
  ]);
});

describe('R08: a register that passes its modulus', () => {
  const top = 2 ** 32;
  test('from above 90 % to below 10 %: energy is computed across, and flagged', () => {
    const { blocks } = account([row(0, top - 100), row(1, 50), row(2, 60)], { to: 2 });
    expect(blocks[0]?.channels[0]?.energy).toEqual([150, 10]);
    expect(blocks[0]?.flags).toEqual([['WRAP'], []]);
    expect(blocks[0]?.quality).toEqual(['MEASURED', 'MEASURED']);
  });
  test('the modulus of the model counts', () => {
    const slice = { ...sliceOf([row(0, 99_990), row(1, 15)], { to: 1 }), modulus: 100_000n };
    expect(accountFor(slice).blocks[0]?.channels[0]?.energy).toEqual([25]);
  });
  test('from just below 90 %, or to just above 10 %: backward', () => {
    for (const [before, after] of [
      [Math.floor(top * 0.89), 5],
      [top - 5, Math.ceil(top * 0.11)],
    ] as const) {
      const { blocks } = account([row(0, before), row(1, after)], { to: 1 });
      expect(blocks[0]?.channels[0]?.energy).toEqual([null]);
      expect(blocks[0]?.quality).toEqual(['REGISTER_BACKWARD']);
    }
  });
});

test('R12: more energy than the fuses let through is flagged, and delivered', () => {
  // 3 × 25 A × 230 V = 17 250 W; a fifth more is 20 700 Wh in an hour.
  const slice = { ...sliceOf([row(0, 0), row(1, 20_700), row(2, 41_401)], { to: 2 }), powerLimitW: 17_250 };
  const { blocks } = accountFor(slice);
  expect(blocks[0]?.channels[0]?.energy).toEqual([20_700, 20_701]);
  expect(blocks[0]?.flags).toEqual([[], ['IMPOSSIBLE']]);
});

test('R14: a row without one of its channels is partial', () => {
  const two = (hours: number, cells: (number | null)[]): LoadProfileRow => ({
    ...row(hours, 0),
    channels: [
      { key, scalerUnit: undefined, kind: 'register' },
      { key: '1-0:2.8.0*255', scalerUnit: undefined, kind: 'register' },
    ],
    cells,
  });
  const { blocks } = account([two(0, [1, 1]), two(1, [2, 1]), two(2, [3, null])], { to: 2 });
  expect(blocks.flatMap(({ flags, count }) => flags ?? Array.from({ length: count }, () => []))).toEqual([
    [],
    ['PARTIAL'],
  ]);
});

describe('R17, R18: what was said is not said again', () => {
  const rows = [row(0, 1000), row(1, 1100), row(2, 1200), row(3, 1300), row(4, 1400)];
  const known = (marks: readonly Mark[]) => new Map<number, Mark>(marks.map((mark) => [mark.start, mark]));
  test('the same rows: nothing', () => {
    const { marks } = account(rows);
    const again = accountFor({ ...sliceOf(rows), known: known(marks) });
    expect([again.blocks, again.gaps, again.marks]).toEqual([[], [], []]);
  });
  test('another value, another status: the next revision, with the reason, and the interval whose energy changed', () => {
    const { marks } = account(rows);
    const changed = [row(0, 1000), row(1, 1100), row(2, 1250), row(3, 1300), row(4, 1400, 0x80)];
    const { blocks } = accountFor({ ...sliceOf(changed), known: known(marks) });
    expect(
      blocks.map(({ start, rev, reason, channels }) => [start.slice(11, 13), rev, reason, channels[0]?.energy]),
    ).toEqual([['01', [1, 1, 1], ['CHANGED', 'CHANGED', 'CHANGED'], [150, 50, 100]]]);
  });
  test('a row that comes late', () => {
    const { marks } = account(rows.filter((_, i) => i !== 2));
    const { blocks, gaps } = accountFor({ ...sliceOf(rows), known: known(marks) });
    expect(gaps).toEqual([]);
    expect(blocks.map(({ rev, reason }) => [rev, reason])).toEqual([
      [
        [1, 1],
        ['LATE', 'CHANGED'],
      ],
    ]);
  });
  test('incident: rows that had left the meter’s buffer since were said to be missing, over the measured values', () => {
    const { marks } = account(rows);
    // Read again, for a gap nearby: the two oldest rows are gone.
    const again = accountFor({ ...sliceOf(rows.slice(3)), known: known(marks) });
    expect([again.blocks, again.gaps, again.marks]).toEqual([[], [], []]);
    expect(again.unchanged).toEqual([
      [at(0), at(2)],
      [at(2), at(3)],
    ]);
    expect(again.exceptions).toEqual([]);
    const none = accountFor({ ...sliceOf([]), known: known(marks) });
    expect([none.gaps, none.unchanged]).toEqual([[], [[at(0), at(4)]]]);
  });
  test('what may have been lost is said again at the same revision, without a reason', () => {
    const marks = account(rows).marks.map((mark) => ({ ...mark, rev: 2, hash: 0 }));
    const { blocks } = accountFor({ ...sliceOf(rows), known: known(marks) });
    expect(blocks[0]?.rev).toEqual([2, 2, 2, 2]);
    expect(blocks[0]).not.toHaveProperty('reason');
  });
});

test('incident: what was said to be lost was said to be missing when its neighbours were read again', () => {
  const rows = [row(0, 1000), row(4, 1500)];
  const lost = [[at(0), at(2)]] as const;
  const { gaps } = accountFor({ ...sliceOf(rows), lost });
  expect(gaps.map(({ start, end, cause }) => [start.slice(11, 16), end.slice(11, 16), cause])).toEqual([
    ['00:00', '02:00', 'LOST'],
    ['02:00', '03:00', 'MISSING'],
  ]);
  // A log that proves darkness proves more than that nothing is there.
  const dark = [[at(0), at(1)]] as const;
  expect(accountFor({ ...sliceOf(rows), lost, dark }).gaps.map(({ cause }) => cause)).toEqual([
    'OUTAGE',
    'LOST',
    'MISSING',
  ]);
});

test('a row off the grid keeps its own bounds and is uncertain', () => {
  const { blocks } = account([row(0, 1000), row(1, 1100), row(1.25, 1120), row(2, 1200), row(3, 1300), row(4, 1400)]);
  const odd = blocks.find(({ periodS }) => periodS === 900);
  expect(odd).toMatchObject({ start: '2026-11-23T01:00:00Z', count: 1, quality: ['UNCERTAIN/clock'] });
  expect(odd?.channels[0]?.energy).toEqual([20]);
});

test('registers beyond 2^53 travel as decimal strings', () => {
  const big = 2n ** 60n;
  const huge = (hours: number, raw: bigint): LoadProfileRow => ({
    ...row(hours, 0),
    channels: [{ key, scalerUnit: undefined, kind: 'register' }],
    cells: [raw],
  });
  const { blocks } = account([huge(0, big), huge(1, big + 5n)], { to: 1 });
  expect(blocks[0]?.channels[0]).toEqual({
    obis: key,
    unit: null,
    scaler: null,
    register: [(big + 5n).toString()],
    energy: [5],
  });
});

describe('coverage', () => {
  test('ranges join when they touch, and what is missing is the rest', () => {
    let coverage = withRange([], 10, 20);
    coverage = withRange(coverage, 30, 40);
    expect(coverage).toEqual([
      [10, 20],
      [30, 40],
    ]);
    expect(missing(coverage, millis(0), millis(50))).toEqual([
      [0, 10],
      [20, 30],
      [40, 50],
    ]);
    expect(missing(coverage, millis(12), millis(35))).toEqual([[20, 30]]);
    coverage = withRange(coverage, 20, 30);
    expect(coverage).toEqual([[10, 40]]);
    expect(withRange(coverage, 5, 5)).toBe(coverage);
    expect(missing(coverage, millis(10), millis(40))).toEqual([]);
  });
});

test('incident (fuzzed sessions): rows off the grid that begin together said two values at one revision', () => {
  const stray = (end: number, register: number): LoadProfileRow => ({ ...row(1, register), end: at(end), start: null });
  // The clock was set back between them: both begin an hour before the same end.
  const rows = [row(0, 1000), stray(1.5, 1150), row(2, 1200), stray(1.5, 1160), row(2, 1200)];
  const { blocks, marks } = account(rows, { to: 2 });
  const published = blocks.flatMap(({ start, rev, channels }) =>
    rev.map((one, i) => `${Date.parse(start)} ${one} ${String(channels[0]?.register?.[i])}`),
  );
  const numbered = published.map((one) => one.split(' ').slice(0, 2).join(' '));
  expect(new Set(numbered).size).toBe(numbered.length);
  // Read again they are the same, and nothing is said.
  const known = new Map<number, Mark>(marks.map((mark) => [mark.start, mark]));
  const again = accountFor({ ...sliceOf(rows, { to: 2 }), known });
  expect(again.blocks).toEqual([]);
});
