/** The small dose of scripts/hostile-meter: cells of the matrix by seed, and those that found something once. */
import { expect, test } from 'vitest';
import { hashed } from '../../src/simulator/random.ts';
import { attacks, type Cell, links, matrix, mistreat, requestsOf } from './hostile-meter.ts';

const cells = Number(process.env['HOSTILE_CELLS'] ?? 24);
const dose = matrix
  .map((cell, i) => ({ cell, rank: hashed(3, i) }))
  .toSorted((a, b) => a.rank - b.rank)
  .slice(0, cells)
  .map(({ cell }) => cell);
const once: readonly Cell[] = [
  // The period that was told wrongly once stayed in the cached layout for a day.
  { link: 'hdlc', request: 'capture period', attack: 'wrong type' },
  // A meter that had let us in and then said nothing was told as one without mains.
  { link: 'wrapper', request: 'rows', attack: 'drop' },
];

test('no pair is left out', () => {
  expect(matrix).toHaveLength(links.reduce((sum, link) => sum + requestsOf(link).length * attacks.length, 0));
  expect(new Set(matrix.map((cell) => JSON.stringify(cell))).size).toBe(matrix.length);
  expect(attacks).toHaveLength(12);
});

test.each([...once, ...dose])('$link, $request: $attack', async (cell) => {
  const outcome = await mistreat(cell.link, cell.request, cell.attack);
  expect(outcome.findings).toEqual([]);
  expect(outcome.hits).toBeGreaterThan(0);
});

test('a meter that lets us in and then says nothing is no meter without mains', async () => {
  expect((await mistreat('wrapper', 'rows', 'drop')).verdict).toBe('METER_FAULT');
});

test('a request that is never made is no cell that passes', async () => {
  expect((await mistreat('wrapper', 'proof', 'drop')).findings).toContain('the request was never made');
});
