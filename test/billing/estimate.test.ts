import { array, assert, nat, property } from 'fast-check';
import { expect, test } from 'vitest';
import { distribute, fill, flat, linear, means } from '../../src/billing/estimate.ts';

test('shares of a total are whole numbers whose sum is the total, and none is a unit off its weight', () => {
  assert(
    property(nat({ max: 1e9 }), array(nat({ max: 1e6 }), { minLength: 1, maxLength: 200 }), (total, weights) => {
      const shares = distribute(total, weights);
      expect(shares.reduce((a, b) => a + b, 0)).toBe(total);
      const sum = weights.reduce((a, b) => a + b, 0);
      for (const [i, share] of shares.entries()) {
        const exact = sum === 0 ? total / weights.length : (total * (weights[i] ?? 0)) / sum;
        expect(Math.abs(share - exact)).toBeLessThan(1.000001);
      }
    }),
  );
});
test('of equal remainders the earlier interval gets the unit', () => {
  expect(distribute(4, [1, 1, 1])).toEqual([2, 1, 1]);
  expect(distribute(0, [5, 5])).toEqual([0, 0]);
  expect(distribute(5, [0, 0])).toEqual([3, 2]);
});
test('dark intervals are zero and take no share of the total', () => {
  expect(fill(flat('EQUAL', 1, 4), [false, true, false, true], 7)).toEqual([4, 0, 3, 0]);
});
test('two hours are a line between their neighbours', () => {
  expect(fill(linear(100, 400, 2), [false, false], undefined)).toEqual([200, 300]);
  expect(fill(linear(100, 400, 2), [false, false], 1000)).toEqual([400, 600]);
});
test('an interval without a like day gets the mean of the others', () => {
  const weights = means('LIKE_DAYS', [
    { values: [10, 20, 30], days: ['2026-09-01', '2026-09-02', '2026-09-03'] },
    { values: [], days: [] },
    { values: [40], days: ['2026-09-01'] },
  ]);
  expect(weights && fill(weights, [false, false, false], undefined)).toEqual([20, 30, 40]);
  expect(weights?.days).toEqual(['2026-09-01', '2026-09-02', '2026-09-03']);
});
