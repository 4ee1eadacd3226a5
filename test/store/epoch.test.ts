import { assert, integer, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hasSuccessor, laterEpoch } from '../../src/store/epoch.ts';

const now = Date.UTC(2026, 10, 28);
const random = integer({ min: 0, max: 2 ** 26 - 1 });

describe('epochs', () => {
  test('hand-computed: minutes since 1970 times 2^26, and the random part', () => {
    expect(laterEpoch(0, 120_000, 5)).toBe(2 * 67_108_864 + 5);
    expect(laterEpoch(2 * 67_108_864 + 9, 120_000, 5)).toBe(3 * 67_108_864 + 5);
    expect(laterEpoch(0, -1, 5)).toBe(67_108_864 + 5);
  });

  test('each is later than the one before, whatever the clock says, and stays a safe integer', () => {
    assert(
      property(
        integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
        integer({ min: -(10 ** 13), max: 10 ** 14 }),
        random,
        (after, wall, part) => {
          if (!hasSuccessor(after)) return;
          const epoch = laterEpoch(after, wall, part);
          expect(epoch).toBeGreaterThan(after);
          expect(Number.isSafeInteger(epoch)).toBe(true);
        },
      ),
    );
  });

  test('incident: a state lost twice under a clock of 1970 began epoch 45 both times', () => {
    const begun = new Set(Array.from({ length: 2000 }, (_, i) => laterEpoch(0, 45_000, (i * 48_271) % 2 ** 26)));
    expect(begun.size).toBe(2000);
  });

  test('those of the versions before, seconds since 1970 and one more with each damage, are earlier than any of now', () => {
    expect(laterEpoch(0, now, 0)).toBeGreaterThan(Math.floor(now / 1000) + 1000);
  });

  test('what a peer calls an epoch may have none after it', () => {
    for (const nonsense of [Number.MAX_SAFE_INTEGER, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])
      expect(hasSuccessor(nonsense), String(nonsense)).toBe(false);
    expect(hasSuccessor(laterEpoch(0, now, 7))).toBe(true);
  });
});
