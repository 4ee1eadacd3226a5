/** How many rows one request asks for: begun by the speed of the line, learned from what requests took. */
import { expect, test } from 'vitest';
import { Failure } from '../../src/base/errors.ts';
import { dayMs, type Millis, millis } from '../../src/base/time.ts';
import { learning, type SliceSizes, sliceRowsOf } from '../../src/schedule/slice-size.ts';
import { access, noon, quarterMs, quarters } from '../support/port-world.ts';

const { series } = quarters;
/** A line on which a request takes so long; asks for so many rows, and gets them or the failure. */
function line(rows?: number) {
  let now = 0;
  const sizes: SliceSizes = new Map(rows === undefined ? [] : [[series, { rows }]]);
  const asked = async (count: number, tookMs: number, got: number | Error = count) => {
    const learn = { sizes, polled: quarters, line: access, now: () => millis(now) };
    const range: { from: Millis; to: Millis } = { from: noon, to: millis(noon + count * quarterMs) };
    await learning(learn, range, () => {
      now += tookMs;
      return got instanceof Error ? Promise.reject(got) : Promise.resolve(Array.from({ length: got }, () => 0));
    }).catch((error: unknown) => {
      if (error !== got) throw error;
    });
    return sliceRowsOf(sizes, series, access);
  };
  return { sizes, asked };
}
const minute = 60_000;
const failure = (code: ConstructorParameters<typeof Failure>[0]) => new Failure(code, 'why');

test('at first by the speed: what the line brings in a minute, and one row at least', () => {
  const at = (baud: number) => sliceRowsOf(new Map(), series, { ...access, baud });
  expect(at(9600)).toBe(1200);
  expect(at(300)).toBe(37);
  expect(sliceRowsOf(new Map(), series, { ...access, baud: 1 })).toBe(1);
});

test.each<[string, number, [number, number, (number | Error)?], number]>([
  ['as long as it should: nothing changes', 40, [40, minute], 40],
  ['in half the time: twice as many', 40, [40, minute / 2], 80],
  ['at once: not more than twice as many', 40, [40, 10], 80],
  ['a smaller one that came soon says nothing of larger ones', 40, [30, 10], 40],
  ['never more than a day', 90, [90, 10], dayMs / quarterMs],
  ['in twice the time: half', 40, [40, 2 * minute], 20],
  ['of the rows that came, not of those that were asked for', 40, [40, 2 * minute, 10], 5],
  ['never none', 1, [1, 10 * minute], 1],
  ['too slow to wait for: half', 40, [40, 1000, failure('answer-too-slow')], 20],
  ['too long to hold: half', 40, [40, 1000, failure('answer-too-long')], 20],
  ['it broke off late: half', 40, [40, 2 * minute, failure('link-disconnected')], 20],
  ['half of what was asked for, where that was less', 40, [10, 2 * minute, failure('link-disconnected')], 5],
  ['it broke off soon: that was not the size', 40, [40, 1000, failure('link-disconnected')], 40],
  ['a store that fails says nothing of the line', 40, [40, 2 * minute, failure('store-failed')], 40],
  ['neither does a bug of ours', 40, [40, 2 * minute, new RangeError('bug')], 40],
])('%s', async (_, rows, request, after) => {
  expect(await line(rows).asked(...request)).toBe(after);
});

test('the time of a row is known from eight rows on, and stays known', async () => {
  const { sizes, asked } = line(40);
  await asked(7, 7000);
  expect(sizes.get(series)?.rowMs).toBeUndefined();
  await asked(8, 16_000);
  expect(sizes.get(series)?.rowMs).toBe(2000);
  await asked(2, 2 * minute);
  expect(sizes.get(series)).toEqual({ rows: 1, rowMs: 2000 });
});
