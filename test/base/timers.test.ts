import { expect, test } from 'vitest';
import { millis } from '../../src/base/time.ts';
import { earliest, isDue, nextDeadline } from '../../src/base/timers.ts';

test('the next deadline is the earliest that is waited for', () => {
  expect(nextDeadline({ answer: millis(30), poll: undefined, quiet: millis(20) })).toBe(20);
  expect(nextDeadline({ answer: undefined })).toBeUndefined();
  expect(earliest([])).toBeUndefined();
  // The epoch itself is a time like any other.
  expect(earliest([millis(5), millis(0), undefined])).toBe(0);
});

test('a time is due when it has come, and never when it is not waited for', () => {
  expect([isDue(millis(5), millis(4)), isDue(millis(5), millis(5)), isDue(undefined, millis(5))]).toEqual([
    false,
    true,
    false,
  ]);
});
