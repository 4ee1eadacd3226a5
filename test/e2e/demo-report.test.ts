/** What scripts/run shows and how it judges, without the run. */
import { describe, expect, test } from 'vitest';
import { fitWindow, idleOption, type Outcome, verdictOf } from '../../scripts/demo-report.ts';

describe('the picture fits the window', () => {
  const lines = Array.from({ length: 33 }, (_, i) => `${i} ${'█'.repeat(90)}`);
  test('24×80: 23 lines of less than 80 letters, the last of which tells what is not shown', () => {
    const shown = fitWindow(lines, { rows: 24, columns: 80 });
    expect(shown).toHaveLength(23);
    expect(shown.every((line) => Array.from(line).length < 80)).toBe(true);
    expect(shown.at(-1)).toContain('11 more');
  });
  test('what fits is left as it is', () => {
    expect(fitWindow(['a', 'b'], { rows: 24, columns: 80 })).toEqual(['a', 'b']);
    expect(fitWindow(['a', 'b', 'c'], { rows: 4, columns: 2 })).toEqual(['a', 'b', 'c']);
  });
  test.each([1, 2, 3])('a window of %i rows', (rows) => {
    expect(fitWindow(lines, { rows, columns: 10 }).length).toBe(Math.max(1, rows - 1));
  });
});

describe('the judgement', () => {
  const good: Outcome = {
    expected: 9,
    delivered: 9,
    wrong: 0,
    conflicts: 0,
    gaps: 0,
    unfit: 0,
    pending: 0,
    stillForS: 60,
  };
  test.each([
    ['good', {}],
    ['too short', { delivered: 4, stillForS: 3 }],
    ['too short', { pending: 2, stillForS: 3 }],
    ['too short', { delivered: 0, pending: undefined, stillForS: 5 }],
    ['not good', { delivered: 4, stillForS: 60 }],
    ['not good', { pending: undefined }],
    ['not good', { wrong: 1, delivered: 4, stillForS: 1 }],
    ['not good', { conflicts: 1 }],
    ['not good', { gaps: 1 }],
    ['not good', { unfit: 1 }],
  ] as const)('%s: %j', (verdict, what) => {
    expect(verdictOf({ ...good, ...what })).toBe(verdict);
  });
});

test('an option that would do nothing is named', () => {
  const none = { kills: false, outage: false, for: false, broker: false };
  expect(idleOption(none)).toBeUndefined();
  expect(idleOption({ ...none, kills: true })).toContain('--kills needs --for');
  expect(idleOption({ ...none, outage: true })).toContain('--outage needs --for');
  expect(idleOption({ ...none, outage: true, for: true, broker: true })).toContain('--broker');
  expect(idleOption({ ...none, kills: true, outage: true, for: true })).toBeUndefined();
});
