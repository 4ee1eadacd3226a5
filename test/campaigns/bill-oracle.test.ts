import { expect, test } from 'vitest';
import { billPoint } from './bill-oracle.ts';

/** A small dose of scripts/bill-oracle: a spring and an autumn. */
test.each([
  [1, 3],
  [2, 3],
])('seed %i: %i points are billed to the unit what they used, through both changes of the clock', (seed, points) => {
  const outcomes = Array.from({ length: points }, (_, i) => billPoint(seed, i));
  expect(outcomes.flatMap(({ wrong }) => wrong)).toEqual([]);
  expect(outcomes.reduce((sum, { bills }) => sum + bills, 0)).toBeGreaterThanOrEqual(4 * points);
  expect(outcomes.reduce((sum, { corrections }) => sum + corrections, 0)).toBeGreaterThan(0);
});
